/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/rng.h"
#include "engine/image/phantom.h"
#include "engine/image/phantom_anatomy.h"
#include "engine/image/phantom_body.h"
#include "engine/image/phantom_shape.h"

static void random_point(float ret_p[3], struct sctd_rng *rng)
{
    static const float wide[3] = {420.0F, 290.0F, 420.0F};
    for (int i = 0; i < 3; i++) {
        ret_p[i] = (sctd_rng_uniform(rng) - 0.5F) * wide[i];
    }
}

/* On the surface of a ball, which is as far out as it may be. */
static void point_around(float ret_p[3], const float middle[3], float radius, struct sctd_rng *rng)
{
    float away[3] = {sctd_rng_normal(rng), sctd_rng_normal(rng), sctd_rng_normal(rng)};
    away[0] += away[0] < 0.0F ? -0.01F : 0.01F;
    const float length = sqrtf(phantom_dot(away, away));
    for (int a = 0; a < 3; a++) {
        ret_p[a] = middle[a] + radius * 0.999F * away[a] / length;
    }
}

struct counts {
    int left_out; /* places where most shapes were */
    int inside;   /* points of the body */
};

static void compare(const struct phantom_anatomy *anatomy, struct phantom_near *all,
                    struct sctd_rng *rng, struct counts *counts)
{
    enum { POINTS = 12 };
    const float radius = 1.0F + 14.0F * sctd_rng_uniform(rng);
    float middle[3];
    struct phantom_near near;
    random_point(middle, rng);
    phantom_body_find_near(anatomy, middle, radius, &near);
    counts->left_out += near.n < anatomy->n_shapes / 4;
    for (int i = 0; i < POINTS; i++) {
        float p[3];
        struct phantom_point want;
        struct phantom_point got;
        point_around(p, middle, radius, rng);
        phantom_body_at(anatomy, all, p, &want);
        phantom_body_at(anatomy, &near, p, &got);
        counts->inside += want.tissue != PHANTOM_AIR;
        if (want.hu != got.hu || want.signal != got.signal || want.tissue != got.tissue) {
            (void)fprintf(stderr, "at %g %g %g: %g, not %g HU\n", (double)p[0], (double)p[1],
                          (double)p[2], (double)got.hu, (double)want.hu);
            abort();
        }
    }
}

/* Leaving out what is far may only save time: every value is the same to the bit. */
static void what_is_near_is_all_that_matters(void)
{
    enum { SEEDS = 8, PLACES = 1500 };
    struct phantom_anatomy *anatomy = malloc(sizeof *anatomy);
    assert(anatomy != NULL);
    struct sctd_rng rng = {17};
    struct counts counts = {0, 0};
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct phantom_near all;
        phantom_anatomy_init(anatomy, seed);
        phantom_body_find_all(anatomy, &all);
        for (int place = 0; place < PLACES; place++) {
            compare(anatomy, &all, &rng, &counts);
        }
    }
    assert(counts.left_out > SEEDS * PLACES / 2);
    assert(counts.inside > SEEDS * PLACES * 12 / 4);
    free(anatomy);
}

int main(void)
{
    what_is_near_is_all_that_matters();
    return 0;
}
