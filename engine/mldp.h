/*
 * mldp.h - the multi-level DINOv3 perceptual distance of two CTs, by the frozen backbone of a model.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MLDP = 1/L sum over l of mean |F_l(synthetic) - F_l(reference)|, where F_l are the patch tokens of the L = 4 blocks that
 * the DGCF generator reads, each through the final norm (the loss of arXiv:2511.12098 in its L1 form, as its
 * code computes it), over all slices.  Both images become slices as the paper trains: clamped to the HU that
 * the recipe's output covers, mapped to -1 ... 1, resized to the network's size, one channel repeated to three.
 *
 * Thread safety: as an engine.
 */
#pragma once

#include <stdint.h>

#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct engine;
struct engine_options;

enum { MLDP_LEVELS = 4, MLDP_TAP_SIZE = 32 };

/* Open a model's engine with the taps that the distance needs.  options: without taps.  Errors: those of engine_open. */
SCTD_NODISCARD int mldp_open(struct engine **ret_engine, const char *dir,
                             const struct engine_options *options, struct sctd_error *err);

/*
 * Of slices as the backbone takes them: [n, 1, h, w] each.  engine: of mldp_open.
 * Errors: those of engine_run.
 */
SCTD_NODISCARD int mldp_find_slices(double *ret_distance, struct engine *engine,
                                    const float *reference, const float *synthetic, int64_t n,
                                    struct sctd_error *err);

/* Of volumes in HU: [dim[0] slices, dim[1] rows, dim[2] columns].  Errors: those of engine_run. */
SCTD_NODISCARD int mldp_find(double *ret_distance, struct engine *engine, const float *reference,
                             const float *synthetic, const int64_t dim[3], struct sctd_error *err);

#ifdef __cplusplus
}
#endif
