/* rng.h - a small generator of the same numbers everywhere, for synthetic weights and tests.
 * splitmix64 (Steele, Lea and Flood, OOPSLA 2014).  Not for secrets. */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sctd_rng {
    uint64_t state;
};

static inline uint64_t sctd_rng_next(struct sctd_rng *rng)
{
    uint64_t z = (rng->state += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

/* Uniform in [0, 1), 24 bits. */
static inline float sctd_rng_uniform(struct sctd_rng *rng)
{
    return (float)(sctd_rng_next(rng) >> 40) * (1.0F / 16777216.0F);
}

/* Mean 0, variance 1, within +-3.5: the sum of four uniform numbers. */
static inline float sctd_rng_normal(struct sctd_rng *rng)
{
    const float sum = sctd_rng_uniform(rng) + sctd_rng_uniform(rng) + sctd_rng_uniform(rng) +
                      sctd_rng_uniform(rng);
    return (sum - 2.0F) * 1.7320508F;
}

#ifdef __cplusplus
}
#endif
