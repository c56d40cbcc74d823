/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/sct_job.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dicom/attributes.h"
#include "dicom/sct_common.h"
#include "dicom/sct_derivation.h"
#include "dicom/sct_geometry.h"
#include "dicom/sct_image.h"
#include "dicom/sct_inherit.h"
#include "dicom/sct_series.h"
#include "dicom/sct_source.h"
#include "dicom/sct_writer.h"
#include "dicom/source.h"
#include "dicom/tags.h"
#include "engine/base/error.h"
#include "engine/base/volume.h"

const struct dicom_source *sct_job_get_source(const struct sct_job *job, int32_t k)
{
    const int32_t *nearest = job->request->nearest;
    return &job->request->source[nearest == NULL ? k : nearest[k]];
}

/* What all instances have of the first source and of ours. */
static int start(struct sct_job *job, const struct sct_source *first, struct sctd_error *err)
{
    const struct sct_request *request = job->request;
    struct sct_common *common = &job->common;
    int r = sct_common_init(common, first, request->model, request->date_time, err);
    if (r == 0) {
        r = sct_inherit_space(&common->set, first, err);
    }
    if (r == 0) {
        r = sct_source_copy(&job->of_source, first, TAG_SERIES_INSTANCE_UID, err);
    }
    if (r != 0) {
        return r < 0 ? r : sctd_error(err, SCTD_EDATA, "the source has no Series Instance UID");
    }
    r = sct_source_copy(&job->of_source, first, TAG_IRRADIATION_EVENT_UID, err);
    if (r < 0) {
        return r;
    }
    job->is_enhanced_source = sct_source_is_enhanced(first);
    r = sct_series_add(common, first, request, err);
    if (r == 0) {
        r = sct_derivation_add_scheme(&common->set, err);
    }
    return r < 0 ? r : sct_image_add_slice(&common->set, &request->hu->grid, err);
}

/* Open source i if it is another file than the one before it; the file stays open in *file. */
static int open_source(struct sct_source **file, const struct sct_job *job, size_t i,
                       struct sctd_error *err)
{
    const struct dicom_source *source = job->request->source;
    if (i > 0 && strcmp(source[i].path, source[i - 1].path) == 0) {
        return 0;
    }
    sct_source_close(*file);
    *file = NULL;
    int r = sct_common_open_source(file, &source[i], err);
    return r < 0 || i == 0 ? r : sct_inherit_check(&job->common.set, *file, err);
}

static int read_sources(struct sct_job *job, struct sctd_error *err)
{
    const struct sct_request *request = job->request;
    const struct volume_grid *grid = &request->hu->grid;
    sctd_auto(sct_source_closep) struct sct_source *file = NULL;
    for (size_t i = 0; i < request->n_sources; i++) {
        int r = open_source(&file, job, i, err);
        if (r == 0 && i == 0) {
            r = start(job, file, err);
        }
        if (r == 0 && request->nearest == NULL) {
            r = sct_geometry_of_source(&job->plane[i], file, request->source[i].frame, err);
        }
        if (r == 0 && request->nearest == NULL) {
            r = sct_geometry_check(&job->plane[i], grid, (int32_t)i, err);
        }
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

int sct_job_init(struct sct_job *job, const struct sct_request *request, struct sctd_error *err)
{
    const struct volume_grid *grid = &request->hu->grid;
    job->request = request;
    job->plane = calloc((size_t)grid->dim[2], sizeof *job->plane);
    if (job->plane == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "%d slices", (int)grid->dim[2]);
    }
    int r = read_sources(job, err);
    for (int32_t k = 0; r == 0 && request->nearest != NULL && k < grid->dim[2]; k++) {
        r = sct_geometry_of_grid(&job->plane[k], grid, k, err);
    }
    return r;
}

void sct_job_fini(struct sct_job *job)
{
    sct_common_fini(&job->common);
    dicom_attributes_fini(&job->of_source);
    for (int32_t k = 0; job->plane != NULL && k < job->request->hu->grid.dim[2]; k++) {
        sct_geometry_fini(&job->plane[k]);
    }
    free(job->plane);
    job->plane = NULL;
}
