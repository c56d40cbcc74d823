/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/cuda_host_step.h"

#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/bind.h"
#include "engine/backend/cuda/body.h"
#include "engine/backend/cuda/body_expand.h"
#include "engine/backend/cuda/body_merge.h"
#include "engine/backend/cuda/body_vit.h"
#include "engine/backend/cuda/program.h"
#include "engine/backend/cuda/value.h"

enum { MAX_WIDTH = 256 };

/* Each product's operand as the precision has it. */
static float operand_value(const void *data, int32_t type, size_t at, enum backend_precision p)
{
    const float v = value_load(data, type, at);
    /* What is f32 is rounded to tf32, 10 bits of mantissa, unless fp32 was asked for. */
    return type == VALUE_F32 && p != BACKEND_FP32
               ? value_of_bits((value_bits(v) + 0x1000U) & 0xffffe000U)
               : v;
}

float *cuda_host_take_values(const void *data, int32_t type, size_t n, enum backend_precision p)
{
    float *values = calloc(n + 1, sizeof *values);
    assert(values != NULL);
    for (size_t i = 0; i < n; i++) {
        values[i] = operand_value(data, type, i, p);
    }
    return values;
}

static float dot(const float *a, const float *b, size_t n)
{
    float part[VALUE_LANES] = {0.0F};
    for (size_t i = 0; i < n; i += VALUE_LANES) {
        for (size_t k = 0; k < VALUE_LANES; k++) {
            part[k] += a[i + k] * b[i + k];
        }
    }
    return ((part[0] + part[4]) + (part[1] + part[5])) +
           ((part[2] + part[6]) + (part[3] + part[7]));
}

/* One output of a convolution or product before its epilogue. */
static float product_at(const struct product_args *a, const float *x, const float *weight,
                        size_t pixel, size_t o)
{
    const int32_t taps = a->kernel * a->kernel;
    const size_t stride = (size_t)a->x.stride;
    const size_t slice0 = pixel / (size_t)a->w / (size_t)a->h * (size_t)a->h;
    const int32_t row = (int32_t)(pixel / (size_t)a->w % (size_t)a->h);
    const int32_t column = (int32_t)(pixel % (size_t)a->w);
    float sum = 0.0F;
    for (int32_t tap = 0; tap < taps; tap++) {
        const int32_t r = row + tap / a->kernel - a->kernel / 2;
        const int32_t c = column + tap % a->kernel - a->kernel / 2;
        if (r >= 0 && r < a->h && c >= 0 && c < a->w) {
            const size_t from = ((slice0 + (size_t)r) * (size_t)a->w + (size_t)c) * stride;
            sum += dot(x + from, weight + (o * (size_t)taps + (size_t)tap) * stride, stride);
        }
    }
    return sum;
}

/* Eight outputs of a pixel before what finish_lanes does to them; LINEAR's bias is of y's type. */
static struct lanes product_lanes(const struct product_args *a, const float *x_weight[2],
                                  size_t pixel, size_t channel, bool linear)
{
    struct lanes v = {{0.0F}};
    for (size_t i = 0; i < VALUE_LANES; i++) {
        v.v[i] = product_at(a, x_weight[0], x_weight[1], pixel, channel + i);
        if (linear && a->finish.bias != NULL) {
            v.v[i] += value_load(a->finish.bias, a->finish.y.type, channel + i);
        }
    }
    return v;
}

static void run_product(const struct product_args *a, enum step_kind kind, enum backend_precision p)
{
    const size_t pixels = (size_t)a->slices * (size_t)a->h * (size_t)a->w;
    const size_t outputs = (size_t)a->finish.y.stride;
    const size_t taps = (size_t)a->kernel * (size_t)a->kernel;
    float *x = cuda_host_take_values(a->x.data, a->x.type, pixels * (size_t)a->x.stride, p);
    float *weight =
        cuda_host_take_values(a->weight, a->x.type, outputs * taps * (size_t)a->x.stride, p);
    struct finish_args finish = a->finish;
    finish.bias = kind == STEP_LINEAR ? NULL : a->finish.bias;
    for (size_t item = 0; item < pixels * outputs / VALUE_LANES; item++) {
        const size_t pixel = item / (outputs / VALUE_LANES);
        const size_t channel = item % (outputs / VALUE_LANES) * VALUE_LANES;
        const struct lanes v =
            product_lanes(a, (const float *[]){x, weight}, pixel, channel, kind == STEP_LINEAR);
        const struct lanes y = finish_lanes(&finish, v, pixel, channel);
        lanes_store(finish.y.data, finish.y.type, pixel * outputs + channel, &y);
    }
    free(x);
    free(weight);
}

static void run_norm(const struct norm_args *a, size_t item)
{
    float mean_rate[2] = {0.0F, 0.0F};
    float squares = 0.0F;
    enum { LANES = 32 };
    for (int32_t lane = 0; lane < LANES; lane++) {
        mean_rate[0] += norm_sum(a, item, lane, LANES);
    }
    mean_rate[0] /= (float)a->c;
    for (int32_t lane = 0; lane < LANES; lane++) {
        squares += norm_square_sum(a, item, mean_rate[0], lane, LANES);
    }
    mean_rate[1] = norm_rate(a, squares);
    for (int32_t lane = 0; lane < LANES; lane++) {
        norm_write(a, item, mean_rate, lane, LANES);
    }
}

static void run_attention(const struct attention_args *a, size_t item)
{
    enum { LANES = 32 };
    static float mix[LANES][MAX_WIDTH / LANES];
    struct attention_state state[LANES];
    const struct attention_at at = attention_place(a, item);
    const float scale = 1.0F / sqrtf((float)a->width);
    memset(mix, 0, sizeof mix);
    for (int32_t lane = 0; lane < LANES; lane++) {
        state[lane] = (struct attention_state){-HUGE_VALF, 0.0F};
    }
    for (int32_t key = 0; key < a->tokens; key++) {
        float score = 0.0F;
        for (int32_t lane = 0; lane < LANES; lane++) {
            score += attention_part(a, &at, key, lane, LANES);
        }
        for (int32_t lane = 0; lane < LANES; lane++) {
            const struct attention_score scored = {key, score * scale};
            attention_take(a, &at, &state[lane], mix[lane], scored, (const int32_t[]){lane, LANES});
        }
    }
    for (int32_t lane = 0; lane < LANES; lane++) {
        attention_write(a, &at, &state[lane], mix[lane], lane, LANES);
    }
}

static void run_mean(const struct mean_args *a, size_t item)
{
    enum { PARTS = 32 };
    struct lanes sum = {{0.0F}};
    for (int32_t part = 0; part < PARTS; part++) {
        const struct lanes one = mean_part(a, item, part, PARTS);
        for (int i = 0; i < VALUE_LANES; i++) {
            sum.v[i] += one.v[i];
        }
    }
    mean_write(a, item, &sum);
}

static void run_item(enum step_kind kind, const union step_args *a, size_t item)
{
    switch (kind) {
    case STEP_CONVERT:
        convert_body(&a->convert, item);
        break;
    case STEP_FIRST_CONV:
        first_conv_body(&a->first_conv, item);
        break;
    case STEP_MERGE:
        merge_body(&a->merge, item);
        break;
    case STEP_LAST_CONV:
        last_conv_body(&a->last_conv, item);
        break;
    case STEP_ACT:
        finish_body(&a->finish, item);
        break;
    case STEP_PATCHIFY:
        patchify_body(&a->patchify, item);
        break;
    case STEP_TOKENS:
        tokens_body(&a->tokens, item);
        break;
    case STEP_NORM:
        run_norm(&a->norm, item);
        break;
    case STEP_ROPE:
        rope_body(&a->rope, item);
        break;
    case STEP_ATTENTION:
        run_attention(&a->attention, item);
        break;
    case STEP_SWIGLU:
        swiglu_body(&a->join, item);
        break;
    case STEP_MAX_POOL:
        pool_body(&a->pool, item);
        break;
    case STEP_UPSAMPLE:
        upsample_body(&a->upsample, item);
        break;
    case STEP_EXPAND:
        expand_body(&a->expand, item);
        break;
    case STEP_ADD:
        add_body(&a->join, item);
        break;
    case STEP_MEAN:
        run_mean(&a->mean, item);
        break;
    case STEP_GATE:
        gate_body(&a->join, item);
        break;
    case STEP_SCALE_ADD:
        scale_add_body(&a->join, item);
        break;
    case STEP_CONV:
    case STEP_LINEAR:
    case STEP_KINDS:
        abort(); /* they have none */
    }
}

void cuda_host_run_step(enum step_kind kind, const union step_args *args, size_t items,
                        enum backend_precision p)
{
    if (kind == STEP_CONV || kind == STEP_LINEAR) {
        run_product(&args->product, kind, p);
        return;
    }
    for (size_t item = 0; item < items; item++) {
        run_item(kind, args, item);
    }
}
