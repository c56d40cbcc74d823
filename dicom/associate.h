/*
 * associate.h - an A-ASSOCIATE-RQ is checked before anything else reads it, and refused politely.
 *
 * PS3.8 9.3.2 and PS3.7 D.3.3.  Every length is checked against the one around it; what is not understood is
 * skipped within its length.  DCMTK 3.6.7 leaks half a megabyte for each hostile request that it
 * parses, so that it sees only what has passed here.
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dicom/source.h"
#include "engine/base/attr.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    DICOM_AE_SIZE = 17, /* 16 characters (PS3.5 6.2) and a NUL */
    DICOM_ASSOCIATE_HEADER_SIZE = 6,
    DICOM_ASSOCIATE_SIZE_MAX = 128 << 10, /* of the whole PDU, header included */
    DICOM_ASSOCIATE_REPLY_SIZE = 10,
};

struct dicom_associate {
    char called_ae[DICOM_AE_SIZE], calling_ae[DICOM_AE_SIZE]; /* without the blanks around them */
    char implementation_class_uid[DICOM_UID_SIZE];            /* "" if not given */
    char implementation_version[DICOM_AE_SIZE];               /* printable; "" if not given */
    uint32_t max_pdu;                                         /* that the peer takes; 0: any */
    int contexts;                                             /* presentation contexts proposed */
    bool has_user_identity;
};

/* PDU types (PS3.8 9.3.1). */
enum dicom_pdu_type { DICOM_PDU_ASSOCIATE_RQ = 1, DICOM_PDU_ASSOCIATE_RJ = 3, DICOM_PDU_ABORT = 7 };

/* The PDU that refuses a request, and why for the log: no text of the peer's. */
struct dicom_associate_reply {
    enum dicom_pdu_type type;             /* DICOM_PDU_ASSOCIATE_RJ or DICOM_PDU_ABORT */
    unsigned char result, source, reason; /* PS3.8 9.3.4; an abort has no result (PS3.8 9.3.8) */
    const char *text;                     /* a constant */
};

/* Refusals that others decide on. */
extern const struct dicom_associate_reply dicom_associate_unknown_calling; /* permanent */
extern const struct dicom_associate_reply dicom_associate_unknown_called;  /* permanent */
extern const struct dicom_associate_reply dicom_associate_over_limit;      /* transient */
extern const struct dicom_associate_reply dicom_associate_congested;       /* transient */

enum { DICOM_ASSOCIATE_REFUSED = 1 };

/*
 * The size of the whole PDU from its first DICOM_ASSOCIATE_HEADER_SIZE bytes.
 * Returns 0 or DICOM_ASSOCIATE_REFUSED: no request, or one too short or too long to be one.
 */
SCTD_NODISCARD int dicom_associate_measure(size_t *ret_size, const void *header,
                                           struct dicom_associate_reply *ret_reply);

/*
 * Check all of it.  Returns 0 or DICOM_ASSOCIATE_REFUSED with *ret_reply set.
 * An AE title is 1 ... 16 characters of the default repertoire (PS3.5 6.1.1) without '/' and '\\'.
 */
SCTD_NODISCARD int dicom_associate_parse(struct dicom_associate *ret_request, const void *bytes,
                                         size_t size, struct dicom_associate_reply *ret_reply);

/* Whether a text may be an AE title as above. */
bool dicom_associate_is_ae(const char *text);

void dicom_associate_write_reply(unsigned char ret_pdu[DICOM_ASSOCIATE_REPLY_SIZE],
                                 const struct dicom_associate_reply *reply);

#ifdef __cplusplus
}
#endif
