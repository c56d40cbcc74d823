/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The convolutions from one channel, to one, and of an upsampled map, in the emulator, against their bodies bit for bit.
 */
#undef NDEBUG
#include <assert.h>
#include <driver_types.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/backend/cuda/body.h"
#include "engine/backend/cuda/body_expand.h"
#include "engine/backend/cuda/device/kernels.h"
#include "engine/backend/cuda/value.h"

#include "tests/support/kernel_kit.h"

enum { SLICES = 2 };

static const int32_t types[] = {VALUE_F32, VALUE_F16, VALUE_BF16};

/* Maps of one pixel, and of a row, a column or a warp's lanes less and more than a run. */
static const int32_t h_w[][2] = {{1, 1}, {5, 7}, {8, 33}, {17, 3}, {33, 16}};
enum { N_TYPES = 3, N_MAPS = sizeof h_w / sizeof *h_w };

struct first {
    struct first_conv_args args;
    size_t items;
};

static void start_first(const void *arg)
{
    const struct first *f = arg;
    assert(kernels_start_first_conv(&f->args, f->items, NULL) == cudaSuccess);
}

static void expect_first(int32_t type, int32_t channels, int32_t kernel, const int32_t size[2])
{
    struct kernel_kit kit = {.rng = {3}};
    const size_t pixels = (size_t)SLICES * (size_t)size[0] * (size_t)size[1];
    const size_t values = pixels * (size_t)channels;
    struct first f = {.items = values / VALUE_LANES};
    f.args.x = kit_input(&kit, VALUE_F32, pixels, 1.0F);
    f.args.weight =
        kit_input(&kit, VALUE_F32, (size_t)kernel * (size_t)kernel * (size_t)channels, 1.0F);
    f.args.bias = kit_input(&kit, VALUE_F32, (size_t)channels, 1.0F);
    f.args.h = size[0];
    f.args.w = size[1];
    f.args.kernel = kernel;
    f.args.act = channels % 16 == 0 ? BODY_GELU : BODY_NONE;
    f.args.y = (struct operand){kit_output(&kit, type, values), type, channels};
    struct first_conv_args host = f.args;
    host.y.data = kit_output(&kit, type, values);
    for (size_t item = 0; item < f.items; item++) {
        first_conv_body(&host, item);
    }
    kit_run(start_first, &f, f.args.y.data, values * value_size(type));
    kit_same(f.args.y.data, host.y.data, values * value_size(type));
    kit_end(&kit);
}

static void the_convolution_from_one_channel_is_its_body(void)
{
    for (size_t i = 0; i < (size_t)N_TYPES * N_MAPS; i++) {
        const int32_t *size = h_w[i / N_TYPES];
        expect_first(types[i % N_TYPES], 8, 3, size);
        expect_first(types[i % N_TYPES], 64, 3, size);
        expect_first(types[i % N_TYPES], 24, 1, size);
    }
}

struct last {
    struct last_conv_args args;
    size_t items;
};

static void start_last(const void *arg)
{
    const struct last *l = arg;
    assert(kernels_start_last_conv(&l->args, l->items, NULL) == cudaSuccess);
}

static void expect_last(int32_t type, int32_t channels, int32_t kernel, const int32_t size[2])
{
    struct kernel_kit kit = {.rng = {5}};
    const size_t pixels = (size_t)SLICES * (size_t)size[0] * (size_t)size[1];
    const size_t taps = (size_t)kernel * (size_t)kernel;
    struct last l = {.items = pixels};
    l.args.x.data = kit_input(&kit, type, pixels * (size_t)channels, 1.0F);
    l.args.x.type = type;
    l.args.x.stride = channels;
    l.args.weight = kit_input(&kit, VALUE_F32, taps * (size_t)channels, 1.0F);
    l.args.bias = kit_input(&kit, VALUE_F32, 1, 1.0F);
    l.args.h = size[0];
    l.args.w = size[1];
    l.args.kernel = kernel;
    l.args.act = channels % 16 == 0 ? BODY_TANH : BODY_NONE;
    l.args.y = kit_output(&kit, VALUE_F32, pixels);
    struct last_conv_args host = l.args;
    host.y = kit_output(&kit, VALUE_F32, pixels);
    for (size_t item = 0; item < pixels; item++) {
        last_conv_body(&host, item);
    }
    kit_run(start_last, &l, l.args.y, pixels * sizeof(float));
    kit_same(l.args.y, host.y, pixels * sizeof(float));
    kit_end(&kit);
}

static void the_convolution_to_one_channel_is_its_body(void)
{
    for (size_t i = 0; i < (size_t)N_TYPES * N_MAPS; i++) {
        const int32_t *size = h_w[i / N_TYPES];
        for (int32_t channels = 8; channels <= 64; channels *= 2) {
            expect_last(types[i % N_TYPES], channels, 3, size);
        }
        expect_last(types[i % N_TYPES], 24, 3, size);
        expect_last(types[i % N_TYPES], 16, 1, size);
    }
}

struct expand {
    struct expand_args args;
    size_t items;
};

static void start_expand(const void *arg)
{
    const struct expand *e = arg;
    assert(kernels_start_expand(&e->args, e->items, NULL) == cudaSuccess);
}

static void expect_expand(const int32_t z_y[2], int32_t factor, int32_t channels)
{
    enum { H = 3, W = 4, RUN = 2 };
    struct kernel_kit kit = {.rng = {7}};
    const int32_t z_stride = EXPAND_KERNEL * EXPAND_KERNEL * channels;
    const size_t cells = (size_t)SLICES * H * W;
    const size_t values = cells * (size_t)(factor * factor) * (size_t)channels;
    struct expand e = {.args = {.h = H, .w = W, .factor = factor, .run = RUN, .tile = factor}};
    e.args.z.data = kit_input(&kit, z_y[0], cells * (size_t)z_stride, 1.0F);
    e.args.z.type = z_y[0];
    e.args.z.stride = z_stride;
    e.args.finish.bias = kit_input(&kit, VALUE_F32, (size_t)channels, 1.0F);
    e.args.finish.act = BODY_GELU;
    e.args.finish.add[0] =
        (struct operand){kit_input(&kit, z_y[1], values, 1.0F), z_y[1], channels};
    e.args.finish.y = (struct operand){kit_output(&kit, z_y[1], values), z_y[1], channels};
    e.items = (size_t)SLICES * (size_t)(H * factor) * (W / RUN) * (size_t)(channels / VALUE_LANES);
    struct expand_args host = e.args;
    host.finish.y.data = kit_output(&kit, z_y[1], values);
    for (size_t item = 0; item < e.items; item++) {
        expand_body(&host, item);
    }
    const size_t bytes = values * value_size(z_y[1]);
    kit_run(start_expand, &e, e.args.finish.y.data, bytes);
    kit_same(e.args.finish.y.data, host.finish.y.data, bytes);
    kit_end(&kit);
}

static void the_convolution_of_an_upsampled_map_is_its_body(void)
{
    static const int32_t z_y[][2] = {{VALUE_F16, VALUE_F16},
                                     {VALUE_F32, VALUE_F16},
                                     {VALUE_F32, VALUE_F32},
                                     {VALUE_BF16, VALUE_BF16}};
    for (size_t i = 0; i < sizeof z_y / sizeof *z_y; i++) {
        for (int32_t factor = 2; factor <= 16; factor *= 2) {
            expect_expand(z_y[i], factor, factor == 2 ? 24 : 8);
        }
    }
}

int main(void)
{
    the_convolution_from_one_channel_is_its_body();
    the_convolution_to_one_channel_is_its_body();
    the_convolution_of_an_upsampled_map_is_its_body();
    return 0;
}
