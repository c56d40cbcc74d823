/*
 * slice_jump.h - slices of an sCT that do not fit their neighbours.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * d(k) is the mean of |HU(k) - HU(k + 1)| over the pixels that are in the body in both slices.  Pairs that share less than a
 * quarter of the median body (over the slices that have one) do not count.  A jump is d(k) less the median of those
 * of d(k - 2), d(k - 1), d(k + 1), d(k + 2) that count; where none does, there is no jump to be told.
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

struct slice_jump {
    double hu;     /* the largest; below 0 where all pairs differ alike */
    int32_t slice; /* between this one and the next */
};

enum { SLICE_JUMP_NONE = 1 };

/*
 * mask [dim[2], dim[1], dim[0]]: the body, what has the bit 1.  beat: told after each slice in each pass; or NULL.
 * Returns 0, or SLICE_JUMP_NONE: there are too few slices with enough of the body.  Errors: SCTD_ENOMEM.
 */
SCTD_NODISCARD int slice_jump_find(struct slice_jump *ret_jump, const struct volume *hu,
                                   const uint8_t *mask, const struct sctd_beat *beat,
                                   struct sctd_error *err);

#ifdef __cplusplus
}
#endif
