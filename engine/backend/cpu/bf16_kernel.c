/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/backend/cpu/bf16_kernel.h"

#include <stddef.h>
#include <stdint.h>

#include "engine/backend/cpu/bf16.h"

enum { FLIPS = 2 };

static const float common = 3.0F; /* what the square of the errors' sum weighs */

/* The neighbour of `nearest` on the other side of x; `nearest` itself if it is x. */
static uint16_t other_side(float x, uint16_t nearest)
{
    const float value = bf16_to(nearest);
    if (value < x) {
        return (uint16_t)(value < 0.0F ? nearest - 1 : nearest + 1);
    }
    if (value > x) {
        return (uint16_t)(value > 0.0F ? nearest - 1 : nearest + 1);
    }
    return nearest;
}

struct rounding {
    float error[BF16_KERNEL];
    float turned[BF16_KERNEL]; /* the error after rounding the other way */
    float sum;                 /* of the errors */
};

/* Which weight to turn for the largest gain; BF16_KERNEL: none. */
static size_t find_best(const struct rounding *r)
{
    size_t best = BF16_KERNEL;
    float most = 0.0F;
    for (size_t i = 0; i < BF16_KERNEL; i++) {
        const float error = r->error[i];
        const float turned = r->turned[i];
        const float after = r->sum - error + turned;
        const float gain =
            common * (r->sum * r->sum - after * after) + error * error - turned * turned;
        if (gain > most) {
            most = gain;
            best = i;
        }
    }
    return best;
}

void bf16_kernel_round(uint16_t ret_weight[BF16_KERNEL], const float weight[BF16_KERNEL])
{
    struct rounding r = {.sum = 0.0F};
    for (size_t i = 0; i < BF16_KERNEL; i++) {
        ret_weight[i] = bf16_from(weight[i]);
        r.error[i] = bf16_to(ret_weight[i]) - weight[i];
        r.turned[i] = bf16_to(other_side(weight[i], ret_weight[i])) - weight[i];
        r.sum += r.error[i];
    }
    for (int flip = 0; flip < FLIPS; flip++) {
        const size_t best = find_best(&r);
        if (best == BF16_KERNEL) {
            return;
        }
        ret_weight[best] = other_side(weight[best], ret_weight[best]);
        r.sum += r.turned[best] - r.error[best];
        r.error[best] = r.turned[best]; /* not turned back: that would be a loss */
    }
}
