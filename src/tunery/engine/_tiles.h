/* Matrices of bf16 in the order that the processor's tiles read them, and the product of two of them. For x86 with
   AMX (Intel, Architecture Instruction Set Extensions, chapter 3); elsewhere `TILES` is not defined.

   A tile of the left matrix is 16 rows of 32 numbers; one of the right matrix 16 pairs of rows by 16 columns, the two
   numbers of a pair beside each other. A panel is two tiles wide, its steps of 32 along the shared dimension one
   after another, 2 KiB each, filled up with zeros at its borders. */

#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef uint16_t bf16;
typedef int64_t size;

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12
#define TILES

#include <immintrin.h>
#include <sys/syscall.h>
long syscall(long number, ...);
#include <unistd.h>

#define FAST __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,amx-tile,amx-bf16,fma")))
#define INLINE static inline __attribute__((always_inline)) FAST

enum { SIDE = 32, STEP = 32, LOT = 1024 }; /* of a panel: columns or rows, depth of a step, numbers in a step */

static inline size least(size a, size b) { return a < b ? a : b; }
static inline size over(size a, size b) { return (a + b - 1) / b; }

/* Whether this processor has what is needed and the system lets this process use it. */
static inline int tiles_usable(void) {
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, TILE_DATA = 18 };
    return __builtin_cpu_supports("amx-bf16") && __builtin_cpu_supports("avx512bf16")
           && syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILE_DATA) == 0;
}

FAST static void tiles_begin(void) {
    struct {
        uint8_t palette, start, none[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } shape = {.palette = 1};
    for (int i = 0; i < 8; i++) shape.bytes[i] = 64, shape.rows[i] = 16;
    __asm__ volatile("ldtilecfg %0" ::"m"(shape)); /* gcc's own says it reads eight bytes only */
}

FAST static void tiles_end(void) { _tile_release(); }

INLINE __mmask32 first_of_32(size count) {
    return count >= 32 ? ~(__mmask32)0 : count <= 0 ? 0 : ((__mmask32)1 << count) - 1;
}

/* 16 rows of 16 pairs become 16 columns of them. */
INLINE void turn_pairs(__m512i *r) {
    __m512i t[16];
    for (int i = 0; i < 8; i++) {
        t[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
    }
    for (int i = 0; i < 4; i++) {
        r[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
        r[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
        r[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
        r[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
    }
    for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
    }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
        r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
        r[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
        r[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
    }
}

/* Two rows as one row of pairs, in two halves. */
INLINE void pair_rows(__m512i even, __m512i odd, __m512i *low, __m512i *high) {
    static const uint16_t order[64] = {0,  32, 1,  33, 2,  34, 3,  35, 4,  36, 5,  37, 6,  38, 7,  39,
                                       8,  40, 9,  41, 10, 42, 11, 43, 12, 44, 13, 45, 14, 46, 15, 47,
                                       16, 48, 17, 49, 18, 50, 19, 51, 20, 52, 21, 53, 22, 54, 23, 55,
                                       24, 56, 25, 57, 26, 58, 27, 59, 28, 60, 29, 61, 30, 62, 31, 63};
    *low = _mm512_permutex2var_epi16(even, _mm512_loadu_si512(order), odd);
    *high = _mm512_permutex2var_epi16(even, _mm512_loadu_si512(order + 32), odd);
}

/* How a matrix lies: [along its own side, along the shared dimension] row by row, or the other way round. */
enum { PLAIN, TURNED };

/* One panel of the left matrix. `rows` and `depth` are what there is of it from `x` on. */
FAST static void pack_left(const bf16 *x, size stride, int lies, size rows, size depth, bf16 *to) {
    rows = least(rows, SIDE);
    for (size k = 0; k < depth; k += STEP, to += LOT) {
        if (lies == PLAIN) {
            __mmask32 inside = first_of_32(depth - k);
            for (size i = 0; i < SIDE; i++)
                _mm512_storeu_si512(
                    to + i * 32,
                    i < rows ? _mm512_maskz_loadu_epi16(inside, x + i * stride + k) : _mm512_setzero_si512());
            continue;
        }
        __mmask32 inside = first_of_32(rows);
        __m512i low[16], high[16];
        for (size i = 0; i < 16; i++) {
            size at = k + 2 * i;
            __m512i even = at < depth ? _mm512_maskz_loadu_epi16(inside, x + at * stride) : _mm512_setzero_si512();
            __m512i odd =
                at + 1 < depth ? _mm512_maskz_loadu_epi16(inside, x + (at + 1) * stride) : _mm512_setzero_si512();
            pair_rows(even, odd, low + i, high + i);
        }
        turn_pairs(low);
        turn_pairs(high);
        for (size i = 0; i < 16; i++) {
            _mm512_storeu_si512(to + i * 32, low[i]);
            _mm512_storeu_si512(to + 512 + i * 32, high[i]);
        }
    }
}

/* One panel of the right matrix; `columns` and `depth` are what there is of it from `x` on. */
FAST static void pack_right(const bf16 *x, size stride, int lies, size columns, size depth, bf16 *to) {
    columns = least(columns, SIDE);
    for (size k = 0; k < depth; k += STEP, to += LOT) {
        if (lies == TURNED) {
            __mmask32 inside = first_of_32(columns);
            for (size i = 0; i < 16; i++) {
                size at = k + 2 * i;
                __m512i even =
                    at < depth ? _mm512_maskz_loadu_epi16(inside, x + at * stride) : _mm512_setzero_si512();
                __m512i odd =
                    at + 1 < depth ? _mm512_maskz_loadu_epi16(inside, x + (at + 1) * stride) : _mm512_setzero_si512();
                __m512i low, high;
                pair_rows(even, odd, &low, &high);
                _mm512_storeu_si512(to + i * 32, low);
                _mm512_storeu_si512(to + 512 + i * 32, high);
            }
            continue;
        }
        __mmask32 inside = first_of_32(depth - k);
        for (size half = 0; half < 2; half++) {
            __m512i r[16];
            for (size i = 0; i < 16; i++) {
                size at = half * 16 + i;
                r[i] = at < columns ? _mm512_maskz_loadu_epi16(inside, x + at * stride + k) : _mm512_setzero_si512();
            }
            turn_pairs(r);
            for (size i = 0; i < 16; i++) _mm512_storeu_si512(to + half * 512 + i * 32, r[i]);
        }
    }
}

/* The product of two panels, 32 by 32 in fp32, `so_far` (if any) added. `into` and `so_far` have rows of `stride`. */
INLINE void multiply(const bf16 *left, const bf16 *right, size steps, float *into, const float *so_far, size stride) {
    if (so_far) {
        _tile_loadd(0, so_far, stride * 4);
        _tile_loadd(1, so_far + 16, stride * 4);
        _tile_loadd(2, so_far + 16 * stride, stride * 4);
        _tile_loadd(3, so_far + 16 * stride + 16, stride * 4);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
    for (size k = 0; k < steps; k++, left += LOT, right += LOT) {
        _tile_loadd(4, left, 64);
        _tile_loadd(6, right, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(7, right + 512, 64);
        _tile_dpbf16ps(1, 4, 7);
        _tile_loadd(5, left + 512, 64);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, into, stride * 4);
    _tile_stored(1, into + 16, stride * 4);
    _tile_stored(2, into + 16 * stride, stride * 4);
    _tile_stored(3, into + 16 * stride + 16, stride * 4);
}

/* 16 numbers, or those of them that are `inside`, in fp32. */
INLINE __m512 wide(const bf16 *x, __mmask16 inside) {
    return (__m512)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(inside, x)), 16);
}

/* Room of a thread's own, kept until it ends. */
static void *room(void **kept, size *has, size bytes) {
    if (*has < bytes) {
        free(*kept);
        *kept = aligned_alloc(4096, (size_t)over(bytes, 4096) * 4096);
        *has = *kept ? bytes : 0;
        if (!*kept) abort();
    }
    return *kept;
}
#endif
