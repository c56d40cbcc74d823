/*
 * members.h - what `sctd job` and `sctd series` and the API write alike of a job, a delivery, a change and a series.
 *
 * Each writes members of the object that is open; the caller adds its own: times as it writes them, what it has in
 * a form of its own where there is none, and who a patient is, which is never written here.
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "db/deliveries.h"
#include "db/instances.h"
#include "db/jobs.h"
#include "engine/base/json.h"

#ifdef __cplusplus
extern "C" {
#endif

void members_write_job(struct json_writer *w, const struct db_job *job);
void members_write_delivery(struct json_writer *w, const struct db_delivery *delivery);
void members_write_transition(struct json_writer *w, const struct db_transition *transition);
void members_write_series(struct json_writer *w, const struct db_series *series);

#ifdef __cplusplus
}
#endif
