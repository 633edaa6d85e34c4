/* Plain rows, from the bytes of a file to their canonical form, without an object made in between.

   What isn't plain (an odd number, an escaped key, a repeated one, anything wrong) is left to the careful way, so
   that a row's outcome never depends on which way it went. Nothing is refused here. It doesn't know the formats nor
   the canonical form's spelling: both come as a plan from quick.py, which describes the functions too. */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030b0000
#include <Python.h>

#include "_form.h"

#define DEEPEST_ELEMENT 64
#define ODD 0x9E3779B97F4A7C15u

/* -- the plan */

static bool take_bytes(PyObject *object, Bytes *bytes)
{
    char *at;
    Py_ssize_t size;
    if (!object || PyBytes_AsStringAndSize(object, &at, &size) < 0)
        return false;
    bytes->at = (const uint8_t *)at;
    bytes->size = (size_t)size;
    return true;
}

/* Pairs (bytes, number below `limit`); -1 with an exception set when they are something else. */
static Py_ssize_t take_pairs(PyObject *pairs, Bytes *keys, int *numbers, Py_ssize_t most, long limit)
{
    Py_ssize_t count = PyTuple_Size(pairs);
    if (count > most) {
        PyErr_SetString(PyExc_ValueError, "a plan is too long");
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *pair = PyTuple_GetItem(pairs, i), *number;
        if (!pair || !take_bytes(PyTuple_GetItem(pair, 0), &keys[i]) || !(number = PyTuple_GetItem(pair, 1)))
            return -1;
        long value = PyLong_AsLong(number);
        if (value < 0 || value >= limit) {
            if (!PyErr_Occurred())
                PyErr_SetString(PyExc_ValueError, "a plan holds an unknown number");
            return -1;
        }
        numbers[i] = (int)value;
    }
    return count;
}

/* The plan points into the tuple, which must outlive it. */
static bool take_plan(PyObject *tuple, Plan *plan)
{
    PyObject *fields, *spellings, *openings;
    Bytes keys[MOST_FIELDS];
    int numbers[MOST_FIELDS];
    Py_ssize_t count;
    if (!PyArg_ParseTuple(tuple, "O!y#y#O!y#y#O!y#y#I(IIII)iii", &PyTuple_Type, &fields, &plan->role_key.at,
                          &plan->role_key.size, &plan->content_key.at, &plan->content_key.size, &PyTuple_Type,
                          &spellings, &plan->head.at, &plan->head.size, &plan->tail.at, &plan->tail.size,
                          &PyTuple_Type, &openings, &plan->closing.at, &plan->closing.size, &plan->between.at,
                          &plan->between.size, &plan->first, &plan->follows[0], &plan->follows[1],
                          &plan->follows[2], &plan->follows[3], &plan->system, &plan->user, &plan->assistant))
        return false;
    if ((count = take_pairs(fields, keys, numbers, MOST_FIELDS, SLOTS)) < 0)
        return false;
    plan->n_fields = (size_t)count;
    for (Py_ssize_t i = 0; i < count; i++)
        plan->fields[i] = (Field){keys[i], (enum slot)numbers[i]};
    if ((count = take_pairs(spellings, keys, numbers, MOST_ROLES, ROLES)) < 0)
        return false;
    plan->n_spellings = (size_t)count;
    for (Py_ssize_t i = 0; i < count; i++)
        plan->spellings[i] = (Spelling){keys[i], numbers[i]};
    for (Py_ssize_t i = 0; i < ROLES; i++)
        if (!take_bytes(PyTuple_GetItem(openings, i), &plan->opening[i]))
            return false;
    if ((unsigned)plan->system >= ROLES || (unsigned)plan->user >= ROLES || (unsigned)plan->assistant >= ROLES) {
        PyErr_SetString(PyExc_ValueError, "a plan holds an unknown number");
        return false;
    }
    return true;
}
static inline void mix(uint64_t sums[4], const uint8_t *at)
{
    for (int lane = 0; lane < 4; lane++) {
        uint64_t bytes;
        memcpy(&bytes, at + 8 * lane, 8);
        sums[lane] = (sums[lane] ^ bytes) * ODD;
        sums[lane] ^= sums[lane] >> 32;
    }
}

/* For telling rows apart within one computation: four sums that don't wait for each other, then one of them. */
static uint64_t hash(Bytes bytes, uint64_t key)
{
    uint64_t sums[4] = {key, key ^ ODD, ~key, key + ODD}, whole = bytes.size;
    uint8_t rest[32] = {0};
    size_t left = bytes.size % sizeof rest;
    for (size_t i = 0; i + sizeof rest <= bytes.size; i += sizeof rest)
        mix(sums, bytes.at + i);
    memcpy(rest, bytes.at + bytes.size - left, left);
    mix(sums, rest);
    for (int lane = 0; lane < 4; lane++) {
        whole = (whole ^ sums[lane]) * ODD;
        whole ^= whole >> 29;
    }
    return whole;
}

/* -- what Python calls */

static PyObject *hash_rows(PyObject *module, PyObject *args)
{
    PyObject *given = NULL;
    Py_buffer text, ends;
    unsigned long long key;
    (void)module;
    if (!PyArg_ParseTuple(args, "y*y*K", &text, &ends, &key))
        return NULL;
    size_t count = (size_t)ends.len / sizeof(uint32_t), start = 0;
    uint64_t *hashes = malloc((count + 1) * sizeof *hashes);
    bool good = hashes != NULL, inside = true;
    if (good) {
        Py_BEGIN_ALLOW_THREADS
        for (size_t i = 0; i < count && inside; i++) {
            size_t end = ((const uint32_t *)ends.buf)[i];
            inside = start <= end && end <= (size_t)text.len;
            if (inside)
                hashes[i] = hash((Bytes){(const uint8_t *)text.buf + start, end - start}, key);
            start = end;
        }
        Py_END_ALLOW_THREADS
    }
    if (!good)
        PyErr_NoMemory();
    else if (!inside)
        PyErr_SetString(PyExc_ValueError, "a row lies outside its bytes");
    else
        given = Py_BuildValue("y#", hashes, (Py_ssize_t)(count * sizeof *hashes));
    free(hashes);
    PyBuffer_Release(&text);
    PyBuffer_Release(&ends);
    return given;
}

/* Start and end of every row. */
typedef struct {
    uint32_t *at;
    size_t used, room;
} Spans;

static bool add_span(Spans *spans, size_t start, size_t end)
{
    if (spans->used + 2 > spans->room) {
        size_t room = spans->room ? 2 * spans->room : 1024;
        uint32_t *at = realloc(spans->at, room * sizeof *at);
        if (!at)
            return false;
        spans->at = at;
        spans->room = room;
    }
    spans->at[spans->used++] = (uint32_t)start;
    spans->at[spans->used++] = (uint32_t)end;
    return true;
}

static PyObject *give_spans(Spans *spans, bool good, Py_ssize_t next, Py_ssize_t lines)
{
    PyObject *given = NULL;
    if (!good)
        PyErr_NoMemory();
    else
        given = Py_BuildValue("(y#nn)", spans->at ? (char *)spans->at : "",
                              (Py_ssize_t)(spans->used * sizeof *spans->at), next, lines);
    free(spans->at);
    return given;
}

static bool take_data(PyObject *args, const char *form, Py_buffer *data, Py_ssize_t *at, Py_ssize_t *longest)
{
    *at = *longest = 0;
    if (!PyArg_ParseTuple(args, form, data, at, longest))
        return false;
    if (data->len < UINT32_MAX && *at >= 0 && *at <= data->len)
        return true;
    PyErr_SetString(PyExc_ValueError, "too many bytes at once");
    PyBuffer_Release(data);
    return false;
}

static bool is_blank(const uint8_t *p, const uint8_t *end)
{
    while (p < end && (*p == ' ' || (*p >= '\t' && *p <= '\r')))
        p++;
    return p == end;
}

static PyObject *split_lines(PyObject *module, PyObject *args)
{
    Py_buffer data;
    Py_ssize_t at, longest, lines = 0;
    Spans spans = {NULL, 0, 0};
    bool good = true;
    (void)module;
    if (!take_data(args, "y*", &data, &at, &longest))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    const uint8_t *start = data.buf, *end = start + data.len, *p = start, *stop;
    while (good && p < end && (stop = memchr(p, '\n', (size_t)(end - p)))) {
        if (!is_blank(p, stop))
            good = add_span(&spans, (size_t)(p - start), (size_t)(stop - start));
        p = stop + 1;
        lines++;
    }
    at = p - start;
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&data);
    return give_spans(&spans, good, at, lines);
}

/* Behind the object or list that stands here; NULL where its end isn't known, or what closes it doesn't fit. */
static const uint8_t *behind_element(const uint8_t *p, const uint8_t *end)
{
    uint64_t lists = 0;
    int depth = 0;
    for (; p < end; p++) {
        switch (*p) {
        case '"':
            for (const uint8_t *inside = p + 1;;) {
                if (!(p = memchr(p + 1, '"', (size_t)(end - p - 1))))
                    return NULL;
                const uint8_t *slash = p;
                while (slash > inside && slash[-1] == '\\')
                    slash--;
                if ((p - slash) % 2 == 0)
                    break;
            }
            break;
        case '{':
        case '[':
            if (++depth > DEEPEST_ELEMENT)
                return NULL;
            lists = lists << 1 | (*p == '[');
            break;
        case '}':
        case ']':
            if ((lists & 1) != (*p == ']'))
                return NULL;
            lists >>= 1;
            if (--depth == 0)
                return p + 1;
        }
    }
    return NULL;
}

static PyObject *split_elements(PyObject *module, PyObject *args)
{
    Py_buffer data;
    Py_ssize_t at, longest;
    Spans spans = {NULL, 0, 0};
    bool good = true;
    (void)module;
    if (!take_data(args, "y*nn", &data, &at, &longest))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    const uint8_t *start = data.buf, *end = start + data.len, *p = start + at, *stop;
    while (good && p < end && *p == '{' && (stop = behind_element(p, end)) && stop - p <= longest) {
        Reader r = {stop, end};
        if (!expect(&r, ','))
            break;
        skip_space(&r);
        if (r.at == end || *r.at != '{')
            break;
        good = add_span(&spans, (size_t)(p - start), (size_t)(stop - start));
        p = r.at;
    }
    at = p - start;
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&data);
    return give_spans(&spans, good, at, 0);
}

typedef struct {
    Out out;
    Row *row;
    uint32_t *ends;
    size_t characters, left;
} Reading;

static bool read_all(const Plan *plan, Bytes data, const uint32_t *spans, size_t count, Reading *g)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t start = spans[2 * i], end = spans[2 * i + 1];
        enum outcome outcome = take_row(plan, (Bytes){data.at + start, end - start}, g->row, &g->out, &g->characters);
        if (outcome == NO_MEMORY)
            return false;
        size_t now = (size_t)(g->out.at - g->out.start);
        if (outcome == DONE) {
            *g->out.at++ = '\n';
            now++;
        } else {
            g->left++;
        }
        if (now > UINT32_MAX)
            return false;
        g->ends[i] = (uint32_t)now;
    }
    return true;
}

static PyObject *read_rows(PyObject *module, PyObject *args)
{
    PyObject *tuple, *given = NULL;
    Py_buffer data, spans;
    Plan plan;
    Reading g = {0};
    (void)module;
    if (!PyArg_ParseTuple(args, "O!y*y*", &PyTuple_Type, &tuple, &data, &spans))
        return NULL;
    size_t count = (size_t)spans.len / (2 * sizeof(uint32_t));
    const uint32_t *places = spans.buf;
    bool good = take_plan(tuple, &plan);
    for (size_t i = 0; good && i < count; i++)
        if (places[2 * i] > places[2 * i + 1] || places[2 * i + 1] > (size_t)data.len) {
            PyErr_SetString(PyExc_ValueError, "a row lies outside its bytes");
            good = false;
        }
    if (good) {
        size_t room = (size_t)data.len + (size_t)data.len / 4 + 4096;
        g.out.start = g.out.at = malloc(room);
        g.out.end = g.out.start ? g.out.start + room : NULL;
        g.row = malloc(sizeof *g.row);
        g.ends = malloc((count + 1) * sizeof *g.ends);
        good = g.out.start && g.row && g.ends;
        if (good) {
            Py_BEGIN_ALLOW_THREADS
            good = read_all(&plan, (Bytes){data.buf, (size_t)data.len}, places, count, &g);
            Py_END_ALLOW_THREADS
        }
        if (good)
            given = Py_BuildValue("(y#y#nn)", g.out.start, (Py_ssize_t)(g.out.at - g.out.start), g.ends,
                                  (Py_ssize_t)(count * sizeof *g.ends), (Py_ssize_t)g.characters,
                                  (Py_ssize_t)g.left);
        else
            PyErr_NoMemory();
    }
    free(g.out.start);
    free(g.row);
    free(g.ends);
    PyBuffer_Release(&data);
    PyBuffer_Release(&spans);
    return given;
}

static PyMethodDef methods[] = {
    {"read_rows", read_rows, METH_VARARGS, NULL},
    {"split_lines", split_lines, METH_VARARGS, NULL},
    {"split_elements", split_elements, METH_VARARGS, NULL},
    {"hash_rows", hash_rows, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{0, NULL}};

static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "_rows", .m_methods = methods, .m_slots = slots,
};

PyMODINIT_FUNC PyInit__rows(void)
{
    return PyModuleDef_Init(&definition);
}
