/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/uid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dicom/source.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "engine/base/sha256.h"

/* The end of the component at `text`: digits without a leading zero; NULL if there is none. */
static const char *skip_component(const char *text)
{
    const char *end = text;
    while (*end >= '0' && *end <= '9') {
        end++;
    }
    return end == text || (*text == '0' && end > text + 1) ? NULL : end;
}

bool dicom_uid_is_valid(const char *uid)
{
    if (strnlen(uid, DICOM_UID_SIZE) >= DICOM_UID_SIZE) {
        return false;
    }
    const char *end = skip_component(uid);
    while (end != NULL && *end == '.') {
        end = skip_component(end + 1);
    }
    return end != NULL && *end == '\0';
}

void dicom_uid_from_digest(char ret_uid[DICOM_UID_SIZE], const unsigned char *digest)
{
    unsigned char left[16];
    memcpy(left, digest, sizeof left);
    char digits[DICOM_UID_SIZE];
    size_t n = sizeof digits;
    digits[--n] = '\0';
    bool more = true;
    while (more) { /* long division by ten, most significant byte first */
        unsigned rest = 0;
        more = false;
        for (size_t i = 0; i < sizeof left; i++) {
            const unsigned value = rest << 8 | left[i];
            left[i] = (unsigned char)(value / 10);
            rest = value % 10;
            more = more || left[i] != 0;
        }
        digits[--n] = (char)('0' + rest);
    }
    (void)snprintf(ret_uid, DICOM_UID_SIZE, "2.25.%s", digits + n);
}

static int compare_sources(const void *a, const void *b)
{
    const struct dicom_source *x = *(const struct dicom_source *const *)a;
    const struct dicom_source *y = *(const struct dicom_source *const *)b;
    const int uids = strcmp(x->sop_instance_uid, y->sop_instance_uid);
    return uids != 0 ? uids : (x->frame > y->frame) - (x->frame < y->frame);
}

/* With its NUL, so that two texts never run together. */
static void add_text(struct sha256 *hash, const char *text)
{
    sha256_update(hash, text, strlen(text) + 1);
}

static int check_work(const struct dicom_sct_work *work, struct sctd_error *err)
{
    if (!dicom_uid_is_valid(work->source_series_uid) || work->n == 0) {
        return sctd_error(err, SCTD_EINVAL, "an sCT needs a source series with a valid UID");
    }
    for (size_t i = 0; i < work->n; i++) {
        if (!dicom_uid_is_valid(work->source[i].sop_instance_uid)) {
            return sctd_error(err, SCTD_EINVAL, "source %zu of %zu has no valid SOP Instance UID",
                              i + 1, work->n);
        }
    }
    if (strlen(work->model_sha256) != 64) {
        return sctd_error(err, SCTD_EINVAL, "a model's SHA-256 has 64 digits");
    }
    return 0;
}

static void free_sources(const struct dicom_source ***sources)
{
    free((void *)*sources);
}

/* All that both the series and its instances are made of. */
static int hash_work(struct sha256 *hash, const struct dicom_sct_work *work, struct sctd_error *err)
{
    sctd_auto(free_sources) const struct dicom_source **sorted =
        (const struct dicom_source **)malloc(work->n * sizeof *sorted);
    if (sorted == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "UIDs of %zu sources", work->n);
    }
    for (size_t i = 0; i < work->n; i++) {
        sorted[i] = &work->source[i];
    }
    qsort((void *)sorted, work->n, sizeof *sorted, compare_sources);

    sha256_init(hash);
    add_text(hash, "sctd sCT 1");
    add_text(hash, work->source_series_uid);
    for (size_t i = 0; i < work->n; i++) {
        char frame[32];
        (void)snprintf(frame, sizeof frame, "frame %d", (int)sorted[i]->frame);
        add_text(hash, sorted[i]->sop_instance_uid);
        add_text(hash, frame);
    }
    add_text(hash, work->model_sha256);
    add_text(hash, work->parameters);
    return 0;
}

int dicom_uid_for_sct(char ret_series_uid[DICOM_UID_SIZE],
                      char (*ret_instance_uids)[DICOM_UID_SIZE], size_t n_instances,
                      const struct dicom_sct_work *work, struct sctd_error *err)
{
    int r = check_work(work, err);
    if (r < 0) {
        return r;
    }
    struct sha256 hash;
    r = hash_work(&hash, work, err);
    if (r < 0) {
        return r;
    }
    unsigned char digest[SHA256_SIZE];
    struct sha256 of_series = hash;
    sha256_final(&of_series, digest);
    dicom_uid_from_digest(ret_series_uid, digest);
    for (size_t i = 0; i < n_instances; i++) {
        char number[32];
        (void)snprintf(number, sizeof number, "instance %zu", i);
        struct sha256 of_instance = hash;
        add_text(&of_instance, number);
        sha256_final(&of_instance, digest);
        dicom_uid_from_digest(ret_instance_uids[i], digest);
    }
    return 0;
}

static void derive_of_page(char ret_uid[DICOM_UID_SIZE], const char *purpose,
                           const char *sct_series_uid)
{
    struct sha256 hash;
    unsigned char digest[SHA256_SIZE];
    sha256_init(&hash);
    add_text(&hash, purpose);
    add_text(&hash, sct_series_uid);
    sha256_final(&hash, digest);
    dicom_uid_from_digest(ret_uid, digest);
}

int dicom_uid_for_page(char ret_series_uid[DICOM_UID_SIZE], char ret_instance_uid[DICOM_UID_SIZE],
                       const char *sct_series_uid, struct sctd_error *err)
{
    if (!dicom_uid_is_valid(sct_series_uid)) {
        return sctd_error(err, SCTD_EINVAL, "a quality page needs an sCT with a valid UID");
    }
    derive_of_page(ret_series_uid, "sctd quality page series 1", sct_series_uid);
    derive_of_page(ret_instance_uid, "sctd quality page instance 1", sct_series_uid);
    return 0;
}
