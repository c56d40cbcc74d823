/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/phantom_writer.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dicom/attributes.h"
#include "dicom/file_meta.h"
#include "dicom/sct_files.h"
#include "dicom/sct_geometry.h"
#include "dicom/sct_image.h"
#include "dicom/sct_pixels.h"
#include "dicom/source.h"
#include "dicom/tags.h"
#include "dicom/uid.h"
#include "engine/base/attr.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/sha256.h"
#include "engine/base/volume.h"

enum { HEAD_MAX_SIZE = 1 << 20 };

/* Changes with what a seed looks like, so that two different objects never have one UID. */
static const char generation[] = "sctd phantom 1";

/* The day of all phantoms: a file that tells the time of its making is another file each time. */
static const char made_on[] = "20250101";
static const char made_at[] = "120000";

struct kind {
    const char *name, *modality, *sop_class, *series_number, *model, *image_type;
    int32_t intercept;
    float low, high; /* what is stored */
    uint16_t bits;
    bool is_signed;
};

static const struct kind kinds[] = {
    [DICOM_PHANTOM_CT] = {.name = "CT",
                          .modality = "CT",
                          .sop_class = "1.2.840.10008.5.1.4.1.1.2",
                          .series_number = "3",
                          .model = "Phantom CT",
                          .image_type = "ORIGINAL\\PRIMARY\\AXIAL",
                          .intercept = -1024,
                          .low = -1024,
                          .high = 3071,
                          .bits = 12,
                          .is_signed = false},
    [DICOM_PHANTOM_MR] = {.name = "MR",
                          .modality = "MR",
                          .sop_class = "1.2.840.10008.5.1.4.1.1.4",
                          .series_number = "1",
                          .model = "Phantom MR",
                          .image_type = "ORIGINAL\\PRIMARY\\OTHER",
                          .intercept = 0,
                          .low = 0,
                          .high = 4095,
                          .bits = 12,
                          .is_signed = false},
    [DICOM_PHANTOM_CBCT] = {.name = "CBCT",
                            .modality = "CT",
                            .sop_class = "1.2.840.10008.5.1.4.1.1.2",
                            .series_number = "2",
                            .model = "Phantom linac CBCT",
                            .image_type = "ORIGINAL\\PRIMARY\\AXIAL",
                            .intercept = -1000,
                            .low = -1024,
                            .high = 3071,
                            .bits = 16,
                            .is_signed = true},
};

static void add_text(struct sha256 *hash, const char *text)
{
    sha256_update(hash, text, strlen(text) + 1);
}

static void add_number(struct sha256 *hash, double number)
{
    char text[40];
    (void)snprintf(text, sizeof text, "%.9g", number);
    add_text(hash, text);
}

static void hash_seed(struct sha256 *hash, uint64_t seed)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRIu64, seed);
    sha256_init(hash);
    add_text(hash, generation);
    add_text(hash, text);
}

/* What is hashed so far, and a role, as a UID. */
static void finish_uid(char ret_uid[DICOM_UID_SIZE], struct sha256 hash, const char *role)
{
    unsigned char digest[SHA256_SIZE];
    add_text(&hash, role);
    sha256_final(&hash, digest);
    dicom_uid_from_digest(ret_uid, digest);
}

/* Kind and grid make a series of a patient. */
static void hash_series(struct sha256 *hash, const struct dicom_phantom_request *request)
{
    const struct volume_grid *grid = &request->image->grid;
    hash_seed(hash, request->seed);
    add_text(hash, kinds[request->kind].name);
    for (int a = 0; a < 3; a++) {
        add_number(hash, grid->dim[a]);
        add_number(hash, grid->step[a]);
        add_number(hash, grid->origin[a]);
        for (int i = 0; i < 3; i++) {
            add_number(hash, grid->axis[a][i]);
        }
    }
}

void dicom_phantom_get_uids(const struct dicom_phantom_request *request,
                            struct dicom_phantom_uids *ret_uids)
{
    struct sha256 of_patient;
    struct sha256 of_series;
    hash_seed(&of_patient, request->seed);
    hash_series(&of_series, request);
    finish_uid(ret_uids->study, of_patient, "study");
    finish_uid(ret_uids->frame_of_reference, of_patient, "frame of reference");
    finish_uid(ret_uids->series, of_series, "series");
}

static int set_identity(struct dicom_attributes *to, const struct dicom_phantom_request *request,
                        struct sctd_error *err)
{
    char name[64];
    char id[32];
    char description[64];
    struct dicom_phantom_uids uids;
    const struct kind *kind = &kinds[request->kind];
    dicom_phantom_get_uids(request, &uids);
    (void)snprintf(name, sizeof name, "PHANTOM^PELVIS^SEED %" PRIu64, request->seed);
    (void)snprintf(id, sizeof id, "PHANTOM-%" PRIu64, request->seed);
    (void)snprintf(description, sizeof description, "Phantom %s%s %s", kind->name,
                   request->kind != DICOM_PHANTOM_MR ? ""
                   : request->t2                     ? " T2"
                                                     : " T1",
                   request->orientation);
    const struct dicom_text_attribute texts[] = {
        {TAG_SOP_CLASS_UID, "UI", kind->sop_class},
        {TAG_IMAGE_TYPE, "CS", kind->image_type},
        {TAG_SYNTHETIC_DATA, "CS", "YES"},
        {TAG_INSTANCE_CREATION_DATE, "DA", made_on},
        {TAG_INSTANCE_CREATION_TIME, "TM", made_at},
        {TAG_STUDY_DATE, "DA", made_on},
        {TAG_SERIES_DATE, "DA", made_on},
        {TAG_CONTENT_DATE, "DA", made_on},
        {TAG_STUDY_TIME, "TM", made_at},
        {TAG_SERIES_TIME, "TM", made_at},
        {TAG_CONTENT_TIME, "TM", made_at},
        {TAG_ACCESSION_NUMBER, "SH", ""},
        {TAG_MODALITY, "CS", kind->modality},
        {TAG_MANUFACTURER, "LO", "sctd phantom"},
        {TAG_REFERRING_PHYSICIAN_NAME, "PN", ""},
        {TAG_STUDY_DESCRIPTION, "LO", "Phantom pelvis, no patient"},
        {TAG_SERIES_DESCRIPTION, "LO", description},
        {TAG_MANUFACTURER_MODEL_NAME, "LO", kind->model},
        {TAG_PATIENT_NAME, "PN", name},
        {TAG_PATIENT_ID, "LO", id},
        {TAG_PATIENT_BIRTH_DATE, "DA", ""},
        {TAG_PATIENT_SEX, "CS", request->female ? "F" : "M"},
        {TAG_BODY_PART_EXAMINED, "CS", "PELVIS"},
        {TAG_SOFTWARE_VERSIONS, "LO", request->software},
        {TAG_PATIENT_POSITION, "CS", "HFS"},
        {TAG_STUDY_INSTANCE_UID, "UI", uids.study},
        {TAG_SERIES_INSTANCE_UID, "UI", uids.series},
        {TAG_STUDY_ID, "SH", "PHANTOM"},
        {TAG_SERIES_NUMBER, "IS", kind->series_number},
        {TAG_ACQUISITION_NUMBER, "IS", "1"},
        {TAG_FRAME_OF_REFERENCE_UID, "UI", uids.frame_of_reference},
        {TAG_POSITION_REFERENCE_INDICATOR, "LO", ""},
        {TAG_BURNED_IN_ANNOTATION, "CS", "NO"},
        {TAG_LOSSY_IMAGE_COMPRESSION, "CS", "00"},
    };
    return dicom_attributes_set_texts(to, texts, sizeof texts / sizeof *texts, err);
}

static int set_mr(struct dicom_attributes *to, bool t2, struct sctd_error *err)
{
    const struct dicom_text_attribute texts[] = {
        {TAG_SCANNING_SEQUENCE, "CS", t2 ? "SE" : "GR"},
        {TAG_SEQUENCE_VARIANT, "CS", t2 ? "SK" : "SP"},
        {TAG_SCAN_OPTIONS, "CS", ""},
        {TAG_MR_ACQUISITION_TYPE, "CS", "2D"},
        {TAG_REPETITION_TIME, "DS", t2 ? "4500" : "150"},
        {TAG_ECHO_TIME, "DS", t2 ? "100" : "4.6"},
        {TAG_MAGNETIC_FIELD_STRENGTH, "DS", "1.5"},
        {TAG_ECHO_TRAIN_LENGTH, "IS", t2 ? "16" : "1"},
        {TAG_FLIP_ANGLE, "DS", t2 ? "150" : "70"},
    };
    return dicom_attributes_set_texts(to, texts, sizeof texts / sizeof *texts, err);
}

static int set_ct(struct dicom_attributes *to, const struct dicom_phantom_request *request,
                  struct sctd_error *err)
{
    const int32_t intercept = kinds[request->kind].intercept;
    int r = sct_image_add_rescale(to, intercept, err);
    if (r == 0) {
        r = sct_image_add_windows(to, err);
    }
    if (r == 0) {
        r = dicom_attributes_set_text(to, TAG_KVP, "DS",
                                      request->kind == DICOM_PHANTOM_CT ? "120" : "125", err);
    }
    if (r == 0 && request->kind == DICOM_PHANTOM_CBCT && request->fill < -1000.0F) {
        const uint16_t stored = (uint16_t)((int32_t)request->fill - intercept);
        const unsigned char bytes[2] = {(unsigned char)(stored & 0xffU),
                                        (unsigned char)(stored >> 8)};
        r = dicom_attributes_set(to, TAG_PIXEL_PADDING_VALUE, "SS", bytes, sizeof bytes, err);
    }
    return r;
}

static int set_pixels(struct dicom_attributes *to, const struct dicom_phantom_request *request,
                      struct sctd_error *err)
{
    const struct kind *kind = &kinds[request->kind];
    int r = sct_image_add_slice(to, &request->image->grid, err);
    if (r == 0) {
        r = dicom_attributes_set_u16(to, TAG_BITS_STORED, kind->bits, err);
    }
    if (r == 0) {
        r = dicom_attributes_set_u16(to, TAG_HIGH_BIT, (uint16_t)(kind->bits - 1), err);
    }
    if (r == 0) {
        r = dicom_attributes_set_u16(to, TAG_PIXEL_REPRESENTATION, kind->is_signed ? 1 : 0, err);
    }
    return r;
}

/* What all instances share. */
static int set_shared(struct dicom_attributes *to, const struct dicom_phantom_request *request,
                      struct sctd_error *err)
{
    int r = set_identity(to, request, err);
    if (r == 0) {
        r = request->kind == DICOM_PHANTOM_MR ? set_mr(to, request->t2, err)
                                              : set_ct(to, request, err);
    }
    if (r == 0) {
        r = set_pixels(to, request, err);
    }
    return r < 0 ? r : sct_geometry_add_steps(to, &request->image->grid, err);
}

/* What slice k alone has. */
static int set_slice(struct dicom_attributes *to, const struct volume_grid *grid, int32_t k,
                     const char *uid, struct sctd_error *err)
{
    char number[16];
    (void)snprintf(number, sizeof number, "%d", (int)k + 1);
    const struct dicom_text_attribute texts[] = {{TAG_SOP_INSTANCE_UID, "UI", uid},
                                                 {TAG_INSTANCE_NUMBER, "IS", number}};
    sctd_auto(sct_geometry_fini) struct sct_plane plane = {0};
    int r = dicom_attributes_set_texts(to, texts, sizeof texts / sizeof *texts, err);
    if (r == 0) {
        r = sct_geometry_of_grid(&plane, grid, k, err);
    }
    if (r == 0) {
        r = dicom_attributes_copy_all(to, &plane.set, err);
    }
    return r < 0 ? r : sct_geometry_add_location(to, &plane, err);
}

static void free_pixels(int16_t **pixels)
{
    free(*pixels);
}

static void free_values(float **values)
{
    free(*values);
}

/* One series on its way. */
struct job {
    const struct dicom_phantom_request *request;
    struct sha256 hash;             /* of the series */
    struct dicom_attributes shared; /* of all instances */
    int16_t *pixels;                /* [n] */
    float *values;                  /* [n] */
    size_t n;                       /* pixels of a slice */
};

static int round_slice(const struct job *job, int32_t k, struct sctd_error *err)
{
    const struct kind *kind = &kinds[job->request->kind];
    const float *from = job->request->image->voxel + (size_t)k * job->n;
    for (size_t i = 0; i < job->n; i++) {
        const float value = from[i];
        job->values[i] = value < kind->low ? kind->low : value > kind->high ? kind->high : value;
    }
    return sct_pixels_round(job->pixels, job->values, job->n, kind->intercept, err);
}

static int write_slice(const struct job *job, struct sct_files *files, int32_t k,
                       struct sctd_error *err)
{
    char number[32];
    char uid[DICOM_UID_SIZE];
    (void)snprintf(number, sizeof number, "instance %d", (int)k);
    finish_uid(uid, job->hash, number);
    sctd_auto(dicom_attributes_fini) struct dicom_attributes own = {0};
    sctd_auto(sctd_buf_fini) struct sctd_buf head = sctd_buf_make(HEAD_MAX_SIZE);
    int r = round_slice(job, k, err);
    if (r == 0) {
        r = set_slice(&own, &job->request->image->grid, k, uid, err);
    }
    if (r == 0) {
        const struct dicom_file_meta meta = {.sop_class_uid = kinds[job->request->kind].sop_class,
                                             .sop_instance_uid = uid,
                                             .transfer_syntax_uid = DICOM_EXPLICIT_LITTLE_ENDIAN};
        r = dicom_file_meta_start(&head, &meta, err);
    }
    if (r == 0) {
        r = dicom_attributes_encode(&head, &job->shared, &own, err);
    }
    if (r == 0) {
        r = dicom_attributes_add_header(&head, TAG_PIXEL_DATA, "OW",
                                        (uint32_t)(job->n * sizeof *job->pixels), err);
    }
    if (r == 0) {
        r = sct_files_start(files, &head, err);
    }
    if (r == 0) {
        r = sct_files_add(files, job->pixels, job->n * sizeof *job->pixels, err);
    }
    return r < 0 ? r : sct_files_end(files, err);
}

int dicom_phantom_write_series(const struct dicom_phantom_request *request, const char *folder,
                               struct sctd_error *err)
{
    const struct volume_grid *grid = &request->image->grid;
    struct job job = {.request = request, .n = (size_t)grid->dim[0] * (size_t)grid->dim[1]};
    sctd_auto(free_pixels) int16_t *pixels = malloc(job.n * sizeof *pixels);
    sctd_auto(free_values) float *values = malloc(job.n * sizeof *values);
    if (pixels == NULL || values == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "slice of %zu pixels", job.n);
    }
    job.pixels = pixels;
    job.values = values;
    hash_series(&job.hash, request);

    sctd_auto(sct_files_freep) struct sct_files *files = NULL;
    int r = sct_files_new(&files, folder, err);
    if (r == 0) {
        r = set_shared(&job.shared, request, err);
    }
    for (int32_t k = 0; r == 0 && k < grid->dim[2]; k++) {
        r = write_slice(&job, files, k, err);
    }
    if (r == 0) {
        r = sct_files_finish(files, err);
    }
    dicom_attributes_fini(&job.shared);
    return r;
}
