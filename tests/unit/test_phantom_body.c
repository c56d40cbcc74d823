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

/* Leaving out what is far may only save time: every value is the same to the bit. */
static void what_is_near_is_all_that_matters(void)
{
    enum { PLACES = 2000, POINTS = 12 };
    struct phantom_anatomy *anatomy = malloc(sizeof *anatomy);
    assert(anatomy != NULL);
    struct sctd_rng rng = {17};
    int left_out = 0;
    int inside = 0;
    for (uint64_t seed = 0; seed < 6; seed++) {
        phantom_anatomy_init(anatomy, seed);
        struct phantom_near all;
        struct phantom_near near;
        phantom_body_find_all(anatomy, &all);
        for (int place = 0; place < PLACES; place++) {
            const float radius = 1.0F + 14.0F * sctd_rng_uniform(&rng);
            float middle[3];
            random_point(middle, &rng);
            phantom_body_find_near(anatomy, middle, radius, &near);
            left_out += near.n < anatomy->n_shapes / 4;
            for (int i = 0; i < POINTS; i++) {
                /* on the ball's surface, as far out as it may be */
                float p[3];
                float away[3] = {sctd_rng_normal(&rng), sctd_rng_normal(&rng), 0.1F};
                const float length = sqrtf(phantom_dot(away, away));
                for (int a = 0; a < 3; a++) {
                    p[a] = middle[a] + radius * 0.999F * away[(a + i) % 3] / length;
                }
                struct phantom_point want;
                struct phantom_point got;
                phantom_body_at(anatomy, &all, p, &want);
                phantom_body_at(anatomy, &near, p, &got);
                inside += want.tissue != PHANTOM_AIR;
                if (want.hu != got.hu || want.signal != got.signal || want.tissue != got.tissue) {
                    (void)fprintf(stderr, "seed %d at %g %g %g: %g, not %g HU\n", (int)seed,
                                  (double)p[0], (double)p[1], (double)p[2], (double)got.hu,
                                  (double)want.hu);
                    abort();
                }
            }
        }
    }
    assert(left_out > 6 * PLACES / 2);
    assert(inside > 6 * PLACES * POINTS / 4);
    free(anatomy);
}

int main(void)
{
    what_is_near_is_all_that_matters();
    return 0;
}
