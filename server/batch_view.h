/*
 * batch_view.h - a batch for people and programs: its progress, its estimate, and the report of its series.
 *
 * Without patient data: UIDs, dates, descriptions, states and reasons.
 *
 * Thread safety: as of the job store.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "db/batches.h"
#include "db/db.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/json.h"

#ifdef __cplusplus
extern "C" {
#endif

/* "paused" where it is, else the name of its state. */
const char *batch_view_state(const struct db_batch *batch);
int64_t batch_view_total(const struct db_batch *batch);
int64_t batch_view_ended(const struct db_batch *batch); /* of them: with a result or a reason */
/* Of a series: also that its result waits for somebody who looks at it. */
const char *batch_view_reason(const struct db_item *item);
/* How long what is left may take at the pace so far and within its limits, without what is held; -1: nobody knows
 * yet. */
int64_t batch_view_left_ms(const struct db_batch *batch);

/* The members of the object that is open. */
void batch_view_write_members(struct json_writer *w, const struct db_batch *batch);
/* As an object; key: within an object, else NULL. */
void batch_view_write(struct json_writer *w, const char *key, const struct db_batch *batch);
void batch_view_write_item(struct json_writer *w, const struct db_item *item);

/* Each series in the order in which they were found, while `use` returns 0; what it returned else. */
typedef int batch_view_item_fn(void *arg, const struct db_item *item, struct sctd_error *err);
SCTD_NODISCARD int batch_view_for_items(struct db *db, int64_t id, batch_view_item_fn *use,
                                        void *arg, struct sctd_error *err);

/* Every series with its result or reason.  Returns 0 or DB_NONE.  Errors: SCTD_EIO, SCTD_EINVAL, SCTD_ENOMEM. */
SCTD_NODISCARD int batch_view_report_json(struct sctd_buf *text, struct db *db, int64_t id,
                                          struct sctd_error *err);
SCTD_NODISCARD int batch_view_report_csv(struct sctd_buf *text, struct db *db, int64_t id,
                                         struct sctd_error *err);

#ifdef __cplusplus
}
#endif
