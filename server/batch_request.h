/*
 * batch_request.h - what somebody asks a batch to be: which series, from where, with which model, how fast.
 *
 * As JSON it comes from `sctd reprocess` and the HTTP API, and is kept in the job store; docs/reprocess.md has the
 * keys.
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dicom/associate.h"
#include "dicom/found.h"
#include "dicom/source.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "server/config.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    BATCH_REQUEST_TEXT_MAX = 8 << 20,
    BATCH_UIDS_MAX = 65536,
    BATCH_SERIES_MAX = 100000, /* series of one batch */
    BATCH_SERIES_DEFAULT = 10000,
    BATCH_MOVES_MAX = 16,
    BATCH_PER_HOUR_MAX = 100000,
    BATCH_DESTINATIONS_MAX = 32,
    BATCH_NAME_SIZE = CONFIG_NAME_MAX + 1,
    BATCH_MODEL_SIZE = 130,
    BATCH_DAY_MINUTES = 1440,
    BATCH_FILTER_SIZE = 129,
    BATCH_DATE_SIZE = 9,
};

enum batch_source { BATCH_PACS, BATCH_FOLDER, BATCH_HELD };
enum batch_method { BATCH_AUTO, BATCH_GET, BATCH_MOVE };

struct batch_uids {
    char (*uid)[DICOM_UID_SIZE]; /* [n], owned; in order */
    size_t n;
};

struct batch_request {
    char name[BATCH_NAME_SIZE]; /* for people; no patient data */
    enum batch_source source;
    char place[SCTD_PATH_MAX]; /* the destination's name, or the folder */
    enum batch_method method;  /* of a PACS */
    /* "" or 0: any; nothing of this is logged */
    char from[BATCH_DATE_SIZE], to[BATCH_DATE_SIZE]; /* Study Date, both included */
    char patient[DICOM_FOUND_CODE_SIZE], accession[DICOM_FOUND_CODE_SIZE];
    char modality[DICOM_AE_SIZE];
    char description[BATCH_FILTER_SIZE];                          /* extended regular expression */
    char station[BATCH_FILTER_SIZE], protocol[BATCH_FILTER_SIZE]; /* patterns with * and ? */
    int32_t min_images, max_images;
    int32_t limit; /* series at most: more is an error, never a part */
    struct batch_uids studies, series;
    char model[BATCH_MODEL_SIZE]; /* NAME or NAME@VERSION; "": the rules' */
    char rule[BATCH_NAME_SIZE];   /* "": the rules decide */
    char destination[BATCH_DESTINATIONS_MAX][BATCH_NAME_SIZE];
    size_t n_destinations;
    bool keep;        /* deliver nowhere; without it and destinations: where the rule says */
    int32_t moves;    /* series that are fetched at a time: 1 */
    int32_t per_hour; /* series that are begun; 0: any number */
    int32_t from_minute, to_minute; /* of the day, local time; equal: always */
    bool hold;                      /* only find the series, and wait to be resumed */
    bool force;                     /* also what was done before */
};

void batch_request_fini(struct batch_request *request);
struct batch_request batch_request_make(void); /* with the defaults */

/* *ret_request: batch_request_fini.  Errors: SCTD_EINVAL, naming the key, what is wrong and what is meant;
 * SCTD_ENOMEM. */
SCTD_NODISCARD int batch_request_parse(struct batch_request *ret_request, const char *text,
                                       size_t size, struct sctd_error *err);
/* The same, and batch_request_check. */
SCTD_NODISCARD int batch_request_read(struct batch_request *ret_request, const char *text,
                                      size_t size, struct sctd_error *err);
/* Always the same text for the same request.  Errors: SCTD_EINVAL (too long), SCTD_ENOMEM. */
SCTD_NODISCARD int batch_request_write(struct sctd_buf *text, const struct batch_request *q,
                                       struct sctd_error *err);
/*
 * As an object for people to look at: how many studies and series are named instead of their UIDs; without `identity`
 * null instead of what may name a patient: Patient ID, Accession Number, the folder.
 */
void batch_request_show(struct json_writer *w, const char *key, const struct batch_request *q,
                        bool identity);
/* Whether its parts fit each other.  Errors: SCTD_EINVAL. */
SCTD_NODISCARD int batch_request_check(const struct batch_request *q, struct sctd_error *err);

/* One line for lists and logs, without patient data: "PACS archive, 20240101 to 20241231, MR". */
void batch_request_describe(char *ret_text, size_t size, const struct batch_request *q);

/* "22:00-06:00"; equal times are the whole day.  Errors: SCTD_EINVAL. */
SCTD_NODISCARD int batch_request_hours(int32_t *ret_from, int32_t *ret_to, const char *text,
                                       struct sctd_error *err);
/* The member "hours" in the same form, unless it is the whole day. */
void batch_request_write_hours(struct json_writer *w, int32_t from_minute, int32_t to_minute);
/* How many minutes until the hours come; 0: they are now. */
int32_t batch_request_wait_minutes(int32_t from_minute, int32_t to_minute, int32_t now_minute);

/* The conditions on series, ready to be compared. */
struct batch_filter {
    const struct batch_request *request; /* borrowed */
    regex_t description;
    bool has_description;
};
/* Errors: SCTD_EINVAL. */
SCTD_NODISCARD int batch_request_filter_open(struct batch_filter *ret_filter,
                                             const struct batch_request *request,
                                             struct sctd_error *err);
void batch_request_filter_close(struct batch_filter *filter);
bool batch_request_filter_wants(const struct batch_filter *filter, const struct dicom_found *found);

#ifdef __cplusplus
}
#endif
