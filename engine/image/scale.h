/*
 * scale.h - a slice at another matrix size, to be looked at: averaged where it gets smaller.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A triangle filter on each axis, half-pixel centres, as wide as the coarser of the two pixels, edges cut off and the
 * rest weighed up: Pillow's Image.resize(BILINEAR) of an image of mode F.  (resize.h is what the network
 * was trained with, and skips pixels.)
 *
 * Thread safety: pure functions.
 */
#pragma once

#include "engine/base/error.h"
#include "engine/image/resize.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * out [to.rows, to.columns] from in [from.rows, from.columns], row-major, not overlapping.
 * Errors: SCTD_EINVAL (a size < 1), SCTD_ENOMEM.
 */
SCTD_NODISCARD int scale_run(float *out, struct resize_size to, const float *in,
                             struct resize_size from, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
