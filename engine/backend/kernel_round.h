/*
 * kernel_round.h - round the nine weights of a 3x3 kernel to fewer bits together.
 *
 * Neighbouring pixels are much alike, so what matters most of the nine rounding errors is their sum: with
 * a correlation of 3/4 between neighbours, the error of the product is 3 (sum e)^2 + sum e^2.  Starting from
 * the nearest values, up to two weights are rounded the other way where that makes it smaller.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h> // IWYU pragma: export
#include <stdint.h> // IWYU pragma: export

enum { KERNEL_ROUND = 9, KERNEL_ROUND_FLIPS = 2 };

/* To the nearest number of some format, as bits whose neighbours are the next numbers of one sign; and back. */
typedef uint32_t kernel_round_from(float x);
typedef float kernel_round_to(uint32_t bits);

struct kernel_rounding {
    float error[KERNEL_ROUND];
    float turned[KERNEL_ROUND]; /* the error after rounding the other way */
    float sum;                  /* of the errors */
};

/* The neighbour of `nearest` on the other side of x; `nearest` itself if it is x. */
static inline uint32_t kernel_round_other(float x, uint32_t nearest, kernel_round_to *to)
{
    const float value = to(nearest);
    if (value < x) {
        return value < 0.0F ? nearest - 1 : nearest + 1;
    }
    if (value > x) {
        return value > 0.0F ? nearest - 1 : nearest + 1;
    }
    return nearest;
}

/* Which weight to turn for the largest gain; KERNEL_ROUND: none. */
static inline size_t kernel_round_best(const struct kernel_rounding *r)
{
    const float common = 3.0F; /* what the square of the errors' sum weighs */
    size_t best = KERNEL_ROUND;
    float most = 0.0F;
    for (size_t i = 0; i < KERNEL_ROUND; i++) {
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

/* weight: finite. */
static inline void kernel_round(uint32_t ret_weight[KERNEL_ROUND], const float weight[KERNEL_ROUND],
                                kernel_round_from *from, kernel_round_to *to)
{
    struct kernel_rounding r = {{0.0F}, {0.0F}, 0.0F};
    for (size_t i = 0; i < KERNEL_ROUND; i++) {
        ret_weight[i] = from(weight[i]);
        r.error[i] = to(ret_weight[i]) - weight[i];
        r.turned[i] = to(kernel_round_other(weight[i], ret_weight[i], to)) - weight[i];
        r.sum += r.error[i];
    }
    for (int flip = 0; flip < KERNEL_ROUND_FLIPS; flip++) {
        const size_t best = kernel_round_best(&r);
        if (best == KERNEL_ROUND) {
            return;
        }
        ret_weight[best] = kernel_round_other(weight[best], ret_weight[best], to);
        r.sum += r.turned[best] - r.error[best];
        r.error[best] = r.turned[best]; /* not turned back: that would be a loss */
    }
}
