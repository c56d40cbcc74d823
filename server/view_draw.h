/*
 * view_draw.h - slices of a scene as pictures, and how often each value occurs in it.
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "server/view_messages.h"
#include "server/view_scene.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { VIEW_DRAW_NO = 1 }; /* *ret_no says why there is none */

struct view_drawing {
    int32_t width, height;
    unsigned char *png; /* [size], owned */
    size_t size;
};

/*
 * request: of kind PICTURE, checked.  Pixels are square, to half a pixel on the whole picture.
 * *ret_drawing: the caller frees its png.
 * Returns 0 or VIEW_DRAW_NO.  Errors: SCTD_ENOMEM.
 */
SCTD_NODISCARD int view_draw(struct view_drawing *ret_drawing, struct view_no *ret_no,
                             const struct view_scene *scene, const struct view_request *request,
                             struct sctd_error *err);

/* bins: 1 ... VIEW_BINS_MAX. */
void view_draw_histogram(struct view_histogram *ret_histogram, const struct view_scene *scene,
                         int32_t bins);

#ifdef __cplusplus
}
#endif
