/*
 * range.h - clamp values to a range and carry them from one range to another.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arithmetic is f32 in the order of the published code (arXiv:2511.12098): first to [0, 1], then
 * to the target.  NaN stays NaN.  `out` may be `in`.
 *
 * Thread safety: none needed; no shared state.
 */
#pragma once

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct range {
    double low, high; /* low < high */
};

/* out[i]: in[i] brought into `to`. */
void range_clamp(float *out, const float *in, size_t n, struct range to);

/*
 * out[i] = (in[i] - from.low) / (from.high - from.low) * (to.high - to.low) + to.low: the clip limits
 * to the network's input, or the network's output [-1, 1] to HU.  Values outside `from` land
 * outside `to`.
 */
void range_map(float *out, const float *in, size_t n, struct range from, struct range to);

#ifdef __cplusplus
}
#endif
