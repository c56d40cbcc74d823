/*
 * slices.h - what a case is slice by slice: errors, and pictures of the worst.
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "engine/base/error.h"
#include "engine/base/volume.h"
#include "server/evaluate/case.h"

#ifdef __cplusplus
extern "C" {
#endif

/* On one grid; mask: not 0 in the body. */
struct evaluate_slices {
    const struct volume *reference, *synthetic;
    const uint8_t *mask;
};

/* Sets c->slice_mae.  Errors: SCTD_ENOMEM. */
SCTD_NODISCARD int evaluate_slices_measure(struct evaluate_case *c,
                                           const struct evaluate_slices *slices,
                                           struct sctd_error *err);

/*
 * Sets c->picture to the worst slices by MAE: reference, synthetic (-160 ... 240 HU) and their difference (blue: too low,
 * red: too high, full at 300 HU), side by side.  Slices less than 1/50 of the series apart count as one.
 * Errors: SCTD_ENOMEM.
 */
SCTD_NODISCARD int evaluate_slices_draw(struct evaluate_case *c,
                                        const struct evaluate_slices *slices,
                                        struct sctd_error *err);

/* Sets c->label from two maps on one grid.  Errors: SCTD_EDATA (a value that is no label), SCTD_ENOMEM. */
SCTD_NODISCARD int evaluate_slices_labels(struct evaluate_case *c, const struct volume *reference,
                                          const struct volume *synthetic, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
