/* One row: read by a plan, judged as turns.py judges it, written in canonical form. Knows nothing of Python. */

#ifndef TUNERY_FORM_H
#define TUNERY_FORM_H

#include "_json.h"

#define MOST_FIELDS 24 /* in a plan */
#define MOST_ROLES 24
#define ROLES 4
#define MOST_TURNS 256
#define SIDES 2      /* the better answer and the worse one */
#define MOST_PAIRS 2 /* of keys that a turn may have */

/* -- the plan */

enum slot { TEXT, TURNS, SYSTEM, ASK, PROMPT, MORE, ANSWER, CHOSEN, REJECTED, LABEL, EMPTY, NEVER, SLOTS, UNKNOWN };

typedef struct {
    Bytes key;
    enum slot slot;
} Field;

typedef struct {
    Bytes spelled;
    int role;
} Spelling;

typedef struct {
    size_t n_fields, n_spellings, n_pairs;
    Field fields[MOST_FIELDS];
    Bytes role_keys[MOST_PAIRS], content_keys[MOST_PAIRS];
    Spelling spellings[MOST_ROLES];
    Bytes head, tail;       /* of a row */
    Bytes wanted;           /* the tail where the label is true; none where rows have no label */
    Bytes middle;           /* between a question and its answers; none where rows have no such answers */
    Bytes opening[ROLES];   /* of a turn */
    Bytes closing, between; /* turns */
    unsigned first, follows[ROLES]; /* roles a conversation may begin with, and that may follow one: bits */
    int system, user, assistant;
} Plan;
/* -- a row */

typedef struct {
    int role;
    Text text;
    const Text *more; /* a second text below the first */
} Turn;

typedef struct {
    size_t count;
    Turn turns[MOST_TURNS];
} Talk;

typedef struct {
    Text texts[SLOTS];
    bool has[SLOTS];
    bool alone; /* what is asked stands in one field, whatever is in the next */
    bool label;
    Talk talk;
    Talk sides[SIDES]; /* an answer each, or the whole talk up to it */
} Row;

/* The number of a role; -1 where it is spelled in a way the plan doesn't know. */
static int read_role(const Plan *plan, Reader *r)
{
    for (size_t i = 0; i < plan->n_spellings; i++)
        if (quoted(r, plan->spellings[i].spelled))
            return plan->spellings[i].role;
    return -1;
}

static bool read_turn(const Plan *plan, Reader *r, Turn *turn)
{
    bool has_role = false, has_content = false;
    size_t pair = 0;
    turn->more = NULL;
    if (!expect(r, '{'))
        return false;
    skip_space(r);
    while (pair + 1 < plan->n_pairs && !begins(r, plan->role_keys[pair]) && !begins(r, plan->content_keys[pair]))
        pair++;
    do {
        skip_space(r);
        bool is_role = quoted(r, plan->role_keys[pair]);
        bool *has = is_role ? &has_role : &has_content;
        if (*has || (!is_role && !quoted(r, plan->content_keys[pair])) || !expect(r, ':'))
            return false;
        *has = true;
        skip_space(r);
        if (is_role ? (turn->role = read_role(plan, r)) < 0 : !next_is(r, '"') || !read_text(r, &turn->text))
            return false;
    } while (expect(r, ','));
    return has_role && has_content && next_is(r, '}');
}

static bool read_turns(const Plan *plan, Reader *r, Talk *talk)
{
    if (!next_is(r, '['))
        return false;
    do {
        if (talk->count == MOST_TURNS || !read_turn(plan, r, &talk->turns[talk->count++]))
            return false;
    } while (expect(r, ','));
    return next_is(r, ']');
}

/* Text, a turn, or a list of turns. */
static bool read_answer(const Plan *plan, Reader *r, Talk *side)
{
    if (r->at < r->end && *r->at == '[')
        return read_turns(plan, r, side);
    Turn *turn = &side->turns[side->count++];
    if (r->at < r->end && *r->at == '{')
        return read_turn(plan, r, turn);
    turn->role = plan->assistant;
    turn->more = NULL;
    return next_is(r, '"') && read_text(r, &turn->text);
}

static bool read_field(const Plan *plan, Reader *r, enum slot slot, Row *row)
{
    if (slot == UNKNOWN)
        return skip_value(r, 0);
    if (slot == EMPTY)
        return word(r, "null") || word(r, "\"\"") || (next_is(r, '[') && expect(r, ']'));
    if (slot == PROMPT) {
        row->alone = true;
        slot = ASK;
    }
    if (row->has[slot] || slot == NEVER)
        return false;
    row->has[slot] = true;
    if (slot == TURNS)
        return read_turns(plan, r, &row->talk);
    if (slot == CHOSEN || slot == REJECTED)
        return read_answer(plan, r, &row->sides[slot - CHOSEN]);
    if (slot == LABEL)
        return (row->label = word(r, "true")) || word(r, "false");
    if ((slot == SYSTEM || slot == MORE) && word(r, "null")) {
        row->texts[slot] = (Text){.canonical = true};
        return true;
    }
    return next_is(r, '"') && read_text(r, &row->texts[slot]);
}

static bool read_object(const Plan *plan, Reader *r, Row *row)
{
    Bytes keys[MOST_KEYS];
    size_t count = 0;
    memset(row->has, 0, sizeof row->has);
    row->alone = false;
    row->talk.count = 0;
    for (int side = 0; side < SIDES; side++)
        row->sides[side].count = 0;
    if (!expect(r, '{'))
        return false;
    do {
        if (!read_new_key(r, keys, &count))
            return false;
        enum slot slot = UNKNOWN;
        for (size_t i = 0; i < plan->n_fields && slot == UNKNOWN; i++)
            if (same(plan->fields[i].key, keys[count - 1]))
                slot = plan->fields[i].slot;
        if (!read_field(plan, r, slot, row))
            return false;
    } while (expect(r, ','));
    if (!next_is(r, '}'))
        return false;
    skip_space(r);
    return r->at == r->end;
}

enum blankness { BLANK, SAYS_SOMETHING, UNSURE };

/* BLANK only for the empty text; white space of other kinds is told apart by the careful way. */
static enum blankness blankness(const Text *text)
{
    const uint8_t *p = text->raw.at, *end = p + text->raw.size;
    if (p == end)
        return BLANK;
    while (p < end) {
        if (*p == '\\') {
            if (p[1] == '"' || p[1] == '\\' || p[1] == '/')
                return SAYS_SOMETHING;
            p += p[1] == 'u' ? 6 : 2;
        } else if (*p < 0x80) {
            if (*p > ' ')
                return SAYS_SOMETHING;
            p++;
        } else if (*p == 0xC2) {
            p += 2;
        } else if ((*p == 0xE1 && p[1] == 0x9A) || (*p == 0xE2 && p[1] <= 0x81) || (*p == 0xE3 && p[1] == 0x80)) {
            p += 3;
        } else {
            return SAYS_SOMETHING;
        }
    }
    return UNSURE;
}

/* What is asked, as a turn. */
static bool ask(const Plan *plan, Row *row)
{
    if (!row->has[ASK] || (row->alone && row->has[MORE]))
        return false;
    enum blankness ask = blankness(&row->texts[ASK]), more = BLANK;
    if (row->has[MORE])
        more = blankness(&row->texts[MORE]);
    if (ask == UNSURE || more == UNSURE)
        return false;
    Turn *asked = &row->talk.turns[row->talk.count++];
    *asked = (Turn){plan->user, row->texts[ask == BLANK ? MORE : ASK], NULL};
    if (ask == BLANK && more == BLANK)
        return false;
    if (ask != BLANK && more != BLANK)
        asked->more = &row->texts[MORE];
    return true;
}

/* One question and its answer, as turns. */
static bool ask_and_answer(const Plan *plan, Row *row)
{
    if (!row->has[ANSWER] || !ask(plan, row))
        return false;
    row->talk.turns[row->talk.count++] = (Turn){plan->assistant, row->texts[ANSWER], NULL};
    return true;
}

/* Which roles may follow these turns: bits, none where the turns are out of order or one says nothing. */
static unsigned in_order(const Plan *plan, const Turn *turns, size_t count, bool after_system)
{
    unsigned follows = after_system ? plan->follows[plan->system] : plan->first;
    for (size_t i = 0; i < count; i++) {
        if (!(follows >> turns[i].role & 1) || blankness(&turns[i].text) != SAYS_SOMETHING)
            return 0;
        follows = plan->follows[turns[i].role];
    }
    return follows;
}

/* Whether the turns make a conversation that can be learnt from. */
static bool can_be_learnt(const Plan *plan, const Talk *talk, bool after_system)
{
    return talk->count > 0 && talk->turns[talk->count - 1].role == plan->assistant &&
           in_order(plan, talk->turns, talk->count, after_system);
}

/* Finds what is asked where there are two answers to it: turns, a question, or what both sides begin with. Then
   `sides` hold one turn each, at their ends. */
static const Talk *asked_twice(const Plan *plan, Row *row, bool after_system)
{
    Talk *chosen = &row->sides[0], *rejected = &row->sides[1];
    if (!row->has[CHOSEN] || !row->has[REJECTED] || chosen->count != rejected->count)
        return NULL;
    for (int side = 0; side < SIDES; side++) {
        const Turn *last = &row->sides[side].turns[row->sides[side].count - 1];
        if (last->role != plan->assistant || blankness(&last->text) != SAYS_SOMETHING)
            return NULL;
    }
    if (chosen->count == 1)
        return row->has[TURNS] || ask(plan, row) ? &row->talk : NULL;
    for (size_t i = 0; i + 1 < chosen->count; i++)
        if (chosen->turns[i].role != rejected->turns[i].role ||
            !same(chosen->turns[i].text.raw, rejected->turns[i].text.raw))
            return NULL;
    /* Nothing but both sides is read then. */
    return after_system ? NULL : chosen;
}

/* -- the canonical form */

typedef struct {
    uint8_t *start, *at, *end;
    size_t lacks; /* so much room was asked for in vain */
} Out;

static bool has_room(Out *out, size_t size)
{
    bool enough = (size_t)(out->end - out->at) >= size;
    if (!enough)
        out->lacks = size;
    return enough;
}

static inline void put(Out *out, Bytes bytes)
{
    if (bytes.size)
        memcpy(out->at, bytes.at, bytes.size);
    out->at += bytes.size;
}

/* Never longer than the escape it stood as. */
static void put_character(Out *out, uint32_t code)
{
    static const char hex[] = "0123456789abcdef", letters[] = "btn?fr";
    uint8_t *at = out->at;
    if (code == '"' || code == '\\') {
        *at++ = '\\';
        *at++ = (uint8_t)code;
    } else if (code >= '\b' && code <= '\r' && code != '\v') {
        *at++ = '\\';
        *at++ = (uint8_t)letters[code - '\b'];
    } else if (code < 0x20) {
        memcpy(at, "\\u00", 4);
        at[4] = (uint8_t)hex[code >> 4];
        at[5] = (uint8_t)hex[code & 15];
        at += 6;
    } else if (code < 0x80) {
        *at++ = (uint8_t)code;
    } else {
        int rest = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
        *at++ = (uint8_t)((rest == 1 ? 0xC0 : rest == 2 ? 0xE0 : 0xF0) | code >> 6 * rest);
        while (rest--)
            *at++ = (uint8_t)(0x80 | (code >> 6 * rest & 0x3F));
    }
    out->at = at;
}

/* Takes no more room than the text has bytes. */
static void put_text(Out *out, const Text *text)
{
    if (text->canonical) {
        put(out, text->raw);
        return;
    }
    const uint8_t *p = text->raw.at, *end = p + text->raw.size;
    while (p < end) {
        const uint8_t *slash = memchr(p, '\\', (size_t)(end - p));
        put(out, (Bytes){p, (size_t)((slash ? slash : end) - p)});
        if (!slash)
            return;
        uint32_t code = 0;
        p = slash + escape(slash, end, &code);
        put_character(out, code);
    }
}

static void put_turn(const Plan *plan, Out *out, int role, const Text *text, const Text *more)
{
    put(out, plan->opening[role]);
    put_text(out, text);
    if (more) {
        put(out, (Bytes){(const uint8_t *)"\\n", 2});
        put_text(out, more);
    }
    put(out, plan->closing);
}

enum outcome { DONE, LEFT, NO_ROOM };

static enum outcome put_plain_text(const Plan *plan, const Text *text, Out *out, size_t *characters)
{
    if (blankness(text) != SAYS_SOMETHING)
        return LEFT;
    if (!has_room(out, plan->head.size + text->raw.size + plan->tail.size + 1))
        return NO_ROOM;
    put(out, plan->head);
    put_text(out, text);
    put(out, plan->tail);
    *characters += text->characters;
    return DONE;
}

/* The better answer and the worse one; false where both are the same. */
static bool put_sides(const Plan *plan, const Row *row, Out *out, size_t *characters)
{
    Bytes written[SIDES];
    put(out, plan->middle);
    for (int side = 0; side < SIDES; side++) {
        const Turn *answer = &row->sides[side].turns[row->sides[side].count - 1];
        if (side)
            put(out, plan->between);
        written[side].at = out->at;
        put_turn(plan, out, plan->assistant, &answer->text, NULL);
        written[side].size = (size_t)(out->at - written[side].at);
        *characters += answer->text.characters;
    }
    return !same(written[0], written[1]);
}

/* Reads one row and writes its canonical form without a line feed; for that there is always room as well. Where there
   is no room nothing was written. */
static enum outcome take_row(const Plan *plan, Bytes raw, Row *row, Out *out, size_t *characters)
{
    Reader r = {raw.at, raw.at + raw.size};
    if (!read_object(plan, &r, row))
        return LEFT;
    if (row->has[TEXT])
        return put_plain_text(plan, &row->texts[TEXT], out, characters);
    bool two_sides = plan->middle.size > 0;
    enum blankness system = row->has[SYSTEM] ? blankness(&row->texts[SYSTEM]) : BLANK;
    if (system == UNSURE || (plan->wanted.size && !row->has[LABEL]))
        return LEFT;
    const Talk *talk = &row->talk;
    size_t count, added = 0;
    if (two_sides) {
        if (!(talk = asked_twice(plan, row, system != BLANK)))
            return LEFT;
        count = talk == &row->talk ? talk->count : talk->count - 1;
        if (!(in_order(plan, talk->turns, count, system != BLANK) >> plan->assistant & 1))
            return LEFT;
    } else {
        if ((!row->has[TURNS] && !ask_and_answer(plan, row)) || !can_be_learnt(plan, talk, system != BLANK))
            return LEFT;
        count = talk->count;
    }
    size_t longest = plan->closing.size + plan->between.size + 2;
    for (int i = 0; i < ROLES; i++)
        longest += plan->opening[i].size;
    size_t around = plan->head.size + plan->middle.size + plan->tail.size + plan->wanted.size;
    if (!has_room(out, around + raw.size + (count + 1 + SIDES) * longest + 1))
        return NO_ROOM;
    uint8_t *before = out->at;
    put(out, plan->head);
    if (system != BLANK) {
        put_turn(plan, out, plan->system, &row->texts[SYSTEM], NULL);
        put(out, plan->between);
        added += row->texts[SYSTEM].characters;
    }
    for (size_t i = 0; i < count; i++) {
        const Turn *turn = &talk->turns[i];
        if (i)
            put(out, plan->between);
        put_turn(plan, out, turn->role, &turn->text, turn->more);
        added += turn->text.characters + (turn->more ? turn->more->characters + 1 : 0);
    }
    if (two_sides && !put_sides(plan, row, out, &added)) {
        out->at = before;
        return LEFT;
    }
    put(out, row->has[LABEL] && row->label ? plan->wanted : plan->tail);
    *characters += added;
    return DONE;
}

#endif
