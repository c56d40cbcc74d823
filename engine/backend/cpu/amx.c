/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/backend/cpu/amx.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/backend/cpu/bf16.h"

enum {
    ALIGNMENT = 64,
    TILE = AMX_ROWS * AMX_DEPTH, /* values of an operand's tile */
    PAIR_OF_TILES = 2 * TILE,
    SUMS = 2 * AMX_ROWS * AMX_COLUMNS,
};

struct amx_weights {
    int32_t columns, blocks_per_group, blocks, steps;
    bool exact;
    uint16_t *values;
};

static size_t step_values(const struct amx_weights *w)
{
    return w->exact ? 2 * (size_t)PAIR_OF_TILES : (size_t)PAIR_OF_TILES;
}

static size_t block_values(const struct amx_weights *w)
{
    return (size_t)w->steps * step_values(w);
}

int32_t amx_get_steps(const struct amx_weights *weights)
{
    return weights->steps;
}

int32_t amx_get_blocks(const struct amx_weights *weights)
{
    return weights->blocks;
}

void amx_weights_free(struct amx_weights *weights)
{
    if (weights != NULL) {
        free(weights->values);
        free(weights);
    }
}

/* Column `column` of the block at `to`: a tile's row holds values 2r and 2r + 1 of its 16 columns. */
static void pack_column(const struct amx_weights *w, const struct amx_plain *plain,
                        const float *values, int32_t column, uint16_t *to)
{
    const double scale = plain->scale == NULL ? 1.0 : plain->scale[column];
    const size_t lane = (size_t)column % AMX_COLUMNS;
    const size_t in_tile = lane / AMX_ROWS * TILE + lane % AMX_ROWS * 2;
    for (int32_t i = 0; i < plain->inputs; i++) {
        const size_t value = (size_t)i % AMX_DEPTH;
        const size_t place = in_tile + value / 2 * AMX_DEPTH + value % 2;
        const size_t step0 = (size_t)(i / AMX_DEPTH * plain->taps);
        for (int32_t t = 0; t < plain->taps; t++) {
            const size_t from = (size_t)i * plain->input_stride + (size_t)t * plain->tap_stride;
            const float x = (float)((double)values[from] * scale);
            const uint16_t hi = bf16_from(x);
            uint16_t *at = to + (step0 + (size_t)t) * step_values(w) + place;
            if (w->exact) {
                at[0] = bf16_from(x - bf16_to(hi));
                at[PAIR_OF_TILES] = hi;
            } else {
                at[0] = hi;
            }
        }
    }
}

int amx_weights_new(struct amx_weights **ret_weights, const struct amx_plain *plain,
                    struct sctd_error *err)
{
    struct amx_weights *w = calloc(1, sizeof *w);
    if (w == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "packed weights");
    }
    w->columns = plain->columns;
    w->blocks_per_group = (plain->columns + AMX_COLUMNS - 1) / AMX_COLUMNS;
    w->blocks = w->blocks_per_group * plain->groups;
    w->steps = (plain->inputs + AMX_DEPTH - 1) / AMX_DEPTH * plain->taps;
    w->exact = plain->exact;
    const size_t bytes = (size_t)w->blocks * block_values(w) * sizeof *w->values;
    w->values = aligned_alloc(ALIGNMENT, bytes);
    if (w->values == NULL) {
        free(w);
        return sctd_error(err, SCTD_ENOMEM, "packed weights of %zu bytes", bytes);
    }
    /* What is beyond the inputs or the columns must be zero. */
    if (plain->inputs % AMX_DEPTH != 0 || plain->columns % AMX_COLUMNS != 0) {
        memset(w->values, 0, bytes);
    }
    for (int32_t g = 0; g < plain->groups; g++) {
        for (int32_t c = 0; c < plain->columns; c++) {
            const size_t block = (size_t)(g * w->blocks_per_group + c / AMX_COLUMNS);
            pack_column(w, plain,
                        plain->values + (size_t)g * plain->group_stride +
                            (size_t)c * plain->column_stride,
                        c, w->values + block * block_values(w));
        }
    }
    *ret_weights = w;
    return 0;
}

size_t amx_strip_values(const struct amx_strip *s)
{
    const size_t pitch = amx_strip_pitch(s->w);
    const size_t pixels = (size_t)(s->row1 - s->row0) * pitch;
    return pixels * amx_round((size_t)s->channels) * (s->exact ? 2 : 1);
}

#if defined(__x86_64__)

#    include <cpuid.h>
#    include <immintrin.h>
#    include <pthread.h>
#    include <sys/syscall.h>
#    include <unistd.h>

#    define AMX_TARGET __attribute__((target("amx-tile,amx-bf16,avx512f,avx512bw,avx512vl")))

static bool available;

/* Leaf 7: AMX-BF16 is EDX bit 22, AMX-TILE bit 24; XCR0 bits 17 and 18 are the tiles' state. */
static void find_out(void)
{
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    unsigned d = 0;
    const unsigned needed = (1U << 22) | (1U << 24);
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (d & needed) != needed ||
        !__builtin_cpu_supports("avx512bw") || !__builtin_cpu_supports("avx512vl")) {
        return;
    }
    available = syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}

bool amx_is_available(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, find_out);
    return available;
}

/* All eight tiles: sixteen rows of 64 bytes. */
struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};

AMX_TARGET static void configure(void)
{
    struct tile_config c = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        c.row_bytes[i] = AMX_DEPTH * sizeof(uint16_t);
        c.rows[i] = AMX_ROWS;
    }
    _tile_loadconfig(&c);
}

/* tiles 0 to 3 += tiles 4, 5 (rows) x tiles 6, 7 (columns) */
#    define MULTIPLY_TILES()                                                                       \
        do {                                                                                       \
            _tile_dpbf16ps(0, 4, 6);                                                               \
            _tile_dpbf16ps(1, 4, 7);                                                               \
            _tile_dpbf16ps(2, 5, 6);                                                               \
            _tile_dpbf16ps(3, 5, 7);                                                               \
        } while (0)

AMX_TARGET static inline void sum_plain(const struct amx_product *p, const uint16_t *a0,
                                        const uint16_t *a1, const uint16_t *b)
{
    const size_t stride = p->stride * sizeof *a0;
    for (int32_t s = 0; s < p->weights->steps; s++, b += PAIR_OF_TILES) {
        const int32_t at = p->offset[s];
        _tile_loadd(4, a0 + at, stride);
        _tile_loadd(6, b, 64);
        _tile_loadd(7, b + TILE, 64);
        _tile_loadd(5, a1 + at, stride);
        MULTIPLY_TILES();
    }
}

AMX_TARGET static inline void sum_exact(const struct amx_product *p, const uint16_t *a0,
                                        const uint16_t *a1, const uint16_t *b)
{
    const size_t stride = p->stride * sizeof *a0;
    for (int32_t s = 0; s < p->weights->steps; s++, b += 2 * PAIR_OF_TILES) {
        const size_t at = (size_t)p->offset[s];
        _tile_loadd(4, a0 + at, stride);
        _tile_loadd(6, b, 64);
        _tile_loadd(7, b + TILE, 64);
        _tile_loadd(5, a1 + at, stride);
        MULTIPLY_TILES();
        _tile_loadd(6, b + PAIR_OF_TILES, 64);
        _tile_loadd(7, b + PAIR_OF_TILES + TILE, 64);
        MULTIPLY_TILES();
        _tile_loadd(4, a0 + at + p->lo, stride);
        _tile_loadd(5, a1 + at + p->lo, stride);
        MULTIPLY_TILES();
    }
}

AMX_TARGET static void sum_block(const struct amx_product *p, const uint16_t *a0,
                                 const uint16_t *a1, const uint16_t *b, float *const to[2],
                                 size_t to_stride)
{
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    if (p->weights->exact) {
        sum_exact(p, a0, a1, b);
    } else {
        sum_plain(p, a0, a1, b);
    }
    const size_t stride = to_stride * sizeof(float);
    _tile_stored(0, to[0], stride);
    _tile_stored(1, to[0] + AMX_ROWS, stride);
    _tile_stored(2, to[1], stride);
    _tile_stored(3, to[1] + AMX_ROWS, stride);
}

/* The epilogue of one tile's rows; `sums` [16, 32]. */
static void finish(const struct amx_product *p, const struct amx_tile *tile, int32_t block,
                   const float *sums)
{
    struct epilogue e = p->to;
    const size_t c0 = (size_t)(block % p->weights->blocks_per_group) * AMX_COLUMNS;
    const size_t left = (size_t)p->weights->columns - c0;
    e.pixels = tile->rows;
    e.channels = left < AMX_COLUMNS ? left : AMX_COLUMNS;
    e.acc = sums;
    e.acc_stride = AMX_COLUMNS;
    e.bias = e.bias == NULL ? NULL : e.bias + c0;
    e.add[0] = operand_at(e.add[0], tile->pixel, c0);
    e.add[1] = operand_at(e.add[1], tile->pixel, c0);
    e.out = operand_at(e.out, tile->pixel, c0);
    p->kernels->epilogue(&e);
}

AMX_TARGET static void run_block(const struct amx_product *p, int32_t block)
{
    _Alignas(ALIGNMENT) float sums[SUMS];
    const uint16_t *b = p->weights->values + (size_t)block * block_values(p->weights);
    for (size_t t = 0; t < p->n_tiles; t += 2) {
        const struct amx_tile *first = &p->tile[t];
        const struct amx_tile *second = t + 1 < p->n_tiles ? first + 1 : first;
        if (p->sums != NULL) {
            float *column = p->sums + (size_t)(block - p->block0) * AMX_COLUMNS;
            float *const to[2] = {column + first->pixel * p->sums_stride,
                                  column + second->pixel * p->sums_stride};
            sum_block(p, first->at, second->at, b, to, p->sums_stride);
            continue;
        }
        float *const to[2] = {sums, sums + SUMS / 2};
        sum_block(p, first->at, second->at, b, to, AMX_COLUMNS);
        finish(p, first, block, sums);
        if (second != first) {
            finish(p, second, block, sums + SUMS / 2);
        }
    }
}

AMX_TARGET void amx_run(const struct amx_product *product)
{
    configure();
    for (int32_t block = product->block0; block < product->block1; block++) {
        run_block(product, block);
    }
    _tile_release();
}

/* One row of a plane: `from` NULL for zeros. */
AMX_TARGET static void fill_row(const struct amx_strip *s, const uint16_t *from, size_t stride,
                                uint16_t *to, size_t block_stride)
{
    const size_t pitch = amx_strip_pitch(s->w);
    const size_t channels = (size_t)s->channels;
    const size_t width = (size_t)s->w;
    for (size_t c = 0; c < channels; c += AMX_DEPTH, to += block_stride) {
        const size_t n = channels - c < AMX_DEPTH ? channels - c : AMX_DEPTH;
        const __mmask32 mask = (__mmask32)(0xffffffffU >> (AMX_DEPTH - n));
        if (from == NULL) {
            memset(to, 0, pitch * AMX_DEPTH * sizeof *to);
            continue;
        }
        memset(to, 0, AMX_DEPTH * sizeof *to);
        for (size_t x = 0; x < width; x++) {
            _mm512_store_si512(to + (x + 1) * AMX_DEPTH,
                               _mm512_maskz_loadu_epi16(mask, from + x * stride + c));
        }
        memset(to + (width + 1) * AMX_DEPTH, 0, (pitch - width - 1) * AMX_DEPTH * sizeof *to);
    }
}

void amx_fill_strip(const struct amx_strip *s, const struct operand *in, uint16_t *to)
{
    const size_t row = amx_strip_pitch(s->w) * AMX_DEPTH;
    const size_t block = (size_t)(s->row1 - s->row0) * row;
    const size_t plane = amx_round((size_t)s->channels) / AMX_DEPTH * block;
    for (int32_t y = s->row0; y < s->row1; y++, to += row) {
        const bool inside = y >= 0 && y < s->h;
        const size_t at = inside ? (size_t)y * (size_t)s->w * in->stride : 0;
        const uint16_t *from = inside ? (const uint16_t *)in->data + at : NULL;
        fill_row(s, from, in->stride, to, block);
        if (s->exact) {
            fill_row(s, inside ? from + in->plane : NULL, in->stride, to + plane, block);
        }
    }
}

#else

bool amx_is_available(void)
{
    return false;
}

void amx_run(const struct amx_product *product)
{
    (void)product;
}

void amx_fill_strip(const struct amx_strip *strip, const struct operand *in, uint16_t *to)
{
    (void)strip;
    (void)in;
    (void)to;
}

#endif
