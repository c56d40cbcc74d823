/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/body_mask.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/volume.h"
#include "engine/image/outline.h"
#include "engine/image/resize.h"

enum state { AIR, TISSUE, SEEN };

struct search {
    uint8_t *state; /* [voxels] */
    size_t *waits;  /* [voxels]: each waits once at most */
    size_t n_waits, n;
    int32_t dim[3];
    size_t stride[3];
};

static void reach(struct search *s, size_t at)
{
    if (s->state[at] == TISSUE) {
        s->state[at] = SEEN;
        s->waits[s->n_waits++] = at;
    }
}

static void reach_neighbours(struct search *s, size_t at)
{
    for (int a = 0; a < 3; a++) {
        const size_t index = at / s->stride[a] % (size_t)s->dim[a];
        if (index > 0) {
            reach(s, at - s->stride[a]);
        }
        if (index + 1 < (size_t)s->dim[a]) {
            reach(s, at + s->stride[a]);
        }
    }
}

/* How many voxels hang together with `first`; they are SEEN, and waits[0 ... n] holds them. */
static size_t flood(struct search *s, size_t first)
{
    size_t done = 0;
    s->n_waits = 0;
    reach(s, first);
    while (done < s->n_waits) {
        reach_neighbours(s, s->waits[done++]);
    }
    return s->n_waits;
}

/* mask: 1 in the largest piece. */
static int find_largest(uint8_t *mask, struct search *s, struct sctd_error *err)
{
    size_t most = 0;
    size_t where = 0;
    for (size_t at = 0; at < s->n; at++) {
        if (s->state[at] == TISSUE) {
            const size_t n = flood(s, at);
            where = n > most ? at : where;
            most = n > most ? n : most;
        }
    }
    if (most == 0) {
        return sctd_error(err, SCTD_EDATA,
                          "the reference has no voxel of at least %g HU: there is no body in it",
                          (double)OUTLINE_BODY_HU);
    }
    for (size_t at = 0; at < s->n; at++) {
        s->state[at] = s->state[at] == SEEN ? TISSUE : AIR;
    }
    memset(mask, 0, s->n);
    (void)flood(s, where);
    for (size_t i = 0; i < s->n_waits; i++) {
        mask[s->waits[i]] = 1;
    }
    return 0;
}

/* Each slice with what its part of the body encloses. */
static int fill_slices(uint8_t *mask, const int32_t dim[3], struct sctd_error *err)
{
    const size_t plane = (size_t)dim[0] * (size_t)dim[1];
    float *value = malloc(plane * sizeof *value);
    bool *inside = malloc(plane * sizeof *inside);
    int r = value == NULL || inside == NULL ? sctd_error(err, SCTD_ENOMEM, "a body mask") : 0;
    for (int32_t k = 0; r == 0 && k < dim[2]; k++) {
        uint8_t *slice = mask + (size_t)k * plane;
        for (size_t i = 0; i < plane; i++) {
            value[i] = slice[i] != 0 ? 1.0F : 0.0F;
        }
        r = outline_find_inside(inside, value, (struct resize_size){dim[1], dim[0]}, 0.5F, err);
        for (size_t i = 0; r == 0 && i < plane; i++) {
            slice[i] = inside[i] ? 1 : 0;
        }
    }
    free(value);
    free(inside);
    return r;
}

int body_mask_find(uint8_t *ret_mask, const struct volume *ct, struct sctd_error *err)
{
    struct search s = {.n = 1};
    for (int a = 0; a < 3; a++) {
        s.dim[a] = ct->grid.dim[a];
        s.stride[a] = s.n;
        s.n *= (size_t)s.dim[a];
    }
    s.state = calloc(s.n, 1);
    s.waits = malloc(s.n * sizeof *s.waits);
    int r = s.state == NULL || s.waits == NULL
                ? sctd_error(err, SCTD_ENOMEM, "the body mask of %zu voxels", s.n)
                : 0;
    for (size_t at = 0; r == 0 && at < s.n; at++) {
        s.state[at] = ct->voxel[at] >= OUTLINE_BODY_HU ? TISSUE : AIR;
    }
    r = r < 0 ? r : find_largest(ret_mask, &s, err);
    free(s.state);
    free(s.waits);
    return r < 0 ? r : fill_slices(ret_mask, ct->grid.dim, err);
}
