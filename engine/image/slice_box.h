/*
 * slice_box.h - the rectangle of a slice outside which nothing needs to be looked at.
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/volume.h"

#ifdef __cplusplus
extern "C" {
#endif

struct slice_box {
    int32_t low[2], high[2]; /* columns and rows, both ends included */
};

/* Around what of slice [rows, columns] has the bit 1; false: nothing has. */
bool slice_box_find(struct slice_box *ret_box, const uint8_t *slice, const int32_t dim[3]);

/* Wider by one pixel more than by_mm on each side, as far as the image goes. */
struct slice_box slice_box_widen(const struct slice_box *box, const struct volume_grid *grid,
                                 double by_mm);

#ifdef __cplusplus
}
#endif
