/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <float.h>
#include <math.h>
#include <stddef.h>

#include "engine/base/error.h"
#include "engine/image/percentile.h"

enum { MAX_VALUES = 4099 };

/* The volume whose percentiles numpy 2.4 gave, in this order: computed the same way in f32. */
static void fill(float *value, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        value[i] = (float)(i * 7919 % 1009) * 0.37F - 100.0F;
    }
}

static int find(double ret_value[2], double low, double high, const float *value, size_t n)
{
    struct sctd_error err = {0};
    return percentile_find(ret_value, (const double[]){low, high}, value, n, &err);
}

static void percentiles_are_those_of_numpy_to_the_bit(void)
{
    static const struct {
        size_t n;
        double percent[2];
        double expected[2]; /* numpy.percentile(values.astype(numpy.float64), percent) */
    } cases[] = {
        {1, {0, 100}, {-100.0, -100.0}},
        {1, {1, 99}, {-100.0, -100.0}},
        {2, {0, 100}, {-100.0, 216.72000122070312}},
        {2, {1, 99}, {-96.83279998779297, 213.55280120849608}},
        {2, {33.3, 50}, {5.467760406494122, 58.36000061035156}},
        {3, {1, 99}, {-94.79779968261718, 215.58780151367188}},
        {3, {25, 62.5}, {30.055007934570312, 174.26251220703125}},
        {10, {1, 99}, {-96.96970016479492, 247.3597134399414}},
        {10, {33.3, 50}, {46.72016938781738, 120.33499908447266}},
        {1000, {0, 100}, {-100.0, 272.9599914550781}},
        {1000, {1, 99}, {-96.3037030029297, 269.2637097167969}},
        {1000, {25, 62.5}, {-6.482500076293945, 133.60874938964844}},
        {1000, {33.3, 50}, {24.566791526794425, 87.03500366210938}},
        {4099, {1, 99}, {-96.30740295410156, 269.26740966796876}},
        {4099, {25, 62.5}, {-6.760002136230469, 133.1925048828125}},
        {4099, {33.3, 50}, {24.184581481933517, 86.47999572753906}},
    };
    static float value[MAX_VALUES];
    fill(value, MAX_VALUES);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double got[2] = {0};
        assert(find(got, cases[i].percent[0], cases[i].percent[1], value, cases[i].n) == 0);
        assert(got[0] == cases[i].expected[0]);
        assert(got[1] == cases[i].expected[1]);
    }
}

static void order_of_values_does_not_matter(void)
{
    static float value[MAX_VALUES];
    static float reversed[MAX_VALUES];
    fill(value, MAX_VALUES);
    for (size_t i = 0; i < MAX_VALUES; i++) {
        reversed[i] = value[MAX_VALUES - 1 - i];
    }
    for (int k = 0; k <= 143; k++) {
        const double percent = 100.0 * k / 143.0;
        double a[2] = {0};
        double b[2] = {0};
        assert(find(a, percent, 100.0 - percent, value, MAX_VALUES) == 0);
        assert(find(b, percent, 100.0 - percent, reversed, MAX_VALUES) == 0);
        assert(a[0] == b[0] && a[1] == b[1]);
    }
}

static void percentiles_of_whole_ranks_are_values_in_order(void)
{
    static const float values[] = {3.0F, -FLT_MAX, 0.0F, 1e-45F, -1e-45F};
    static const double sorted[] = {-(double)FLT_MAX, -(double)1e-45F, 0.0, (double)1e-45F, 3.0};
    for (int k = 0; k < 5; k++) {
        double got[2] = {0};
        assert(find(got, 25.0 * k, 25.0 * k, values, 5) == 0);
        assert(got[0] == sorted[k] && got[1] == sorted[k]);
    }
}

static void values_that_share_their_upper_bits_are_told_apart(void)
{
    float value[256];
    for (int i = 0; i < 256; i++) {
        value[i] = 1000.0F + (float)(i * 37 % 256) * 0x1p-13F;
    }
    for (int k = 0; k < 256; k++) {
        double got[2] = {0};
        assert(find(got, 100.0 * k / 255.0, 50.0, value, 256) == 0);
        assert(fabs(got[0] - (1000.0 + k * 0x1p-13)) < 1e-9);
    }
}

static void volume_with_a_value_that_is_not_finite_is_refused(void)
{
    static const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const float value[3] = {1.0F, bad[i], 2.0F};
        double got[2] = {7.0, 8.0};
        assert(find(got, 1.0, 99.0, value, 3) == SCTD_EDATA);
        assert(got[0] == 7.0 && got[1] == 8.0);
    }
}

static void percentages_outside_0_to_100_and_empty_volumes_are_refused(void)
{
    static const double bad[] = {-0.1, 100.1, (double)NAN, HUGE_VAL};
    const float value[2] = {1.0F, 2.0F};
    double got[2] = {0};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert(find(got, bad[i], 99.0, value, 2) == SCTD_EINVAL);
        assert(find(got, 1.0, bad[i], value, 2) == SCTD_EINVAL);
    }
    assert(find(got, 1.0, 99.0, value, 0) == SCTD_EINVAL);
}

int main(void)
{
    percentiles_are_those_of_numpy_to_the_bit();
    order_of_values_does_not_matter();
    percentiles_of_whole_ranks_are_values_in_order();
    values_that_share_their_upper_bits_are_told_apart();
    volume_with_a_value_that_is_not_finite_is_refused();
    percentages_outside_0_to_100_and_empty_volumes_are_refused();
    return 0;
}
