/* Reading JSON in place: what is plain is read, the rest is left. Every function gives false, or 0, where it leaves
   the row; it never looks behind its reader's end. Texts are checked as UTF-8 and stay where they are. */

#ifndef TUNERY_JSON_H
#define TUNERY_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define MOST_KEYS 32 /* of one object */
#define DEEPEST 16 /* of a value that nobody reads */

typedef struct {
    const uint8_t *at;
    size_t size;
} Bytes;

/* The inside of a string, as the file has it. */
typedef struct {
    Bytes raw;
    size_t characters;
    bool canonical; /* its canonical form is the same bytes */
} Text;

typedef struct {
    const uint8_t *at, *end;
} Reader;
static inline bool same(Bytes one, Bytes other)
{
    return one.size == other.size && memcmp(one.at, other.at, one.size) == 0;
}

static inline void skip_space(Reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\r' || *r->at == '\t'))
        r->at++;
}

static inline bool next_is(Reader *r, uint8_t byte)
{
    if (r->at == r->end || *r->at != byte)
        return false;
    r->at++;
    return true;
}

/* After white space. */
static inline bool expect(Reader *r, uint8_t byte)
{
    skip_space(r);
    return next_is(r, byte);
}

static bool word(Reader *r, const char *letters)
{
    size_t size = strlen(letters);
    if ((size_t)(r->end - r->at) < size || memcmp(r->at, letters, size) != 0)
        return false;
    r->at += size;
    return true;
}

static inline bool ordinary(uint8_t byte)
{
    return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
}

static inline const uint8_t *behind_ordinary(const uint8_t *p, const uint8_t *end)
{
#ifdef __SSE2__
    while (end - p >= 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)p);
        __m128i low = _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20)); /* signed: beyond ASCII as well */
        __m128i marks = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')),
                                     _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')));
        unsigned odd = (unsigned)_mm_movemask_epi8(_mm_or_si128(low, marks));
        if (odd)
            return p + __builtin_ctz(odd);
        p += 16;
    }
#endif
    while (p < end && ordinary(*p))
        p++;
    return p;
}

/* Size of the UTF-8 sequence of two bytes or more that stands here; 0 when it is none. */
static inline size_t sequence(const uint8_t *p, const uint8_t *end)
{
    size_t left = (size_t)(end - p);
    uint8_t lead = p[0];
    if (lead < 0xC2)
        return 0;
    if (left < 2 || (p[1] & 0xC0) != 0x80)
        return 0;
    if (lead < 0xE0)
        return 2;
    if (left < 3 || (p[2] & 0xC0) != 0x80)
        return 0;
    if (lead < 0xF0)
        return (lead == 0xE0 && p[1] < 0xA0) || (lead == 0xED && p[1] > 0x9F) ? 0 : 3;
    if (left < 4 || (p[3] & 0xC0) != 0x80 || lead > 0xF4)
        return 0;
    return (lead == 0xF0 && p[1] < 0x90) || (lead == 0xF4 && p[1] > 0x8F) ? 0 : 4;
}

static int hex4(const uint8_t *p)
{
    int code = 0;
    for (int i = 0; i < 4; i++) {
        uint8_t c = p[i], low = c | 0x20;
        int digit = c >= '0' && c <= '9' ? c - '0' : low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
        if (digit < 0)
            return -1;
        code = code << 4 | digit;
    }
    return code;
}

/* Reads the escape at `p`: how many bytes it has, and in `code` its character. 0 for NUL, half a pair, no escape. */
static size_t escape(const uint8_t *p, const uint8_t *end, uint32_t *code)
{
    static const uint8_t meant[256] = {['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
                                       ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t'};
    if (end - p < 2)
        return 0;
    if (p[1] != 'u') {
        *code = meant[p[1]];
        return *code ? 2 : 0;
    }
    int high = end - p < 6 ? -1 : hex4(p + 2);
    if (high <= 0 || (high >= 0xDC00 && high <= 0xDFFF))
        return 0;
    if (high < 0xD800 || high > 0xDFFF) {
        *code = (uint32_t)high;
        return 6;
    }
    int low = end - p < 12 || p[6] != '\\' || p[7] != 'u' ? -1 : hex4(p + 8);
    if (low < 0xDC00 || low > 0xDFFF)
        return 0;
    *code = 0x10000 + (((uint32_t)high - 0xD800) << 10) + ((uint32_t)low - 0xDC00);
    return 12;
}

/* Reads a string from behind its opening mark to behind its closing one. */
static bool read_text(Reader *r, Text *text)
{
    const uint8_t *p = r->at, *end = r->end;
    size_t surplus = 0; /* bytes beyond one a character */
    text->raw.at = p;
    text->canonical = true;
    for (;;) {
        if ((p = behind_ordinary(p, end)) == end)
            return false;
        if (*p == '"')
            break;
        size_t size;
        if (*p == '\\') {
            uint32_t code;
            if (!(size = escape(p, end, &code)))
                return false;
            text->canonical &= size == 2 && p[1] != '/';
            surplus += size - 1;
            p += size;
        } else {
            do {
                if (!(size = sequence(p, end))) /* a control character as well */
                    return false;
                surplus += size - 1;
                p += size;
            } while (p < end && *p >= 0x80);
        }
    }
    text->raw.size = (size_t)(p - r->at);
    text->characters = text->raw.size - surplus;
    r->at = p + 1;
    return true;
}

/* Whether a string stands there as just these bytes. None of them needs an escape. */
static inline bool begins(const Reader *r, Bytes bytes)
{
    size_t left = (size_t)(r->end - r->at);
    return left >= bytes.size + 2 && *r->at == '"' && r->at[bytes.size + 1] == '"' &&
           memcmp(r->at + 1, bytes.at, bytes.size) == 0;
}

/* Reads such a string, if it stands there. */
static inline bool quoted(Reader *r, Bytes bytes)
{
    if (!begins(r, bytes))
        return false;
    r->at += bytes.size + 2;
    return true;
}

/* Reads a key up to its value; one with an escape is left to the careful way. */
static bool read_key(Reader *r, Bytes *key)
{
    Text text;
    if (!expect(r, '"') || !read_text(r, &text) || memchr(text.raw.at, '\\', text.raw.size))
        return false;
    *key = text.raw;
    if (!expect(r, ':'))
        return false;
    skip_space(r);
    return true;
}

/* Reads a key that the object doesn't have yet. */
static bool read_new_key(Reader *r, Bytes *keys, size_t *count)
{
    if (*count == MOST_KEYS || !read_key(r, &keys[*count]))
        return false;
    for (size_t i = 0; i < *count; i++)
        if (same(keys[i], keys[*count]))
            return false;
    ++*count;
    return true;
}

static inline size_t digits(Reader *r)
{
    const uint8_t *start = r->at;
    while (r->at < r->end && *r->at >= '0' && *r->at <= '9')
        r->at++;
    return (size_t)(r->at - start);
}

/* A number of a size that nobody reads differently. */
static bool skip_number(Reader *r)
{
    next_is(r, '-');
    const uint8_t *start = r->at;
    size_t whole = digits(r);
    if (whole == 0 || whole > 18 || (whole > 1 && *start == '0'))
        return false;
    if (next_is(r, '.')) {
        size_t part = digits(r);
        if (part == 0 || part > 30)
            return false;
    }
    if (next_is(r, 'e') || next_is(r, 'E')) {
        if (!next_is(r, '-'))
            next_is(r, '+');
        size_t power = digits(r);
        if (power == 0 || power > 2)
            return false;
    }
    return true;
}

/* A value that nobody reads; it must be right all the same. */
static bool skip_value(Reader *r, int depth)
{
    Text text;
    if (r->at == r->end || depth == DEEPEST)
        return false;
    switch (*r->at) {
    case '"':
        r->at++;
        return read_text(r, &text);
    case 'n':
        return word(r, "null");
    case 't':
        return word(r, "true");
    case 'f':
        return word(r, "false");
    case '[':
        r->at++;
        if (expect(r, ']'))
            return true;
        do {
            skip_space(r);
            if (!skip_value(r, depth + 1))
                return false;
        } while (expect(r, ','));
        return next_is(r, ']');
    case '{': {
        Bytes keys[MOST_KEYS];
        size_t count = 0;
        r->at++;
        if (expect(r, '}'))
            return true;
        do {
            if (!read_new_key(r, keys, &count) || !skip_value(r, depth + 1))
                return false;
        } while (expect(r, ','));
        return next_is(r, '}');
    }
    default:
        return skip_number(r);
    }
}

#endif
