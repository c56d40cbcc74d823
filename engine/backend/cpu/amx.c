/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/backend/cpu/amx.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#    include <cpuid.h>
#    include <pthread.h>
#    include <sys/syscall.h>
#    include <unistd.h>
#endif

#include "engine/backend/cpu/amx_weights.h"
#include "engine/backend/cpu/bf16.h"
#include "engine/backend/cpu/bf16_kernel.h"
#include "engine/backend/pool.h"

enum { ALIGNMENT = 64 };

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

struct packing {
    const struct amx_weights *weights;
    const struct amx_plain *plain;
};

/* Where input i of a step lies from the first of its column: a tile's row holds a pair of each. */
static size_t place_of(size_t i)
{
    return i / 2 * AMX_DEPTH + i % 2;
}

/* `n` inputs, at most a step's, of a column and a tap. */
static void pack_inputs(const struct packing *p, const float *from, double scale, size_t n,
                        uint16_t *to)
{
    const size_t stride = p->plain->input_stride;
    for (size_t i = 0; i < n; i++) {
        const float x = (float)((double)from[i * stride] * scale);
        const uint16_t hi = bf16_from(x);
        uint16_t *at = to + place_of(i);
        if (p->weights->exact) {
            at[0] = bf16_from(x - bf16_to(hi));
            at[AMX_TILES] = hi;
        } else {
            at[0] = hi;
        }
    }
}

/* `n` inputs of a column and all taps, a step each. */
static void pack_taps(const struct packing *p, const float *from, double scale, size_t n,
                      uint16_t *to)
{
    const struct amx_plain *plain = p->plain;
    const size_t taps = (size_t)plain->taps;
    const size_t step = amx_step_values(p->weights);
    if (p->weights->exact || taps != BF16_KERNEL) {
        for (size_t t = 0; t < taps; t++) {
            pack_inputs(p, from + t * plain->tap_stride, scale, n, to + t * step);
        }
        return;
    }
    for (size_t i = 0; i < n; i++) {
        float x[BF16_KERNEL];
        uint16_t rounded[BF16_KERNEL];
        for (size_t t = 0; t < BF16_KERNEL; t++) {
            x[t] = (float)((double)from[i * plain->input_stride + t * plain->tap_stride] * scale);
        }
        bf16_kernel_round(rounded, x);
        for (size_t t = 0; t < BF16_KERNEL; t++) {
            to[t * step + place_of(i)] = rounded[t];
        }
    }
}

static void pack_block(void *arg, int32_t item, int32_t worker)
{
    const struct packing *p = arg;
    const struct amx_weights *w = p->weights;
    const struct amx_plain *plain = p->plain;
    const int32_t column0 = item % w->blocks_per_group * AMX_COLUMNS;
    const int32_t left = plain->columns - column0;
    const int32_t columns = left < AMX_COLUMNS ? left : AMX_COLUMNS;
    const float *group = plain->values + (size_t)(item / w->blocks_per_group) * plain->group_stride;
    uint16_t *block = w->values + (size_t)item * amx_block_values(w);
    (void)worker;
    /* What is beyond the inputs or the columns must be zero. */
    if (plain->inputs % AMX_DEPTH != 0 || columns < AMX_COLUMNS) {
        memset(block, 0, amx_block_values(w) * sizeof *block);
    }
    for (int32_t i0 = 0; i0 < plain->inputs; i0 += AMX_DEPTH) {
        const int32_t inputs = plain->inputs - i0;
        const size_t n = (size_t)(inputs < AMX_DEPTH ? inputs : AMX_DEPTH);
        const size_t step0 = (size_t)(i0 / AMX_DEPTH) * (size_t)plain->taps;
        const float *first = group + (size_t)i0 * plain->input_stride;
        for (int32_t c = 0; c < columns; c++) {
            const size_t lane = (size_t)c;
            pack_taps(p, first + (size_t)(column0 + c) * plain->column_stride,
                      plain->scale == NULL ? 1.0 : plain->scale[column0 + c], n,
                      block + step0 * amx_step_values(w) + lane / AMX_ROWS * AMX_TILE +
                          lane % AMX_ROWS * 2);
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
    const size_t bytes = (size_t)w->blocks * amx_block_values(w) * sizeof *w->values;
    w->values = aligned_alloc(ALIGNMENT, bytes);
    if (w->values == NULL) {
        free(w);
        return sctd_error(err, SCTD_ENOMEM, "packed weights of %zu bytes", bytes);
    }
    struct packing packing = {.weights = w, .plain = plain};
    if (plain->pool != NULL) {
        pool_run(plain->pool, w->blocks, pack_block, &packing);
    } else {
        for (int32_t b = 0; b < w->blocks; b++) {
            pack_block(&packing, b, 0);
        }
    }
    *ret_weights = w;
    return 0;
}

size_t amx_strip_values(const struct amx_strip *strip)
{
    const size_t pitch = amx_strip_pitch(strip->w);
    const size_t pixels = (size_t)(strip->row1 - strip->row0) * pitch;
    return pixels * amx_round((size_t)strip->channels) * (strip->exact ? 2 : 1);
}

#if defined(__x86_64__)

static bool available;

/* CPUID leaf 7: EDX bit 22 is AMX-BF16, bit 24 AMX-TILE.  Linux gives the tiles' state on request. */
static void find_out(void)
{
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    unsigned d = 0;
    const unsigned needed = (1U << 22) | (1U << 24);
    const bool vectors = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                         __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("fma");
    if (vectors && __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & needed) == needed) {
        available = syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
    }
}

bool amx_is_available(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, find_out);
    return available;
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
