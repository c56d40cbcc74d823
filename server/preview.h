/*
 * preview.h - a labelled picture of a source and its sCT, to be looked at before anything else.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three planes through the middle of the source (axial, coronal, sagittal), seen as radiologists see
 * them: the patient's right on the left, the front on top or to the left, the head on top.  Three
 * rows: the source between its 1st and 99th percentile, the sCT in a window for soft tissue and in one for
 * bone.  All planes have one scale, whatever the spacing.
 *
 * Thread safety: an object belongs to one thread at a time.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/base/volume.h"

#ifdef __cplusplus
extern "C" {
#endif

struct preview;

/* source: the grid whose middle is shown.  Errors: SCTD_ENOMEM. */
SCTD_NODISCARD int preview_new(struct preview **ret_preview, const struct volume_grid *source,
                               struct sctd_error *err);
void preview_free(struct preview *preview); /* NULL is a no-op */
static inline void preview_freep(struct preview **preview)
{
    preview_free(*preview);
}

/* Cut the planes out of the source, or out of the sCT, on any grid; nothing is kept of the volume.
 * Errors: SCTD_EDATA (a grid without inverse). */
SCTD_NODISCARD int preview_take_source(struct preview *preview, const struct volume *source,
                                       struct sctd_error *err);
SCTD_NODISCARD int preview_take_sct(struct preview *preview, const struct volume *sct,
                                    struct sctd_error *err);

struct preview_image {
    int32_t width, height;
    unsigned char *pixel; /* [height, width], 0 black ... 255 white; owned */
};
void preview_image_fini(struct preview_image *image);

/* title[n]: lines of printable ASCII above the planes, cut off where they are longer than 80.
 * Errors: SCTD_ENOMEM. */
SCTD_NODISCARD int preview_draw(struct preview_image *ret_image, const struct preview *preview,
                                const char *const *title, size_t n, struct sctd_error *err);

/* Draw, and write a PNG, whole or not at all.  Errors: SCTD_EIO, SCTD_EINVAL (path), SCTD_ENOMEM. */
SCTD_NODISCARD int preview_write(const struct preview *preview, const char *path,
                                 const char *const *title, size_t n, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
