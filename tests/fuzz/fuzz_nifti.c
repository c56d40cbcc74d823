/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a NIfTI image: a volume whose voxels are finite and whose axes are unit vectors, or a reason. */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/volume.h"
#include "engine/image/nifti.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct volume *volume = NULL;
    if (nifti_parse(&volume, data, size, &err) < 0) {
        assert(volume == NULL && strlen(err.text) > 0);
        return 0;
    }
    const struct volume_grid *grid = &volume->grid;
    size_t n = 1;
    for (int a = 0; a < 3; a++) {
        n *= (size_t)grid->dim[a];
        assert(grid->step[a] > 0.0);
        assert(fabs(hypot(hypot(grid->axis[a][0], grid->axis[a][1]), grid->axis[a][2]) - 1.0) <
               1e-6);
    }
    for (size_t i = 0; i < n; i++) {
        assert(isfinite(volume->voxel[i]));
    }
    volume_free(volume);
    return 0;
}
