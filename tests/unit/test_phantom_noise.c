/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "engine/base/rng.h"
#include "engine/image/phantom_noise.h"

static void noise_is_even_and_continuous(void)
{
    struct phantom_noise *noise = malloc(sizeof *noise);
    assert(noise != NULL);
    struct sctd_rng rng = {3};
    phantom_noise_fill(noise, &rng);
    double sum = 0.0;
    double squares = 0.0;
    enum { N = 20000 };
    for (int i = 0; i < N; i++) {
        float p[3];
        for (int a = 0; a < 3; a++) {
            p[a] = (sctd_rng_uniform(&rng) - 0.5F) * 4000.0F;
        }
        const float here = phantom_noise_at(noise, p[0], p[1], p[2]);
        assert(fabsf(here) <= 1.8F);
        assert(fabsf(phantom_noise_at(noise, p[0] + 1e-3F, p[1], p[2] - 1e-3F) - here) < 0.03F);
        sum += (double)here;
        squares += (double)here * (double)here;
    }
    assert(fabs(sum / N) < 0.02);
    assert(sqrt(squares / N) > 0.25 && sqrt(squares / N) < 0.6);
    /* at the lattice's points it is what the lattice says, and it repeats */
    assert(phantom_noise_at(noise, 5, 6, 7) == noise->value[7][6][5]);
    assert(phantom_noise_at(noise, 5 + PHANTOM_NOISE_SIDE, 6, 7) == noise->value[7][6][5]);
    assert(phantom_noise_at(noise, -1, -2, -3) == noise->value[61][62][63]);
    free(noise);
}

static void keys_have_unrelated_numbers(void)
{
    enum { N = 20000 };
    double sum = 0.0;
    double squares = 0.0;
    double products = 0.0;
    for (uint64_t i = 0; i < N; i++) {
        const double here = (double)phantom_noise_of(i);
        sum += here / N;
        squares += here * here / N;
        products += here * (double)phantom_noise_of(i + 1) / N;
    }
    assert(fabs(sum) < 0.03 && fabs(squares - 1.0) < 0.04 && fabs(products) < 0.03);
    assert(phantom_noise_of(12345) == phantom_noise_of(12345));
}

int main(void)
{
    noise_is_even_and_continuous();
    keys_have_unrelated_numbers();
    return 0;
}
