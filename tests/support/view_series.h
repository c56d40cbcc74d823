/*
 * view_series.h - a source and an sCT of 3 x 4 x 5 voxels in a folder each, for the tests of what reads them.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include "dicom/phantom_writer.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/volume.h"
#include "server/view_scene.h"

#include "tests/support/temporary.h"

enum { VIEW_DX = 3, VIEW_DY = 4, VIEW_DZ = 5, VIEW_VOXELS = VIEW_DX * VIEW_DY * VIEW_DZ };

struct view_series {
    char folder[2][sizeof TEMPORARY("sctd-view")];
    const char *path[2];
    struct view_files files;
};

/* Voxel n has the intensity 10 n, and the HU n - 30. */
static inline void view_series_make(struct view_series *series)
{
    static float voxel[VIEW_VOXELS];
    static const enum dicom_phantom_kind kinds[2] = {DICOM_PHANTOM_MR, DICOM_PHANTOM_CT};
    struct sctd_error err = {.code = SCTD_OK};
    const struct volume image = {.grid = {.dim = {VIEW_DX, VIEW_DY, VIEW_DZ},
                                          .step = {1.0, 2.0, 3.0},
                                          .axis = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}},
                                 .voxel = voxel};
    for (int i = 0; i < 2; i++) {
        const struct dicom_phantom_request request = {
            .image = &image, .kind = kinds[i], .orientation = "axial", .software = "sctd test"};
        for (int n = 0; n < VIEW_VOXELS; n++) {
            voxel[n] = i == 0 ? 10.0F * (float)n : (float)(n - 30);
        }
        (void)snprintf(series->folder[i], sizeof series->folder[i], "%s", TEMPORARY("sctd-view"));
        if (mkdtemp(series->folder[i]) == NULL ||
            dicom_phantom_write_series(&request, series->folder[i], &err) < 0) {
            abort();
        }
        series->path[i] = series->folder[i];
    }
    series->files = (struct view_files){.source = &series->path[0],
                                        .n_source = 1,
                                        .sct = &series->path[1],
                                        .n_sct = 1,
                                        .parameters = ""};
}

static inline void view_series_remove(struct view_series *series)
{
    sctd_dir_remove(series->folder[0]);
    sctd_dir_remove(series->folder[1]);
}
