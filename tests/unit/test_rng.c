/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stdint.h>

#include "engine/base/rng.h"

enum { DRAWS = 1000000 };

/* The first numbers of the authors' splitmix64.c for this seed. */
static void numbers_are_those_of_splitmix64(void)
{
    struct sctd_rng rng = {1234567};
    assert(sctd_rng_next(&rng) == 6457827717110365317U);
    assert(sctd_rng_next(&rng) == 3203168211198807973U);
    assert(sctd_rng_next(&rng) == 9817491932198370423U);
    assert(sctd_rng_next(&rng) == 4593380528125082431U);
    assert(sctd_rng_next(&rng) == 16408922859458223821U);
}

static void uniform_numbers_fill_the_half_open_interval(void)
{
    struct sctd_rng rng = {1};
    double sum = 0;
    float least = 1;
    float most = 0;
    for (int i = 0; i < DRAWS; i++) {
        const float u = sctd_rng_uniform(&rng);
        assert(u >= 0.0F && u < 1.0F);
        sum += (double)u;
        least = fminf(least, u);
        most = fmaxf(most, u);
    }
    assert(fabs(sum / DRAWS - 0.5) < 0.002 && least < 1e-4F && most > 0.9999F);
}

static void normal_numbers_have_mean_0_and_variance_1(void)
{
    struct sctd_rng rng = {2};
    double sum = 0;
    double squares = 0;
    for (int i = 0; i < DRAWS; i++) {
        const double x = (double)sctd_rng_normal(&rng);
        assert(fabs(x) < 3.5);
        sum += x;
        squares += x * x;
    }
    assert(fabs(sum / DRAWS) < 0.005 && fabs(squares / DRAWS - 1) < 0.01);
}

int main(void)
{
    numbers_are_those_of_splitmix64();
    uniform_numbers_fill_the_half_open_interval();
    normal_numbers_have_mean_0_and_variance_1();
    return 0;
}
