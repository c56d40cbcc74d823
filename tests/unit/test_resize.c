/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/image/resize.h"

enum { MAX_PIXELS = 4096 };

static void fill(float *pixel, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        pixel[i] = (float)(i * 37 % 101);
    }
}

static void run(float *out, struct resize_size to, const float *in, struct resize_size from)
{
    struct sctd_error err = {0};
    sctd_auto(resize_freep) struct resize *resize = NULL;
    assert(resize_new(&resize, from, to, &err) == 0);
    resize_run(resize, out, in);
}

static float largest_difference(const float *a, const float *b, int32_t n)
{
    float largest = 0.0F;
    for (int32_t i = 0; i < n; i++) {
        largest = fmaxf(largest, fabsf(a[i] - b[i]));
    }
    return largest;
}

static void resized_slices_are_those_of_pytorch(void)
{
    static const struct {
        struct resize_size from, to;
        float expected[21]; /* torch.nn.functional.interpolate(..., align_corners=False), 2.11 */
    } cases[] = {
        {{3, 4},
         {2, 6},
         {11.75F, 30.25F, 50.708336F, 58.541668F, 41.125F, 21.75F, 82.25F, 62.875F, 45.458336F,
          53.291664F, 35.875F, 16.5F}},
        {{5, 3}, {7, 3}, {0.0F,       37.0F,      74.0F,      5.714286F,  42.714287F, 79.71429F,
                          12.857143F, 49.857143F, 86.85715F,  20.0F,      57.0F,      94.0F,
                          27.142859F, 64.14286F,  28.999989F, 34.285713F, 71.28571F,  7.2857146F,
                          40.0F,      77.0F,      13.0F}},
        {{1, 1}, {2, 3}, {0.0F}},
        {{7, 9},
         {3, 4},
         {43.124996F, 29.583332F, 37.083336F, 65.625F, 50.0F, 95.375F, 65.0F, 59.875F, 61.083347F,
          64.37499F, 46.624992F, 28.874989F}},
        {{2, 2}, {2, 2}, {0.0F, 37.0F, 74.0F, 10.0F}},
    };
    float in[MAX_PIXELS];
    float out[MAX_PIXELS];
    fill(in, MAX_PIXELS);
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        run(out, cases[c].to, in, cases[c].from);
        const int32_t n = cases[c].to.rows * cases[c].to.columns;
        assert(largest_difference(out, cases[c].expected, n) <= 8e-6F);
    }
}

static void slice_of_the_same_size_is_unchanged(void)
{
    float in[MAX_PIXELS];
    float out[MAX_PIXELS];
    fill(in, MAX_PIXELS);
    run(out, (struct resize_size){61, 67}, in, (struct resize_size){61, 67});
    for (int i = 0; i < 61 * 67; i++) {
        assert(out[i] == in[i]);
    }
}

static void constant_slice_stays_constant(void)
{
    float in[MAX_PIXELS];
    float out[MAX_PIXELS];
    for (int i = 0; i < MAX_PIXELS; i++) {
        in[i] = -1024.0F;
    }
    for (int32_t n = 1; n < 60; n++) {
        run(out, (struct resize_size){n, 60 - n}, in, (struct resize_size){17, 64});
        assert(largest_difference(out, in, n * (60 - n)) <= 2e-4F);
    }
}

static void ramp_stays_a_ramp_between_its_clamped_edges(void)
{
    float in[64];
    float out[256];
    for (int i = 0; i < 64; i++) {
        in[i] = (float)i;
    }
    run(out, (struct resize_size){1, 256}, in, (struct resize_size){1, 64});
    assert(out[0] == 0.0F && out[255] == 63.0F);
    for (int i = 2; i < 254; i++) {
        assert(out[i] == ((float)i + 0.5F) / 4.0F - 0.5F);
    }
}

static void transposed_slice_gives_the_transposed_result(void)
{
    float in[13 * 29];
    float in_t[29 * 13];
    float out[20 * 11];
    float out_t[11 * 20];
    fill(in, sizeof in / sizeof in[0]);
    for (int i = 0; i < 13 * 29; i++) {
        in_t[i % 29 * 13 + i / 29] = in[i];
    }
    run(out, (struct resize_size){20, 11}, in, (struct resize_size){13, 29});
    run(out_t, (struct resize_size){11, 20}, in_t, (struct resize_size){29, 13});
    for (int i = 0; i < 20 * 11; i++) {
        assert(fabsf(out[i] - out_t[i % 11 * 20 + i / 11]) <= 2e-5F);
    }
}

static void nan_touches_only_its_neighbours(void)
{
    float in[8 * 8] = {0};
    float out[16 * 16];
    in[3 * 8 + 3] = NAN;
    run(out, (struct resize_size){16, 16}, in, (struct resize_size){8, 8});
    for (int i = 0; i < 16 * 16; i++) {
        const int y = i / 16;
        const int x = i % 16;
        const int near = y >= 5 && y <= 8 && x >= 5 && x <= 8;
        assert(isnan(out[i]) ? near : out[i] == 0.0F);
        assert(isnan(out[i]) == near);
    }
}

static void sizes_below_one_are_refused(void)
{
    struct sctd_error err = {0};
    struct resize *resize = NULL;
    const struct resize_size one = {1, 1};
    assert(resize_new(&resize, (struct resize_size){0, 1}, one, &err) == SCTD_EINVAL);
    assert(resize_new(&resize, (struct resize_size){1, -5}, one, &err) == SCTD_EINVAL);
    assert(resize_new(&resize, one, (struct resize_size){INT32_MIN, 1}, &err) == SCTD_EINVAL);
    assert(resize_new(&resize, one, (struct resize_size){1, 0}, &err) == SCTD_EINVAL);
    assert(resize == NULL);
    resize_free(NULL);
}

int main(void)
{
    resized_slices_are_those_of_pytorch();
    slice_of_the_same_size_is_unchanged();
    constant_slice_stays_constant();
    ramp_stays_a_ramp_between_its_clamped_edges();
    transposed_slice_gives_the_transposed_result();
    nan_touches_only_its_neighbours();
    sizes_below_one_are_refused();
    return 0;
}
