/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The merge on tensor cores, in the emulator, against its body with outputs that are not rounded.
 */
#undef NDEBUG
#include <assert.h>
#include <driver_types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/backend/cuda/body.h"
#include "engine/backend/cuda/body_merge.h"
#include "engine/backend/cuda/device/kernels.h"
#include "engine/backend/cuda/value.h"

#include "tests/support/kernel_kit.h"

struct shape {
    size_t pixels;
    int32_t inputs[2], outputs, act, adds;
    bool has_bias;
};

struct started {
    const struct merge_args *args;
    size_t items;
};

static void start(const void *arg)
{
    const struct started *s = arg;
    cudaError_t e = cudaErrorUnknown;
    assert(kernels_start_tensor_merge(s->args, s->items, NULL, &e) == 1);
    assert(e == cudaSuccess);
}

/* Sums of at most some hundred products below 1, in f32 in another order; and GELU's polynomial. */
static const double slack = 4e-6;

static void check_shape(const struct shape *s)
{
    struct kernel_kit kit = {.rng = {5}};
    const size_t outputs = (size_t)s->outputs;
    const size_t inputs = (size_t)s->inputs[0] + (size_t)s->inputs[1];
    const size_t values = s->pixels * outputs;
    struct merge_args a = {.finish = {.act = s->act}};
    struct merge_args exact;
    for (int i = 0; i < 2; i++) {
        void *x = kit_input(&kit, VALUE_F16, s->pixels * (size_t)s->inputs[i], 1.0F);
        a.x[i] = (struct operand){x, VALUE_F16, s->inputs[i]};
    }
    a.weight = kit_input(&kit, VALUE_F16, outputs * inputs, 0.2F);
    a.finish.bias = s->has_bias ? kit_input(&kit, VALUE_F32, outputs, 1.0F) : NULL;
    for (int i = 0; i < s->adds; i++) {
        const int32_t type = i == 0 ? VALUE_F16 : VALUE_F32;
        a.finish.add[i] = (struct operand){kit_input(&kit, type, values, 1.0F), type, s->outputs};
    }
    exact = a;
    a.finish.y = (struct operand){kit_output(&kit, VALUE_F16, values), VALUE_F16, s->outputs};
    exact.finish.y = (struct operand){kit_output(&kit, VALUE_F32, values), VALUE_F32, s->outputs};
    kit_run(start, &(struct started){&a, values / VALUE_LANES}, a.finish.y.data, values * 2);
    for (size_t item = 0; item < values / VALUE_LANES; item++) {
        merge_body(&exact, item);
    }
    for (size_t i = 0; i < values; i++) {
        kit_check(value_load(a.finish.y.data, VALUE_F16, i),
                  (double)value_load(exact.finish.y.data, VALUE_F32, i), slack, VALUE_F16);
    }
    kit_end(&kit);
}

static void the_merge_is_a_product_of_both_maps(void)
{
    /* One less and one more than a block's 128 pixels, its outputs and the 32 inputs that it takes at once. */
    static const struct shape shapes[] = {
        {1, {8, 8}, 8, BODY_NONE, 0, true},         {100, {24, 40}, 32, BODY_GELU, 1, true},
        {127, {64, 64}, 64, BODY_SIGMOID, 2, true}, {128, {72, 72}, 72, BODY_TANH, 0, true},
        {129, {40, 24}, 64, BODY_GELU, 2, false},   {257, {64, 8}, 136, BODY_GELU, 1, true},
        {130, {8, 200}, 264, BODY_NONE, 0, false},  {128, {128, 128}, 128, BODY_GELU, 0, true},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        check_shape(&shapes[i]);
    }
}

static void other_types_are_not_for_it(void)
{
    cudaError_t e = cudaSuccess;
    struct merge_args a = {0};
    a.x[0] = a.x[1] = a.finish.y = (struct operand){NULL, VALUE_F16, 8};
    a.x[1].type = VALUE_F32;
    assert(kernels_start_tensor_merge(&a, 1, NULL, &e) == 0);
    a.x[1].type = VALUE_F16;
    a.finish.y.type = VALUE_BF16;
    assert(kernels_start_tensor_merge(&a, 1, NULL, &e) == 0);
}

int main(void)
{
    the_merge_is_a_product_of_both_maps();
    other_types_are_not_for_it();
    return 0;
}
