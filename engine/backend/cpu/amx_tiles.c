/* SPDX-License-Identifier: Apache-2.0 */
/* Compiled for AMX, and run only where amx_is_available. */
#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/backend/cpu/amx_weights.h"
#include "engine/backend/cpu/kernels_lanes.h"

#define ALWAYS_INLINE __attribute__((always_inline)) static inline

enum {
    ALIGNMENT = 64,
    SUMS = AMX_ROWS * AMX_COLUMNS, /* that a tile of rows and a block of columns give */
    AHEAD_BYTES = 2048,            /* that are fetched before they are read */
    PANEL_BYTES = 800 * 1024,      /* of weights that stay in the second-level cache */
};

/* All eight tiles: sixteen rows of 64 bytes. */
struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};

static void configure(void)
{
    struct tile_config c = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        c.row_bytes[i] = AMX_DEPTH * sizeof(uint16_t);
        c.rows[i] = AMX_ROWS;
    }
    _tile_loadconfig(&c);
}

/* What a layer's epilogue is compiled for; everything else goes to kernels->epilogue. */
struct kind {
    bool exact;
    bool inline_epilogue; /* whole blocks, GELU or no activation */
    bool gelu;
    enum format format; /* of the output */
};

/* One tile of rows of finished sums. */
struct part {
    const float *sums; /* [16, 32] */
    size_t rows;
    struct operand out, add[2]; /* at the tile's first row and the block's first column */
};

/* The last two tiles' sums, whose epilogue is done between the next ones' products: the two use
 * different parts of a core. */
struct pending {
    struct part part[2];
    const float *bias; /* [32] */
    bool adds;
};

ALWAYS_INLINE v16f add_operands(v16f v, const struct part *t, size_t row, size_t c)
{
    for (int i = 0; i < 2; i++) {
        if (t->add[i].data != NULL) {
            v += load(&t->add[i], row, c, SIMD_WIDTH);
        }
    }
    return v;
}

ALWAYS_INLINE void finish_row(const struct part *t, const float *bias, bool adds, size_t row,
                              struct kind kind)
{
    struct operand out = t->out;
    out.format = kind.format;
    for (size_t c = 0; c < AMX_COLUMNS; c += SIMD_WIDTH) {
        v16f v = simd_load(t->sums + row * AMX_COLUMNS + c, SIMD_WIDTH) +
                 simd_load(bias + c, SIMD_WIDTH);
        v = kind.gelu ? gelu(v) : v;
        v = adds ? add_operands(v, t, row, c) : v;
        store(&out, row, c, v, SIMD_WIDTH);
    }
}

/* Row `row` of both tiles. */
ALWAYS_INLINE void finish_rows(const struct pending *q, size_t row, struct kind kind)
{
    if (row < q->part[0].rows) {
        finish_row(&q->part[0], q->bias, q->adds, row, kind);
    }
    if (row < q->part[1].rows) {
        finish_row(&q->part[1], q->bias, q->adds, row, kind);
    }
}

/* tiles 0 to 3 += tiles 4, 5 (rows) x tiles 6, 7 (columns) */
ALWAYS_INLINE void multiply_tiles(void)
{
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
}

/* The weights are loaded past the first-level cache's order of use: the rows, which are used again,
 * stay there. */
ALWAYS_INLINE void load_columns(const uint16_t *b)
{
    _tile_stream_loadd(6, b, 64);
    _tile_stream_loadd(7, b + AMX_TILE, 64);
}

/* One step: 32 terms of two tiles' sums. */
ALWAYS_INLINE void add_step(const uint16_t *const a[2], int32_t offset, size_t lo, size_t stride,
                            const uint16_t *b, struct kind kind)
{
    _tile_loadd(4, a[0] + offset, stride);
    load_columns(b);
    _tile_loadd(5, a[1] + offset, stride);
    multiply_tiles();
    if (kind.exact) {
        load_columns(b + AMX_TILES);
        multiply_tiles();
        _tile_loadd(4, a[0] + offset + lo, stride);
        _tile_loadd(5, a[1] + offset + lo, stride);
        multiply_tiles();
    }
}

/* Two tiles of rows times a block of columns, added to tiles 0 to 3; and all that is pending. */
ALWAYS_INLINE void sum_block(const struct amx_product *p, const uint16_t *const a[2],
                             const uint16_t *b, const struct pending *last, struct kind kind)
{
    const struct pending q = *last;
    const size_t stride = p->stride * sizeof **a;
    const size_t steps = (size_t)(p->step1 - p->step0);
    const int32_t *offset = p->offset + p->step0;
    const size_t rows_per_step = (AMX_ROWS + steps - 1) / steps;
    size_t row = 0;
    for (size_t s = 0; s < steps; s++) {
        add_step(a, offset[s], p->lo, stride, b, kind);
        b += kind.exact ? 2 * AMX_TILES : AMX_TILES;
        for (size_t i = 0; kind.inline_epilogue && i < rows_per_step && row < AMX_ROWS; i++) {
            finish_rows(&q, row++, kind);
        }
    }
}

static void load_sums(const float *first, const float *second, size_t stride)
{
    _tile_loadd(0, first, stride * sizeof *first);
    _tile_loadd(1, first + AMX_ROWS, stride * sizeof *first);
    _tile_loadd(2, second, stride * sizeof *first);
    _tile_loadd(3, second + AMX_ROWS, stride * sizeof *first);
}

static void store_sums(float *first, float *second, size_t stride)
{
    _tile_stored(0, first, stride * sizeof *first);
    _tile_stored(1, first + AMX_ROWS, stride * sizeof *first);
    _tile_stored(2, second, stride * sizeof *first);
    _tile_stored(3, second + AMX_ROWS, stride * sizeof *first);
}

/* The epilogue of one tile's rows by whatever kernels there are. */
static void finish_tile(const struct amx_product *p, const struct part *t, int32_t block)
{
    const size_t c0 = (size_t)(block % p->weights->blocks_per_group) * AMX_COLUMNS;
    const size_t left = (size_t)p->weights->columns - c0;
    const struct epilogue e = {.pixels = t->rows,
                               .channels = left < AMX_COLUMNS ? left : AMX_COLUMNS,
                               .acc = t->sums,
                               .acc_stride = AMX_COLUMNS,
                               .bias = p->to.bias == NULL ? NULL : p->to.bias + c0,
                               .act = p->to.act,
                               .add = {t->add[0], t->add[1]},
                               .out = t->out};
    p->kernels->epilogue(&e);
}

static struct part part_of(const struct amx_product *p, const struct amx_tile *tile, int32_t block,
                           const float *sums)
{
    const size_t c0 = (size_t)(block % p->weights->blocks_per_group) * AMX_COLUMNS;
    return (struct part){.sums = sums,
                         .rows = tile->rows,
                         .out = operand_at(p->to.out, tile->pixel, c0),
                         .add = {operand_at(p->to.add[0], tile->pixel, c0),
                                 operand_at(p->to.add[1], tile->pixel, c0)}};
}

/* Where a run stands. */
struct run {
    const struct amx_product *product;
    struct pending pending;
    float *sums; /* [2 * SUMS] those pending */
};

static const float no_bias[AMX_COLUMNS];

/* Tiles t and, if there is one, t + 1 of one block. */
ALWAYS_INLINE void run_tiles(struct run *run, int32_t block, size_t t, struct kind kind)
{
    const struct amx_product *p = run->product;
    const bool two = t + 1 < p->n_tiles;
    const struct amx_tile *first = &p->tile[t];
    const struct amx_tile *second = two ? first + 1 : first;
    const uint16_t *const a[2] = {first->at, second->at};
    const uint16_t *b = p->weights->values + (size_t)block * amx_block_values(p->weights) +
                        (size_t)p->step0 * amx_step_values(p->weights);
    const size_t column = (size_t)(block - p->block0) * AMX_COLUMNS;
    const size_t at[2] = {first->pixel * p->sums_stride + column,
                          second->pixel * p->sums_stride + column};
    if (p->from != NULL) {
        load_sums(p->from + at[0], p->from + at[1], p->sums_stride);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
    sum_block(p, a, b, &run->pending, kind);
    if (p->sums != NULL) {
        store_sums(p->sums + at[0], p->sums + at[1], p->sums_stride);
        return;
    }
    store_sums(run->sums, run->sums + SUMS, AMX_COLUMNS);
    const struct part parts[2] = {part_of(p, first, block, run->sums),
                                  part_of(p, second, block, run->sums + SUMS)};
    if (!kind.inline_epilogue) {
        finish_tile(p, &parts[0], block);
        if (two) {
            finish_tile(p, &parts[1], block);
        }
        return;
    }
    const size_t c0 = (size_t)(block % p->weights->blocks_per_group) * AMX_COLUMNS;
    run->pending.part[0] = parts[0];
    run->pending.part[1] = parts[1];
    run->pending.part[1].rows = two ? second->rows : 0;
    run->pending.bias = p->to.bias == NULL ? no_bias : p->to.bias + c0;
}

/* Blocks of columns whose weights stay in a cache while the rows go by. */
static int32_t blocks_of_panel(const struct amx_product *p)
{
    const size_t steps = (size_t)(p->step1 - p->step0);
    const size_t bytes = steps * amx_step_values(p->weights) * sizeof(uint16_t);
    return bytes < PANEL_BYTES ? (int32_t)(PANEL_BYTES / bytes) : 1;
}

/* All tiles of blocks block0 ... block1 - 1. */
ALWAYS_INLINE void run_panel(struct run *run, int32_t block0, int32_t block1, struct kind kind)
{
    for (size_t t = 0; t < run->product->n_tiles; t += 2) {
        for (int32_t block = block0; block < block1; block++) {
            run_tiles(run, block, t, kind);
        }
    }
}

ALWAYS_INLINE void run_all(const struct amx_product *p, struct kind kind)
{
    _Alignas(ALIGNMENT) float sums[2 * SUMS];
    struct run run = {.product = p, .sums = sums};
    run.pending.adds = p->to.add[0].data != NULL || p->to.add[1].data != NULL;
    const int32_t panel = blocks_of_panel(p);
    for (int32_t block = p->block0; block < p->block1; block += panel) {
        run_panel(&run, block, block + panel < p->block1 ? block + panel : p->block1, kind);
    }
    for (size_t row = 0; kind.inline_epilogue && row < AMX_ROWS; row++) {
        finish_rows(&run.pending, row, kind);
    }
}

/* One function for each kind, so that no inner loop chooses. */
#define KIND(name, ...)                                                                            \
    static void run_plain_##name(const struct amx_product *p)                                      \
    {                                                                                              \
        run_all(p, (struct kind){false, __VA_ARGS__});                                             \
    }                                                                                              \
    static void run_exact_##name(const struct amx_product *p)                                      \
    {                                                                                              \
        run_all(p, (struct kind){true, __VA_ARGS__});                                              \
    }

KIND(other, false, false, FORMAT_F32)
KIND(f32, true, false, FORMAT_F32)
KIND(bf16, true, false, FORMAT_BF16)
KIND(pair, true, false, FORMAT_PAIR)
KIND(gelu_f32, true, true, FORMAT_F32)
KIND(gelu_bf16, true, true, FORMAT_BF16)
KIND(gelu_pair, true, true, FORMAT_PAIR)

typedef void (*run_fn)(const struct amx_product *p);

static run_fn choose(const struct amx_product *p)
{
    static const struct {
        enum graph_act act;
        enum format format;
        run_fn run[2]; /* plain, exact */
    } kinds[] = {
        {GRAPH_ACT_NONE, FORMAT_F32, {run_plain_f32, run_exact_f32}},
        {GRAPH_ACT_NONE, FORMAT_BF16, {run_plain_bf16, run_exact_bf16}},
        {GRAPH_ACT_NONE, FORMAT_PAIR, {run_plain_pair, run_exact_pair}},
        {GRAPH_ACT_GELU, FORMAT_F32, {run_plain_gelu_f32, run_exact_gelu_f32}},
        {GRAPH_ACT_GELU, FORMAT_BF16, {run_plain_gelu_bf16, run_exact_gelu_bf16}},
        {GRAPH_ACT_GELU, FORMAT_PAIR, {run_plain_gelu_pair, run_exact_gelu_pair}},
    };
    const int exact = p->weights->exact ? 1 : 0;
    const bool whole = p->weights->columns % AMX_COLUMNS == 0;
    for (size_t i = 0; whole && p->sums == NULL && i < sizeof kinds / sizeof kinds[0]; i++) {
        if (kinds[i].act == p->to.act && kinds[i].format == p->to.out.format) {
            return kinds[i].run[exact];
        }
    }
    return exact != 0 ? run_exact_other : run_plain_other;
}

void amx_run(const struct amx_product *product)
{
    configure();
    choose(product)(product);
    _tile_release();
}

/* The zeros before, after or instead of a row of a plane. */
static void clear_row(const struct amx_strip *s, uint16_t *to, size_t block_stride, size_t x0)
{
    const size_t pitch = amx_strip_pitch(s->w);
    for (size_t c = 0; c < (size_t)s->channels; c += AMX_DEPTH, to += block_stride) {
        memset(to, 0, AMX_DEPTH * sizeof *to);
        memset(to + x0 * AMX_DEPTH, 0, (pitch - x0) * AMX_DEPTH * sizeof *to);
    }
}

/* A row of a plane, in the order in which it lies in memory. */
static void fill_row(const struct amx_strip *s, const uint16_t *from, size_t stride, uint16_t *to,
                     size_t block_stride)
{
    const size_t channels = (size_t)s->channels;
    const size_t whole = channels / AMX_DEPTH * AMX_DEPTH;
    const __mmask32 rest = (__mmask32)((1U << (channels - whole)) - 1U);
    for (size_t x = 0; x < (size_t)s->w; x++, from += stride) {
        uint16_t *at = to + (x + 1) * AMX_DEPTH;
        size_t c = 0;
        for (; c < whole; c += AMX_DEPTH, at += block_stride) {
            _mm_prefetch((const char *)(from + c) + AHEAD_BYTES, _MM_HINT_T0);
            _mm512_store_si512(at, _mm512_loadu_si512(from + c));
        }
        if (rest != 0) {
            _mm512_store_si512(at, _mm512_maskz_loadu_epi16(rest, from + c));
        }
    }
}

/* One plane of the strip. */
static void fill_plane(const struct amx_strip *s, const uint16_t *in, size_t stride, uint16_t *to)
{
    const size_t row = amx_strip_pitch(s->w) * AMX_DEPTH;
    const size_t block = (size_t)(s->row1 - s->row0) * row;
    for (int32_t y = s->row0; y < s->row1; y++, to += row) {
        const bool inside = y >= 0 && y < s->h;
        clear_row(s, to, block, inside ? (size_t)s->w + 1 : 0);
        if (inside) {
            fill_row(s, in + (size_t)y * (size_t)s->w * stride, stride, to, block);
        }
    }
}

void amx_fill_strip(const struct amx_strip *strip, const struct operand *in, uint16_t *to)
{
    const uint16_t *values = in->data;
    fill_plane(strip, values, in->stride, to);
    if (strip->exact) {
        fill_plane(strip, values + in->plane, in->stride, to + amx_strip_values(strip) / 2);
    }
}
