/* SPDX-License-Identifier: Apache-2.0 */
/* Compiled once per instruction set with KERNELS_TABLE naming the table that it defines. */
#include "engine/backend/cpu/kernels.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/backend/cpu/simd.h"

extern const struct kernels KERNELS_TABLE;

/*
 * GELU by erf: x Phi(x) = max(x, 0) - g(|x|), g(t) = t erfc(t / sqrt 2) / 2.  g is a polynomial of
 * degree 5 in each of 16 intervals of [0, 6), Chebyshev-fitted in the distance from the interval's
 * middle, in intervals; beyond 6, g < 6e-9.  Largest error 2.6e-8 (measured over 400,000 points).
 */
static const float gelu_table[6][SIMD_WIDTH] = {
    {0.0798064247F, 0.161374331F, 0.163360044F, 0.124261923F, 0.0772092491F, 0.0403839126F,
     0.0180243514F, 0.00691284519F, 0.00228716549F, 0.000654324307F, 0.000162097102F,
     3.48060712e-05F, 6.4819892e-06F, 1.04743197e-06F, 1.46907055e-07F, 1.78877837e-08F},
    {0.132051006F, 0.0357444175F, -0.0250335261F, -0.047476057F, -0.0436313115F, -0.0294374358F,
     -0.0159220435F, -0.00713884737F, -0.00269671949F, -0.000866082148F, -0.000237801709F,
     -5.60262706e-05F, -1.13550313e-05F, -1.98333896e-06F, -2.98956053e-07F, -3.89287962e-08F},
    {-0.0541538894F, -0.0403154455F, -0.020264864F, -0.00328831631F, 0.00572507642F, 0.00753632141F,
     0.00566824526F, 0.00317607028F, 0.00142364542F, 0.000526097487F, 0.000162828786F,
     4.26056395e-05F, 9.48218349e-06F, 1.80246514e-06F, 2.93526256e-07F, 4.1041325e-08F},
    {0.00256111845F, 0.00620193454F, 0.00661107898F, 0.0044290931F, 0.00164188561F,
     -0.000218821602F, -0.000850657234F, -0.000738726521F, -0.000428213534F, -0.000190460123F,
     -6.82783939e-05F, -2.02024021e-05F, -5.00068973e-06F, -1.04440858e-06F, -1.85114075e-07F,
     -2.79598051e-08F},
    {0.00120370567F, 0.000527346856F, -0.000286684604F, -0.000700546021F, -0.00061645807F,
     -0.000301912194F, -4.06497238e-05F, 6.91904643e-05F, 7.3447969e-05F, 4.40554577e-05F,
     1.93587093e-05F, 6.70684358e-06F, 1.89249772e-06F, 4.42706863e-07F, 8.67961489e-08F,
     1.43667451e-08F},
    {-7.92385836e-05F, -0.000171595835F, -0.000134833332F, -2.79552478e-05F, 5.14810636e-05F,
     6.44111715e-05F, 3.71549359e-05F, 8.73392946e-06F, -4.50268362e-06F, -6.04451498e-06F,
     -3.67133293e-06F, -1.56219119e-06F, -5.13846885e-07F, -1.36051639e-07F, -2.96212477e-08F,
     -5.37201794e-09F}};

static inline v16f gelu(v16f x)
{
    const v16f t = simd_min(simd_abs(x), simd_set(5.999999F)) * (16.0F / 6.0F);
    const v16i i = simd_to_int(t);
    const v16f u = t - simd_to_float(i) - 0.5F;
    v16f g = simd_lookup(gelu_table[5], i);
    for (int k = 4; k >= 0; k--) {
        g = simd_fma(g, u, simd_lookup(gelu_table[k], i));
    }
    return simd_max(x, simd_set(0.0F)) - g;
}

/* e^x for x <= 88: 2^n e^r, |r| <= ln 2 / 2, by its Taylor series to the 7th power (2e-8). */
static inline v16f exponential(v16f x)
{
    x = simd_min(simd_max(x, simd_set(-87.0F)), simd_set(88.0F));
    const v16f magic = simd_set(12582912.0F); /* 1.5 * 2^23 rounds to an integer */
    const v16f n = (x * 1.44269504F + magic) - magic;
    v16f r = simd_fma(n, simd_set(-0.693145752F), x);
    r = simd_fma(n, simd_set(-1.42860677e-6F), r);
    v16f p = simd_set(1.0F / 5040.0F);
    p = simd_fma(p, r, simd_set(1.0F / 720.0F));
    p = simd_fma(p, r, simd_set(1.0F / 120.0F));
    p = simd_fma(p, r, simd_set(1.0F / 24.0F));
    p = simd_fma(p, r, simd_set(1.0F / 6.0F));
    p = simd_fma(p, r, simd_set(0.5F));
    p = simd_fma(p, r, simd_set(1.0F));
    p = simd_fma(p, r, simd_set(1.0F));
    const v16i exponent = (v16i)(n + magic) << 23; /* the low bits of n + magic are n */
    return (v16f)((v16i)p + exponent);
}

static inline v16f sigmoid(v16f x)
{
    return 1.0F / (1.0F + exponential(-x));
}

static inline v16f apply(enum graph_act act, v16f x)
{
    switch (act) {
    case GRAPH_ACT_GELU:
        return gelu(x);
    case GRAPH_ACT_SIGMOID:
        return sigmoid(x);
    case GRAPH_ACT_TANH:
        return 1.0F - 2.0F / (exponential(2.0F * x) + 1.0F);
    case GRAPH_ACT_NONE:
        break;
    }
    return x;
}

static inline v16f load(const struct operand *o, size_t pixel, size_t c, size_t n)
{
    const size_t at = pixel * o->stride + c;
    if (o->format == FORMAT_F32) {
        return simd_load((const float *)o->data + at, n);
    }
    const uint16_t *hi = (const uint16_t *)o->data + at;
    const v16f v = simd_load_bf16(hi, n);
    return o->format == FORMAT_BF16 ? v : v + simd_load_bf16(hi + o->plane, n);
}

static inline void store(const struct operand *o, size_t pixel, size_t c, v16f v, size_t n)
{
    const size_t at = pixel * o->stride + c;
    if (o->format == FORMAT_F32) {
        simd_store((float *)o->data + at, v, n);
        return;
    }
    uint16_t *out = (uint16_t *)o->data + at;
    const v16h hi = simd_to_bf16(v);
    simd_store_bf16(out, hi, n);
    if (o->format == FORMAT_SPLIT || o->format == FORMAT_PAIR) {
        simd_store_bf16(out + o->plane, simd_to_bf16(v - simd_from_bf16(hi)), n);
    }
    if (o->format == FORMAT_SPLIT) {
        simd_store_bf16(out + 2 * o->plane, hi, n);
    }
}

static inline size_t lanes(size_t c, size_t channels)
{
    return channels - c < SIMD_WIDTH ? channels - c : SIMD_WIDTH;
}

__attribute__((always_inline)) static inline void epilogue_lanes(const struct epilogue *e,
                                                                 enum graph_act act,
                                                                 const struct operand *out,
                                                                 size_t p, size_t c)
{
    const size_t n = lanes(c, e->channels);
    v16f v = simd_load(e->acc + p * e->acc_stride + c, n);
    if (e->bias != NULL) {
        v += simd_load(e->bias + c, n);
    }
    v = apply(act, v);
    for (int i = 0; i < 2; i++) {
        if (e->add[i].data != NULL) {
            v += load(&e->add[i], p, c, n);
        }
    }
    store(out, p, c, v, n);
}

__attribute__((always_inline)) static inline void
epilogue_as(const struct epilogue *e, enum graph_act act, enum format format)
{
    struct operand out = e->out;
    out.format = format;
    for (size_t p = 0; p < e->pixels; p++) {
        for (size_t c = 0; c < e->channels; c += SIMD_WIDTH) {
            epilogue_lanes(e, act, &out, p, c);
        }
    }
}

/* The common cases are compiled apart, so that the inner loop does not choose. */
static void epilogue(const struct epilogue *e)
{
    const enum format f = e->out.format;
    if (e->act == GRAPH_ACT_GELU && f == FORMAT_F32) {
        epilogue_as(e, GRAPH_ACT_GELU, FORMAT_F32);
    } else if (e->act == GRAPH_ACT_GELU && f == FORMAT_BF16) {
        epilogue_as(e, GRAPH_ACT_GELU, FORMAT_BF16);
    } else if (e->act == GRAPH_ACT_GELU && f == FORMAT_SPLIT) {
        epilogue_as(e, GRAPH_ACT_GELU, FORMAT_SPLIT);
    } else if (e->act == GRAPH_ACT_NONE && f == FORMAT_F32) {
        epilogue_as(e, GRAPH_ACT_NONE, FORMAT_F32);
    } else {
        epilogue_as(e, e->act, f);
    }
}

/* The two low-resolution neighbours of a high-resolution place and the second one's weight, for
 * bilinear interpolation with half-pixel centres and clamped edges. */
struct neighbours {
    int32_t first, second;
    float weight;
};

static inline struct neighbours neighbours_of(int32_t at, int32_t factor, int32_t low)
{
    const float src = ((float)at + 0.5F) / (float)factor - 0.5F;
    const float clamped = src < 0.0F ? 0.0F : src;
    const int32_t first = (int32_t)clamped;
    const int32_t second = first + 1 < low ? first + 1 : first;
    return (struct neighbours){first, second, clamped - (float)first};
}

/* The low-resolution values, and their weights, that make up column x; at most six. */
struct taps {
    const float *at[6];
    float weight[6];
    int n;
};

static inline void collect_taps(struct taps *t, const struct expand_row *e, int32_t x)
{
    const int32_t width = e->low_w * e->factor;
    t->n = 0;
    for (int32_t k = 0; k < 3; k++) {
        const int32_t at = x + k - 1;
        if (at < 0 || at >= width) {
            continue;
        }
        const struct neighbours nb = neighbours_of(at, e->factor, e->low_w);
        const float *base = e->taps + (size_t)k * e->channels;
        t->at[t->n] = base + (size_t)nb.first * e->tap_stride;
        t->weight[t->n++] = 1.0F - nb.weight;
        t->at[t->n] = base + (size_t)nb.second * e->tap_stride;
        t->weight[t->n++] = nb.weight;
    }
}

static inline void sum_taps(const struct taps *t, size_t channels, float *out)
{
    for (size_t c = 0; c < channels; c += SIMD_WIDTH) {
        const size_t n = lanes(c, channels);
        v16f v = {0};
        for (int i = 0; i < t->n; i++) {
            v = simd_fma(simd_set(t->weight[i]), simd_load(t->at[i] + c, n), v);
        }
        simd_store(out + c, v, n);
    }
}

static void expand_row(const struct expand_row *e)
{
    const int32_t width = e->low_w * e->factor;
    for (int32_t x = 0; x < width; x++) {
        struct taps taps;
        collect_taps(&taps, e, x);
        sum_taps(&taps, e->channels, e->out + (size_t)x * e->channels);
    }
}

static void add_scaled(float *acc, const float *x, float w, size_t n)
{
    for (size_t i = 0; i < n; i += SIMD_WIDTH) {
        const size_t m = lanes(i, n);
        simd_store(acc + i, simd_fma(simd_set(w), simd_load(x + i, m), simd_load(acc + i, m)), m);
    }
}

/* The lanes from n on become zero. */
static inline v16f keep_lanes(v16f v, size_t n)
{
    for (size_t i = n; i < SIMD_WIDTH; i++) {
        v[i] = 0.0F;
    }
    return v;
}

static inline float mean_of(const float *in, size_t channels)
{
    v16f sum = {0};
    for (size_t c = 0; c < channels; c += SIMD_WIDTH) {
        sum += simd_load(in + c, lanes(c, channels));
    }
    return simd_sum(sum) / (float)channels;
}

static inline float variance_of(const float *in, size_t channels, float mean)
{
    v16f squares = {0};
    for (size_t c = 0; c < channels; c += SIMD_WIDTH) {
        const size_t n = lanes(c, channels);
        const v16f d = keep_lanes(simd_load(in + c, n) - mean, n);
        squares = simd_fma(d, d, squares);
    }
    return simd_sum(squares) / (float)channels;
}

static void layer_norm(const struct norm *n)
{
    for (size_t row = 0; row < n->rows; row++) {
        const float *in = n->in + row * n->channels;
        const float mean = mean_of(in, n->channels);
        const float rstd = 1.0F / sqrtf(variance_of(in, n->channels, mean) + n->eps);
        for (size_t c = 0; c < n->channels; c += SIMD_WIDTH) {
            const size_t m = lanes(c, n->channels);
            const v16f d = (simd_load(in + c, m) - mean) * rstd;
            store(&n->out, row, c,
                  simd_fma(d, simd_load(n->weight + c, m), simd_load(n->bias + c, m)), m);
        }
    }
}

/* values = e^(scale (values - their maximum)); returns their sum. */
static inline float exponentials(float *values, size_t n, float scale)
{
    float largest = values[0];
    for (size_t c = 1; c < n; c++) {
        largest = values[c] > largest ? values[c] : largest;
    }
    v16f total = {0};
    for (size_t c = 0; c < n; c += SIMD_WIDTH) {
        const size_t m = lanes(c, n);
        const v16f e = keep_lanes(exponential((simd_load(values + c, m) - largest) * scale), m);
        total += e;
        simd_store(values + c, e, m);
    }
    return simd_sum(total);
}

static void softmax(float *scores, size_t rows, size_t columns, float scale, struct operand out)
{
    for (size_t row = 0; row < rows; row++) {
        float *at = scores + row * columns;
        const float factor = 1.0F / exponentials(at, columns, scale);
        for (size_t c = 0; c < columns; c += SIMD_WIDTH) {
            const size_t n = lanes(c, columns);
            store(&out, row, c, simd_load(at + c, n) * factor, n);
        }
    }
}

/* The pixel of the 3x3 window at (y, x) under tap k, or -1 outside the image. */
static inline int32_t window_pixel(const struct small_conv *s, int32_t y, int32_t x, int32_t k)
{
    const int32_t yy = y + k / 3 - 1;
    const int32_t xx = x + k % 3 - 1;
    return yy < 0 || yy >= s->h || xx < 0 || xx >= s->w ? -1 : yy * s->w + xx;
}

static inline void from_one_pixel(const struct small_conv *s, int32_t y, int32_t x, float *out)
{
    const size_t channels = (size_t)s->channels;
    float in[9];
    for (int32_t k = 0; k < 9; k++) {
        const int32_t pixel = window_pixel(s, y, x, k);
        in[k] = pixel < 0 ? 0.0F : s->in[pixel];
    }
    for (size_t c = 0; c < channels; c += SIMD_WIDTH) {
        const size_t n = lanes(c, channels);
        v16f v = {0};
        for (size_t k = 0; k < 9; k++) {
            v = simd_fma(simd_set(in[k]), simd_load(s->weight + k * channels + c, n), v);
        }
        simd_store(out + c, v, n);
    }
}

static void conv_from_one(const struct small_conv *s)
{
    float *out = s->out;
    for (int32_t y = s->row0; y < s->row1; y++) {
        for (int32_t x = 0; x < s->w; x++, out += s->channels) {
            from_one_pixel(s, y, x, out);
        }
    }
}

static inline float to_one_pixel(const struct small_conv *s, int32_t y, int32_t x)
{
    const size_t channels = (size_t)s->channels;
    v16f v = {0};
    for (int32_t k = 0; k < 9; k++) {
        const int32_t pixel = window_pixel(s, y, x, k);
        if (pixel < 0) {
            continue;
        }
        const float *in = s->in + (size_t)pixel * channels;
        const float *w = s->weight + (size_t)k * channels;
        for (size_t c = 0; c < channels; c += SIMD_WIDTH) {
            const size_t n = lanes(c, channels);
            v = simd_fma(simd_load(in + c, n), simd_load(w + c, n), v);
        }
    }
    return simd_sum(v) + s->bias;
}

static void conv_to_one(const struct small_conv *s)
{
    float *out = s->out;
    for (int32_t y = s->row0; y < s->row1; y++) {
        for (int32_t x = 0; x < s->w; x++) {
            *out++ = to_one_pixel(s, y, x);
        }
    }
}

static void max_pool(const struct operand *row0, const struct operand *row1, struct operand out,
                     size_t columns, size_t channels)
{
    for (size_t x = 0; x < columns; x++) {
        for (size_t c = 0; c < channels; c += SIMD_WIDTH) {
            const size_t n = lanes(c, channels);
            const v16f top = simd_max(load(row0, 2 * x, c, n), load(row0, 2 * x + 1, c, n));
            const v16f low = simd_max(load(row1, 2 * x, c, n), load(row1, 2 * x + 1, c, n));
            store(&out, x, c, simd_max(top, low), n);
        }
    }
}

static void swiglu(const float *gate, const float *value, size_t rows, size_t channels,
                   struct operand out)
{
    for (size_t row = 0; row < rows; row++) {
        for (size_t c = 0; c < channels; c += SIMD_WIDTH) {
            const size_t n = lanes(c, channels);
            const v16f g = simd_load(gate + row * channels + c, n);
            store(&out, row, c, g * sigmoid(g) * simd_load(value + row * channels + c, n), n);
        }
    }
}

static void load_all(const struct operand *in, size_t pixels, size_t channels, float *out)
{
    for (size_t p = 0; p < pixels; p++) {
        for (size_t c = 0; c < channels; c += SIMD_WIDTH) {
            const size_t n = lanes(c, channels);
            simd_store(out + p * channels + c, load(in, p, c, n), n);
        }
    }
}

const struct kernels KERNELS_TABLE = {
    .name = KERNELS_NAME,
    .epilogue = epilogue,
    .expand_row = expand_row,
    .add_scaled = add_scaled,
    .layer_norm = layer_norm,
    .softmax = softmax,
    .conv_from_one = conv_from_one,
    .conv_to_one = conv_to_one,
    .max_pool = max_pool,
    .swiglu = swiglu,
    .load = load_all,
};
