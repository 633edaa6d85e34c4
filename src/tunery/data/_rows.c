/* Plain rows, from the bytes of a file to their canonical form, without an object made in between.

   What isn't plain (an odd number, an escaped key, a repeated one, anything wrong) is left to the careful way, so
   that a row's outcome never depends on which way it went. Nothing is refused here. It doesn't know the formats nor
   the canonical form's spelling: both come as a plan from quick.py, which describes the functions too. */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030b0000
#include <Python.h>
#include <errno.h>
#include <unistd.h>

#include "_form.h"
#include "_hash.h"

PyAPI_FUNC(int) _PyBytes_Resize(PyObject **, Py_ssize_t); /* part of the stable ABI, though not every header says so */

#define VERSION 4 /* of what Python calls; native.py expects it */
#define DEEPEST_ELEMENT 64

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

/* The keys of role and content, as turns may spell them. */
static bool take_keys(PyObject *pairs, Plan *plan)
{
    Py_ssize_t count = PyTuple_Size(pairs);
    if (count < 0 || count > MOST_PAIRS) {
        PyErr_SetString(PyExc_ValueError, "a plan is too long");
        return false;
    }
    plan->n_pairs = (size_t)count;
    plan->role_keys[0] = plan->content_keys[0] = (Bytes){NULL, 0};
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *pair = PyTuple_GetItem(pairs, i);
        if (!pair || !take_bytes(PyTuple_GetItem(pair, 0), &plan->role_keys[i]) ||
            !take_bytes(PyTuple_GetItem(pair, 1), &plan->content_keys[i]))
            return false;
    }
    return true;
}

/* The plan points into the tuple, which must outlive it. */
static bool take_plan(PyObject *tuple, Plan *plan)
{
    PyObject *fields, *pairs, *spellings, *openings;
    Bytes keys[MOST_FIELDS];
    int numbers[MOST_FIELDS];
    Py_ssize_t count;
    if (!PyArg_ParseTuple(tuple, "O!O!O!y#y#y#y#O!y#y#I(IIII)iii", &PyTuple_Type, &fields, &PyTuple_Type, &pairs,
                          &PyTuple_Type, &spellings, &plan->head.at, &plan->head.size, &plan->tail.at,
                          &plan->tail.size, &plan->wanted.at, &plan->wanted.size, &plan->middle.at,
                          &plan->middle.size, &PyTuple_Type, &openings, &plan->closing.at, &plan->closing.size, &plan->between.at,
                          &plan->between.size, &plan->first, &plan->follows[0], &plan->follows[1],
                          &plan->follows[2], &plan->follows[3], &plan->system, &plan->user, &plan->assistant))
        return false;
    if ((count = take_pairs(fields, keys, numbers, MOST_FIELDS, SLOTS)) < 0)
        return false;
    plan->n_fields = (size_t)count;
    for (Py_ssize_t i = 0; i < count; i++)
        plan->fields[i] = (Field){keys[i], (enum slot)numbers[i]};
    if (!take_keys(pairs, plan))
        return false;
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

/* -- bytes that this module returns */

static uint8_t *bytes_at(PyObject *bytes)
{
    return (uint8_t *)PyBytes_AsString(bytes);
}

/* Numbers that are filled in later. */
static PyObject *room_for(size_t count, size_t size)
{
    return PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(count * size));
}

/* -- what Python calls */

static PyObject *read_behind(PyObject *module, PyObject *args)
{
    Py_buffer left;
    int file;
    long long offset;
    Py_ssize_t size, found = -1;
    (void)module;
    if (!PyArg_ParseTuple(args, "y*iLn", &left, &file, &offset, &size))
        return NULL;
    PyObject *given = size < 0 ? PyErr_Format(PyExc_ValueError, "less than nothing can't be read")
                               : room_for((size_t)(left.len + size), 1);
    if (given) {
        uint8_t *at = bytes_at(given);
        if (left.len)
            memcpy(at, left.buf, (size_t)left.len);
        do {
            Py_BEGIN_ALLOW_THREADS
            found = pread(file, at + left.len, (size_t)size, (off_t)offset);
            Py_END_ALLOW_THREADS
        } while (found < 0 && errno == EINTR && PyErr_CheckSignals() == 0);
        if (found >= 0)
            _PyBytes_Resize(&given, left.len + found);
        else {
            if (!PyErr_Occurred())
                PyErr_SetFromErrno(PyExc_OSError);
            Py_CLEAR(given);
        }
    }
    PyBuffer_Release(&left);
    return given;
}

static PyObject *hash_rows(PyObject *module, PyObject *args)
{
    PyObject *given = NULL;
    Py_buffer text, ends;
    unsigned long long key;
    bool inside = true;
    (void)module;
    if (!PyArg_ParseTuple(args, "y*y*K", &text, &ends, &key))
        return NULL;
    size_t count = (size_t)ends.len / sizeof(uint32_t), start = 0;
    if ((given = room_for(count, sizeof(uint64_t)))) {
        uint64_t *hashes = (uint64_t *)bytes_at(given);
        Secrets secrets = secrets_of(key);
        Py_BEGIN_ALLOW_THREADS
        for (size_t i = 0; i < count && inside; i++) {
            size_t end = ((const uint32_t *)ends.buf)[i];
            inside = start <= end && end <= (size_t)text.len;
            if (inside)
                hashes[i] = hash((Bytes){(const uint8_t *)text.buf + start, end - start}, &secrets);
            start = end;
        }
        Py_END_ALLOW_THREADS
    }
    if (!inside) {
        Py_CLEAR(given);
        PyErr_SetString(PyExc_ValueError, "a row lies outside its bytes");
    }
    PyBuffer_Release(&text);
    PyBuffer_Release(&ends);
    return given;
}

static PyObject *count_repeats(PyObject *module, PyObject *args)
{
    Py_buffer hashes;
    (void)module;
    if (!PyArg_ParseTuple(args, "y*", &hashes))
        return NULL;
    size_t count = (size_t)hashes.len / sizeof(uint64_t), repeats = 0;
    uint64_t *seen = NULL;
    Py_BEGIN_ALLOW_THREADS
    repeats = repeats_among(hashes.buf, count, &seen);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&hashes);
    if (!seen)
        return PyErr_NoMemory();
    free(seen);
    return PyLong_FromSize_t(repeats);
}

static PyObject *part_hashes(PyObject *module, PyObject *args)
{
    PyObject *parted, *sizes, *given = NULL;
    Py_buffer hashes;
    unsigned int parts;
    (void)module;
    if (!PyArg_ParseTuple(args, "y*I", &hashes, &parts))
        return NULL;
    if (parts == 0) {
        PyBuffer_Release(&hashes);
        return PyErr_Format(PyExc_ValueError, "there must be a part");
    }
    size_t count = (size_t)hashes.len / sizeof(uint64_t);
    size_t *at = calloc((size_t)parts + 1, sizeof *at);
    parted = room_for(count, sizeof(uint64_t));
    sizes = room_for(parts, sizeof(uint32_t));
    if (!at)
        PyErr_NoMemory();
    else if (parted && sizes) {
        uint64_t *to = (uint64_t *)bytes_at(parted);
        uint32_t *counted = (uint32_t *)bytes_at(sizes);
        Py_BEGIN_ALLOW_THREADS
        part_by_remainder(hashes.buf, count, parts, to, counted, at);
        Py_END_ALLOW_THREADS
        given = Py_BuildValue("(OO)", parted, sizes);
    }
    free(at);
    Py_XDECREF(parted);
    Py_XDECREF(sizes);
    PyBuffer_Release(&hashes);
    return given;
}

static PyObject *full_frames(PyObject *module, PyObject *args)
{
    Py_buffer ends;
    unsigned long long full, size;
    (void)module;
    if (!PyArg_ParseTuple(args, "y*KK", &ends, &full, &size))
        return NULL;
    const uint32_t *at = ends.buf;
    size_t count = (size_t)ends.len / sizeof *at, used = 0;
    PyObject *given = room_for(count, sizeof *at);
    if (given) {
        uint32_t *found = (uint32_t *)bytes_at(given);
        for (size_t i = 0; i < count; i++)
            if (at[i] >= full) {
                found[used++] = (uint32_t)i;
                full = at[i] + size;
            }
        _PyBytes_Resize(&given, (Py_ssize_t)(used * sizeof *found));
    }
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
    /* Other threads don't run meanwhile: to wait for one of them afterwards takes longer than all of this. */
    const uint8_t *start = data.buf, *end = start + data.len, *p = start, *stop;
    while (good && p < end && (stop = memchr(p, '\n', (size_t)(end - p)))) {
        if (!is_blank(p, stop))
            good = add_span(&spans, (size_t)(p - start), (size_t)(stop - start));
        p = stop + 1;
        lines++;
    }
    at = p - start;
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

/* What `read_rows` returns, while it is being made. */
typedef struct {
    PyObject *text, *ends, *hashes;
    Row *row;
    Out out;
    size_t done, characters, left;
} Reading;

/* Asks for room as most rows need it: two turns each, and content as long as it came. */
static bool begin_reading(Reading *g, const Plan *plan, size_t count, size_t bytes)
{
    size_t turn = plan->closing.size + plan->between.size + plan->opening[plan->assistant].size;
    size_t room = bytes + bytes / 8 + count * (plan->head.size + plan->tail.size + 2 * turn) + 4096;
    if (!(g->text = room_for(room, 1)) || !(g->ends = room_for(count, sizeof(uint32_t))) ||
        !(g->hashes = room_for(count, sizeof(uint64_t))))
        return false;
    g->out.start = g->out.at = bytes_at(g->text);
    g->out.end = g->out.start + room;
    if (!(g->row = malloc(sizeof *g->row)))
        PyErr_NoMemory();
    return g->row != NULL;
}

/* Gives the text as much room as the next row asked for, and as the bytes that follow may ask for. */
static bool enlarge(Reading *g, size_t bytes)
{
    size_t used = (size_t)(g->out.at - g->out.start), room = 2 * used + g->out.lacks + bytes;
    if (_PyBytes_Resize(&g->text, (Py_ssize_t)room) < 0)
        return false;
    g->out.start = bytes_at(g->text);
    g->out.at = g->out.start + used;
    g->out.end = g->out.start + room;
    return true;
}

/* Reads rows until there are no more, or no room is left for one. */
static void read_some(const Plan *plan, Bytes data, const uint32_t *places, size_t count, const Secrets *secrets,
                      Reading *g)
{
    uint32_t *ends = (uint32_t *)bytes_at(g->ends);
    uint64_t *hashes = (uint64_t *)bytes_at(g->hashes);
    for (; g->done < count; g->done++) {
        uint32_t start = places[2 * g->done], end = places[2 * g->done + 1];
        uint8_t *before = g->out.at;
        enum outcome outcome =
            take_row(plan, (Bytes){data.at + start, end - start}, g->row, &g->out, &g->characters);
        if (outcome == NO_ROOM)
            return;
        if (outcome == DONE)
            *g->out.at++ = '\n';
        else
            g->left++;
        hashes[g->done] = outcome == DONE ? hash((Bytes){before, (size_t)(g->out.at - before)}, secrets) : 0;
        ends[g->done] = (uint32_t)(g->out.at - g->out.start);
    }
}

static bool inside(const uint32_t *places, size_t count, size_t size)
{
    for (size_t i = 0; i < count; i++)
        if (places[2 * i] > places[2 * i + 1] || places[2 * i + 1] > size) {
            PyErr_SetString(PyExc_ValueError, "a row lies outside its bytes");
            return false;
        }
    return true;
}

static PyObject *read_rows(PyObject *module, PyObject *args)
{
    PyObject *tuple, *given = NULL;
    Py_buffer data, spans;
    Plan plan;
    Reading g = {0};
    unsigned long long key;
    (void)module;
    if (!PyArg_ParseTuple(args, "O!y*y*K", &PyTuple_Type, &tuple, &data, &spans, &key))
        return NULL;
    const uint32_t *places = spans.buf;
    size_t size = (size_t)data.len, count = (size_t)spans.len / (2 * sizeof *places);
    bool good = take_plan(tuple, &plan) && inside(places, count, size) && begin_reading(&g, &plan, count, size);
    Secrets secrets = secrets_of(key);
    while (good && g.done < count) {
        Py_BEGIN_ALLOW_THREADS
        read_some(&plan, (Bytes){data.buf, size}, places, count, &secrets, &g);
        Py_END_ALLOW_THREADS
        good = g.done == count || enlarge(&g, size);
    }
    if (good && g.out.at - g.out.start > UINT32_MAX) {
        PyErr_SetString(PyExc_ValueError, "too many bytes at once");
        good = false;
    }
    if (good && _PyBytes_Resize(&g.text, g.out.at - g.out.start) == 0)
        given = Py_BuildValue("(OOOnn)", g.text, g.ends, g.hashes, (Py_ssize_t)g.characters, (Py_ssize_t)g.left);
    free(g.row);
    Py_XDECREF(g.text);
    Py_XDECREF(g.ends);
    Py_XDECREF(g.hashes);
    PyBuffer_Release(&data);
    PyBuffer_Release(&spans);
    return given;
}

static PyMethodDef methods[] = {
    {"read_rows", read_rows, METH_VARARGS, NULL},
    {"read_behind", read_behind, METH_VARARGS, NULL},
    {"split_lines", split_lines, METH_VARARGS, NULL},
    {"split_elements", split_elements, METH_VARARGS, NULL},
    {"hash_rows", hash_rows, METH_VARARGS, NULL},
    {"part_hashes", part_hashes, METH_VARARGS, NULL},
    {"count_repeats", count_repeats, METH_VARARGS, NULL},
    {"full_frames", full_frames, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static int add_version(PyObject *module)
{
    return PyModule_AddIntConstant(module, "VERSION", VERSION);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, (void *)add_version}, {0, NULL}};

static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "_rows", .m_methods = methods, .m_slots = slots,
};

PyMODINIT_FUNC PyInit__rows(void)
{
    return PyModuleDef_Init(&definition);
}
