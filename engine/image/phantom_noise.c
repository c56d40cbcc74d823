/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/phantom_noise.h"

#include <stddef.h>
#include <stdint.h>

#include "engine/base/rng.h"

void phantom_noise_fill(struct phantom_noise *noise, struct sctd_rng *rng)
{
    float *value = &noise->value[0][0][0];
    for (size_t i = 0; i < sizeof noise->value / sizeof *value; i++) {
        const float sum = sctd_rng_uniform(rng) + sctd_rng_uniform(rng);
        value[i] = (sum - 1.0F) * 1.8F;
    }
}

float phantom_noise_at(const struct phantom_noise *noise, float x, float y, float z)
{
    enum { MASK = PHANTOM_NOISE_SIDE - 1 };
    const float at[3] = {x + 4096.0F, y + 4096.0F, z + 4096.0F};
    int32_t low[3];
    float t[3];
    for (int i = 0; i < 3; i++) {
        low[i] = (int32_t)at[i];
        t[i] = at[i] - (float)low[i];
        t[i] = t[i] * t[i] * (3.0F - 2.0F * t[i]);
    }
    const int32_t x0 = low[0] & MASK;
    const int32_t x1 = (low[0] + 1) & MASK;
    float sum = 0.0F;
    for (int k = 0; k < 2; k++) {
        const float wz = k == 0 ? 1.0F - t[2] : t[2];
        for (int j = 0; j < 2; j++) {
            const float *row = noise->value[(low[2] + k) & MASK][(low[1] + j) & MASK];
            const float wy = j == 0 ? 1.0F - t[1] : t[1];
            sum += wz * wy * (row[x0] + t[0] * (row[x1] - row[x0]));
        }
    }
    return sum;
}

float phantom_noise_of(uint64_t key)
{
    struct sctd_rng rng = {.state = key};
    return sctd_rng_normal(&rng);
}
