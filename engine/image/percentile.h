/*
 * percentile.h - percentiles of a whole volume, with the numbers that numpy.percentile gives.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The values are not sorted: two passes of counting over the bits of the floats find the order
 * statistics exactly, in time proportional to the volume and with 3 MiB of memory whatever its size.
 *
 * Thread safety: none needed; no shared state.
 */
#pragma once

#include <stddef.h>

#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * ret_value[k]: percentile percent[k] (0 ... 100) of the n values, interpolated linearly between the
 * two nearest order statistics in double, as numpy.percentile(volume.astype(float64), percent) does.
 * Errors: SCTD_EINVAL (n is 0, percent out of range), SCTD_EDATA (a value is not finite),
 * SCTD_ENOMEM.
 */
SCTD_NODISCARD int percentile_find(double ret_value[2], const double percent[2], const float *value,
                                   size_t n, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
