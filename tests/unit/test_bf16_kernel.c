/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/backend/cpu/bf16.h"
#include "engine/backend/cpu/bf16_kernel.h"
#include "engine/base/rng.h"

enum { KERNELS = 20000 };

struct errors {
    double of_sum, of_each; /* squares, over many kernels */
};

static void add(struct errors *e, const float *weight, const uint16_t *rounded)
{
    double sum = 0.0;
    for (size_t i = 0; i < BF16_KERNEL; i++) {
        const double d = (double)bf16_to(rounded[i]) - (double)weight[i];
        sum += d;
        e->of_each += d * d;
    }
    e->of_sum += sum * sum;
}

/* Every weight stays one of its two neighbours: within a unit in the last of eight places. */
static void weights_stay_neighbours(const float *weight, const uint16_t *rounded)
{
    for (size_t i = 0; i < BF16_KERNEL; i++) {
        const double unit = ldexp(1.0, ilogb((double)weight[i]) - 7);
        assert(fabs((double)bf16_to(rounded[i]) - (double)weight[i]) < unit);
    }
}

static void errors_of_a_kernel_cancel_at_little_cost(void)
{
    struct sctd_rng rng = {11};
    struct errors nearest = {0.0, 0.0};
    struct errors together = {0.0, 0.0};
    for (int k = 0; k < KERNELS; k++) {
        float weight[BF16_KERNEL];
        uint16_t plain[BF16_KERNEL];
        uint16_t rounded[BF16_KERNEL];
        for (size_t i = 0; i < BF16_KERNEL; i++) {
            weight[i] = 2.0F * sctd_rng_uniform(&rng) - 1.0F;
            plain[i] = bf16_from(weight[i]);
        }
        bf16_kernel_round(rounded, weight);
        weights_stay_neighbours(weight, rounded);
        add(&nearest, weight, plain);
        add(&together, weight, rounded);
    }
    assert(together.of_sum < nearest.of_sum / 20.0);
    assert(together.of_each < nearest.of_each * 1.5);
}

static void exact_weights_stay(void)
{
    const float weight[BF16_KERNEL] = {0.0F, 1.0F, -1.0F, 0.5F, -0.5F, 2.0F, 3.0F, -0.0F, 1.5F};
    uint16_t rounded[BF16_KERNEL];
    bf16_kernel_round(rounded, weight);
    for (size_t i = 0; i < BF16_KERNEL; i++) {
        assert(rounded[i] == bf16_from(weight[i]));
    }
}

/* All nine lie just above a bf16 number: to nearest they all err downwards. */
static void a_common_error_is_halved_at_least(void)
{
    float weight[BF16_KERNEL];
    uint16_t rounded[BF16_KERNEL];
    double sum = 0.0;
    for (size_t i = 0; i < BF16_KERNEL; i++) {
        weight[i] = 1.0F + 0.4F / 128.0F;
    }
    bf16_kernel_round(rounded, weight);
    for (size_t i = 0; i < BF16_KERNEL; i++) {
        sum += (double)bf16_to(rounded[i]) - (double)weight[i];
    }
    assert(fabs(sum) < 0.5 * 9.0 * 0.4 / 128.0);
}

int main(void)
{
    errors_of_a_kernel_cancel_at_little_cost();
    exact_weights_stay();
    a_common_error_is_halved_at_least();
    return 0;
}
