/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stddef.h>

#include "engine/image/range.h"

static void clamp_keeps_what_is_inside_and_brings_the_rest_to_the_limits(void)
{
    const float in[] = {-2000.0F, -1024.0F, 0.25F, 2000.0F, 1e30F, -INFINITY};
    const float expected[] = {-1024.0F, -1024.0F, 0.25F, 2000.0F, 2000.0F, -1024.0F};
    float out[6];
    range_clamp(out, in, 6, (struct range){-1024.0, 2000.0});
    for (int i = 0; i < 6; i++) {
        assert(out[i] == expected[i]);
    }
}

static void nan_stays_nan(void)
{
    float value = NAN;
    range_clamp(&value, &value, 1, (struct range){0.0, 1.0});
    assert(isnan(value));
    range_map(&value, &value, 1, (struct range){0.0, 1.0}, (struct range){-1.0, 1.0});
    assert(isnan(value));
}

static void ends_of_a_range_map_to_the_ends_of_the_other(void)
{
    static const struct range sources[] = {{0.0, 644.01}, {-1024.0, 2000.0}, {-37.25, 913.5}};
    static const struct range targets[] = {{-1.0, 1.0}, {0.0, 2.0}};
    for (int i = 0; i < 6; i++) {
        const struct range from = sources[i / 2];
        const struct range to = targets[i % 2];
        const float in[2] = {(float)from.low, (float)from.high};
        float out[2];
        range_map(out, in, 2, from, to);
        assert((double)out[0] == to.low && (double)out[1] == to.high);
    }
}

/* PyTorch 2.11: (v - low) / (high - low) * 2 - 1 on float32 tensors. */
static void map_is_that_of_pytorch_to_the_bit(void)
{
    const float in[] = {0.0F, 1.5F, 77.7F, 321.0F, 500.123F, 644.01F};
    const float cnn[] = {-1.0F, -0.99534166F, -0.7586994F, -0.003121078F, 0.5531528F, 1.0F};
    const float dino[] = {0.0F, 0.0046583125F, 0.24130058F, 0.9968789F, 1.5531528F, 2.0F};
    float out[6];
    range_map(out, in, 6, (struct range){0.0, 644.01}, (struct range){-1.0, 1.0});
    for (int i = 0; i < 6; i++) {
        assert(out[i] == cnn[i]);
    }
    range_map(out, in, 6, (struct range){0.0, 644.01}, (struct range){0.0, 2.0});
    for (int i = 0; i < 6; i++) {
        assert(out[i] == dino[i]);
    }
}

static void network_output_maps_to_hu(void)
{
    const float y[] = {-1.0F, -0.5F, 0.0F, 0.25F, 1.0F};
    const float hu[] = {-1024.0F, -268.0F, 488.0F, 866.0F, 2000.0F};
    float out[5];
    range_map(out, y, 5, (struct range){-1.0, 1.0}, (struct range){-1024.0, 2000.0});
    for (int i = 0; i < 5; i++) {
        assert(out[i] == hu[i]);
    }
}

static void map_works_in_place(void)
{
    float value[] = {0.0F, 5.0F, 10.0F};
    range_map(value, value, 3, (struct range){0.0, 10.0}, (struct range){-1.0, 1.0});
    assert(value[0] == -1.0F && value[1] == 0.0F && value[2] == 1.0F);
}

int main(void)
{
    clamp_keeps_what_is_inside_and_brings_the_rest_to_the_limits();
    nan_stays_nan();
    ends_of_a_range_map_to_the_ends_of_the_other();
    map_is_that_of_pytorch_to_the_bit();
    network_output_maps_to_hu();
    map_works_in_place();
    return 0;
}
