/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "dicom/phantom_writer.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/volume.h"

#include "tests/support/temporary.h"
#include "tests/support/torture.h"

static float voxels[2 * 2 * 2];

static int write_series(void *arg)
{
    char folder[] = TEMPORARY("sctd-phantom-oom");
    struct sctd_error err = {0};
    const struct volume image = {
        .grid = {.dim = {2, 2, 2}, .step = {1, 1, 1}, .axis = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}},
        .voxel = voxels};
    const struct dicom_phantom_request request = {.image = &image,
                                                  .kind = *(const enum dicom_phantom_kind *)arg,
                                                  .orientation = "axial",
                                                  .fill = -1024.0F,
                                                  .software = "sctd test"};
    assert(mkdtemp(folder) != NULL);
    int r = dicom_phantom_write_series(&request, folder, &err);
    sctd_dir_remove(folder);
    return r;
}

int main(void)
{
    enum dicom_phantom_kind kinds[] = {DICOM_PHANTOM_MR, DICOM_PHANTOM_CBCT};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        assert(torture_run(write_series, &kinds[i]) > 60);
    }
    return 0;
}
