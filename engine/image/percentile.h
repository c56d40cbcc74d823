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
#include <stdint.h>

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

enum { PERCENTILE_BINS = 1 << 16, PERCENTILE_TABLES = 4 };

/*
 * Who counts the values, where they do not lie in memory.  A value's key is its bits as an f32, all inverted
 * if it is negative, else with the first one set: keys order as values do.  Counts are zero before.
 * Both return 0 or an error of their own, which is passed on.
 */
struct percentile_counter {
    /* count[u]: values whose key's upper 16 bits are u. */
    int (*uppers)(void *arg, size_t count[PERCENTILE_BINS], struct sctd_error *err);
    /* count[t][l], t below n_tables (1 ... 4): values whose key is upper[t] << 16 | l. */
    int (*lowers)(void *arg, const uint32_t *upper, int n_tables, size_t (*count)[PERCENTILE_BINS],
                  struct sctd_error *err);
    void *arg;
};

/* The same of n values that `counter` counts.  Errors: SCTD_EDEVICE too (its counts do not add up). */
SCTD_NODISCARD int percentile_find_counted(double ret_value[2], const double percent[2], size_t n,
                                           const struct percentile_counter *counter,
                                           struct sctd_error *err);

#ifdef __cplusplus
}
#endif
