/* Products of bf16 matrices by the processor's tiles, fp32 within, rounded once. For shapes that the usual libraries
   do badly: a gradient of weights, whose shared dimension is all tokens, and what is only a few numbers wide or high.
 */

#include "_tiles.h"

#ifdef _OPENMP
#include <omp.h>
#endif

int usable(void) {
#ifdef TILES
    return tiles_usable();
#else
    return 0;
#endif
}

#ifdef TILES

/* Of a block of the product: columns, rows, and how far along the shared dimension before sums are put aside. With
   these, what is read again stays in the second cache. */
enum { BROAD = 768, TALL = 1024, DEEP = 256 };

typedef struct {
    const bf16 *x;
    size stride;
    int lies;
} Matrix;

typedef struct {
    bf16 *x;
    size stride;
    float factor;
    int adds; /* to what is there */
} Result;

static inline const bf16 *from(Matrix m, size side, size depth) {
    return m.x + (m.lies == PLAIN ? side * m.stride + depth : depth * m.stride + side);
}

FAST static void write_out(const float *c, Result out, size row, size rows, size column, size columns) {
    __mmask32 inside = first_of_32(columns);
    __m512 factor = _mm512_set1_ps(out.factor);
    for (size i = 0; i < rows; i++) {
        bf16 *to = out.x + (row + i) * out.stride + column;
        __m512 low = _mm512_mul_ps(_mm512_loadu_ps(c + i * 32), factor);
        __m512 high = _mm512_mul_ps(_mm512_loadu_ps(c + i * 32 + 16), factor);
        if (out.adds) {
            low = _mm512_add_ps(low, wide(to, (__mmask16)inside));
            high = _mm512_add_ps(high, wide(to + 16, (__mmask16)(inside >> 16)));
        }
        _mm512_mask_storeu_epi16(to, inside, (__m512i)_mm512_cvtne2ps_pbh(high, low));
    }
}

/* A rectangle of the product. Sums go on along the shared dimension in one order, however the rectangles are cut. */
FAST static void rectangle(
    Matrix left, Matrix right, size depth, Result out, size row, size rows, size column, size columns) {
    static __thread void *kept[3];
    static __thread size has[3];
    size steps_at_most = over(least(depth, DEEP), STEP), across = BROAD / SIDE;
    bf16 *panel = room(kept, has, steps_at_most * LOT * 2);
    bf16 *rights = room(kept + 1, has + 1, across * steps_at_most * LOT * 2);
    float *sums = depth > DEEP ? room(kept + 2, has + 2, across * (TALL / SIDE) * LOT * 4) : NULL;
    float done[LOT] __attribute__((aligned(64)));
    for (size j0 = 0; j0 < columns; j0 += BROAD)
        for (size i0 = 0; i0 < rows; i0 += TALL)
            for (size k0 = 0; k0 < depth; k0 += DEEP) {
                size broad = least(BROAD, columns - j0), tall = least(TALL, rows - i0),
                     deep = least(DEEP, depth - k0);
                size steps = over(deep, STEP);
                int last = k0 + deep == depth;
                if (i0 == 0 || sums)
                    for (size j = 0; j < broad; j += SIDE)
                        pack_right(
                            from(right, column + j0 + j, k0), right.stride, right.lies, broad - j, deep,
                            rights + j * steps * STEP);
                for (size i = 0; i < tall; i += SIDE) {
                    pack_left(from(left, row + i0 + i, k0), left.stride, left.lies, tall - i, deep, panel);
                    for (size j = 0; j < broad; j += SIDE) {
                        float *sum = sums ? sums + (i / SIDE * across + j / SIDE) * LOT : NULL;
                        multiply(panel, rights + j * steps * STEP, steps, last ? done : sum, k0 ? sum : NULL, 32);
                        if (last)
                            write_out(
                                done, out, row + i0 + i, least(SIDE, tall - i), column + j0 + j,
                                least(SIDE, broad - j));
                    }
                }
            }
}

/* out[rows, columns] = factor * left * right over `depth`, or that added to it. */
void product(
    const bf16 *left, size left_stride, int left_lies, const bf16 *right, size right_stride, int right_lies,
    bf16 *out, size out_stride, size rows, size columns, size depth, float factor, int adds) {
    Matrix a = {left, left_stride, left_lies}, b = {right, right_stride, right_lies};
    Result result = {out, out_stride, factor, adds};
    size threads = 1, across = 1, high = over(rows, SIDE), broad = over(columns, SIDE);
#ifdef _OPENMP
    threads = omp_get_max_threads();
#endif
    /* Each thread's rectangle as square as may be. */
    for (size t = 2; t <= threads; t++)
        if (threads % t == 0
            && over(high, threads / t) + over(broad, t) < over(high, threads / across) + over(broad, across))
            across = t;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (size t = 0; t < threads; t++) {
        size i = t / across, j = t % across, down = threads / across;
        size row = high * i / down * SIDE, below = least(high * (i + 1) / down * SIDE, rows);
        size column = broad * j / across * SIDE, beyond = least(broad * (j + 1) / across * SIDE, columns);
        if (row >= below || column >= beyond) continue;
        tiles_begin();
        rectangle(a, b, depth, result, row, below - row, column, beyond - column);
        tiles_end();
    }
}
#endif
