/*
 * write.h - jobs, series and so on as the API shows them.
 *
 * Private to server/api.  Each writes the members of the object that is open.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "db/deliveries.h"
#include "db/instances.h"
#include "db/jobs.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/api/context.h"

#ifdef __cplusplus
extern "C" {
#endif

/* identity: with the patient's name and ID.  Errors: SCTD_EIO (the store). */
SCTD_NODISCARD int write_job(struct json_writer *w, struct api *api, const struct db_job *job,
                             bool identity, struct sctd_error *err);
SCTD_NODISCARD int write_series(struct json_writer *w, struct api *api,
                                const struct db_series *series, bool identity,
                                struct sctd_error *err);
void write_delivery(struct json_writer *w, const struct db_delivery *delivery);
void write_history(struct json_writer *w, const char *key, const struct db_history *history);

/* What a person reads of a job that went wrong. */
struct job_words {
    char title[80];
    const char *mend;
};
/* Returns false where nothing did. */
bool write_find_words(const struct db_job *job, bool delivery_failed, struct job_words *ret_words);

#ifdef __cplusplus
}
#endif
