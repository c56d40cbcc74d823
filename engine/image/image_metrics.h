/*
 * image_metrics.h - how far the HU of an sCT are from those of its reference: MAE, ME, RMSE, PSNR.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * With d = synthetic - reference over the n voxels of a region:
 *   ME   = sum d / n,  MAE = sum |d| / n,  RMSE = sqrt(sum d^2 / n),  of the values as they are;
 *   PSNR = 10 log10(R^2 / (sum c^2 / n)),  R = high - low,  c = d with both images clamped to low ... high first.
 * This is the SynthRAD2025 challenge's definition, whose range is -1024 ... 3071 HU (R = 4095); SynthRAD2023 took
 * -1024 ... 3000.  A region without a voxel has NAN; images that are equal have an infinite PSNR.
 *
 * Thread safety: pure functions.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/image/range.h"
#include "engine/image/regions.h"

#ifdef __cplusplus
extern "C" {
#endif

#define IMAGE_METRICS_HU_LOW  (-1024.0)
#define IMAGE_METRICS_HU_HIGH 3071.0

struct image_metrics {
    size_t n;
    double mae, me, rmse; /* HU */
    double psnr;          /* dB */
};

/* regions[n]: of regions_mark. */
void image_metrics_find(struct image_metrics ret_metrics[REGIONS], const float *reference,
                        const float *synthetic, const uint8_t *regions, size_t n,
                        struct range range);

#ifdef __cplusplus
}
#endif
