/*
 * fetch_messages.h - what the parent and a fetcher say to each other (frame.h).
 *
 *     fetcher: ready    it has started
 *     parent:  work     what is to be looked for or fetched; with a list of studies (worker_list.h) or without
 *              serve    as to a receiver (receive_messages.h): where instances go, and the limits
 *     fetcher: found    one series
 *              moving   the peer has said something, at most once a second
 *              keep     as a receiver's: one instance is durable, may it be acknowledged?
 *     parent:  kept     as to a receiver
 *     fetcher: end      how it went; then it exits
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "dicom/associate.h"
#include "dicom/found.h"
#include "dicom/query.h"
#include "dicom/source.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/json.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { FETCH_HOST_SIZE = 256, FETCH_REASON_SIZE = 241, FETCH_DATE_SIZE = 9 };

enum fetch_kind {
    FETCH_FIND,  /* which series a PACS has */
    FETCH_GET,   /* one of them, over the same association */
    FETCH_MOVE,  /* the same, over associations that it opens to us */
    FETCH_SCAN,  /* which series a folder has */
    FETCH_FILES, /* one of them */
    FETCH_KINDS
};

struct fetch_work {
    int32_t kind; /* enum fetch_kind */
    char host[FETCH_HOST_SIZE];
    int32_t port;
    char calling_ae[DICOM_AE_SIZE], called_ae[DICOM_AE_SIZE];
    int32_t connect_ms, answer_ms;
    bool all_syntaxes;
    /* FIND; "" is any */
    char from[FETCH_DATE_SIZE], to[FETCH_DATE_SIZE];
    char patient_id[DICOM_FOUND_CODE_SIZE], accession[DICOM_FOUND_CODE_SIZE];
    char modality[DICOM_AE_SIZE];
    int32_t limit;
    /* GET, MOVE, FILES */
    char study_uid[DICOM_UID_SIZE], series_uid[DICOM_UID_SIZE];
    char folder[SCTD_PATH_MAX]; /* SCAN, FILES */
};

struct fetch_found {
    struct dicom_found series;
    char image_type[DICOM_FOUND_TEXT_SIZE]; /* SCAN */
    char folder[SCTD_PATH_MAX];             /* SCAN: the deepest that has all its files */
};

struct fetch_end {
    int32_t end;                                  /* enum dicom_query_end */
    int32_t completed, failed, warned, announced; /* query.h */
    bool spool_failed;                            /* a sync failed: stop accepting and end */
    char reason[FETCH_REASON_SIZE];
};

enum fetch_type { FETCH_READY, FETCH_WORK, FETCH_FOUND, FETCH_MOVING, FETCH_END, FETCH_TYPES };

struct fetch_message {
    enum fetch_type type;
    union { /* as the type says; READY and MOVING have nothing */
        struct fetch_work work;
        struct fetch_found found;
        struct fetch_end end;
    };
};

/* Send one; passed_fd and timeout_ms as frame_send.  Errors: as frame_send, SCTD_ENOMEM. */
SCTD_NODISCARD int fetch_messages_send(int fd, const struct fetch_message *message, int passed_fd,
                                       int timeout_ms, struct sctd_error *err);
/* Errors: SCTD_EDATA (no such type, a field that is missing or does not fit). */
SCTD_NODISCARD int fetch_messages_read(struct fetch_message *ret_message, const struct json *json,
                                       struct sctd_error *err);

#ifdef __cplusplus
}
#endif
