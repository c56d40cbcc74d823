/* SPDX-License-Identifier: Apache-2.0 */
/* Compiled once per instruction set with KERNELS_TABLE naming the table that it defines. */
#include "engine/backend/cpu/kernels.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/backend/cpu/kernels_lanes.h"
#include "engine/backend/cpu/kernels_math.h"

#define ALWAYS_INLINE __attribute__((always_inline)) static inline

extern const struct kernels KERNELS_TABLE;

enum { TO_ONE = 4 }; /* outputs of conv_to_one at a time: sums that do not wait for each other */

static inline size_t lanes(size_t c, size_t channels)
{
    return channels - c < SIMD_WIDTH ? channels - c : SIMD_WIDTH;
}

/* What is known of an epilogue when its inner loop is compiled. */
struct epilogue_kind {
    enum graph_act act;
    enum format format;
    bool adds;
};

ALWAYS_INLINE void epilogue_lanes(const struct epilogue *e, struct epilogue_kind kind, size_t p,
                                  size_t c, size_t n)
{
    v16f v = simd_load(e->acc + p * e->acc_stride + c, n);
    if (e->bias != NULL) {
        v += simd_load(e->bias + c, n);
    }
    v = apply(kind.act, v);
    for (int i = 0; kind.adds && i < 2; i++) {
        if (e->add[i].data != NULL) {
            v += load(&e->add[i], p, c, n);
        }
    }
    struct operand out = e->out;
    out.format = kind.format;
    store(&out, p, c, v, n);
}

ALWAYS_INLINE void epilogue_as(const struct epilogue *of, struct epilogue_kind kind)
{
    const struct epilogue e = *of; /* a copy that no store can change */
    const size_t whole = e.channels / SIMD_WIDTH * SIMD_WIDTH;
    for (size_t p = 0; p < e.pixels; p++) {
        for (size_t c = 0; c < whole; c += SIMD_WIDTH) {
            epilogue_lanes(&e, kind, p, c, SIMD_WIDTH);
        }
        if (whole < e.channels) {
            epilogue_lanes(&e, kind, p, whole, e.channels - whole);
        }
    }
}

ALWAYS_INLINE void epilogue_to(const struct epilogue *e, enum graph_act act, bool adds)
{
    switch (e->out.format) {
    case FORMAT_F32:
        epilogue_as(e, (struct epilogue_kind){act, FORMAT_F32, adds});
        break;
    case FORMAT_BF16:
        epilogue_as(e, (struct epilogue_kind){act, FORMAT_BF16, adds});
        break;
    case FORMAT_SPLIT:
        epilogue_as(e, (struct epilogue_kind){act, FORMAT_SPLIT, adds});
        break;
    case FORMAT_PAIR:
        epilogue_as(e, (struct epilogue_kind){act, FORMAT_PAIR, adds});
        break;
    }
}

/* The common cases are compiled apart, so that the inner loop does not choose. */
static void epilogue(const struct epilogue *e)
{
    const bool adds = e->add[0].data != NULL || e->add[1].data != NULL;
    if (e->act == GRAPH_ACT_GELU && !adds) {
        epilogue_to(e, GRAPH_ACT_GELU, false);
    } else if (e->act == GRAPH_ACT_NONE && !adds) {
        epilogue_to(e, GRAPH_ACT_NONE, false);
    } else if (e->act == GRAPH_ACT_NONE) {
        epilogue_to(e, GRAPH_ACT_NONE, true);
    } else {
        epilogue_as(e, (struct epilogue_kind){e->act, e->out.format, true});
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

ALWAYS_INLINE v16f sum_lanes(const struct taps *t, int32_t taps, size_t at, size_t n)
{
    v16f v = simd_set(t->weight[0]) * simd_load(t->at[0] + at, n);
    for (int32_t i = 1; i < taps; i++) {
        v = simd_fma(simd_set(t->weight[i]), simd_load(t->at[i] + at, n), v);
    }
    return v;
}

ALWAYS_INLINE void sum_taps_of(const struct taps *t, int32_t taps, size_t size, float *out)
{
    size_t i = 0;
    for (; i + SIMD_WIDTH <= size; i += SIMD_WIDTH) {
        simd_store(out + i, sum_lanes(t, taps, i, SIMD_WIDTH), SIMD_WIDTH);
    }
    if (i < size) {
        simd_store(out + i, sum_lanes(t, taps, i, size - i), size - i);
    }
}

/* Six everywhere but at the borders. */
static inline void sum_taps(const struct taps *t, size_t size, float *out)
{
    if (t->n == 6) {
        const struct taps six = *t;
        sum_taps_of(&six, 6, size, out);
    } else {
        sum_taps_of(t, t->n, size, out);
    }
}

/* The values of a low-resolution row, and their weights, that make up column x; zero or six, or four
 * at the borders. */
struct column {
    size_t offset[6];
    float weight[6];
    int32_t n;
};

static inline void column_of(struct column *column, const struct expand_rows *e, int32_t x)
{
    const int32_t width = e->low_w * e->factor;
    column->n = 0;
    for (int32_t k = 0; k < 3; k++) {
        const int32_t at = x + k - 1;
        if (at < 0 || at >= width) {
            continue;
        }
        const struct neighbours nb = neighbours_of(at, e->factor, e->low_w);
        column->offset[column->n] = ((size_t)nb.first * 9 + (size_t)k) * e->channels;
        column->weight[column->n++] = 1.0F - nb.weight;
        column->offset[column->n] = ((size_t)nb.second * 9 + (size_t)k) * e->channels;
        column->weight[column->n++] = nb.weight;
    }
}

static inline void expand_column_of(const struct column *column, const float *row, size_t channels,
                                    float *out)
{
    struct taps t = {.n = column->n};
    for (int32_t i = 0; i < t.n; i++) {
        t.at[i] = row + column->offset[i];
        t.weight[i] = column->weight[i];
    }
    sum_taps(&t, channels, out);
}

enum { COLUMNS = 16 }; /* that are expanded in all rows before the next */

/* Columns x0 and following; where they come from is the same in each row. */
static inline void expand_columns(const struct expand_rows *e, int32_t x0)
{
    struct column column[COLUMNS];
    const int32_t width = e->low_w * e->factor;
    const int32_t n = width - x0 < COLUMNS ? width - x0 : COLUMNS;
    for (int32_t i = 0; i < n; i++) {
        column_of(&column[i], e, x0 + i);
    }
    for (size_t row = 0; row < (size_t)e->rows * 3; row++) {
        const float *in = e->taps + (row / 3 * (size_t)e->low_w * 9 + row % 3 * 3) * e->channels;
        float *out = e->out + (row * (size_t)width + (size_t)x0) * e->channels;
        for (int32_t i = 0; i < n; i++) {
            expand_column_of(&column[i], in, e->channels, out + (size_t)i * e->channels);
        }
    }
}

static void expand_rows(const struct expand_rows *of)
{
    const struct expand_rows e = *of;
    for (int32_t x = 0; x < e.low_w * e.factor; x += COLUMNS) {
        expand_columns(&e, x);
    }
}

/* As many pixels at a time as leave the sums in the first-level cache. */
static void expand_column(const struct taps *t, float *scratch, const struct epilogue *to)
{
    const size_t fitting = 4096 / to->acc_stride;
    const size_t step = fitting == 0 ? 1 : fitting;
    for (size_t p = 0; p < to->pixels; p += step) {
        struct taps part = *t;
        for (int32_t i = 0; i < part.n; i++) {
            part.at[i] += p * to->acc_stride;
        }
        struct epilogue e = *to;
        e.pixels = to->pixels - p < step ? to->pixels - p : step;
        e.acc = scratch;
        e.out = operand_at(to->out, p, 0);
        e.add[0] = operand_at(to->add[0], p, 0);
        e.add[1] = operand_at(to->add[1], p, 0);
        sum_taps(&part, e.pixels * to->acc_stride, scratch);
        epilogue(&e);
    }
}

static void add_scaled(float *acc, const float *x, float w, size_t n)
{
    for (size_t i = 0; i < n; i += SIMD_WIDTH) {
        const size_t m = lanes(i, n);
        simd_store(acc + i, simd_fma(simd_set(w), simd_load(x + i, m), simd_load(acc + i, m)), m);
    }
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
        const v16f d = simd_keep(simd_load(in + c, n) - mean, n);
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

/* Rows of q or k of one head, turned: x cos + [-x2, x1] sin of the halves x1, x2. */
ALWAYS_INLINE void turn_row(const struct head_rows *h, const struct operand *out, size_t row)
{
    const float *x = h->in + row * h->in_stride;
    const float *cos = h->cos + (row - h->prefix) * h->channels;
    const float *sin = h->sin + (row - h->prefix) * h->channels;
    const size_t half = h->channels / 2;
    for (size_t c = 0; c < half; c += SIMD_WIDTH) {
        const size_t n = lanes(c, half);
        const v16f a = simd_load(x + c, n);
        const v16f b = simd_load(x + half + c, n);
        store(out, row, c, a * simd_load(cos + c, n) - b * simd_load(sin + c, n), n);
        store(out, row, half + c,
              b * simd_load(cos + half + c, n) + a * simd_load(sin + half + c, n), n);
    }
}

static void head_rows(const struct head_rows *of)
{
    const struct head_rows h = *of;
    const size_t straight = h.cos == NULL ? h.rows : h.prefix;
    for (size_t row = 0; row < straight; row++) {
        for (size_t c = 0; c < h.channels; c += SIMD_WIDTH) {
            const size_t n = lanes(c, h.channels);
            store(&h.out, row, c, simd_load(h.in + row * h.in_stride + c, n), n);
        }
    }
    for (size_t row = straight; row < h.rows; row++) {
        turn_row(&h, &h.out, row);
    }
}

static inline float largest_of(const float *values, size_t n)
{
    v16f largest = simd_set(values[0]);
    size_t c = 0;
    for (; c + SIMD_WIDTH <= n; c += SIMD_WIDTH) {
        largest = simd_max(largest, simd_load(values + c, SIMD_WIDTH));
    }
    float most = simd_largest(largest);
    for (; c < n; c++) {
        most = values[c] > most ? values[c] : most;
    }
    return most;
}

ALWAYS_INLINE void softmax_as(const struct softmax *of, enum format format)
{
    const struct softmax s = *of;
    struct operand out = s.out;
    out.format = format;
    for (size_t row = 0; row < s.rows; row++) {
        const float *in = s.scores + row * s.columns;
        const float largest = largest_of(in, s.columns);
        v16f total = {0};
        size_t c = 0;
        for (; c + SIMD_WIDTH <= s.columns; c += SIMD_WIDTH) {
            const v16f e = exponential((simd_load(in + c, SIMD_WIDTH) - largest) * s.scale);
            total += e;
            store(&out, row, c, e, SIMD_WIDTH);
        }
        if (c < s.columns) {
            const size_t n = s.columns - c;
            const v16f e = simd_keep(exponential((simd_load(in + c, n) - largest) * s.scale), n);
            total += e;
            store(&out, row, c, e, n);
        }
        s.ret_sums[row] = simd_sum(total);
    }
}

static void softmax(const struct softmax *s)
{
    if (s->out.format == FORMAT_F32) {
        softmax_as(s, FORMAT_F32);
    } else if (s->out.format == FORMAT_BF16) {
        softmax_as(s, FORMAT_BF16);
    } else {
        softmax_as(s, s->out.format);
    }
}

static void divide_rows(const float *in, const float *by, size_t rows, size_t channels,
                        struct operand out)
{
    for (size_t row = 0; row < rows; row++) {
        const float factor = 1.0F / by[row];
        for (size_t c = 0; c < channels; c += SIMD_WIDTH) {
            const size_t n = lanes(c, channels);
            store(&out, row, c, simd_load(in + row * channels + c, n) * factor, n);
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

/* Add one tap's share to `columns` neighbouring outputs. */
ALWAYS_INLINE void to_one_tap(const float *in, const float *weight, size_t channels, size_t columns,
                              v16f v[TO_ONE])
{
    for (size_t c = 0; c < channels; c += SIMD_WIDTH) {
        const size_t n = lanes(c, channels);
        const v16f w = simd_load(weight + c, n);
        for (size_t i = 0; i < columns; i++) {
            v[i] = simd_fma(simd_load(in + i * channels + c, n), w, v[i]);
        }
    }
}

/* `columns` (1, or TO_ONE whose windows lie inside the image) outputs of row y from x on. */
ALWAYS_INLINE void to_one_pixels(const struct small_conv *s, int32_t y, int32_t x, size_t columns,
                                 float *out)
{
    const size_t channels = (size_t)s->channels;
    v16f v[TO_ONE] = {0};
    for (int32_t k = 0; k < 9; k++) {
        const int32_t pixel = window_pixel(s, y, x, k);
        if (pixel >= 0) {
            to_one_tap(s->in + (size_t)pixel * channels, s->weight + (size_t)k * channels, channels,
                       columns, v);
        }
    }
    for (size_t i = 0; i < columns; i++) {
        out[i] = simd_sum(v[i]) + s->bias;
    }
}

static inline void to_one_row(const struct small_conv *s, int32_t y, float *out)
{
    int32_t x = 0;
    while (x < s->w) {
        if (x > 0 && x + TO_ONE < s->w) {
            to_one_pixels(s, y, x, TO_ONE, out + x);
            x += TO_ONE;
        } else {
            to_one_pixels(s, y, x, 1, out + x);
            x++;
        }
    }
}

static void conv_to_one(const struct small_conv *s)
{
    float *out = s->out;
    for (int32_t y = s->row0; y < s->row1; y++, out += s->w) {
        to_one_row(s, y, out);
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
    .expand_rows = expand_rows,
    .expand_column = expand_column,
    .add_scaled = add_scaled,
    .layer_norm = layer_norm,
    .head_rows = head_rows,
    .softmax = softmax,
    .divide_rows = divide_rows,
    .conv_from_one = conv_from_one,
    .conv_to_one = conv_to_one,
    .max_pool = max_pool,
    .swiglu = swiglu,
    .load = load_all,
};
