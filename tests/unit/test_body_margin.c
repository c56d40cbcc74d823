/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/rng.h"
#include "engine/base/volume.h"
#include "engine/image/body_margin.h"

#include "tests/support/made_volume.h"

enum { COLUMNS = 23, ROWS = 19, SLICES = 3, PLANE = COLUMNS * ROWS, VOXELS = PLANE * SLICES };

static struct sctd_error err;
static const double step[3] = {2.0, 1.5, 4.0};
static const struct body_margin margin = {.beyond_mm = 6.0, .deep_mm = 3.0};

/* Whether a pixel of slice k that is in the body as `is` says lies within `mm`. */
static bool is_near(const uint8_t *mask, int32_t k, int32_t at, bool is, double mm)
{
    for (int32_t to = 0; to < PLANE; to++) {
        const double x = step[0] * (at % COLUMNS - to % COLUMNS);
        const int32_t rows = at / COLUMNS - to / COLUMNS;
        const double y = step[1] * rows;
        if (((mask[k * PLANE + to] & 1) != 0) == is && x * x + y * y <= mm * mm) {
            return true;
        }
    }
    return false;
}

static void compare(const uint8_t *mask)
{
    const struct volume_grid grid = made_grid(COLUMNS, ROWS, SLICES, step);
    uint8_t flags[VOXELS];
    memset(flags, 0xFF, sizeof flags);
    assert(body_margin_find(flags, mask, &grid, &margin, NULL, &err) == 0);
    for (int32_t n = 0; n < VOXELS; n++) {
        const int32_t k = n / PLANE;
        const bool is_beyond = !is_near(mask, k, n % PLANE, true, margin.beyond_mm);
        const bool is_deep = !is_near(mask, k, n % PLANE, false, margin.deep_mm);
        const int want = (is_beyond ? BODY_MARGIN_BEYOND : 0) | (is_deep ? BODY_MARGIN_DEEP : 0);
        assert(flags[n] == want);
    }
}

static void flags_are_those_of_a_search(void)
{
    struct sctd_rng rng = {11};
    uint8_t mask[VOXELS];
    for (int round = 0; round < 6; round++) {
        for (size_t at = 0; at < VOXELS; at++) {
            mask[at] = sctd_rng_uniform(&rng) < 0.004F ? 3 : 2; /* other bits do not count */
        }
        compare(mask);
        for (size_t at = 0; at < VOXELS; at++) {
            mask[at] = sctd_rng_uniform(&rng) < 0.01F ? 2 : 1;
        }
        compare(mask);
    }
}

static void empty_and_full_slices_are_all_beyond_and_all_deep(void)
{
    uint8_t mask[VOXELS] = {0};
    memset(mask + PLANE, 1, PLANE);
    compare(mask);
}

int main(void)
{
    flags_are_those_of_a_search();
    empty_and_full_slices_are_all_beyond_and_all_deep();
    return 0;
}
