/*
 * quality_limits.h - what an sCT of a model must keep to, judged without a reference: the manifest's "quality".
 *
 * docs/model-format.md describes every key.
 *
 * Thread safety: plain data, pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/base/json.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { QUALITY_TISSUES_MAX = 8, QUALITY_PERCENTILES_MAX = 8, QUALITY_NAME_SIZE = 33 };

/* How much of the body may have HU in a range. */
struct quality_tissue {
    char name[QUALITY_NAME_SIZE]; /* [a-z0-9][a-z0-9._-]* */
    double hu_low, hu_high;       /* both ends included */
    double percent_low, percent_high;
};

/* Where a percentile of the source's body may lie: 0 is the lower clip limit of the recipe, 1 the upper. */
struct quality_percentile {
    double percentile;
    double low, high;
};

struct quality_limits {
    bool is_set; /* false: the manifest has none, nothing is judged, and the rest is zero */
    double air_outside_percent; /* of the voxels outside the body, at most, that are no air */
    double hole_ml;             /* the largest void where the source has tissue, at most */
    double slice_jump_hu;       /* between neighbouring slices, beyond their neighbours', at most */
    double outline_mm;          /* 95 % Hausdorff distance of the two bodies' outlines, at most */
    double field_of_view_percent; /* of the source's outline, at most, that its images cut off */
    double saturation_percent;    /* of the body, at most, at an end of what the network can say */
    struct quality_tissue tissue[QUALITY_TISSUES_MAX];
    size_t n_tissues;
    struct quality_percentile intensity[QUALITY_PERCENTILES_MAX];
    size_t n_intensity;
};

/* What `import` takes where no file says otherwise: limits that a sound sCT of any model keeps, without tissues and
 * percentiles, which only a model's own data can tell. */
void quality_limits_default(struct quality_limits *ret_limits);

/* Read the object `node` of a manifest.  Errors: SCTD_EDATA (names the key). */
SCTD_NODISCARD int quality_limits_parse(struct quality_limits *ret_limits, const struct json *json,
                                        const struct json_node *node, struct sctd_error *err);
/* Read a file of its own (--quality FILE.json) with the manifest's "quality" keys.  Errors: SCTD_EIO, SCTD_EDATA. */
SCTD_NODISCARD int quality_limits_read(struct quality_limits *ret_limits, const char *path,
                                       struct sctd_error *err);
/* The bounds that docs/model-format.md states.  Errors: SCTD_EDATA, naming the key. */
SCTD_NODISCARD int quality_limits_check(const struct quality_limits *limits,
                                        struct sctd_error *err);
/* Write the members of the object, which the caller begins and ends. */
void quality_limits_write_members(const struct quality_limits *limits, struct json_writer *writer);

#ifdef __cplusplus
}
#endif
