/*
 * hole.h - voids of an sCT where its source has tissue.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A void's voxels are below OUTLINE_BODY_HU where they may not be; those with one of six neighbours that is none are
 * taken off, so that a shell between tissue and a real cavity is no void (beyond the image there is nothing that
 * takes off).  The largest piece of what is left, which hangs together by faces, is the hole.
 *
 * Thread safety: pure functions.
 */
#pragma once

#include <stdint.h>

#include "engine/base/beat.h"
#include "engine/base/error.h"
#include "engine/base/volume.h"

#ifdef __cplusplus
extern "C" {
#endif

struct hole {
    double ml;     /* 0: there is none */
    int32_t slice; /* that has most of it */
};

/*
 * tissue [dim[2], dim[1], dim[0]]: not 0 where a voxel may not be void; used as space.
 * beat: told after each slice in each pass; or NULL.
 * Errors: SCTD_EINVAL (more voxels than pieces.h takes), SCTD_ENOMEM.
 */
SCTD_NODISCARD int hole_find(struct hole *ret_hole, const struct volume *hu, uint8_t *tissue,
                             const struct sctd_beat *beat, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
