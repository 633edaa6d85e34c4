/* What a training step does to its matrices besides multiplying them: norms, rotation, gates, softmax and loss of their
   rows, and the optimizer's step. Numbers come and go as bf16 and are fp32 within, rounded once. Rows are shared among OpenMP's threads, and
   what is summed over rows is summed in parts that don't depend on how many threads there are. */

#include <math.h>
#include <stdint.h>
#include <string.h>

#ifdef _OPENMP
#include <omp.h>
#define THREAD omp_get_thread_num()
#else
#define THREAD 0
#endif

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__linux__)
#define FAST __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"), flatten))
#else
#define FAST
#endif

typedef uint16_t bf16;
typedef int64_t size;

static inline float wide(bf16 x) {
    uint32_t bits = (uint32_t)x << 16;
    float result;
    memcpy(&result, &bits, 4);
    return result;
}

/* To the nearest, ties to even. A NaN that the processor makes or that was a bf16 stays one. */
static inline bf16 narrow(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    return (bf16)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

/* e^x within 2e-7 of itself for x <= 88; 0 below -87; NaN for NaN. Cephes' polynomial on [-ln2/2, ln2/2]. */
static inline float exponential(float x) {
    float low = x < -87.0f ? -87.0f : x; /* keeps NaN */
    float n = rintf(low * 1.44269504f);
    float r = (low - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    int32_t power = (int32_t)n;
    uint32_t bits = (uint32_t)(power + 127) << 23;
    float two;
    memcpy(&two, &bits, 4);
    return x < -87.0f ? 0.0f : p * two;
}

/* -- root mean square norm: y = w * x / sqrt(mean(x^2) + eps); Zhang and Sennrich 2019, eq. 4 */

FAST static float norm_row(const bf16 *restrict x, const bf16 *restrict w, bf16 *restrict y, size width, float eps, float more) {
    float squares = 0;
#pragma omp simd reduction(+ : squares)
    for (size i = 0; i < width; i++) squares += wide(x[i]) * wide(x[i]);
    float scale = 1.0f / sqrtf(squares / (float)width + eps);
#pragma omp simd
    for (size i = 0; i < width; i++) y[i] = narrow((wide(w[i]) + more) * (wide(x[i]) * scale));
    return scale;
}

/* `more` is added to the weights; `scales` keeps each row's factor for the way back. */
void norm_forward(const bf16 *x, const bf16 *w, bf16 *y, float *scales, size rows, size width, float eps, float more) {
#pragma omp parallel for schedule(static)
    for (size row = 0; row < rows; row++)
        scales[row] = norm_row(x + row * width, w, y + row * width, width, eps, more);
}

FAST static void norm_row_back(
    const bf16 *restrict x, const bf16 *restrict w, const bf16 *restrict dy, bf16 *restrict dx, float *restrict dw,
    size width, float scale, float more) {
    float dot = 0;
#pragma omp simd reduction(+ : dot)
    for (size i = 0; i < width; i++) dot += wide(dy[i]) * (wide(w[i]) + more) * wide(x[i]);
    float mean = dot * scale * scale * scale / (float)width;
#pragma omp simd
    for (size i = 0; i < width; i++) {
        float along = wide(dy[i]);
        dx[i] = narrow(along * (wide(w[i]) + more) * scale - wide(x[i]) * mean);
        dw[i] += along * (wide(x[i]) * scale);
    }
}

/* dw: [parts, width], zero before. */
void norm_backward(
    const bf16 *x, const bf16 *w, const bf16 *dy, const float *scales, bf16 *dx, float *dw, size parts, size rows,
    size width, float more) {
#pragma omp parallel for schedule(static)
    for (size part = 0; part < parts; part++)
        for (size row = rows * part / parts; row < rows * (part + 1) / parts; row++)
            norm_row_back(
                x + row * width, w, dy + row * width, dx + row * width, dw + part * width, width, scales[row], more);
}

/* -- gate: y = silu(g) * u; Shazeer 2020, SwiGLU */

enum { STROKE = 8192 };

FAST static void gate_stroke(const bf16 *restrict g, const bf16 *restrict u, bf16 *restrict y, size count) {
#pragma omp simd
    for (size i = 0; i < count; i++) {
        float x = wide(g[i]);
        float e = exponential(-fabsf(x));
        float sigmoid = (x >= 0 ? 1.0f : e) / (1.0f + e);
        y[i] = narrow(x * sigmoid * wide(u[i]));
    }
}

void gate_forward(const bf16 *g, const bf16 *u, bf16 *y, size count) {
#pragma omp parallel for schedule(static)
    for (size at = 0; at < count; at += STROKE)
        gate_stroke(g + at, u + at, y + at, count - at < STROKE ? count - at : STROKE);
}

static inline void gate_back(
    const bf16 *restrict g, const bf16 *restrict u, const bf16 *restrict dy, bf16 *restrict y, bf16 *restrict dg,
    bf16 *restrict du, size count, const int again) {
#pragma omp simd
    for (size i = 0; i < count; i++) {
        float x = wide(g[i]), along = wide(dy[i]);
        float e = exponential(-fabsf(x));
        float sigmoid = (x >= 0 ? 1.0f : e) / (1.0f + e);
        if (again) y[i] = narrow(x * sigmoid * wide(u[i]));
        du[i] = narrow(along * x * sigmoid);
        dg[i] = narrow(along * wide(u[i]) * sigmoid * (1.0f + x * (1.0f - sigmoid)));
    }
}

FAST static void gate_stroke_back(
    const bf16 *g, const bf16 *u, const bf16 *dy, bf16 *y, bf16 *dg, bf16 *du, size count) {
    if (y) gate_back(g, u, dy, y, dg, du, count, 1);
    else gate_back(g, u, dy, y, dg, du, count, 0);
}

/* y is made again beside the gradients, unless it is NULL. */
void gate_backward(const bf16 *g, const bf16 *u, const bf16 *dy, bf16 *y, bf16 *dg, bf16 *du, size count) {
#pragma omp parallel for schedule(static)
    for (size at = 0; at < count; at += STROKE)
        gate_stroke_back(
            g + at, u + at, dy + at, y ? y + at : y, dg + at, du + at, count - at < STROKE ? count - at : STROKE);
}

/* -- rotation of queries and keys by their position; Su et al. 2021, eq. 34, with halves for pairs */

FAST static void rotate_row(
    const bf16 *restrict x, const bf16 *restrict cosine, const bf16 *restrict sine, bf16 *restrict y, size half,
    int back) {
    const bf16 *cosine2 = cosine + half, *sine2 = sine + half, *x2 = x + half;
    bf16 *y2 = y + half;
    if (back) {
#pragma omp simd
        for (size i = 0; i < half; i++) {
            float a = wide(x[i]), b = wide(x2[i]);
            y[i] = narrow(a * wide(cosine[i]) + b * wide(sine2[i]));
            y2[i] = narrow(b * wide(cosine2[i]) - a * wide(sine[i]));
        }
    } else {
#pragma omp simd
        for (size i = 0; i < half; i++) {
            float a = wide(x[i]), b = wide(x2[i]);
            y[i] = narrow(a * wide(cosine[i]) - b * wide(sine[i]));
            y2[i] = narrow(b * wide(cosine2[i]) + a * wide(sine2[i]));
        }
    }
}

/* Head h of token t begins at x + h * x_head + t * x_token, and so for y; cosine and sine are [tokens, width]. */
void rotate(
    const bf16 *x, const bf16 *cosine, const bf16 *sine, bf16 *y, size heads, size tokens, size width, size x_head,
    size x_token, size y_head, size y_token, int back) {
#pragma omp parallel for schedule(static)
    for (size t = 0; t < tokens; t++)
        for (size h = 0; h < heads; h++)
            rotate_row(
                x + h * x_head + t * x_token, cosine + t * width, sine + t * width, y + h * y_head + t * y_token,
                width / 2, back);
}

/* -- softmax over what a query may see */

FAST static void softmax_row(bf16 *restrict x, float *restrict work, size first, size stop, size keys) {
    float top = -INFINITY;
#pragma omp simd reduction(max : top)
    for (size i = first; i < stop; i++) top = wide(x[i]) > top ? wide(x[i]) : top;
    float total = 0;
#pragma omp simd reduction(+ : total)
    for (size i = first; i < stop; i++) {
        work[i] = exponential(wide(x[i]) - top);
        total += work[i];
    }
    float factor = 1.0f / total;
    memset(x, 0, (size_t)first * sizeof *x);
#pragma omp simd
    for (size i = first; i < stop; i++) x[i] = narrow(work[i] * factor);
    memset(x + stop, 0, (size_t)(keys - stop) * sizeof *x);
}

/* Scores [count, keys] become probabilities in their place. Row r is query r % rows of the last `rows` of the keys'
   tokens, and sees `window` keys, its own the last. work: [threads, keys]. */
void softmax_forward(bf16 *x, float *work, size count, size rows, size keys, size window) {
#pragma omp parallel for schedule(static)
    for (size row = 0; row < count; row++) {
        size stop = keys - rows + row % rows + 1;
        softmax_row(x + row * keys, work + THREAD * keys, stop > window ? stop - window : 0, stop, keys);
    }
}

FAST static void softmax_row_back(const bf16 *restrict p, bf16 *restrict d, size keys) {
    float dot = 0;
#pragma omp simd reduction(+ : dot)
    for (size i = 0; i < keys; i++) dot += wide(p[i]) * wide(d[i]);
#pragma omp simd
    for (size i = 0; i < keys; i++) d[i] = narrow(wide(p[i]) * (wide(d[i]) - dot));
}

/* Gradients of probabilities become those of scores in their place. */
void softmax_backward(const bf16 *p, bf16 *d, size count, size keys) {
#pragma omp parallel for schedule(static)
    for (size row = 0; row < count; row++) softmax_row_back(p + row * keys, d + row * keys, keys);
}

/* -- negative log-likelihood */

FAST static float loss_row(bf16 *restrict x, float *restrict work, size width, size target, int wanted) {
    float top = -INFINITY;
#pragma omp simd reduction(max : top)
    for (size i = 0; i < width; i++) top = wide(x[i]) > top ? wide(x[i]) : top;
    float total = 0;
#pragma omp simd reduction(+ : total)
    for (size i = 0; i < width; i++) {
        work[i] = exponential(wide(x[i]) - top);
        total += work[i];
    }
    float loss = top + logf(total) - wide(x[target]);
    if (wanted) {
        float factor = 1.0f / total;
        float aimed = work[target] * factor - 1.0f;
#pragma omp simd
        for (size i = 0; i < width; i++) x[i] = narrow(work[i] * factor);
        x[target] = narrow(aimed);
    }
    return loss;
}

/* Each row's loss; where `wanted`, its logits become what they err by. work: [threads, width]. */
void loss_rows(bf16 *x, const int64_t *targets, float *losses, float *work, size rows, size width, int wanted) {
#pragma omp parallel for schedule(static)
    for (size row = 0; row < rows; row++)
        losses[row] = loss_row(x + row * width, work + THREAD * width, width, targets[row], wanted);
}

/* -- AdamW; Loshchilov and Hutter 2019, algorithm 2 */

enum { STRETCH = 1 << 15 };

/* Some numbers that lie beside each other, from `start` on in the flat arrays. `gradient` is NULL for zeros. */
typedef struct {
    size start, count;
    const void *gradient;
    size is_bf16;
} Weight;

/* How the stretches of all weights are counted through: the first of each weight. */
static size count_stretches(const Weight *weights, size count, size *firsts) {
    size total = 0;
    for (size i = 0; i < count; i++) {
        firsts[i] = total;
        total += (weights[i].count + STRETCH - 1) / STRETCH;
    }
    firsts[count] = total;
    return total;
}

FAST static double square_bf16(const bf16 *x, size count) {
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size i = 0; i < count; i++) sum += wide(x[i]) * wide(x[i]);
    return (double)sum;
}

FAST static double square_float(const float *x, size count) {
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size i = 0; i < count; i++) sum += x[i] * x[i];
    return (double)sum;
}

/* The sum of all gradients' squares. `firsts` has room for count + 1, `sums` for a number of each stretch. */
double squares(const Weight *weights, size count, size *firsts, double *sums) {
    size total = count_stretches(weights, count, firsts);
#pragma omp parallel
    {
        size at = 0;
#pragma omp for schedule(static)
        for (size stretch = 0; stretch < total; stretch++) {
            while (firsts[at + 1] <= stretch) at++;
            const Weight *w = weights + at;
            size from = (stretch - firsts[at]) * STRETCH, more = w->count - from < STRETCH ? w->count - from : STRETCH;
            sums[stretch] = !w->gradient ? 0
                : w->is_bf16             ? square_bf16((const bf16 *)w->gradient + from, more)
                                         : square_float((const float *)w->gradient + from, more);
        }
    }
    double sum = 0;
    for (size stretch = 0; stretch < total; stretch++) sum += sums[stretch];
    return sum;
}

typedef struct {
    float kept, rate, root, epsilon, beta1, beta2, factor; /* of the weights; over the biases' corrections; of gradients */
} Step;

FAST static void step_stretch(
    float *restrict master, float *restrict mean, float *restrict square, const float *restrict gradient, size count,
    Step s) {
#pragma omp simd
    for (size i = 0; i < count; i++) {
        float g = gradient[i] * s.factor;
        float m = mean[i] + (1 - s.beta1) * (g - mean[i]), v = s.beta2 * square[i] + (1 - s.beta2) * g * g;
        mean[i] = m;
        square[i] = v;
        master[i] = master[i] * s.kept - s.rate * m / (sqrtf(v) * s.root + s.epsilon);
    }
}

FAST static void widen(const bf16 *restrict x, float *restrict y, size count) {
#pragma omp simd
    for (size i = 0; i < count; i++) y[i] = wide(x[i]);
}

FAST static void narrow_all(const float *restrict x, bf16 *restrict y, size count) {
#pragma omp simd
    for (size i = 0; i < count; i++) y[i] = narrow(x[i]);
}

/* One step of all weights; `shadow`, if there is one, becomes what the masters are in bf16. */
void adamw(
    const Weight *weights, size count, size *firsts, float *master, float *mean, float *square, bf16 *shadow,
    const Step *step) {
    enum { SHARE = 2048 }; /* of a stretch: what a thread widens and narrows stays in the cache */
    size total = count_stretches(weights, count, firsts);
#pragma omp parallel
    {
        size at = 0;
        float gradient[SHARE];
#pragma omp for schedule(static)
        for (size stretch = 0; stretch < total; stretch++) {
            while (firsts[at + 1] <= stretch) at++;
            const Weight *w = weights + at;
            size from = (stretch - firsts[at]) * STRETCH, stop = w->count - from < STRETCH ? w->count : from + STRETCH;
            for (; from < stop; from += SHARE) {
                size more = stop - from < SHARE ? stop - from : SHARE, place = w->start + from;
                const float *given = gradient;
                if (!w->gradient) memset(gradient, 0, sizeof gradient);
                else if (w->is_bf16) widen((const bf16 *)w->gradient + from, gradient, more);
                else given = (const float *)w->gradient + from;
                step_stretch(master + place, mean + place, square + place, given, more, *step);
                if (shadow) narrow_all(master + place, shadow + place, more);
            }
        }
    }
}
