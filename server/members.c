/* SPDX-License-Identifier: Apache-2.0 */
#include "server/members.h"

#include "db/deliveries.h"
#include "db/instances.h"
#include "db/jobs.h"
#include "engine/base/json.h"

void members_write_job(struct json_writer *w, const struct db_job *job)
{
    json_write_int(w, "id", job->id);
    json_write_string(w, "state", db_job_state_name(job->state));
    json_write_string(w, "reason", job->reason);
    json_write_string(w, "review", db_review_name(job->review));
    json_write_bool(w, "hold", job->hold);
    json_write_bool(w, "held", db_job_is_held(job));
    json_write_int(w, "revision", job->revision);
    json_write_string(w, "evidence", db_evidence_name(job->evidence));
    json_write_string(w, "source_ae", job->source_ae);
    json_write_string(w, "rule", job->rule);
    json_write_string(w, "model", job->model);
    json_write_string(w, "series_uid", job->series_uid);
    json_write_string(w, "output_series_uid", job->output_series_uid);
    json_write_int(w, "outputs", job->outputs);
    json_write_int(w, "priority", job->priority);
    json_write_int(w, "attempt", job->attempt);
}

void members_write_delivery(struct json_writer *w, const struct db_delivery *delivery)
{
    json_write_int(w, "id", delivery->id);
    json_write_string(w, "destination", delivery->destination);
    json_write_string(w, "state", db_delivery_state_name(delivery->state));
    json_write_int(w, "instances", delivery->instances);
    json_write_int(w, "stored", delivery->stored);
    json_write_int(w, "committed", delivery->committed);
    json_write_int(w, "attempt", delivery->attempt);
    json_write_string(w, "reason", delivery->reason);
}

void members_write_transition(struct json_writer *w, const struct db_transition *transition)
{
    json_write_int(w, "attempt", transition->attempt);
    json_write_string(w, "destination", transition->destination);
    json_write_string(w, "from", transition->from);
    json_write_string(w, "to", transition->to);
    json_write_string(w, "reason", transition->reason);
    json_write_string(w, "detail", transition->detail);
}

void members_write_series(struct json_writer *w, const struct db_series *series)
{
    json_write_int(w, "id", series->id);
    json_write_string(w, "state", db_series_state_name(series->state));
    json_write_string(w, "reason", series->reason);
    json_write_string(w, "evidence", db_evidence_name(series->evidence));
    json_write_int(w, "revision", series->revision);
    json_write_string(w, "series_uid", series->series_uid);
    json_write_string(w, "study_uid", series->study_uid);
    json_write_int(w, "instances", series->instances);
    json_write_int(w, "bytes", series->bytes);
    json_write_string(w, "calling_ae", series->calling_ae);
    json_write_string(w, "peer", series->peer);
    json_write_string(w, "modality", series->modality);
    json_write_string(w, "series_description", series->series_description);
}
