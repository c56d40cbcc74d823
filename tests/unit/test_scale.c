/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/image/resize.h"
#include "engine/image/scale.h"

static struct sctd_error err;

static void check_row(const float *want, int32_t n, const float *in, int32_t from)
{
    float out[64];
    assert(scale_run(out, (struct resize_size){1, n}, in, (struct resize_size){1, from}, &err) ==
           0);
    for (int32_t i = 0; i < n; i++) {
        assert(fabsf(out[i] - want[i]) < 1e-5F);
    }
    assert(scale_run(out, (struct resize_size){n, 1}, in, (struct resize_size){from, 1}, &err) ==
           0);
    for (int32_t i = 0; i < n; i++) {
        assert(fabsf(out[i] - want[i]) < 1e-5F);
    }
}

static void the_same_size_is_the_same_to_the_bit(void)
{
    float in[35];
    float out[35];
    for (int i = 0; i < 35; i++) {
        in[i] = (float)(i * i) * 0.37F - 3.0F;
    }
    const struct resize_size size = {5, 7};
    assert(scale_run(out, size, in, size, &err) == 0);
    for (int i = 0; i < 35; i++) {
        assert(fabsf(out[i] - in[i]) == 0.0F);
    }
}

/* Triangles of half width 2 about 1 and 3; the one's left, the other's right side is cut off: weights 1/4 3/4 3/4 1/4. */
static void half_the_size_is_a_weighted_mean(void)
{
    static const float in[] = {1.0F, 2.0F, 4.0F, 8.0F};
    static const float want[] = {
        (0.75F * 1.0F + 0.75F * 2.0F + 0.25F * 4.0F) / 1.75F,
        (0.25F * 2.0F + 0.75F * 4.0F + 0.75F * 8.0F) / 1.75F,
    };
    check_row(want, 2, in, 4);
}

static void twice_the_size_is_linear_between_the_centres(void)
{
    static const float in[] = {0.0F, 4.0F};
    static const float want[] = {0.0F, 1.0F, 3.0F, 4.0F};
    check_row(want, 4, in, 2);
}

static void check_even(struct resize_size size)
{
    float in[48];
    float out[64];
    for (int i = 0; i < 48; i++) {
        in[i] = 7.0F;
    }
    assert(scale_run(out, size, in, (struct resize_size){6, 8}, &err) == 0);
    for (int32_t i = 0; i < size.rows * size.columns; i++) {
        assert(fabsf(out[i] - 7.0F) < 1e-5F);
    }
}

static void what_is_even_stays_so_at_any_size(void)
{
    for (int32_t n = 0; n < 64; n++) {
        check_even((struct resize_size){n / 8 + 1, n % 8 + 1});
    }
}

static void no_size_is_refused(void)
{
    const float in = 1.0F;
    float out = 2.0F;
    const struct resize_size one = {1, 1};
    assert(scale_run(&out, (struct resize_size){0, 1}, &in, one, &err) == SCTD_EINVAL);
    assert(scale_run(&out, one, &in, (struct resize_size){1, -1}, &err) == SCTD_EINVAL);
    assert(out > 1.5F);
}

int main(void)
{
    the_same_size_is_the_same_to_the_bit();
    half_the_size_is_a_weighted_mean();
    twice_the_size_is_linear_between_the_centres();
    what_is_even_stays_so_at_any_size();
    no_size_is_refused();
    return 0;
}
