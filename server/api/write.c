/* SPDX-License-Identifier: Apache-2.0 */
#include "server/api/write.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "db/deliveries.h"
#include "db/instances.h"
#include "db/jobs.h"
#include "dicom/charset.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/api/context.h"
#include "server/api/pseudonym.h"
#include "server/http/reply.h"
#include "server/members.h"

static void write_int_or_null(struct json_writer *w, const char *key, int64_t value, bool is_null)
{
    if (is_null) {
        json_write_null(w, key);
    } else {
        json_write_int(w, key, value);
    }
}

/* Who it is, or a name that says nothing of it. */
static void write_patient(struct json_writer *w, const struct api *api,
                          const struct db_subject *subject, bool identity)
{
    char pseudonym[PSEUDONYM_SIZE];
    char text[sizeof subject->patient_name * 3];
    const char *id = subject->patient_id[0] == '\0' ? subject->study_uid : subject->patient_id;
    pseudonym_of(api->pseudonym_key, id, pseudonym);
    json_write_object_begin(w, "patient");
    json_write_string(w, "pseudonym", pseudonym);
    if (identity) {
        dicom_charset_to_utf8(text, sizeof text, subject->patient_id, subject->character_set);
        json_write_string(w, "id", text);
        dicom_charset_to_utf8(text, sizeof text, subject->patient_name, subject->character_set);
        json_write_string(w, "name", text);
    }
    json_write_object_end(w);
}

static int get_subject(const struct api *api, int64_t series_id, struct db_subject *subject,
                       struct sctd_error *err)
{
    const int r = db_subject_get(api->node.db, series_id, subject, err);
    return r > 0 ? sctd_error(err, SCTD_EIO, "job store: series %lld is missing",
                              (long long)series_id)
                 : r;
}

int write_job(struct json_writer *w, struct api *api, const struct db_job *job, bool identity,
              struct sctd_error *err)
{
    struct db_subject subject;
    const int r = get_subject(api, job->series_id, &subject, err);
    if (r < 0) {
        return r;
    }
    members_write_job(w, job);
    reply_write_time_or_null(w, "reviewed", job->review_ms);
    json_write_int(w, "series_id", job->series_id);
    json_write_string(w, "study_uid", job->study_uid);
    json_write_string(w, "stage", job->state == DB_JOB_RUNNING ? job->stage : "");
    write_int_or_null(w, "superseded_by", job->superseded_by, job->superseded_by == 0);
    reply_write_time(w, "created", job->created_ms);
    reply_write_time(w, "changed", job->changed_ms);
    reply_write_time_or_null(w, "ended", job->ended_ms);
    json_write_string(w, "modality", subject.modality);
    json_write_string(w, "series_description", subject.series_description);
    write_patient(w, api, &subject, identity);
    return 0;
}

int write_series(struct json_writer *w, struct api *api, const struct db_series *series,
                 bool identity, struct sctd_error *err)
{
    const bool expects = series->expected_by != DB_EVIDENCE_NONE;
    struct db_subject subject;
    const int r = get_subject(api, series->id, &subject, err);
    if (r < 0) {
        return r;
    }
    members_write_series(w, series);
    write_int_or_null(w, "expected", series->expected, !expects);
    write_int_or_null(w, "missing", series->missing, !expects || series->missing < 0);
    reply_write_time(w, "first", series->first_ms);
    reply_write_time(w, "last", series->last_ms);
    reply_write_time_or_null(w, "closed", series->closed_ms);
    json_write_string(w, "called_ae", series->called_ae);
    json_write_string(w, "study_description", series->study_description);
    json_write_string(w, "protocol", series->protocol);
    json_write_string(w, "body_part", series->body_part);
    json_write_string(w, "manufacturer", series->manufacturer);
    json_write_string(w, "model_name", series->model_name);
    json_write_string(w, "station", series->station);
    json_write_string(w, "image_type", series->image_type);
    write_int_or_null(w, "series_number", series->series_number,
                      series->series_number == INT32_MIN);
    write_patient(w, api, &subject, identity);
    return 0;
}

void write_delivery(struct json_writer *w, const struct db_delivery *delivery)
{
    enum { SECOND_MS = 1000 };
    const int64_t rest_ms = delivery->due_ms - sctd_boot_ms();
    members_write_delivery(w, delivery);
    json_write_bool(w, "commitment", delivery->commitment);
    json_write_int(w, "failures", delivery->failures);
    reply_write_time(w, "changed", delivery->changed_ms);
    if (delivery->state == DB_DELIVERY_RETRY) {
        json_write_double(w, "due_s", rest_ms > 0 ? (double)rest_ms / SECOND_MS : 0.0);
    } else {
        json_write_null(w, "due_s");
    }
}

void write_history(struct json_writer *w, const char *key, const struct db_history *history)
{
    json_write_array_begin(w, key);
    for (size_t i = 0; i < history->n; i++) {
        const struct db_transition *t = &history->transition[i];
        json_write_object_begin(w, NULL);
        reply_write_time(w, "at", t->at_ms);
        members_write_transition(w, t);
        json_write_object_end(w);
    }
    json_write_array_end(w);
}

static const struct job_words *find_review_words(const struct db_job *job)
{
    static const struct job_words held = {
        "The sCT is held: a check of it failed, and nobody has looked at it",
        "Look at the pictures and at the checks, then accept it, and it is sent, or reject it"};
    static const struct job_words marked = {
        "A check of the sCT failed, and nobody has looked at it",
        "It was not held back. Look at the pictures and at the checks, then accept or reject it; what "
        "was delivered stays where it is, so tell those who have it of a rejection"};
    static const struct job_words rejected = {
        "The sCT was rejected",
        "It is sent nowhere any more; what was delivered before stays there. Accept it if that was a "
        "mistake"};
    static const struct job_words stopped = {
        "The job was cancelled while its sCT was held",
        "It is sent nowhere any more. Accept it, and it is sent after all"};
    if (job->review == DB_REVIEW_REJECTED) {
        return &rejected;
    }
    if (job->state == DB_JOB_CANCELLED) {
        return db_job_is_barred(job) ? &stopped : NULL;
    }
    return job->review != DB_REVIEW_NEEDED ? NULL : db_job_is_held(job) ? &held : &marked;
}

static const struct job_words *find_words(const struct db_job *job, bool delivery_failed)
{
    static const struct job_words by_state[DB_JOB_STATES] = {
        [DB_JOB_FAILED] =
            {"No sCT could be made of this series",
             "The reason says what is wrong. Mend that, then retry; a series that came incomplete "
             "or wrong is to be sent again"},
        [DB_JOB_POISON] =
            {"The job was parked: its worker died again and again",
             "The history holds the evidence (signal, memory, last stage). Retry once the cause is "
             "found: too little memory (workers.memory_mib), a broken model (verify it), or a "
             "series that no program should meet (report it)"},
        [DB_JOB_RETRY] = {"The last attempt failed; it is tried again by itself",
                          "Nothing is needed. If it goes on, the reason says what to look at"},
        [DB_JOB_CANCELLED] = {"The job was cancelled", "Retry it if that was a mistake"},
    };
    static const struct job_words undelivered = {
        "The sCT is there, and could not be delivered",
        "The delivery's reason says what the destination did. Mend that, then retry: what is "
        "stored already is not sent again"};
    const struct job_words *review = find_review_words(job);
    if (job->state == DB_JOB_FAILED && delivery_failed) {
        return &undelivered;
    }
    if (review != NULL) {
        return review;
    }
    return by_state[job->state].mend == NULL ? NULL : &by_state[job->state];
}

bool write_find_words(const struct db_job *job, bool delivery_failed, struct job_words *ret_words)
{
    const struct job_words *words = find_words(job, delivery_failed);
    if (words == NULL) {
        return false;
    }
    *ret_words = *words;
    if (job->superseded_by != 0) {
        (void)snprintf(ret_words->title, sizeof ret_words->title, "Superseded by job %" PRId64,
                       job->superseded_by);
        ret_words->mend =
            "More images of its series came, and that job's sCT is of all of them: look there. This "
            "one is neither retried nor accepted any more; what was delivered of it stays where it is";
    }
    return true;
}
