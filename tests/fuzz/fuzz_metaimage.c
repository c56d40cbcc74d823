/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a MetaImage with its data in the same file: a volume of finite voxels, or a reason. */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/volume.h"
#include "engine/image/metaimage.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct metaimage image;
    struct volume *volume = NULL;
    if (metaimage_parse(&image, data, size, &err) < 0) {
        assert(strlen(err.text) > 0);
        return 0;
    }
    assert(image.header_size <= size && strchr(image.data_file, '/') == NULL);
    if (metaimage_decode(&volume, &image, data + image.header_size, size - image.header_size,
                         &err) < 0) {
        assert(volume == NULL && strlen(err.text) > 0);
        return 0;
    }
    const int32_t *dim = volume->grid.dim;
    for (size_t i = 0; i < (size_t)dim[0] * (size_t)dim[1] * (size_t)dim[2]; i++) {
        assert(isfinite(volume->voxel[i]));
    }
    volume_free(volume);
    return 0;
}
