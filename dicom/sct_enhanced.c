/* SPDX-License-Identifier: Apache-2.0 */
/* One Enhanced CT instance (PS3.3 A.38.1) of all slices: what they share and what each has of its own stands
 * in functional groups (C.7.6.16). */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dicom/attributes.h"
#include "dicom/file_meta.h"
#include "dicom/sct_derivation.h"
#include "dicom/sct_files.h"
#include "dicom/sct_geometry.h"
#include "dicom/sct_image.h"
#include "dicom/sct_job.h"
#include "dicom/sct_pixels.h"
#include "dicom/sct_writer.h"
#include "dicom/source.h"
#include "dicom/tags.h"
#include "dicom/uid.h"
#include "engine/base/attr.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/sha256.h"
#include "engine/base/volume.h"

static const char image_type[] = "DERIVED\\PRIMARY\\VOLUME\\NONE"; /* C.8.16.1: PRIMARY always */
/* CID 4031 has the parts of a body; what of it is there, Body Part Examined says if the source does. */
static const struct dicom_code whole_body = {"38266002", "SCT", "Entire body"};

/* A functional group is a sequence of one item. */
static int add_group(struct dicom_attributes *groups, uint32_t sequence,
                     const struct dicom_text_attribute *text, size_t n, struct sctd_error *err)
{
    sctd_auto(dicom_attributes_fini) struct dicom_attributes item = {0};
    int r = dicom_attributes_set_texts(&item, text, n, err);
    return r < 0 ? r : dicom_attributes_set_item(groups, sequence, &item, err);
}

/* One attribute of a slice's plane as a group of its own. */
static int add_plane_group(struct dicom_attributes *groups, uint32_t sequence,
                           const struct sct_plane *plane, uint32_t tag, struct sctd_error *err)
{
    sctd_auto(dicom_attributes_fini) struct dicom_attributes item = {0};
    int r = dicom_attributes_copy(&item, dicom_attributes_find(&plane->set, tag), err);
    return r < 0 ? r : dicom_attributes_set_item(groups, sequence, &item, err);
}

static int add_measures(struct dicom_attributes *groups, const struct sct_job *job,
                        struct sctd_error *err)
{
    sctd_auto(dicom_attributes_fini) struct dicom_attributes item = {0};
    int r = sct_geometry_add_steps(&item, &job->request->hu->grid, err);
    if (r == 0) {
        r = dicom_attributes_copy(
            &item, dicom_attributes_find(&job->plane[0].set, TAG_PIXEL_SPACING), err);
    }
    return r < 0 ? r : dicom_attributes_set_item(groups, TAG_PIXEL_MEASURES_SEQUENCE, &item, err);
}

static int add_anatomy(struct dicom_attributes *groups, struct sctd_error *err)
{
    sctd_auto(dicom_attributes_fini) struct dicom_attributes item = {0};
    int r = dicom_attributes_set_text(&item, TAG_FRAME_LATERALITY, "CS", "U", err);
    if (r == 0) {
        r = dicom_attributes_set_code(&item, TAG_ANATOMIC_REGION_SEQUENCE, &whole_body, err);
    }
    return r < 0 ? r : dicom_attributes_set_item(groups, TAG_FRAME_ANATOMY_SEQUENCE, &item, err);
}

static int add_values(struct dicom_attributes *groups, int32_t intercept, struct sctd_error *err)
{
    sctd_auto(dicom_attributes_fini) struct dicom_attributes rescale = {0};
    sctd_auto(dicom_attributes_fini) struct dicom_attributes windows = {0};
    int r = sct_image_add_rescale(&rescale, intercept, err);
    if (r == 0) {
        r = dicom_attributes_set_item(groups, TAG_PIXEL_VALUE_TRANSFORMATION_SEQUENCE, &rescale,
                                      err);
    }
    if (r == 0) {
        r = sct_image_add_windows(&windows, err);
    }
    return r < 0 ? r : dicom_attributes_set_item(groups, TAG_FRAME_VOI_LUT_SEQUENCE, &windows, err);
}

/* A UID for something within an instance follows from the instance's own. */
static void derive_uid(char ret_uid[DICOM_UID_SIZE], const char *purpose, const char *instance_uid)
{
    struct sha256 hash;
    unsigned char digest[SHA256_SIZE];
    sha256_init(&hash);
    sha256_update(&hash, purpose, strlen(purpose) + 1);
    sha256_update(&hash, instance_uid, strlen(instance_uid));
    sha256_final(&hash, digest);
    dicom_uid_from_digest(ret_uid, digest);
}

/* The class demands it: the source's own, or a UID that nothing else has where nothing was irradiated. */
static int add_irradiation(struct dicom_attributes *groups, const struct sct_job *job,
                           struct sctd_error *err)
{
    char uid[DICOM_UID_SIZE];
    derive_uid(uid, "no irradiation", job->request->instance_uid[0]);
    const struct dicom_attribute *own =
        dicom_attributes_find(&job->of_source, TAG_IRRADIATION_EVENT_UID);
    const struct dicom_text_attribute event = {TAG_IRRADIATION_EVENT_UID, "UI",
                                               own == NULL ? uid : own->value};
    return add_group(groups, TAG_IRRADIATION_EVENT_IDENTIFICATION_SEQUENCE, &event, 1, err);
}

static int add_shared_groups(struct dicom_attributes *to, const struct sct_job *job,
                             struct sctd_error *err)
{
    static const struct dicom_text_attribute frame_type[] = {
        {TAG_FRAME_TYPE, "CS", image_type},
        {TAG_PIXEL_PRESENTATION, "CS", "MONOCHROME"},
        {TAG_VOLUMETRIC_PROPERTIES, "CS", "VOLUME"},
        {TAG_VOLUME_BASED_CALCULATION_TECHNIQUE, "CS", "NONE"}};
    sctd_auto(dicom_attributes_fini) struct dicom_attributes groups = {0};
    int r = add_measures(&groups, job, err);
    if (r == 0) {
        r = add_plane_group(&groups, TAG_PLANE_ORIENTATION_SEQUENCE, &job->plane[0],
                            TAG_IMAGE_ORIENTATION_PATIENT, err);
    }
    if (r == 0) {
        r = add_anatomy(&groups, err);
    }
    if (r == 0) {
        r = add_values(&groups, job->request->options->rescale_intercept, err);
    }
    if (r == 0) {
        r = add_group(&groups, TAG_CT_IMAGE_FRAME_TYPE_SEQUENCE, frame_type,
                      sizeof frame_type / sizeof *frame_type, err);
    }
    if (r == 0) {
        r = add_irradiation(&groups, job, err);
    }
    return r < 0
               ? r
               : dicom_attributes_set_item(to, TAG_SHARED_FUNCTIONAL_GROUPS_SEQUENCE, &groups, err);
}

static int add_content(struct dicom_attributes *groups, int32_t k, struct sctd_error *err)
{
    const uint32_t index[] = {1, (uint32_t)k + 1}; /* of the stack, within it */
    sctd_auto(dicom_attributes_fini) struct dicom_attributes item = {0};
    int r = dicom_attributes_set_text(&item, TAG_STACK_ID, "SH", "1", err);
    if (r == 0) {
        r = dicom_attributes_set_u32(&item, TAG_IN_STACK_POSITION_NUMBER, &index[1], 1, err);
    }
    if (r == 0) {
        r = dicom_attributes_set_u32(&item, TAG_DIMENSION_INDEX_VALUES, index, 2, err);
    }
    return r < 0 ? r : dicom_attributes_set_item(groups, TAG_FRAME_CONTENT_SEQUENCE, &item, err);
}

static int add_derivation(struct dicom_attributes *groups, const struct sct_job *job, int32_t k,
                          struct sctd_error *err)
{
    const struct sct_derivation_source source = {.slice = sct_job_get_source(job, k),
                                                 .is_enhanced = job->is_enhanced_source,
                                                 .is_same_grid = job->request->nearest == NULL};
    sctd_auto(dicom_attributes_fini) struct dicom_attributes item = {0};
    int r = sct_derivation_describe(&item, job->request->model, job->request->quality,
                                    job->common.charset, err);
    if (r == 0) {
        r = sct_derivation_add_source(&item, &source, err);
    }
    return r < 0 ? r : dicom_attributes_set_item(groups, TAG_DERIVATION_IMAGE_SEQUENCE, &item, err);
}

static int add_frame_groups(struct dicom_attributes *to, const struct sct_job *job,
                            struct sctd_error *err)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf frames = sctd_buf_make(DICOM_ATTRIBUTE_MAX_SIZE);
    for (int32_t k = 0; k < job->request->hu->grid.dim[2]; k++) {
        sctd_auto(dicom_attributes_fini) struct dicom_attributes groups = {0};
        int r = add_content(&groups, k, err);
        if (r == 0) {
            r = add_plane_group(&groups, TAG_PLANE_POSITION_SEQUENCE, &job->plane[k],
                                TAG_IMAGE_POSITION_PATIENT, err);
        }
        if (r == 0) {
            r = add_derivation(&groups, job, k, err);
        }
        if (r == 0) {
            r = dicom_attributes_add_item(&frames, &groups, err);
        }
        if (r < 0) {
            return r;
        }
    }
    return dicom_attributes_set_items(to, TAG_PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, &frames, err);
}

static int add_dimension(struct sctd_buf *items, uint32_t pointer, const char *organization,
                         struct sctd_error *err)
{
    sctd_auto(dicom_attributes_fini) struct dicom_attributes item = {0};
    int r = dicom_attributes_set_tag(&item, TAG_DIMENSION_INDEX_POINTER, pointer, err);
    if (r == 0) {
        r = dicom_attributes_set_tag(&item, TAG_FUNCTIONAL_GROUP_POINTER,
                                     TAG_FRAME_CONTENT_SEQUENCE, err);
    }
    if (r == 0) {
        r = dicom_attributes_set_text(&item, TAG_DIMENSION_ORGANIZATION_UID, "UI", organization,
                                      err);
    }
    return r < 0 ? r : dicom_attributes_add_item(items, &item, err);
}

/* Multi-frame Dimension (C.7.6.17): a stack and the position within it. */
static int add_dimensions(struct dicom_attributes *to, const char *instance_uid,
                          struct sctd_error *err)
{
    char uid[DICOM_UID_SIZE];
    derive_uid(uid, "dimension organization", instance_uid);
    const struct dicom_text_attribute organization = {TAG_DIMENSION_ORGANIZATION_UID, "UI", uid};
    sctd_auto(sctd_buf_fini) struct sctd_buf items = sctd_buf_make(4096);
    int r = add_group(to, TAG_DIMENSION_ORGANIZATION_SEQUENCE, &organization, 1, err);
    if (r == 0) {
        r = add_dimension(&items, TAG_STACK_ID, uid, err);
    }
    if (r == 0) {
        r = add_dimension(&items, TAG_IN_STACK_POSITION_NUMBER, uid, err);
    }
    return r < 0 ? r : dicom_attributes_set_items(to, TAG_DIMENSION_INDEX_SEQUENCE, &items, err);
}

static int add_image(struct dicom_attributes *to, const struct sct_job *job, struct sctd_error *err)
{
    char frames[16];
    (void)snprintf(frames, sizeof frames, "%d", (int)job->request->hu->grid.dim[2]);
    const struct dicom_text_attribute texts[] = {
        {TAG_SOP_CLASS_UID, "UI", SCT_ENHANCED_CT_IMAGE_STORAGE},
        {TAG_SOP_INSTANCE_UID, "UI", job->request->instance_uid[0]},
        {TAG_INSTANCE_NUMBER, "IS", "1"},
        {TAG_IMAGE_TYPE, "CS", image_type},
        {TAG_PIXEL_PRESENTATION, "CS", "MONOCHROME"},
        {TAG_VOLUMETRIC_PROPERTIES, "CS", "VOLUME"},
        {TAG_VOLUME_BASED_CALCULATION_TECHNIQUE, "CS", "NONE"},
        {TAG_PRESENTATION_LUT_SHAPE, "CS", "IDENTITY"},
        {TAG_ACQUISITION_CONTEXT_SEQUENCE, "SQ", ""},
        {TAG_NUMBER_OF_FRAMES, "IS", frames}};
    return dicom_attributes_set_texts(to, texts, sizeof texts / sizeof *texts, err);
}

/* Common Instance Reference (C.12.2), and Source Image Evidence (C.8.15.2) with the study as well. */
static int add_references(struct dicom_attributes *to, const struct sct_job *job,
                          struct sctd_error *err)
{
    const struct dicom_attribute *series =
        dicom_attributes_find(&job->of_source, TAG_SERIES_INSTANCE_UID);
    sctd_auto(sctd_buf_fini) struct sctd_buf instances = sctd_buf_make(DICOM_ATTRIBUTE_MAX_SIZE);
    sctd_auto(dicom_attributes_fini) struct dicom_attributes of_series = {0};
    sctd_auto(dicom_attributes_fini) struct dicom_attributes of_study = {0};
    int r = sct_derivation_add_instances(&instances, job->request->source, job->request->n_sources,
                                         err);
    if (r == 0) {
        r = sct_derivation_add_series(to, series, &instances, err);
    }
    if (r == 0) {
        r = dicom_attributes_copy(&of_series, series, err);
    }
    if (r == 0) {
        r = dicom_attributes_set_items(&of_series, TAG_REFERENCED_SOP_SEQUENCE, &instances, err);
    }
    if (r == 0) {
        r = dicom_attributes_copy(
            &of_study, dicom_attributes_find(&job->common.set, TAG_STUDY_INSTANCE_UID), err);
    }
    if (r == 0) {
        r = dicom_attributes_set_item(&of_study, TAG_REFERENCED_SERIES_SEQUENCE, &of_series, err);
    }
    return r < 0
               ? r
               : dicom_attributes_set_item(to, TAG_SOURCE_IMAGE_EVIDENCE_SEQUENCE, &of_study, err);
}

static int encode_head(struct sctd_buf *head, const struct sct_job *job, size_t pixel_bytes,
                       struct sctd_error *err)
{
    sctd_auto(dicom_attributes_fini) struct dicom_attributes own = {0};
    int r = add_image(&own, job, err);
    if (r == 0) {
        r = add_dimensions(&own, job->request->instance_uid[0], err);
    }
    if (r == 0) {
        r = add_shared_groups(&own, job, err);
    }
    if (r == 0) {
        r = add_frame_groups(&own, job, err);
    }
    if (r == 0) {
        r = add_references(&own, job, err);
    }
    if (r == 0) {
        const struct dicom_file_meta meta = {.sop_class_uid = SCT_ENHANCED_CT_IMAGE_STORAGE,
                                             .sop_instance_uid = job->request->instance_uid[0],
                                             .transfer_syntax_uid = DICOM_EXPLICIT_LITTLE_ENDIAN};
        r = dicom_file_meta_start(head, &meta, err);
    }
    if (r == 0) {
        r = dicom_attributes_encode(head, &job->common.set, &own, err);
    }
    return r < 0 ? r
                 : dicom_attributes_add_header(head, TAG_PIXEL_DATA, "OW", (uint32_t)pixel_bytes,
                                               err);
}

static void free_pixels(int16_t **pixels)
{
    free(*pixels);
}

int sct_job_write_enhanced(const struct sct_job *job, struct sct_files *files,
                           struct sctd_error *err)
{
    const struct volume *hu = job->request->hu;
    const size_t n = (size_t)hu->grid.dim[0] * (size_t)hu->grid.dim[1];
    const size_t bytes = n * (size_t)hu->grid.dim[2] * sizeof(int16_t);
    if (bytes >= UINT32_MAX) {
        return sctd_error(err, SCTD_EINVAL,
                          "%zu bytes of pixels are more than one instance holds: write one "
                          "instance a slice",
                          bytes);
    }
    sctd_auto(sctd_buf_fini) struct sctd_buf head = sctd_buf_make(4UL * DICOM_ATTRIBUTE_MAX_SIZE);
    sctd_auto(free_pixels) int16_t *pixels = malloc(n * sizeof *pixels);
    if (pixels == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "%zu pixels", n);
    }
    int r = encode_head(&head, job, bytes, err);
    if (r == 0) {
        r = sct_files_start(files, &head, err);
    }
    for (int32_t k = 0; r == 0 && k < hu->grid.dim[2]; k++) {
        r = sct_pixels_round(pixels, hu->voxel + (size_t)k * n, n,
                             job->request->options->rescale_intercept, err);
        if (r == 0) {
            r = sct_files_add(files, pixels, n * sizeof *pixels, err);
        }
    }
    if (r == 0) {
        r = sct_files_end(files, err);
    }
    if (r == 0 && job->on_written != NULL) {
        job->on_written(job->arg, 1, 1);
    }
    return r;
}
