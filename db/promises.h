/*
 * promises.h - reports of storage commitment that a modality was promised and has not heard (PS3.4 J.3.3).
 *
 * They are few: what is promised on an association is told on it.  Only what was not is kept here, until it has
 * been told on an association of our own.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "db/db.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    DB_PROMISES_MAX = 256,
    DB_PROMISED_INSTANCES_MAX = 4 << 16, /* of all of them */
    DB_PEER_SIZE = 64,                   /* an address as text */
};

struct db_promised {
    char sop_class_uid[DB_UID_SIZE], sop_uid[DB_UID_SIZE];
    uint16_t reason; /* why it is not committed (PS3.3 C.14.1.1); 0: it is */
};

struct db_promise {
    int64_t id;      /* never used again */
    int64_t made_ms; /* wall clock */
    int32_t instances;
    char transaction_uid[DB_UID_SIZE];
    char calling_ae[DB_AE_SIZE]; /* of the modality */
    char peer[DB_PEER_SIZE];     /* the address that it asked from */
};

/*
 * Keep one; another one of the same modality and transaction is replaced.  promise: id and made_ms are not used.
 * Returns 0 or DB_REFUSED (there are too many).  Errors: SCTD_EINVAL (a text, no instances), SCTD_EIO.
 */
SCTD_NODISCARD int db_promise_keep(struct db *db, const struct db_now *now,
                                   const struct db_promise *promise,
                                   const struct db_promised *instances, int64_t *ret_id,
                                   struct sctd_error *err);

struct db_promise_page {
    struct db_promise *promise; /* [n], owned; oldest first */
    size_t n;
};
void db_promise_page_fini(struct db_promise_page *list); /* leaves it empty */
/* All of them.  Errors: SCTD_EIO, SCTD_EDATA, SCTD_ENOMEM. */
SCTD_NODISCARD int db_promise_list(struct db *db, struct db_promise_page *ret_list,
                                   struct sctd_error *err);

/* What one modality is owed. */
struct db_owed {
    char calling_ae[DB_AE_SIZE];
    int32_t reports, instances;
    int64_t since_ms; /* wall clock: the oldest */
};
struct db_owed_page {
    struct db_owed *owed; /* [n], owned; by AE title */
    size_t n;
};
void db_owed_page_fini(struct db_owed_page *list); /* leaves it empty */
/* Errors: SCTD_EIO, SCTD_EDATA, SCTD_ENOMEM. */
SCTD_NODISCARD int db_promise_owed(struct db *db, struct db_owed_page *ret_list,
                                   struct sctd_error *err);

struct db_promised_list {
    struct db_promised *instance; /* [n], owned; in their order */
    size_t n;
};
void db_promised_list_fini(struct db_promised_list *list); /* leaves it empty */
/* Returns 0 or DB_NONE.  Errors: SCTD_EIO, SCTD_EDATA, SCTD_ENOMEM. */
SCTD_NODISCARD int db_promise_instances(struct db *db, int64_t id,
                                        struct db_promised_list *ret_list, struct sctd_error *err);

/* It was heard, or is given up.  Returns 0 or DB_NONE.  Errors: SCTD_EIO. */
SCTD_NODISCARD int db_promise_end(struct db *db, int64_t id, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
