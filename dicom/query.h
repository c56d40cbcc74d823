/*
 * query.h - what a PACS has (C-FIND) and fetching it (C-GET, C-MOVE): Study Root, as the requestor (PS3.4 C).
 *
 * Waiting has limits throughout.  What comes by C-GET goes into a sink as what comes by C-STORE does
 * (receiver.h), and each instance is answered as the sink says.  What is moved comes over
 * associations of its own.
 *
 * Thread safety: one association for a process, which has no other thread.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dicom/found.h"
#include "dicom/receiver.h"
#include "dicom/requestor.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

enum dicom_query_end {
    DICOM_QUERY_DONE,
    DICOM_QUERY_FAILED,      /* broken or refused in a way that may pass */
    DICOM_QUERY_UNREACHABLE, /* no association */
    DICOM_QUERY_REFUSED,     /* never again without a change at the peer or of the request */
};

struct dicom_query_result {
    enum dicom_query_end end;
    /* sub-operations of C-GET and C-MOVE as the peer counted them last (PS3.7 9.1.3.1) */
    int32_t completed, failed, warned;
    int32_t
        announced;    /* the most that it ever said there are, with those that remain; 0: nothing */
    char reason[200]; /* for people, without values of the peer; "" if all went well */
};

/* What is looked for; NULL or "": any.  Texts are matched by the peer (PS3.4 C.2.2.2). */
struct dicom_query_keys {
    const char *from, *to; /* Study Date, YYYYMMDD, both included */
    const char *patient_id, *accession;
    const char *modality;         /* "MR" */
    const char *const *study_uid; /* [n] */
    size_t n;
    const char *series_uid;
    size_t limit; /* series and studies that are looked at at most */
};

struct dicom_query_sink {
    void *arg;
    /* One series, with what its study says.  false: no more, please. */
    bool (*found)(void *arg, const struct dicom_found *found);
    void (*moving)(void *arg); /* the peer has said something */
};

/*
 * All series of the studies that match: the studies first, then each one's series.  A peer that says nothing new for
 * peer->answer_ms, however much it says, has failed.
 * *ret_result says how it went; what the peer does is no error.  Errors: SCTD_EINVAL, SCTD_ENOMEM, SCTD_EDATA.
 */
SCTD_NODISCARD int dicom_query_find(const struct dicom_requestor *peer,
                                    const struct dicom_query_keys *keys,
                                    const struct dicom_query_sink *sink,
                                    struct dicom_query_result *ret_result, struct sctd_error *err);

/* One series. */
struct dicom_retrieval {
    const char *study_uid, *series_uid;
    bool all_syntaxes;   /* accept.h */
    const char *move_to; /* an AE title: C-MOVE; NULL: C-GET */
    int window_ms;       /* C-GET: within a message at least min_bytes come in each such time */
    int64_t min_bytes;
};

/*
 * sink: of C-GET.  moving: the peer has said something, or an instance came.  With C-GET a peer that brings no new
 * instance for peer->answer_ms, whatever it says meanwhile, has failed; of C-MOVE only silence is seen here.
 * Errors: as above.
 */
SCTD_NODISCARD int
dicom_query_retrieve(const struct dicom_requestor *peer, const struct dicom_retrieval *retrieval,
                     const struct dicom_receiver_sink *sink, const struct dicom_query_sink *moving,
                     struct dicom_query_result *ret_result, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
