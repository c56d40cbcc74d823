/*
 * label_metrics.h - how well the outlines of organs agree: Dice, 95 % Hausdorff distance, mean surface distance.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For a label with voxels A in the reference's map and B in the synthetic's (values as they are, TotalSegmentator's for instance):
 *   Dice = 2 |A and B| / (|A| + |B|).
 * The surface of a set are its voxels with one of six neighbours outside it or outside the map.  From each surface voxel
 * of one set goes the shortest distance between voxel centres, in mm, to the surface of the other:
 *   HD95 = the larger of the two directions' 95th percentiles (linear between order statistics),
 *   MSD  = the mean over both directions' distances together (symmetric).
 * As MONAI's DiceMetric, HausdorffDistanceMetric(percentile=95) and SurfaceDistanceMetric(symmetric=True) with
 * `spacing`, which SynthRAD2025 uses.  Distances are exact (Felzenszwalb and Huttenlocher 2012).
 *
 * Thread safety: pure functions.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { LABEL_METRICS_MAX = 1024 }; /* labels 1 ... this */

struct label_metrics {
    int32_t label;
    size_t reference_voxels, synthetic_voxels;
    double dice;
    double hd95_mm, msd_mm; /* NAN: the label is missing in one of the maps */
};

struct label_maps {
    const uint16_t *reference, *synthetic; /* [dim[2], dim[1], dim[0]]; 0: background */
    int32_t dim[3];
    double step[3]; /* mm */
};

/*
 * One row for each label that is in either map, rising.  *ret_rows: the caller frees it; NULL if there is none.
 * Errors: SCTD_EDATA (a label above the maximum), SCTD_ENOMEM.
 */
SCTD_NODISCARD int label_metrics_find(struct label_metrics **ret_rows, size_t *ret_n,
                                      const struct label_maps *maps, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
