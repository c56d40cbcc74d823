/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The convolution of 64 channels, in the emulator, against the slow one's body with outputs that are not rounded.
 */
#undef NDEBUG
#include <assert.h>
#include <driver_types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/backend/cuda/bind.h"
#include "engine/backend/cuda/body.h"
#include "engine/backend/cuda/device/kernels.h"
#include "engine/backend/cuda/emulator/emulator.h"
#include "engine/backend/cuda/value.h"

#include "tests/support/kernel_kit.h"

enum { CHANNELS = 64, TAPS = 9, FIRST_ADD = 1, SECOND_ADD = 2 };

struct shape {
    int32_t slices, h, w, outputs, act;
    int adds; /* FIRST_ADD and SECOND_ADD */
    bool has_bias;
    int multiprocessors;
};

static void start(const void *arg)
{
    cudaError_t e = cudaErrorUnknown;
    assert(kernels_start_conv64(arg, NULL, &e) == 1);
    assert(e == cudaSuccess);
}

/* Sums of 576 products, in f32 in another order; and GELU's polynomial. */
static const double slack = 4e-6;

static void check_outputs(const struct product_args *args, void *exact, size_t values)
{
    struct plain_conv_args a = {args->x, args->weight, args->finish,
                                args->h, args->w,      args->kernel};
    a.finish.y.data = exact;
    a.finish.y.type = VALUE_F32;
    for (size_t item = 0; item < values / VALUE_LANES; item++) {
        plain_conv_body(&a, item);
    }
    for (size_t i = 0; i < values; i++) {
        kit_check(value_load(args->finish.y.data, VALUE_F16, i),
                  (double)value_load(exact, VALUE_F32, i), slack, VALUE_F16);
    }
}

static void check_shape(const struct shape *s)
{
    struct kernel_kit kit = {.rng = {3}};
    const size_t outputs = (size_t)s->outputs;
    const size_t pixels = (size_t)s->slices * (size_t)s->h * (size_t)s->w;
    const size_t values = pixels * outputs;
    struct product_args a = {.slices = s->slices, .h = s->h, .w = s->w, .kernel = 3};
    a.x =
        (struct operand){kit_input(&kit, VALUE_F16, pixels * CHANNELS, 1.0F), VALUE_F16, CHANNELS};
    a.weight = kit_input(&kit, VALUE_F16, outputs * TAPS * CHANNELS, 0.15F);
    a.finish.bias = s->has_bias ? kit_input(&kit, VALUE_F32, outputs, 1.0F) : NULL;
    a.finish.act = s->act;
    for (int i = 0; i < 2; i++) {
        if ((s->adds >> i & 1) != 0) {
            void *add = kit_input(&kit, VALUE_F16, values, 1.0F);
            a.finish.add[i] = (struct operand){add, VALUE_F16, s->outputs};
        }
    }
    a.finish.y = (struct operand){kit_output(&kit, VALUE_F16, values), VALUE_F16, s->outputs};
    void *exact = kit_output(&kit, VALUE_F32, values);
    emulator_set_multiprocessors(s->multiprocessors);
    assert(kernels_have_conv64(&a));
    kit_run(start, &a, a.finish.y.data, values * 2);
    check_outputs(&a, exact, values);
    kit_end(&kit);
}

static void the_convolution_is_one(void)
{
    /*
     * One pixel less and more than a column's 128; few rows for a block, and many, which go round the ring; a block
     * whose rows end a column and begin the next; fewer, as many and more than 64 outputs.
     */
    static const struct shape shapes[] = {
        {1, 33, 20, 64, BODY_NONE, FIRST_ADD | SECOND_ADD, true, 1},
        {5, 3, 20, 80, BODY_GELU, FIRST_ADD | SECOND_ADD, true, 1},
        {4, 3, 20, 16, BODY_NONE, 0, true, 1},
        {1, 40, 20, 64, BODY_GELU, 0, true, 1},
        {2, 3, 20, 128, BODY_GELU, FIRST_ADD | SECOND_ADD, false, 3},
        {2, 5, 130, 40, BODY_NONE, FIRST_ADD, true, 3},
        {1, 9, 256, 64, BODY_GELU, FIRST_ADD, true, 3},
        {1, 7, 130, 128, BODY_NONE, SECOND_ADD, true, 2},
        {1, 3, 127, 8, BODY_GELU, 0, false, 2},
        {1, 3, 129, 72, BODY_NONE, 0, true, 132},
        {1, 4, 1, 64, BODY_GELU, FIRST_ADD, true, 132},
        {3, 3, 128, 32, BODY_GELU, 0, true, 1},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        check_shape(&shapes[i]);
    }
}

static void other_shapes_are_not_for_it(void)
{
    static uint16_t data[CHANNELS];
    const struct operand half = {data, VALUE_F16, CHANNELS};
    const struct product_args a = {
        .x = half, .finish = {.y = half}, .slices = 1, .h = 3, .w = 3, .kernel = 3};
    struct product_args other = a;
    assert(kernels_have_conv64(&a));
    other.h = 2;
    assert(!kernels_have_conv64(&other));
    other = a;
    other.kernel = 1;
    assert(!kernels_have_conv64(&other));
    other = a;
    other.finish.act = BODY_TANH;
    assert(!kernels_have_conv64(&other));
    other = a;
    other.finish.before = half;
    assert(!kernels_have_conv64(&other));
    other = a;
    other.finish.y.stride = 136;
    assert(!kernels_have_conv64(&other));
    other = a;
    other.x.type = VALUE_BF16;
    assert(!kernels_have_conv64(&other));
}

int main(void)
{
    the_convolution_is_one();
    other_shapes_are_not_for_it();
    return 0;
}
