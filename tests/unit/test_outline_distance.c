/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/volume.h"
#include "engine/image/outline_distance.h"

#include "tests/support/made_volume.h"

enum { COLUMNS = 60, ROWS = 50, SLICES = 10, VOXELS = COLUMNS * ROWS * SLICES };

static struct sctd_error err;
static const double step[3] = {2.0, 1.0, 5.0};
static uint8_t a[VOXELS], b[VOXELS];

static struct volume_grid clear(void)
{
    memset(a, 0, sizeof a);
    memset(b, 0, sizeof b);
    return made_grid(COLUMNS, ROWS, SLICES, step);
}

static void same_bodies_are_not_apart(void)
{
    const struct volume_grid grid = clear();
    struct outline_distance found;
    const struct made_box box = {{0, 3, 0}, {59, 40, 9}}; /* as far as the image's edges */
    made_mark(a, &grid, &box, 1);
    made_mark(b, &grid, &box, 3);
    assert(outline_distance_find(&found, a, b, &grid, NULL, &err) == 0);
    assert(fabs(found.hd95_mm) < 1e-12 && found.worst_slice == 0);
}

/* One body 4 mm wider on each side: every pixel of its outline is 4 mm away, its corners more. */
static void wider_body_is_as_far_as_it_is_wider(void)
{
    const struct volume_grid grid = clear();
    struct outline_distance found;
    made_mark(a, &grid, &(struct made_box){{10, 10, 0}, {40, 40, 9}}, 1);
    made_mark(b, &grid, &(struct made_box){{8, 6, 0}, {42, 44, 9}}, 1);
    assert(outline_distance_find(&found, a, b, &grid, NULL, &err) == 0);
    /* The nearest of a's outline from b's corner is 4 mm along both axes. */
    assert(found.hd95_mm >= 4.0 && found.hd95_mm <= sqrt(32.0));
    const double there = found.hd95_mm;
    assert(outline_distance_find(&found, b, a, &grid, NULL, &err) == 0);
    assert(fabs(found.hd95_mm - there) < 1e-12);
}

static void worst_slice_is_the_one_that_moved(void)
{
    const struct volume_grid grid = clear();
    struct outline_distance found;
    for (int32_t k = 0; k < SLICES; k++) {
        const int32_t by = k == 7 ? 9 : 0;
        made_mark(a, &grid, &(struct made_box){{10, 10, k}, {40, 30, k}}, 1);
        made_mark(b, &grid, &(struct made_box){{10, 10 + by, k}, {40, 30 + by, k}}, 1);
    }
    assert(outline_distance_find(&found, a, b, &grid, NULL, &err) == 0);
    /* a tenth of the outline moved, most of it by 9 mm */
    assert(found.worst_slice == 7 && found.hd95_mm > 8.0 && found.hd95_mm <= 9.0);
}

static void body_that_is_missing_is_a_radius_away(void)
{
    const double pi = 3.14159265358979323846;
    const struct volume_grid grid = clear();
    struct outline_distance found;
    made_mark(a, &grid, &(struct made_box){{10, 10, 0}, {39, 39, 4}}, 1);
    made_mark(b, &grid, &(struct made_box){{10, 10, 0}, {39, 39, 0}}, 1);
    assert(outline_distance_find(&found, a, b, &grid, NULL, &err) == 0);
    assert(fabs(found.hd95_mm - sqrt(30.0 * 30.0 * 2.0 / pi)) < 1e-5);
    assert(found.worst_slice == 1);
    assert(outline_distance_find(&found, b, a, &grid, NULL, &err) == 0);
    assert(fabs(found.hd95_mm - sqrt(30.0 * 30.0 * 2.0 / pi)) < 1e-5);
}

static void empty_body_has_no_distance(void)
{
    const struct volume_grid grid = clear();
    struct outline_distance found = {.hd95_mm = -7.0};
    assert(outline_distance_find(&found, a, b, &grid, NULL, &err) == OUTLINE_DISTANCE_NONE);
    a[77] = 1;
    assert(outline_distance_find(&found, a, b, &grid, NULL, &err) == OUTLINE_DISTANCE_NONE);
    assert(outline_distance_find(&found, b, a, &grid, NULL, &err) == OUTLINE_DISTANCE_NONE);
    assert(found.hd95_mm < -6.0);
}

int main(void)
{
    same_bodies_are_not_apart();
    wider_body_is_as_far_as_it_is_wider();
    worst_slice_is_the_one_that_moved();
    body_that_is_missing_is_a_radius_away();
    empty_body_has_no_distance();
    return 0;
}
