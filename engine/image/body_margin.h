/*
 * body_margin.h - what lies well outside a body, and what lies deep in it, slice by slice.
 *
 * Distances are between voxel centres within a slice; beyond the image's edge there is nothing.
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "engine/base/beat.h"
#include "engine/base/error.h"
#include "engine/base/volume.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { BODY_MARGIN_BEYOND = 1, BODY_MARGIN_DEEP = 2 };

/* How far from the body a voxel is beyond it, and how far from all that is no body it is deep in it. */
struct body_margin {
    double beyond_mm, deep_mm;
};

/*
 * ret_flags [dim[2], dim[1], dim[0]]: BODY_MARGIN_BEYOND where the body (what of `mask` has the bit 1) is farther than
 * beyond_mm or not in the slice at all; BODY_MARGIN_DEEP in the body where what is no body is farther than deep_mm.
 * beat: told after each slice; or NULL.  Errors: SCTD_ENOMEM.
 */
SCTD_NODISCARD int body_margin_find(uint8_t *ret_flags, const uint8_t *mask,
                                    const struct volume_grid *grid,
                                    const struct body_margin *margin, const struct sctd_beat *beat,
                                    struct sctd_error *err);

#ifdef __cplusplus
}
#endif
