/*
 * quality_cohort.h - limits for a model, from the reports of sCTs of it that were found good.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every report must have measured the same: the six checks of one number each, and the same tissues and percentiles.
 * A limit of one number is the largest value seen and `margin_percent` of the default limit on top, at most the default
 * itself unless `loose`.  The range of a tissue or a percentile is the range seen, whose ends are moved outwards by
 * margin_percent of themselves, by QUALITY_COHORT_TISSUE or QUALITY_COHORT_INTENSITY at least.  All are rounded outwards,
 * to 0.01, those of percentiles to 0.001.
 *
 * Thread safety: plain data, pure functions.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/error.h"
#include "engine/model/quality_limits.h"
#include "engine/quality.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The least by which a range is widened: % of the body, and of the clipped range. */
#define QUALITY_COHORT_TISSUE    0.5
#define QUALITY_COHORT_INTENSITY 0.02

struct quality_cohort {
    bool loose; /* whether a value beyond a default limit is taken */
    double margin_percent;
    size_t n; /* reports taken */
    struct quality_report first;
    double least[QUALITY_FINDINGS_MAX], most[QUALITY_FINDINGS_MAX]; /* of each finding */
};

/* An empty cohort.  margin_percent: 0 or more. */
struct quality_cohort quality_cohort_make(double margin_percent, bool loose);

/* Errors: SCTD_EDATA (something could not be measured, is beyond a default limit, or is not what the others measured);
 * the cohort stands. */
SCTD_NODISCARD int quality_cohort_add(struct quality_cohort *cohort,
                                      const struct quality_report *report, struct sctd_error *err);

/* Errors: SCTD_EINVAL (no report was added), SCTD_EDATA (more tissues or percentiles than a manifest can hold). */
SCTD_NODISCARD int quality_cohort_find(struct quality_limits *ret_limits,
                                       const struct quality_cohort *cohort, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
