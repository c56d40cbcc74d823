/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/phantom.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/volume.h"
#include "engine/image/phantom_anatomy.h"
#include "engine/image/phantom_body.h"
#include "engine/image/phantom_image.h"

enum { BLOCK = 8 };   /* pixels: the shapes near a block are found once */
#define SAMPLE_MM 2.0 /* a voxel longer than this is sampled more than once */
enum { SAMPLES_MAX = 4 };

struct phantom {
    struct phantom_anatomy anatomy;
};

int phantom_new(struct phantom **ret_phantom, uint64_t seed, struct sctd_error *err)
{
    struct phantom *phantom = calloc(1, sizeof *phantom);
    if (phantom == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "phantom");
    }
    phantom_anatomy_init(&phantom->anatomy, seed);
    *ret_phantom = phantom;
    return 0;
}

void phantom_free(struct phantom *phantom)
{
    free(phantom);
}

void phantom_get_facts(const struct phantom *phantom, struct phantom_facts *ret_facts)
{
    *ret_facts = (struct phantom_facts){
        .female = phantom->anatomy.female,
        .t2 = phantom->anatomy.t2,
    };
    phantom_cbct_get_view(&phantom->anatomy, &ret_facts->cbct_fill, &ret_facts->cbct_view_mm);
}

void phantom_at(const struct phantom *phantom, const double at_mm[3],
                struct phantom_point *ret_point)
{
    struct phantom_near near;
    const float at[3] = {(float)at_mm[0], (float)at_mm[1], (float)at_mm[2]};
    phantom_body_find_all(&phantom->anatomy, &near);
    phantom_body_at(&phantom->anatomy, &near, at, ret_point);
}

/* Where the points of a voxel lie that are averaged, relative to its centre. */
struct samples {
    int32_t n;
    float at[SAMPLES_MAX * SAMPLES_MAX * SAMPLES_MAX][3];
    float reach_mm; /* how far from the centre they are, and the border's width */
};

/* Sample `index` of n along each axis of a voxel. */
static void place_sample(float ret_at[3], const struct volume_grid *grid, const int32_t index[3],
                         const int32_t n[3])
{
    for (int i = 0; i < 3; i++) {
        double sum = 0.0;
        for (int a = 0; a < 3; a++) {
            sum += ((index[a] + 0.5) / n[a] - 0.5) * grid->step[a] * grid->axis[a][i];
        }
        ret_at[i] = (float)sum;
    }
}

static void make_samples(struct samples *ret_samples, const struct volume_grid *grid)
{
    int32_t n[3];
    double squared = 0.0; /* distance of the farthest */
    for (int a = 0; a < 3; a++) {
        const double wanted = ceil(grid->step[a] / SAMPLE_MM);
        n[a] = wanted > SAMPLES_MAX ? SAMPLES_MAX : (int32_t)wanted;
        const double farthest = 0.5 * grid->step[a] * (n[a] - 1) / n[a];
        squared += farthest * farthest;
    }
    ret_samples->reach_mm = (float)sqrt(squared) + PHANTOM_BORDER_MM;
    ret_samples->n = n[0] * n[1] * n[2];
    for (int32_t s = 0; s < ret_samples->n; s++) {
        const int32_t index[3] = {s % n[0], s / n[0] % n[1], s / n[0] / n[1]};
        place_sample(ret_samples->at[s], grid, index, n);
    }
}

struct renderer {
    const struct phantom_anatomy *anatomy;
    const struct volume_grid *grid;
    struct samples samples;
    float *hu, *signal; /* either may be NULL */
};

/* The voxel whose centre is `at`; it is sampled finely only where a border may cross it. */
static void render_voxel(const struct renderer *r, struct phantom_near *near, const float at[3],
                         size_t index)
{
    struct phantom_point point;
    phantom_body_at(r->anatomy, near, at, &point);
    float hu = point.hu;
    float signal = point.signal;
    const int32_t n = r->samples.n;
    if (n > 1 && point.border_mm < r->samples.reach_mm) {
        hu = 0.0F;
        signal = 0.0F;
        for (int32_t s = 0; s < n; s++) {
            const float *from = r->samples.at[s];
            const float to[3] = {at[0] + from[0], at[1] + from[1], at[2] + from[2]};
            phantom_body_at(r->anatomy, near, to, &point);
            hu += point.hu / (float)n;
            signal += point.signal / (float)n;
        }
    }
    if (r->hu != NULL) {
        r->hu[index] = hu;
    }
    if (r->signal != NULL) {
        r->signal[index] = signal;
    }
}

static void render_block(const struct renderer *r, int32_t i0, int32_t j0, int32_t k)
{
    const struct volume_grid *grid = r->grid;
    const int32_t i1 = i0 + BLOCK < grid->dim[0] ? i0 + BLOCK : grid->dim[0];
    const int32_t j1 = j0 + BLOCK < grid->dim[1] ? j0 + BLOCK : grid->dim[1];
    float corner[2][3];
    phantom_image_place(grid, i0, j0, k, corner[0]);
    phantom_image_place(grid, i1 - 1, j1 - 1, k, corner[1]);
    float middle[3];
    float squared = 0.0F;
    for (int a = 0; a < 3; a++) {
        const float half = 0.5F * (corner[1][a] - corner[0][a]);
        middle[a] = corner[0][a] + half;
        squared += half * half;
    }
    struct phantom_near near;
    phantom_body_find_near(r->anatomy, middle, sqrtf(squared) + r->samples.reach_mm, &near);
    for (int32_t j = j0; j < j1; j++) {
        for (int32_t i = i0; i < i1; i++) {
            float at[3];
            phantom_image_place(grid, i, j, k, at);
            const size_t row = (size_t)k * (size_t)grid->dim[1] + (size_t)j;
            render_voxel(r, &near, at, row * (size_t)grid->dim[0] + (size_t)i);
        }
    }
}

static void render_slice(const struct renderer *r, int32_t k)
{
    for (int32_t j = 0; j < r->grid->dim[1]; j += BLOCK) {
        for (int32_t i = 0; i < r->grid->dim[0]; i += BLOCK) {
            render_block(r, i, j, k);
        }
    }
}

int phantom_render(const struct phantom *phantom, enum phantom_kind kind, struct volume *image,
                   struct volume *truth, struct sctd_error *err)
{
    const struct volume_grid *grid = &image->grid;
    if (truth != NULL && memcmp(truth->grid.dim, grid->dim, sizeof grid->dim) != 0) {
        return sctd_error(err, SCTD_EINVAL, "the phantom's truth has another size than its image");
    }
    const struct phantom_anatomy *anatomy = &phantom->anatomy;
    struct renderer r = {.anatomy = anatomy, .grid = grid};
    make_samples(&r.samples, grid);
    r.signal = kind == PHANTOM_MR ? image->voxel : NULL;
    r.hu = truth != NULL ? truth->voxel : kind == PHANTOM_MR ? NULL : image->voxel;
    for (int32_t k = 0; k < grid->dim[2]; k++) {
        render_slice(&r, k);
    }
    if (kind == PHANTOM_MR) {
        phantom_mr_finish(anatomy, image);
        return 0;
    }
    if (r.hu != image->voxel) {
        const size_t n = (size_t)grid->dim[0] * (size_t)grid->dim[1] * (size_t)grid->dim[2];
        memcpy(image->voxel, r.hu, n * sizeof *image->voxel);
    }
    return kind == PHANTOM_CBCT ? phantom_cbct_finish(anatomy, image, err) : 0;
}

void phantom_make_grid(struct volume_grid *ret_grid, enum phantom_orientation orientation,
                       int32_t matrix, int32_t slices, const double spacing_mm[3])
{
    static const double middle_mm[3] = {0, 4, 6};
    static const double axes[][3][3] = {
        [PHANTOM_AXIAL] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}},
        [PHANTOM_SAGITTAL] = {{0, 1, 0}, {0, 0, -1}, {-1, 0, 0}},
        [PHANTOM_CORONAL] = {{1, 0, 0}, {0, 0, -1}, {0, 1, 0}},
    };
    struct volume_grid grid = {.dim = {matrix, matrix, slices}};
    if (orientation == PHANTOM_OBLIQUE) {
        const double x[2] = {cos(0.29670597283903605), sin(0.29670597283903605)};
        const double z[2] = {cos(0.19198621771937624), sin(0.19198621771937624)};
        const double oblique[3][3] = {
            {z[0], z[1], 0}, {-z[1] * x[0], z[0] * x[0], x[1]}, {z[1] * x[1], -z[0] * x[1], x[0]}};
        memcpy(grid.axis, oblique, sizeof oblique);
    } else {
        memcpy(grid.axis, axes[orientation], sizeof axes[orientation]);
    }
    for (int a = 0; a < 3; a++) {
        grid.step[a] = spacing_mm[a];
        grid.origin[a] = middle_mm[a];
    }
    for (int a = 0; a < 3; a++) {
        for (int i = 0; i < 3; i++) {
            grid.origin[i] -= 0.5 * (grid.dim[a] - 1) * grid.step[a] * grid.axis[a][i];
        }
    }
    *ret_grid = grid;
}
