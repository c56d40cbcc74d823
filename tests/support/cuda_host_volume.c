/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/cuda_host_volume.h"

#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/body_recipe.h"
#include "engine/base/error.h"

bool cuda_host_put(struct cuda_host_volume *v, const float *voxel, size_t n, size_t room_bytes)
{
    assert(v->voxel == NULL);
    if (room_bytes != 0 && n * sizeof *voxel > room_bytes) {
        return false;
    }
    v->voxel = malloc(n * sizeof *voxel);
    assert(v->voxel != NULL);
    memcpy(v->voxel, voxel, n * sizeof *voxel);
    v->n = n;
    return true;
}

void cuda_host_drop(struct cuda_host_volume *v)
{
    assert(v->voxel != NULL);
    free(v->voxel);
    *v = (struct cuda_host_volume){.voxel = NULL};
}

void cuda_host_count(const struct cuda_host_volume *v, size_t *ret_count, const uint32_t *upper,
                     int32_t n_upper)
{
    const size_t bins = (size_t)(n_upper == 0 ? 1 : n_upper) * RECIPE_BINS;
    struct recipe_count_args args = {.value = v->voxel, .n_upper = n_upper};
    memset(ret_count, 0, bins * sizeof *ret_count);
    for (int32_t t = 0; t < n_upper; t++) {
        args.upper[t] = upper[t];
    }
    for (size_t item = 0; item < v->n; item++) {
        const int32_t bin = recipe_bin(&args, item);
        assert(bin == RECIPE_NO_BIN || (size_t)bin < bins);
        if (bin != RECIPE_NO_BIN) {
            ret_count[bin]++;
        }
    }
}

static size_t slice_size(const struct backend_volume *v)
{
    return (size_t)v->dim[1] * (size_t)v->dim[2];
}

void cuda_host_in(const struct cuda_host_volume *h, const struct backend_volume *v,
                  const struct cuda_host_chunk *c)
{
    const struct recipe_in_args args = {
        .volume = h->voxel + (size_t)c->slice0 * slice_size(v),
        .x_cnn = c->x_cnn,
        .x_dino = c->x_dino,
        .slices = c->n,
        .size = {(int32_t)v->dim[1], (int32_t)v->dim[2], c->h, c->w},
        .clip = {(float)v->clip[0], (float)v->clip[1]},
        .cnn = recipe_map_of(v->cnn.from, v->cnn.to),
        .dino = recipe_map_of(v->dino.from, v->dino.to),
    };
    for (size_t item = 0; item < (size_t)c->room * (size_t)c->h * (size_t)c->w; item++) {
        recipe_in_body(&args, item);
    }
}

int cuda_host_out(const struct backend_volume *v, const struct cuda_host_chunk *c,
                  struct sctd_error *err)
{
    const size_t n = (size_t)c->n * slice_size(v);
    const size_t outputs = (size_t)c->n * (size_t)c->h * (size_t)c->w;
    float *hu = v->hu + (size_t)c->slice0 * slice_size(v);
    void *out = malloc(n * sizeof *hu);
    assert(out != NULL);
    const struct recipe_out_args args = {
        .y = c->y,
        .hu = out,
        .size = {c->h, c->w, (int32_t)v->dim[1], (int32_t)v->dim[2]},
        .map = recipe_map_of(v->out.from, v->out.to),
        .whole = v->whole ? 1 : 0,
    };
    bool finite = true;
    for (size_t i = 0; i < outputs; i++) {
        finite = finite && recipe_is_finite(c->y[i]) != 0;
    }
    for (size_t item = 0; finite && item < n; item++) {
        recipe_out_body(&args, item);
        hu[item] = v->whole ? (float)((const int16_t *)out)[item] : ((const float *)out)[item];
    }
    free(out);
    return finite ? 0 : sctd_error(err, SCTD_EDATA, "the network's output is not finite");
}
