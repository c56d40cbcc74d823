/*
 * metaimage.h - a MetaImage (.mha, or .mhd and its data file) becomes a volume.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Read strictly (ITK's MetaIO): lines "Key = Value" up to ElementDataFile, three dimensions, one channel, binary, in either byte order, plain or
 * compressed by zlib.  Keys that would change what the voxels mean and are not known are refused.
 *
 * Thread safety: pure functions.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/error.h"
#include "engine/base/volume.h"
#include "engine/image/voxels.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { METAIMAGE_NAME_SIZE = 256 };

struct metaimage {
    struct volume_grid grid; /* axis: step times direction, as voxels_decode takes it */
    struct voxels_format format;
    bool compressed;
    size_t header_size; /* the data begins here where data_file is "" */
    char data_file
        [METAIMAGE_NAME_SIZE]; /* a name in the header's folder; "": the header's own file */
};

/* Errors: SCTD_EDATA naming the line. */
SCTD_NODISCARD int metaimage_parse(struct metaimage *ret_image, const void *bytes, size_t size,
                                   struct sctd_error *err);

/* The volume whose data is `bytes`.  *ret_volume: the caller frees it.  Errors: SCTD_EDATA, SCTD_ENOMEM. */
SCTD_NODISCARD int metaimage_decode(struct volume **ret_volume, const struct metaimage *image,
                                    const void *bytes, size_t size, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
