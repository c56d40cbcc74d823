/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "engine/base/rng.h"
#include "engine/image/phantom_anatomy.h"

static struct phantom_anatomy *make(uint64_t seed)
{
    struct phantom_anatomy *anatomy = malloc(sizeof *anatomy);
    assert(anatomy != NULL);
    phantom_anatomy_init(anatomy, seed);
    return anatomy;
}

static bool same_floats(const float *a, const float *b, size_t n)
{
    size_t i = 0;
    while (i < n && a[i] == b[i]) {
        i++;
    }
    return i == n;
}

static bool same_patient(const struct phantom_anatomy *a, const struct phantom_anatomy *b)
{
    bool same = a->n_shapes == b->n_shapes && a->seed == b->seed;
    for (int32_t i = 0; same && i < a->n_shapes; i++) {
        same = same_floats(a->shape[i].a, b->shape[i].a, 3) &&
               same_floats(a->shape[i].b, b->shape[i].b, 3) &&
               same_floats(a->shape[i].radius, b->shape[i].radius, 2);
    }
    return same && same_floats(a->to_body[0], b->to_body[0], 12) &&
           same_floats(a->noise.value[0][0], b->noise.value[0][0], 4096);
}

static void one_seed_is_one_patient(void)
{
    struct phantom_anatomy *a = make(7);
    struct phantom_anatomy *b = make(7);
    struct phantom_anatomy *c = make(8);
    assert(same_patient(a, b) && !same_patient(a, c));
    assert(!same_floats(a->to_body[0], c->to_body[0], 12));
    free(a);
    free(b);
    free(c);
}

static void random_point(float ret_p[3], struct sctd_rng *rng)
{
    for (int i = 0; i < 3; i++) {
        ret_p[i] = (sctd_rng_uniform(rng) - 0.5F) * 400.0F;
    }
}

static float distance(const float a[3], const float b[3])
{
    const float to[3] = {a[0] - b[0], a[1] - b[1], a[2] - b[2]};
    return sqrtf(to[0] * to[0] + to[1] * to[1] + to[2] * to[2]);
}

static void coordinates_go_there_and_back(void)
{
    struct sctd_rng rng = {5};
    float worst = 0.0F;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct phantom_anatomy *anatomy = make(seed);
        for (int i = 0; i < 200; i++) {
            float body[3];
            float patient[3];
            float back[3];
            random_point(body, &rng);
            phantom_anatomy_to_patient(anatomy, body, patient);
            phantom_anatomy_to_body(anatomy, patient, back);
            worst = fmaxf(worst, distance(back, body));
        }
        free(anatomy);
    }
    assert(worst < 0.1F);
}

static void hips_are_where_the_header_says(void)
{
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct phantom_anatomy *anatomy = make(seed);
        float hip[2][3];
        phantom_anatomy_to_patient(anatomy, (const float[]){90, 0, 0}, hip[0]);
        phantom_anatomy_to_patient(anatomy, (const float[]){-90, 0, 0}, hip[1]);
        float squared = 0.0F;
        for (int a = 0; a < 3; a++) {
            const float middle = 0.5F * (hip[0][a] + hip[1][a]);
            squared += middle * middle;
        }
        assert(sqrtf(squared) < 15.0F);
        assert(hip[0][0] - hip[1][0] > 155.0F && hip[0][0] - hip[1][0] < 210.0F);
        assert(hip[0][0] > 60.0F); /* the left one, in LPS */
        free(anatomy);
    }
}

static void check_organs(const struct phantom_anatomy *anatomy)
{
    int32_t shapes_of[PHANTOM_ORGANS_MAX] = {0};
    for (int32_t i = 0; i < anatomy->n_shapes; i++) {
        assert(i == 0 || anatomy->shape[i].group >= anatomy->shape[i - 1].group);
        assert(anatomy->shape[i].prepared.ball[3] > 0.0F);
        shapes_of[anatomy->shape[i].group]++;
    }
    for (int32_t i = 0; i < anatomy->n_organs; i++) {
        const struct phantom_organ *organ = &anatomy->organ[i];
        assert(i == PHANTOM_LEAN || shapes_of[i] > 0);
        assert(organ->carve[0] < i && organ->carve[1] < i && organ->within < i);
        assert(organ->reach_mm >= PHANTOM_BORDER_MM);
    }
}

static void organs_refer_to_earlier_ones_and_have_shapes(void)
{
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct phantom_anatomy *anatomy = make(seed);
        check_organs(anatomy);
        free(anatomy);
    }
}

int main(void)
{
    one_seed_is_one_patient();
    coordinates_go_there_and_back();
    hips_are_where_the_header_says();
    organs_refer_to_earlier_ones_and_have_shapes();
    return 0;
}
