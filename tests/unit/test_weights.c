/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/backend/cpu/bf16.h"
#include "engine/backend/cpu/bf16_kernel.h"
#include "engine/backend/cpu/steps.h"
#include "engine/base/error.h"
#include "engine/base/rng.h"

/* More rows than a piece of the work has. */
enum { ROWS = 37, INPUTS = 3, TAPS = BF16_KERNEL, ROW = INPUTS * TAPS, WEIGHTS = ROWS * ROW };

struct sample {
    float weight[WEIGHTS];
    float scaled[WEIGHTS]; /* what the product is of */
    double scale[ROWS];
    struct graph_op op;
};

static void sample_init(struct sample *s)
{
    struct sctd_rng rng = {7};
    for (size_t row = 0; row < ROWS; row++) {
        s->scale[row] = 0.5 + (double)sctd_rng_uniform(&rng);
        for (size_t i = row * ROW; i < (row + 1) * ROW; i++) {
            s->weight[i] = 2.0F * sctd_rng_uniform(&rng) - 1.0F;
            s->scaled[i] = (float)((double)s->weight[i] * s->scale[row]);
        }
    }
    s->op = (struct graph_op){.kind = GRAPH_CONV, .weight = s->weight, .scale = s->scale};
}

/* As [ROWS, ROW / taps, taps]; the caller frees it. */
static void *fill(const struct sample *s, int32_t taps, enum format format)
{
    const struct weight_shape shape = {
        .rows = ROWS, .inputs = ROW / taps, .taps = taps, .format = format};
    struct sctd_error err = {0};
    void *plain = NULL;
    assert(steps_plain_weights(&plain, &s->op, &shape, &err) == 0);
    return plain;
}

static void f32_weights_are_scaled(const struct sample *s)
{
    float *plain = fill(s, TAPS, FORMAT_F32);
    for (size_t i = 0; i < WEIGHTS; i++) {
        assert(!(plain[i] < s->scaled[i]) && !(plain[i] > s->scaled[i]));
    }
    free(plain);
}

static void bf16_weights_of_a_3x3_kernel_are_rounded_together(const struct sample *s)
{
    uint16_t *plain = fill(s, TAPS, FORMAT_BF16);
    size_t turned = 0;
    for (size_t k = 0; k < WEIGHTS; k += TAPS) {
        uint16_t expected[TAPS];
        bf16_kernel_round(expected, s->scaled + k);
        assert(memcmp(plain + k, expected, sizeof expected) == 0);
        turned += expected[0] != bf16_from(s->scaled[k]);
    }
    assert(turned > 0);
    free(plain);
}

static void other_bf16_weights_are_rounded_to_nearest(const struct sample *s)
{
    uint16_t *plain = fill(s, 1, FORMAT_BF16);
    for (size_t i = 0; i < WEIGHTS; i++) {
        assert(plain[i] == bf16_from(s->scaled[i]));
    }
    free(plain);
}

static void split_weights_are_twice_their_hi_part_and_the_rest(const struct sample *s)
{
    uint16_t *plain = fill(s, TAPS, FORMAT_SPLIT);
    for (size_t i = 0; i < WEIGHTS; i++) {
        const uint16_t *row = plain + i / ROW * (size_t)(3 * ROW);
        const uint16_t hi = bf16_from(s->scaled[i]);
        assert(row[i % ROW] == hi && row[ROW + i % ROW] == hi);
        assert(row[(size_t)(2 * ROW) + i % ROW] == bf16_from(s->scaled[i] - bf16_to(hi)));
    }
    free(plain);
}

int main(void)
{
    static struct sample sample;
    sample_init(&sample);
    f32_weights_are_scaled(&sample);
    bf16_weights_of_a_3x3_kernel_are_rounded_together(&sample);
    other_bf16_weights_are_rounded_to_nearest(&sample);
    split_weights_are_twice_their_hi_part_and_the_rest(&sample);
    return 0;
}
