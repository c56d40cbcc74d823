/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/volume.h"
#include "engine/image/body_mask.h"
#include "engine/image/outline.h"
#include "engine/image/phantom.h"
#include "engine/image/thin_plate.h"

static struct sctd_error err;

/* A hollow couch: shells about foam that counts as air. */
struct couch {
    double radius_mm; /* of its bend; 0: flat */
    double contact;   /* how much of the body's width lies on it */
    double shell_mm;
};

enum { HALF_MM = 230, HEIGHT_MM = 40 };

static size_t count(const struct volume_grid *grid)
{
    return (size_t)grid->dim[0] * (size_t)grid->dim[1] * (size_t)grid->dim[2];
}

static double place(const struct volume_grid *grid, int axis, size_t index)
{
    return grid->origin[axis] + (double)index * grid->step[axis];
}

static double sag(const struct couch *couch, double x)
{
    return couch->radius_mm > 0 ? x * x / (2 * couch->radius_mm) : 0;
}

/* For each column of the middle slice how far the body reaches down, in the frame of the couch. */
static size_t find_bottoms(double *ret_bottom, const uint8_t *body, const struct volume_grid *grid,
                           const struct couch *couch)
{
    const size_t columns = (size_t)grid->dim[0];
    const size_t rows = (size_t)grid->dim[1];
    const uint8_t *slice = body + (size_t)grid->dim[2] / 2 * rows * columns;
    size_t n = 0;
    for (size_t i = 0; i < columns; i++) {
        size_t last = 0;
        for (size_t j = 0; j < rows; j++) {
            last = slice[j * columns + i] != 0 ? j : last;
        }
        if (last > 0) {
            ret_bottom[n++] = place(grid, 1, last) + sag(couch, place(grid, 0, i));
        }
    }
    return n;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Where the top of the couch lies, so that the wanted part of the width touches it. */
static double find_top(const uint8_t *body, const struct volume_grid *grid,
                       const struct couch *couch)
{
    double bottom[512];
    const size_t n = find_bottoms(bottom, body, grid, couch);
    qsort(bottom, n, sizeof *bottom, compare);
    return bottom[n - 1 - (size_t)(couch->contact * (double)n)];
}

static bool is_shell(const struct couch *couch, double x, double depth)
{
    const bool is_in = fabs(x) <= HALF_MM && depth >= 0 && depth <= HEIGHT_MM;
    return is_in && (depth <= couch->shell_mm || depth >= HEIGHT_MM - couch->shell_mm ||
                     fabs(x) >= HALF_MM - couch->shell_mm);
}

static void add_couch(struct volume *ct, const uint8_t *body, const struct couch *couch)
{
    const struct volume_grid *grid = &ct->grid;
    const double top = find_top(body, grid, couch);
    for (size_t at = 0; at < count(grid); at++) {
        const size_t columns = (size_t)grid->dim[0];
        const double x = place(grid, 0, at % columns);
        const double y = place(grid, 1, at / columns % (size_t)grid->dim[1]);
        if (body[at] == 0 && is_shell(couch, x, y + sag(couch, x) - top)) {
            ct->voxel[at] = 50.0F;
        }
    }
}

static struct volume *make_ct(uint64_t seed, double step)
{
    struct volume_grid grid;
    struct phantom *phantom = NULL;
    struct volume *ct = NULL;
    const int32_t matrix = (int32_t)(490 / step);
    phantom_make_grid(&grid, PHANTOM_AXIAL, matrix, 12, (const double[]){step, step, 3.0});
    assert(phantom_new(&phantom, seed, &err) == 0);
    assert(volume_new(&ct, &grid, &err) == 0);
    assert(phantom_render(phantom, PHANTOM_CT, ct, NULL, &err) == 0);
    phantom_free(phantom);
    return ct;
}

static double percent_wrong(const uint8_t *mask, const uint8_t *truth, size_t n)
{
    size_t wrong = 0;
    size_t all = 0;
    for (size_t at = 0; at < n; at++) {
        wrong += mask[at] != truth[at] ? 1 : 0;
        all += truth[at];
    }
    return 100.0 * (double)wrong / (double)all;
}

static void check_couch(const struct couch *couch, uint64_t seed, double step)
{
    struct volume *ct = make_ct(seed, step);
    const size_t n = count(&ct->grid);
    uint8_t *truth = malloc(n);
    uint8_t *before = malloc(n);
    uint8_t *after = malloc(n);
    assert(truth != NULL && before != NULL && after != NULL);
    assert(body_mask_find_above(truth, ct, OUTLINE_BODY_HU, 2, NULL, &err) == 0);
    assert(body_mask_find(after, ct, &err) == 0);
    assert(memcmp(after, truth, n) == 0); /* nothing is lost without a couch */
    add_couch(ct, truth, couch);
    assert(body_mask_find_above(before, ct, OUTLINE_BODY_HU, 2, NULL, &err) == 0);
    assert(body_mask_find(after, ct, &err) == 0);
    const double was = percent_wrong(before, truth, n);
    const double is = percent_wrong(after, truth, n);
    (void)printf("voxels of %.1f mm, couch bent to %3.0f mm, touching %2.0f %%: %5.2f %% wrong, "
                 "now %5.2f %%\n",
                 step, couch->radius_mm, 100 * couch->contact, was, is);
    assert(is <= was && is < 1.0);
    assert(was > 20.0 || couch->radius_mm > 0); /* a coarse bent shell falls apart */
    free(truth);
    free(before);
    free(after);
    volume_free(ct);
}

static void a_couch_that_touches_the_skin_is_cut_off(void)
{
    static const struct couch couches[] = {
        {0, 0.1, 2.0}, {0, 0.3, 2.0}, {600, 0.1, 2.0}, {600, 0.3, 2.0}, {400, 0.5, 3.0}};
    static const double steps[] = {1.0, 1.5, 2.0};
    for (size_t s = 0; s < sizeof steps / sizeof *steps; s++) {
        for (size_t i = 0; i < sizeof couches / sizeof *couches; i++) {
            check_couch(&couches[i], i + 1, steps[s]);
        }
    }
}

enum { SIDE = 120, SLICES = 6 };

/* A trunk of 80 voxels with an arm that touches it in one voxel, an ear, and a fold of skin. */
static bool is_patient(int i, int j)
{
    const bool trunk = i >= 10 && i < 90 && j >= 40 && j < 90;
    const bool arm = i >= 90 && i < 110 && j >= 50 && j < 70 && (i > 90 || j == 60);
    const bool ear = i >= 40 && i < 42 && j >= 10 && j < 40;
    const bool fold = j >= 90 && j < 92 && i >= 10 && i < 60;
    return trunk || arm || ear || fold;
}

static void arms_ears_and_folds_of_skin_stay(void)
{
    const struct volume_grid grid = {
        .dim = {SIDE, SIDE, SLICES}, .step = {1, 1, 3}, .axis = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
    static uint8_t mask[SIDE * SIDE * SLICES];
    static uint8_t cut[SIDE * SIDE * SLICES];
    for (size_t at = 0; at < sizeof mask; at++) {
        mask[at] = is_patient((int)(at % SIDE), (int)(at / SIDE % SIDE)) ? 1 : 0;
    }
    memcpy(cut, mask, sizeof mask);
    assert(thin_plate_cut(cut, &grid, &err) == 0 && memcmp(cut, mask, sizeof mask) == 0);
    const struct volume_grid coarse = {.dim = {SIDE, SIDE, SLICES},
                                       .step = {3.5, 3.5, 3},
                                       .axis = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
    assert(thin_plate_cut(cut, &coarse, &err) == 0 && memcmp(cut, mask, sizeof mask) == 0);
}

int main(void)
{
    a_couch_that_touches_the_skin_is_cut_off();
    arms_ears_and_folds_of_skin_stay();
    return 0;
}
