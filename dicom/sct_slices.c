/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "dicom/attributes.h"
#include "dicom/file_meta.h"
#include "dicom/sct_derivation.h"
#include "dicom/sct_files.h"
#include "dicom/sct_geometry.h"
#include "dicom/sct_image.h"
#include "dicom/sct_job.h"
#include "dicom/sct_pixels.h"
#include "dicom/sct_writer.h"
#include "dicom/tags.h"
#include "engine/base/attr.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/volume.h"

/* What all slices have beyond what both classes share. */
static int add_to_all(struct dicom_attributes *to, const struct sct_job *job,
                      struct sctd_error *err)
{
    const struct sct_request *request = job->request;
    int r = dicom_attributes_copy_all(to, &job->common.set, err);
    if (r == 0) {
        r = dicom_attributes_set_text(to, TAG_SOP_CLASS_UID, "UI", SCT_CT_IMAGE_STORAGE, err);
    }
    if (r == 0) {
        r = sct_derivation_describe(to, request->model, request->quality, job->common.charset, err);
    }
    if (r == 0) {
        r = sct_geometry_add_steps(to, &request->hu->grid, err);
    }
    if (r == 0) {
        r = sct_image_add_rescale(to, request->options->rescale_intercept, err);
    }
    if (r == 0) {
        r = sct_image_add_windows(to, err);
    }
    return r < 0 ? r : sct_image_add_ct(to, err);
}

/* What slice k alone has. */
static int add_to_one(struct dicom_attributes *to, const struct sct_job *job, int32_t k,
                      struct sctd_error *err)
{
    char number[16];
    (void)snprintf(number, sizeof number, "%d", (int)k + 1);
    const struct dicom_text_attribute texts[] = {
        {TAG_SOP_INSTANCE_UID, "UI", job->request->instance_uid[k]},
        {TAG_INSTANCE_NUMBER, "IS", number}};
    const struct sct_derivation_source source = {.slice = sct_job_get_source(job, k),
                                                 .is_enhanced = job->is_enhanced_source,
                                                 .is_same_grid = job->request->nearest == NULL};
    sctd_auto(sctd_buf_fini) struct sctd_buf instances = sctd_buf_make(DICOM_ATTRIBUTE_MAX_SIZE);
    int r = dicom_attributes_set_texts(to, texts, sizeof texts / sizeof *texts, err);
    if (r == 0) {
        r = dicom_attributes_copy_all(to, &job->plane[k].set, err);
    }
    if (r == 0) {
        r = sct_geometry_add_location(to, &job->plane[k], err);
    }
    if (r == 0) {
        r = sct_derivation_add_source(to, &source, err);
    }
    if (r == 0) {
        r = sct_derivation_add_instance(&instances, source.slice, err);
    }
    const struct dicom_attribute *series =
        dicom_attributes_find(&job->of_source, TAG_SERIES_INSTANCE_UID);
    return r < 0 ? r : sct_derivation_add_series(to, series, &instances, err);
}

/* The file up to the value of Pixel Data, which is its last element. */
static int encode_head(struct sctd_buf *head, const struct sct_job *job,
                       const struct dicom_attributes *all, int32_t k, struct sctd_error *err)
{
    const struct volume_grid *grid = &job->request->hu->grid;
    sctd_auto(dicom_attributes_fini) struct dicom_attributes one = {0};
    int r = add_to_one(&one, job, k, err);
    if (r == 0) {
        const struct dicom_file_meta meta = {.sop_class_uid = SCT_CT_IMAGE_STORAGE,
                                             .sop_instance_uid = job->request->instance_uid[k],
                                             .transfer_syntax_uid = DICOM_EXPLICIT_LITTLE_ENDIAN};
        r = dicom_file_meta_start(head, &meta, err);
    }
    if (r == 0) {
        r = dicom_attributes_encode(head, all, &one, err);
    }
    const uint32_t size = (uint32_t)((size_t)grid->dim[0] * (size_t)grid->dim[1] * sizeof(int16_t));
    return r < 0 ? r : dicom_attributes_add_header(head, TAG_PIXEL_DATA, "OW", size, err);
}

static void free_pixels(int16_t **pixels)
{
    free(*pixels);
}

int sct_job_write_slices(const struct sct_job *job, struct sct_files *files, struct sctd_error *err)
{
    const struct volume *hu = job->request->hu;
    const size_t n = (size_t)hu->grid.dim[0] * (size_t)hu->grid.dim[1];
    sctd_auto(dicom_attributes_fini) struct dicom_attributes all = {0};
    sctd_auto(sctd_buf_fini) struct sctd_buf head = sctd_buf_make(2UL * DICOM_ATTRIBUTE_MAX_SIZE);
    sctd_auto(free_pixels) int16_t *pixels = malloc(n * sizeof *pixels);
    if (pixels == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "%zu pixels", n);
    }
    int r = add_to_all(&all, job, err);
    for (int32_t k = 0; r == 0 && k < hu->grid.dim[2]; k++) {
        head.size = 0;
        r = sct_pixels_round(pixels, hu->voxel + (size_t)k * n, n,
                             job->request->options->rescale_intercept, err);
        if (r == 0) {
            r = encode_head(&head, job, &all, k, err);
        }
        if (r == 0) {
            r = sct_files_start(files, &head, err);
        }
        if (r == 0) {
            r = sct_files_add(files, pixels, n * sizeof *pixels, err);
        }
        if (r == 0) {
            r = sct_files_end(files, err);
        }
        if (r == 0 && job->on_written != NULL) {
            job->on_written(job->arg, k + 1, hu->grid.dim[2]);
        }
    }
    return r;
}
