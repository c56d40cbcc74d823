/*
 * outline.h - the outline of a body in a slice: where the air around it ends.
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "engine/base/error.h"
#include "engine/image/resize.h"

#ifdef __cplusplus
extern "C" {
#endif

/* HU: between air and the skin, away from both. */
#define OUTLINE_BODY_HU (-300.0F)

/*
 * ret_is_on [rows, columns]: the outermost pixels of what has at least `least` or is enclosed by it (lungs, gas): those
 * with one of their four neighbours in the air that reaches the slice's border.
 * Errors: SCTD_ENOMEM.
 */
SCTD_NODISCARD int outline_find(bool *ret_is_on, const float *value, struct resize_size size,
                                float least, struct sctd_error *err);

/* ret_is_inside [rows, columns]: what has at least `least` or is enclosed by it.  Errors: SCTD_ENOMEM. */
SCTD_NODISCARD int outline_find_inside(bool *ret_is_inside, const float *value,
                                       struct resize_size size, float least,
                                       struct sctd_error *err);

#ifdef __cplusplus
}
#endif
