/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/image/phantom.h"
#include "engine/image/phantom_anatomy.h"
#include "engine/image/phantom_body.h"

/* Places by what an atlas of anatomy calls them, in body coordinates. */
static const struct {
    const char *name;
    float at[3];
    enum phantom_tissue tissue;
    float low_hu, high_hu;
} places[] = {
    {"femoral head", {90, 0, 0}, PHANTOM_SPONGIOSA, 20, 650},
    {"femoral shaft's cortex", {134.5F, 8, -110}, PHANTOM_CORTEX, 800, 1600},
    {"femoral shaft's marrow", {117, 3, -170}, PHANTOM_MARROW, -150, 40},
    {"acetabular roof", {82, 4, 38}, PHANTOM_SPONGIOSA, 20, 650},
    {"ischial tuberosity", {58, 27, -74}, PHANTOM_SPONGIOSA, 20, 650},
    {"sacral body", {0, 42, 84}, PHANTOM_SPONGIOSA, 20, 650},
    {"symphysis", {0, -47, -34}, PHANTOM_CARTILAGE, 60, 110},
    {"gluteus maximus", {80, 82, -30}, PHANTOM_MUSCLE, -40, 90},
    {"iliopsoas", {60, -10, 80}, PHANTOM_MUSCLE, -40, 90},
    {"ischioanal fossa", {32, 50, -62}, PHANTOM_FAT, -130, -70},
    {"femoral artery", {79, -57, -44}, PHANTOM_ARTERY, 30, 60},
};

enum { PLACES = sizeof places / sizeof places[0] };

/* Place i of the left or of the right side. */
static bool agrees(const struct phantom_anatomy *anatomy, struct phantom_near *all, size_t i,
                   bool right)
{
    const float *from = places[i].at;
    const float body[3] = {right ? -from[0] : from[0], from[1], from[2]};
    float patient[3];
    struct phantom_point point;
    phantom_anatomy_to_patient(anatomy, body, patient);
    phantom_body_at(anatomy, all, patient, &point);
    if (point.tissue == places[i].tissue && point.hu > places[i].low_hu &&
        point.hu < places[i].high_hu) {
        return true;
    }
    (void)fprintf(stderr, "%s: tissue %d, %g HU\n", places[i].name, (int)point.tissue,
                  (double)point.hu);
    return false;
}

static void atlas_and_phantom_agree(void)
{
    struct phantom_anatomy *anatomy = malloc(sizeof *anatomy);
    assert(anatomy != NULL);
    for (uint64_t seed = 0; seed < 12; seed++) {
        struct phantom_near all;
        phantom_anatomy_init(anatomy, seed);
        phantom_body_find_all(anatomy, &all);
        size_t n = 0;
        for (size_t i = 0; i < PLACES; i++) {
            n += agrees(anatomy, &all, i, false) && agrees(anatomy, &all, i, true) ? 1 : 0;
        }
        assert(n == PLACES);
    }
    free(anatomy);
}

int main(void)
{
    atlas_and_phantom_agree();
    return 0;
}
