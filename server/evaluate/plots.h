/*
 * plots.h - a case as drawings in SVG: histograms, errors by slice, depth in water by angle; and a cohort's spread.
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "server/evaluate/case.h"
#include "server/evaluate/markup.h"
#include "server/evaluate/table.h"

#ifdef __cplusplus
extern "C" {
#endif

void evaluate_plots_histogram(struct markup *m, const struct evaluate_case *c);
void evaluate_plots_slices(struct markup *m, const struct evaluate_case *c);
void evaluate_plots_angles(struct markup *m, const struct evaluate_case *c);
/* One dot a case, and a line at the mean. */
void evaluate_plots_spread(struct markup *m, const struct evaluate_row *rows, size_t n,
                           size_t column);

#ifdef __cplusplus
}
#endif
