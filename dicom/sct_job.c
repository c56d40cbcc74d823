/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/sct_job.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dicom/attributes.h"
#include "dicom/sct_derivation.h"
#include "dicom/sct_equipment.h"
#include "dicom/sct_geometry.h"
#include "dicom/sct_image.h"
#include "dicom/sct_inherit.h"
#include "dicom/sct_series.h"
#include "dicom/sct_source.h"
#include "dicom/sct_time.h"
#include "dicom/sct_writer.h"
#include "dicom/source.h"
#include "dicom/tags.h"
#include "engine/base/error.h"
#include "engine/base/volume.h"

/* Copy a text without the padding at its end; the first characters of it if there is no room for more. */
static void get_text(char *ret_text, size_t room, const struct dicom_attribute *from)
{
    size_t size = from == NULL ? 0 : from->size;
    while (size > 0 && (from->value[size - 1] == ' ' || from->value[size - 1] == '\0')) {
        size--;
    }
    size = size < room ? size : room - 1;
    if (size > 0) {
        memcpy(ret_text, from->value, size);
    }
    ret_text[size] = '\0';
}

const struct dicom_source *sct_job_get_source(const struct sct_job *job, int32_t k)
{
    const int32_t *nearest = job->request->nearest;
    return &job->request->source[nearest == NULL ? k : nearest[k]];
}

/* That a file still is the instance that it was when the volume was made. */
static int check_instance(const struct sct_source *file, const struct dicom_source *source,
                          struct sctd_error *err)
{
    sctd_auto(dicom_attributes_fini) struct dicom_attributes own = {0};
    char uid[2][DICOM_UID_SIZE] = {"", ""};
    int r = sct_source_copy(&own, file, TAG_SOP_INSTANCE_UID, err);
    if (r >= 0) {
        r = sct_source_copy(&own, file, TAG_SOP_CLASS_UID, err);
    }
    if (r < 0) {
        return r;
    }
    get_text(uid[0], DICOM_UID_SIZE, dicom_attributes_find(&own, TAG_SOP_INSTANCE_UID));
    get_text(uid[1], DICOM_UID_SIZE, dicom_attributes_find(&own, TAG_SOP_CLASS_UID));
    if (strcmp(uid[0], source->sop_instance_uid) != 0 ||
        strcmp(uid[1], source->sop_class_uid) != 0) {
        return sctd_error(err, SCTD_EDATA, "%.160s is not the instance it was", source->path);
    }
    return 0;
}

/* What all instances have of the first source and of ours. */
static int start(struct sct_job *job, const struct sct_source *first, struct sctd_error *err)
{
    const struct sct_request *request = job->request;
    struct sct_time time;
    char offset[16];
    int r = sct_inherit_from(&job->shared, first, err);
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
    get_text(job->charset, sizeof job->charset,
             dicom_attributes_find(&job->shared, TAG_SPECIFIC_CHARACTER_SET));
    get_text(offset, sizeof offset,
             dicom_attributes_find(&job->shared, TAG_TIMEZONE_OFFSET_FROM_UTC));
    job->is_enhanced_source = sct_source_is_enhanced(first);
    r = sct_time_make(&time, request->date_time, offset, err);
    if (r == 0) {
        r = sct_series_add(&job->shared, first, request, &time, job->charset, err);
    }
    if (r == 0) {
        r = sct_equipment_add(&job->shared, first, request->model, &time, job->charset, err);
    }
    if (r == 0) {
        r = sct_derivation_add_scheme(&job->shared, err);
    }
    if (r == 0) {
        r = sct_image_add_history(&job->shared, first, err);
    }
    return r < 0 ? r : sct_image_add_pixels(&job->shared, &request->hu->grid, err);
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
    int r = sct_source_open(file, source[i].path, err);
    if (r == 0) {
        r = check_instance(*file, &source[i], err);
    }
    return r < 0 || i == 0 ? r : sct_inherit_check(&job->shared, *file, err);
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
    dicom_attributes_fini(&job->shared);
    dicom_attributes_fini(&job->of_source);
    for (int32_t k = 0; job->plane != NULL && k < job->request->hu->grid.dim[2]; k++) {
        sct_geometry_fini(&job->plane[k]);
    }
    free(job->plane);
    job->plane = NULL;
}
