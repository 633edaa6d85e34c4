/* Causal attention over examples laid end to end, there and back, in tiles: scores are made, used and forgotten 32
   keys by 32 queries at a time, so that none of them is ever kept (Dao et al. 2022, FlashAttention; Dao 2023,
   section 3.1). Scores lie turned, keys down and queries across: what a query needs of all its keys is then a sum of
   rows. */

#include "_tiles.h"

#ifdef _OPENMP
#include <omp.h>
#endif

#include <math.h>

enum { GROUP = 256, WIDEST = 512 }; /* queries that the way back takes at a time; numbers of a head's token */

/* A run of queries and the keys they may see: `shared` of a trunk before them, then their own up to each.
   A piece without a trunk begins a new example. */
typedef struct {
    size start, length, trunk, shared;
} Piece;

typedef struct {
    bf16 *x;
    size head, token;
} Heads; /* strides; numbers of a head's token lie beside each other */

#ifdef TILES

/* 0 below -200; NaN for NaN, which the order of the maximum's arguments keeps. */
INLINE __m512 power_of_two(__m512 x) {
    x = _mm512_max_ps(_mm512_set1_ps(-200.0f), x);
    __m512 n = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC), f = _mm512_sub_ps(x, n);
    /* Taylor's series of 2^f around 0, f in [-1/2, 1/2]: within 3e-7. */
    __m512 p = _mm512_set1_ps(1.5403530e-4f);
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.3333558e-3f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(9.6181291e-3f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(5.5504109e-2f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(2.4022651e-1f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(6.9314718e-1f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(p, n);
}

/* Up to 32 of the tokens that a piece sees, from `at` on: first the trunk's, then its own. Where these meet they are
   copied to lie beside each other. */
FAST static const bf16 *tokens_from(
    Heads m, size head, const Piece *p, size at, size width, bf16 *joined, size *stride) {
    const bf16 *x = m.x + head * m.head;
    *stride = m.token;
    if (at >= p->shared) return x + (p->start + at - p->shared) * m.token;
    if (at + SIDE <= p->shared) return x + (p->trunk + at) * m.token;
    *stride = width;
    for (size i = 0; i < least(SIDE, p->shared + p->length - at); i++) {
        size token = at + i < p->shared ? p->trunk + at + i : p->start + at + i - p->shared;
        memcpy(joined + i * width, x + token * m.token, (size_t)width * 2);
    }
    return joined;
}

/* The keys that a piece sees, or their values, as left panels of 32 tokens. */
FAST static void pack_tokens(Heads m, size head, const Piece *p, size width, bf16 *to) {
    bf16 joined[SIDE * WIDEST];
    size seen = p->shared + p->length, stride;
    for (size at = 0; at < seen; at += SIDE, to += over(width, STEP) * LOT) {
        const bf16 *x = tokens_from(m, head, p, at, width, joined, &stride);
        pack_left(x, stride, PLAIN, seen - at, width, to);
    }
}

/* The same as left panels of 32 of a token's numbers, with the tokens along the shared dimension. */
FAST static void pack_turned(Heads m, size head, const Piece *p, size width, bf16 *to) {
    bf16 joined[STEP * WIDEST];
    size seen = p->shared + p->length, steps = over(seen, STEP), stride;
    for (size at = 0; at < seen; at += STEP) {
        const bf16 *x = tokens_from(m, head, p, at, width, joined, &stride);
        for (size d = 0; d < width; d += SIDE) {
            bf16 *lot = to + (d / SIDE * steps + at / STEP) * LOT;
            pack_left(x + d, stride, TURNED, width - d, least(STEP, seen - at), lot);
        }
    }
}

/* 32 by 32 numbers, turned and times a factor for each of its columns, to rows of bf16. */
FAST static void write_turned(const float *c, const float *factors, bf16 *out, size stride, size rows, size columns) {
    __mmask16 low = (__mmask16)first_of_32(columns), high = (__mmask16)(first_of_32(columns) >> 16);
    for (size half = 0; half < 2; half++) {
        __m512i a[16], b[16];
        for (size i = 0; i < 16; i++) {
            a[i] = _mm512_loadu_si512(c + i * 32 + half * 16);
            b[i] = _mm512_loadu_si512(c + (i + 16) * 32 + half * 16);
        }
        turn_pairs(a);
        turn_pairs(b);
        for (size i = 0; i < 16 && half * 16 + i < rows; i++) {
            __m512 factor = _mm512_set1_ps(factors ? factors[half * 16 + i] : 1.0f);
            bf16 *to = out + (half * 16 + i) * stride;
            _mm256_mask_storeu_epi16(to, low, (__m256i)_mm512_cvtneps_pbh(_mm512_mul_ps((__m512)a[i], factor)));
            _mm256_mask_storeu_epi16(to + 16, high, (__m256i)_mm512_cvtneps_pbh(_mm512_mul_ps((__m512)b[i], factor)));
        }
    }
}

/* Which of 16 queries from `query` on see a key. */
INLINE __mmask16 seeing(size key, size query, size window) {
    size first = key - query, beyond = key - query + window; /* of the lanes */
    __mmask16 after = first <= 0 ? 0xffff : first >= 16 ? 0 : (__mmask16)(0xffff << first);
    __mmask16 before = beyond >= 16 ? 0xffff : beyond <= 0 ? 0 : (__mmask16)((1 << beyond) - 1);
    return after & before;
}

typedef struct {
    const Piece *pieces;
    size count, heads, key_heads, width, value_width, window;
    float scale;
} Task;

/* 32 queries of a head: what comes out, and the logarithm (of two) of the sum that their probabilities were over. */
FAST static void forward_panel(
    const Task *t, const Piece *p, Heads q, size head, size at, const bf16 *keys, const bf16 *values, bf16 *out,
    size out_stride, float *logs) {
    static __thread void *kept[3];
    static __thread size has[3];
    size seen = p->shared + p->length, deep = over(t->width, STEP), all = over(seen, STEP);
    size query = p->shared + at, queries = least(SIDE, p->length - at);
    size last = over(query + queries, SIDE), first = query < t->window ? 0 : (query - t->window + 1) / SIDE,
         steps = last - first;
    bf16 *right = room(kept, has, deep * LOT * 2), *lots = room(kept + 1, has + 1, all * LOT * 2);
    float *scores = room(kept + 2, has + 2, all * LOT * 4);
    pack_right(q.x + head * q.head + (p->start + at) * q.token, q.token, PLAIN, queries, t->width, right);
    __m512 top[2] = {_mm512_set1_ps(-3e38f), _mm512_set1_ps(-3e38f)},
           sum[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
    __m512 scale = _mm512_set1_ps(t->scale * 1.44269504f);
    for (size k = 0; k < steps; k++) {
        float *block = scores + k * LOT;
        size key = (first + k) * SIDE;
        multiply(keys + (first + k) * deep * LOT, right, deep, block, NULL, 32);
        int whole = key + SIDE <= query + 1 && query + SIDE - key <= t->window;
        for (size i = 0; i < SIDE; i++)
            for (size half = 0; half < 2; half++) {
                __m512 x = _mm512_loadu_ps(block + i * 32 + half * 16);
                if (!whole) {
                    x = _mm512_mask_blend_ps(
                        seeing(key + i, query + half * 16, t->window), _mm512_set1_ps(-3e38f), x);
                    _mm512_storeu_ps(block + i * 32 + half * 16, x);
                }
                top[half] = _mm512_max_ps(top[half], x);
            }
    }
    for (size half = 0; half < 2; half++) top[half] = _mm512_mul_ps(top[half], scale);
    for (size k = 0; k < steps; k++) {
        const float *block = scores + k * LOT;
        bf16 *lot = lots + k * LOT;
        for (size i = 0; i < 16; i++) {
            __m512i pair[2];
            for (size odd = 0; odd < 2; odd++) {
                __m512 p0 = power_of_two(_mm512_fmsub_ps(_mm512_loadu_ps(block + (2 * i + odd) * 32), scale, top[0]));
                __m512 p1 =
                    power_of_two(_mm512_fmsub_ps(_mm512_loadu_ps(block + (2 * i + odd) * 32 + 16), scale, top[1]));
                sum[0] = _mm512_add_ps(sum[0], p0);
                sum[1] = _mm512_add_ps(sum[1], p1);
                pair[odd] = (__m512i)_mm512_cvtne2ps_pbh(p1, p0);
            }
            __m512i low, high;
            pair_rows(pair[0], pair[1], &low, &high);
            _mm512_storeu_si512(lot + i * 32, low);
            _mm512_storeu_si512(lot + 512 + i * 32, high);
        }
    }
    float sums[32], tops[32], factors[32], done[LOT] __attribute__((aligned(64)));
    for (size half = 0; half < 2; half++) {
        _mm512_storeu_ps(sums + half * 16, sum[half]);
        _mm512_storeu_ps(tops + half * 16, top[half]);
    }
    for (size i = 0; i < queries; i++) logs[p->start + at + i] = tops[i] + log2f(sums[i]);
    for (size i = 0; i < 32; i++) factors[i] = 1.0f / sums[i];
    for (size d = 0; d < t->value_width; d += SIDE) {
        multiply(values + (d / SIDE * all + first) * LOT, lots, steps, done, NULL, 32);
        write_turned(
            done, factors, out + (p->start + at) * out_stride + head * t->value_width + d, out_stride, queries,
            t->value_width - d);
    }
}

/* Room that a thread needs for an example on the way back. */
typedef struct {
    bf16 *keys, *values, *turned, *queries, *queries_down, *grads, *grads_down, *probabilities, *errors, *errors_down;
    float *dkeys, *dvalues;
} Work;

/* 32 keys by 32 queries: probabilities and the errors of the scores, as the products after them want them. */
FAST static void block_back(
    const Task *t, const bf16 *keys, const bf16 *values, const bf16 *queries, const bf16 *grads, const float *logs,
    const float *deltas, size key, size query, bf16 *probabilities, bf16 *errors_down, bf16 *errors) {
    float scores[LOT] __attribute__((aligned(64))), along[LOT] __attribute__((aligned(64)));
    multiply(keys, queries, over(t->width, STEP), scores, NULL, 32);
    multiply(values, grads, over(t->value_width, STEP), along, NULL, 32);
    int whole = key + SIDE <= query + 1 && query + SIDE - key <= t->window;
    __m512 scale = _mm512_set1_ps(t->scale * 1.44269504f), plain = _mm512_set1_ps(t->scale);
    __m512 log[2] = {_mm512_loadu_ps(logs), _mm512_loadu_ps(logs + 16)},
           delta[2] = {_mm512_loadu_ps(deltas), _mm512_loadu_ps(deltas + 16)};
    for (size i = 0; i < 16; i++) {
        __m512i pair[2];
        for (size odd = 0; odd < 2; odd++) {
            size row = 2 * i + odd;
            __m512 p[2], e[2];
            for (size half = 0; half < 2; half++) {
                p[half] =
                    power_of_two(_mm512_fmsub_ps(_mm512_loadu_ps(scores + row * 32 + half * 16), scale, log[half]));
                if (!whole) p[half] = _mm512_maskz_mov_ps(seeing(key + row, query + half * 16, t->window), p[half]);
                e[half] = _mm512_mul_ps(
                    p[half],
                    _mm512_mul_ps(plain, _mm512_sub_ps(_mm512_loadu_ps(along + row * 32 + half * 16), delta[half])));
            }
            _mm512_storeu_si512(probabilities + row * 32, (__m512i)_mm512_cvtne2ps_pbh(p[1], p[0]));
            pair[odd] = (__m512i)_mm512_cvtne2ps_pbh(e[1], e[0]);
            _mm512_storeu_si512(errors_down + row * 32, pair[odd]);
        }
        __m512i low, high;
        pair_rows(pair[0], pair[1], &low, &high);
        _mm512_storeu_si512(errors + i * 32, low);
        _mm512_storeu_si512(errors + 512 + i * 32, high);
    }
}

FAST static float row_product(const bf16 *a, const bf16 *b, size width) {
    __m512 sum = _mm512_setzero_ps();
    for (size i = 0; i < width; i += 16) {
        __mmask16 inside = (__mmask16)first_of_32(least(width - i, 16));
        sum = _mm512_fmadd_ps(wide(a + i, inside), wide(b + i, inside), sum);
    }
    return _mm512_reduce_add_ps(sum);
}

/* Some queries of a head against all the keys they see. */
FAST static void group_back(
    const Task *t, const Piece *p, Work *w, Heads q, Heads out, Heads grad, Heads dq, size head, const float *logs,
    size at) {
    size queries = least(GROUP, p->length - at), panels = over(queries, SIDE), seen = p->shared + p->length,
         all = over(seen, STEP);
    size deep = over(t->width, STEP), value_deep = over(t->value_width, STEP), start = p->start + at,
         query = p->shared + at;
    float log[GROUP], deltas[GROUP], done[LOT] __attribute__((aligned(64)));
    const bf16 *qs = q.x + head * q.head + start * q.token, *gs = grad.x + head * grad.head + start * grad.token;
    for (size i = 0; i < GROUP; i++) {
        /* A query that isn't there has no probabilities: its sum is as if without end. */
        log[i] = i < queries ? logs[start + i] : 3e38f;
        deltas[i] =
            i < queries
                ? row_product(gs + i * grad.token, out.x + head * out.head + (start + i) * out.token, t->value_width)
                : 0;
    }
    for (size j = 0; j < panels; j++) {
        size left = queries - j * SIDE;
        pack_right(qs + j * SIDE * q.token, q.token, PLAIN, left, t->width, w->queries + j * deep * LOT);
        pack_right(
            gs + j * SIDE * grad.token, grad.token, PLAIN, left, t->value_width, w->grads + j * value_deep * LOT);
    }
    for (size d = 0; d < t->width; d += SIDE)
        pack_right(qs + d, q.token, TURNED, t->width - d, queries, w->queries_down + d / SIDE * panels * LOT);
    for (size d = 0; d < t->value_width; d += SIDE)
        pack_right(gs + d, grad.token, TURNED, t->value_width - d, queries, w->grads_down + d / SIDE * panels * LOT);
    size last = over(query + queries, SIDE), first = query < t->window ? 0 : (query - t->window + 1) / SIDE;
    for (size k = first; k < last; k++) {
        size key = k * SIDE;
        /* Of the panels of queries, the first that is not wholly before the keys, and beyond the last that sees any.
         */
        size from = key > query ? (key - query) / SIDE : 0;
        size beyond =
            least(panels, key + SIDE + t->window <= query ? 0 : over(key + SIDE + t->window - 1 - query, SIDE));
        for (size j = from; j < beyond; j++)
            block_back(
                t, w->keys + k * deep * LOT, w->values + k * value_deep * LOT, w->queries + j * deep * LOT,
                w->grads + j * value_deep * LOT, log + j * SIDE, deltas + j * SIDE, key, query + j * SIDE,
                w->probabilities + j * LOT, w->errors_down + j * LOT, w->errors + (j * all + k) * LOT);
        for (size d = 0; d < value_deep; d++) {
            float *sum = w->dvalues + (k * value_deep + d) * LOT;
            multiply(
                w->probabilities + from * LOT, w->grads_down + (d * panels + from) * LOT, beyond - from, sum, sum,
                32);
        }
        for (size d = 0; d < deep; d++) {
            float *sum = w->dkeys + (k * deep + d) * LOT;
            multiply(
                w->errors_down + from * LOT, w->queries_down + (d * panels + from) * LOT, beyond - from, sum, sum,
                32);
        }
    }
    for (size j = 0; j < panels; j++) {
        size own = query + j * SIDE, rows = least(SIDE, queries - j * SIDE);
        size begin = own < t->window ? 0 : (own - t->window + 1) / SIDE, end = over(own + rows, SIDE);
        for (size d = 0; d < t->width; d += SIDE) {
            multiply(
                w->turned + (d / SIDE * all + begin) * LOT, w->errors + (j * all + begin) * LOT, end - begin, done,
                NULL, 32);
            write_turned(
                done, NULL, dq.x + head * dq.head + (start + j * SIDE) * dq.token + d, dq.token, rows, t->width - d);
        }
    }
}

/* Add what a piece's keys got to the rows of their tokens. */
FAST static void give(const float *lots, const Piece *p, size example, size width, float *rows) {
    size seen = p->shared + p->length, deep = over(width, SIDE);
    for (size i = 0; i < seen; i++) {
        size token = (i < p->shared ? p->trunk + i : p->start + i - p->shared) - example;
        const float *from = lots + i / SIDE * deep * LOT + i % SIDE * 32;
        for (size d = 0; d < width; d += 16) {
            __mmask16 inside = (__mmask16)first_of_32(least(width - d, 16));
            float *to = rows + token * width + d;
            __m512 more = _mm512_loadu_ps(from + d / SIDE * LOT + d % SIDE);
            _mm512_mask_storeu_ps(to, inside, _mm512_add_ps(_mm512_maskz_loadu_ps(inside, to), more));
        }
    }
}

FAST static void write_rows(const float *x, bf16 *out, size stride, size rows, size width) {
    for (size i = 0; i < rows; i++)
        for (size d = 0; d < width; d += 16) {
            __mmask16 inside = (__mmask16)first_of_32(least(width - d, 16));
            _mm256_mask_storeu_epi16(
                out + i * stride + d, inside,
                (__m256i)_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(inside, x + i * width + d)));
        }
}

/* The way back: what was given, what came out and its gradient, the sums' logarithms [heads, tokens], and where the
   gradients go. */
typedef struct {
    Heads q, k, v, out, grad, dq, dk, dv;
    const float *logs;
    size tokens;
} Back;

static size end_of(const Task *t, size piece) { return t->pieces[piece].start + t->pieces[piece].length; }

/* An example's way back for one head. What its keys and values get is put into rows of fp32, a token after another.
 */
FAST static void head_back(
    const Task *t, const Back *b, size first, size beyond, size head, float *key_rows, float *value_rows) {
    static __thread void *kept[12];
    static __thread size has[12];
    size longest = 0, example = t->pieces[first].start, key_head = head / (t->heads / t->key_heads);
    for (size i = first; i < beyond; i++) {
        size seen = t->pieces[i].shared + t->pieces[i].length;
        longest = seen > longest ? seen : longest;
    }
    size all = over(longest, STEP), deep = over(t->width, STEP), value_deep = over(t->value_width, STEP);
    size panels = GROUP / SIDE, length = end_of(t, beyond - 1) - example;
    Work w = {
        .keys = room(kept, has, all * deep * LOT * 2),
        .values = room(kept + 1, has + 1, all * value_deep * LOT * 2),
        .turned = room(kept + 2, has + 2, all * deep * LOT * 2),
        .queries = room(kept + 3, has + 3, panels * deep * LOT * 2),
        .queries_down = room(kept + 4, has + 4, panels * deep * LOT * 2),
        .grads = room(kept + 5, has + 5, panels * value_deep * LOT * 2),
        .grads_down = room(kept + 6, has + 6, panels * value_deep * LOT * 2),
        .probabilities = room(kept + 7, has + 7, panels * LOT * 2),
        .errors = room(kept + 8, has + 8, panels * all * LOT * 2),
        .errors_down = room(kept + 9, has + 9, panels * LOT * 2),
        .dkeys = room(kept + 10, has + 10, all * deep * LOT * 4),
        .dvalues = room(kept + 11, has + 11, all * value_deep * LOT * 4),
    };
    memset(key_rows, 0, (size_t)(length * t->width) * 4);
    memset(value_rows, 0, (size_t)(length * t->value_width) * 4);
    for (size i = first; i < beyond; i++) {
        const Piece *p = t->pieces + i;
        size steps = over(p->shared + p->length, STEP);
        pack_tokens(b->k, key_head, p, t->width, w.keys);
        pack_tokens(b->v, key_head, p, t->value_width, w.values);
        pack_turned(b->k, key_head, p, t->width, w.turned);
        memset(w.dkeys, 0, (size_t)(steps * deep * LOT) * 4);
        memset(w.dvalues, 0, (size_t)(steps * value_deep * LOT) * 4);
        for (size at = 0; at < p->length; at += GROUP)
            group_back(t, p, &w, b->q, b->out, b->grad, b->dq, head, b->logs + head * b->tokens, at);
        give(w.dkeys, p, example, t->width, key_rows);
        give(w.dvalues, p, example, t->value_width, value_rows);
    }
}

FAST static void add_rows(const float *x, float *to, size count) {
    for (size i = 0; i < count; i++) to[i] += x[i];
}

/* An example's way back for one key head and those that share it. */
FAST static void example_back(const Task *t, const Back *b, size first, size beyond, size key_head) {
    static __thread void *kept[2];
    static __thread size has[2];
    size example = t->pieces[first].start, length = end_of(t, beyond - 1) - example;
    size keys = length * t->width, values = length * t->value_width, sharing = t->heads / t->key_heads;
    float *sum = room(kept, has, (keys + values) * 4), *more = room(kept + 1, has + 1, (keys + values) * 4);
    for (size i = 0; i < sharing; i++) {
        float *rows = i ? more : sum;
        head_back(t, b, first, beyond, key_head * sharing + i, rows, rows + keys);
        if (i) add_rows(rows, sum, keys + values);
    }
    write_rows(sum, b->dk.x + key_head * b->dk.head + example * b->dk.token, b->dk.token, length, t->width);
    write_rows(
        sum + keys, b->dv.x + key_head * b->dv.head + example * b->dv.token, b->dv.token, length, t->value_width);
}

/* Add up what the heads that share a key head gave, in the same order as above. parts: [heads, tokens, width]. */
FAST static void write_shared(const Task *t, Heads to, size key_head, size tokens, size width, float *parts) {
    size sharing = t->heads / t->key_heads, count = tokens * width;
    float *sum = parts + key_head * sharing * count;
    for (size i = 1; i < sharing; i++) add_rows(sum + i * count, sum, count);
    write_rows(sum, to.x + key_head * to.head, to.token, tokens, width);
}

/* How many bytes of `room` the way there needs. */
size attention_room(const Piece *pieces, size count, size key_heads, size width, size value_width) {
    size lots = 0;
    for (size i = 0; i < count; i++)
        lots += over(pieces[i].shared + pieces[i].length, STEP) * (over(width, STEP) + over(value_width, STEP));
    return lots * key_heads * LOT * 2;
}

/* Task, then what lies where: x, stride of heads, stride of tokens. out has [tokens, heads, value_width], logs
 * [heads, tokens]. */
void attention_forward(const Task *t, Heads *q, Heads *k, Heads *v, bf16 *out, float *logs, size tokens, bf16 *work) {
    size sharing = t->heads / t->key_heads, deep = over(t->width, STEP), value_deep = over(t->value_width, STEP);
    size *panels = malloc(sizeof(size) * (size_t)(t->count + 1)),
         *lots = malloc(sizeof(size) * (size_t)(t->count + 1));
    if (!panels || !lots) abort();
    panels[0] = lots[0] = 0;
    for (size i = 0; i < t->count; i++) {
        panels[i + 1] = panels[i] + over(t->pieces[i].length, SIDE);
        lots[i + 1] =
            lots[i] + over(t->pieces[i].shared + t->pieces[i].length, STEP) * (deep + value_deep) * t->key_heads;
    }
#pragma omp parallel
    {
        tiles_begin();
#pragma omp for schedule(dynamic)
        for (size u = 0; u < t->count * t->key_heads; u++) {
            const Piece *p = t->pieces + u / t->key_heads;
            size head = u % t->key_heads, steps = over(p->shared + p->length, STEP);
            bf16 *to = work + (lots[u / t->key_heads] + head * steps * (deep + value_deep)) * LOT;
            pack_tokens(*k, head, p, t->width, to);
            pack_turned(*v, head, p, t->value_width, to + steps * deep * LOT);
        }
        size piece = 0;
#pragma omp for schedule(dynamic, 4)
        for (size u = 0; u < panels[t->count] * t->heads; u++) {
            size panel = u / t->heads, head = u % t->heads;
            while (panels[piece] > panel) piece--;
            while (panels[piece + 1] <= panel) piece++;
            const Piece *p = t->pieces + piece;
            size steps = over(p->shared + p->length, STEP);
            const bf16 *keys = work + (lots[piece] + head / sharing * steps * (deep + value_deep)) * LOT;
            forward_panel(
                t, p, *q, head, (panel - panels[piece]) * SIDE, keys, keys + steps * deep * LOT, out,
                t->heads * t->value_width, logs + head * tokens);
        }
        tiles_end();
    }
    free(panels);
    free(lots);
}

void attention_backward(
    const Task *t, Heads *q, Heads *k, Heads *v, Heads *out, Heads *grad, Heads *dq, Heads *dk, Heads *dv,
    const float *logs, size tokens) {
    Back b = {*q, *k, *v, *out, *grad, *dq, *dk, *dv, logs, tokens};
    size *firsts = malloc(sizeof(size) * (size_t)(t->count + 1)), examples = 0, threads = 1;
    if (!firsts) abort();
    for (size i = 0; i < t->count; i++)
        if (!t->pieces[i].shared) firsts[examples++] = i;
    firsts[examples] = t->count;
#ifdef _OPENMP
    threads = omp_get_max_threads();
#endif
    /* Where there are fewer key heads than threads, each head goes by itself, which takes more memory. */
    float *parts = NULL;
    if (examples * t->key_heads < threads && t->key_heads < t->heads)
        parts = malloc((size_t)(t->heads * tokens * (t->width + t->value_width)) * 4);
    float *value_parts = parts ? parts + t->heads * tokens * t->width : NULL;
    size heads = parts ? t->heads : t->key_heads;
#pragma omp parallel
    {
        tiles_begin();
#pragma omp for schedule(dynamic)
        for (size u = 0; u < examples * heads; u++) {
            size first = firsts[u / heads], beyond = firsts[u / heads + 1], head = u % heads;
            size row = head * tokens + t->pieces[first].start;
            if (parts)
                head_back(t, &b, first, beyond, head, parts + row * t->width, value_parts + row * t->value_width);
            else example_back(t, &b, first, beyond, head);
        }
        tiles_end();
#pragma omp for schedule(dynamic)
        for (size u = 0; u < (parts ? t->key_heads * 2 : 0); u++) {
            if (u % 2) write_shared(t, *dv, u / 2, tokens, t->value_width, value_parts);
            else write_shared(t, *dk, u / 2, tokens, t->width, parts);
        }
    }
    free(parts);
    free(firsts);
}
#endif
