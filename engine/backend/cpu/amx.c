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

/* A weight where the tiles have it: in a row of a tile are values 2r and 2r + 1 of 16 columns. */
static void pack_value(const struct amx_weights *w, float x, uint16_t *to)
{
    const uint16_t hi = bf16_from(x);
    if (w->exact) {
        to[0] = bf16_from(x - bf16_to(hi));
        to[AMX_TILES] = hi;
    } else {
        to[0] = hi;
    }
}

/* Column `column` of the block at `to`. */
static void pack_column(const struct amx_weights *w, const struct amx_plain *plain,
                        const float *values, size_t column, uint16_t *to)
{
    const double scale = plain->scale == NULL ? 1.0 : plain->scale[column];
    const size_t lane = column % AMX_COLUMNS;
    const size_t in_tile = lane / AMX_ROWS * AMX_TILE + lane % AMX_ROWS * 2;
    const size_t taps = (size_t)plain->taps;
    for (size_t i = 0; i < (size_t)plain->inputs; i++) {
        const size_t value = i % AMX_DEPTH;
        const size_t place = in_tile + value / 2 * AMX_DEPTH + value % 2;
        for (size_t t = 0; t < taps; t++) {
            const float x = values[i * plain->input_stride + t * plain->tap_stride];
            const size_t step = i / AMX_DEPTH * taps + t;
            pack_value(w, (float)((double)x * scale), to + step * amx_step_values(w) + place);
        }
    }
}

/* The columns of one group. */
static void pack_group(const struct amx_weights *w, const struct amx_plain *plain, size_t group)
{
    const float *values = plain->values + group * plain->group_stride;
    const size_t block0 = group * (size_t)w->blocks_per_group;
    for (size_t c = 0; c < (size_t)plain->columns; c++) {
        uint16_t *block = w->values + (block0 + c / AMX_COLUMNS) * amx_block_values(w);
        pack_column(w, plain, values + c * plain->column_stride, c, block);
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
    /* What is beyond the inputs or the columns must be zero. */
    if (plain->inputs % AMX_DEPTH != 0 || plain->columns % AMX_COLUMNS != 0) {
        memset(w->values, 0, bytes);
    }
    for (size_t g = 0; g < (size_t)plain->groups; g++) {
        pack_group(w, plain, g);
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
