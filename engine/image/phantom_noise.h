/* phantom_noise.h - noise that is a function of the place, for the phantom's texture. */
/* SPDX-License-Identifier: Apache-2.0 */
/* Thread safety: a lattice is immutable once filled. */
#pragma once

#include <stdint.h>

#include "engine/base/rng.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Noise on a lattice that repeats: mean 0, within +-1.8, mostly within +-0.7. */
enum { PHANTOM_NOISE_SIDE = 64 };
struct phantom_noise {
    float value[PHANTOM_NOISE_SIDE][PHANTOM_NOISE_SIDE][PHANTOM_NOISE_SIDE];
};
void phantom_noise_fill(struct phantom_noise *noise, struct sctd_rng *rng);

/* At p, in lattice cells, |p| < 4096: continuous, with a continuous slope. */
float phantom_noise_at(const struct phantom_noise *noise, float x, float y, float z);

/* A number of mean 0 and variance 1 that belongs to the key alone. */
float phantom_noise_of(uint64_t key);

#ifdef __cplusplus
}
#endif
