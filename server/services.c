/* SPDX-License-Identifier: Apache-2.0 */
#include "server/services.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "db/deliveries.h"
#include "db/instances.h"
#include "db/steps.h"
#include "dicom/commitment.h"
#include "dicom/mpps.h"
#include "dicom/references.h"
#include "engine/base/error.h"
#include "server/deliver.h"
#include "server/intake.h"
#include "server/log.h"
#include "server/moment.h"
#include "server/receive_messages.h"
#include "server/receivers.h"

int services_report(const struct services *services, const struct receivers_report *report,
                    enum receive_reply *ret_reply, struct sctd_error *err)
{
    char reason[DB_REASON_SIZE] = "";
    if (report->n_failed > 0) {
        (void)snprintf(reason, sizeof reason, "first failure: 0x%04X", report->reason[0]);
    }
    const struct db_commitment_report kept = {
        .transaction_uid = report->transaction_uid,
        .committed = report->committed,
        .n_committed = report->n_committed,
        .failed = report->failed,
        .n_failed = report->n_failed,
        .reason = report->n_failed > 0 ? reason : NULL,
    };
    const char *calling_ae = report->association.serve->calling_ae;
    const int r = deliver_report(services->deliver, calling_ae, &kept, err);
    if (r < 0) {
        return r;
    }
    *ret_reply = r == 0 ? RECEIVE_TAKEN : RECEIVE_UNKNOWN;
    if (r != 0) {
        LOG_WARNING("storage-commitment-unknown", log_text("calling_ae", calling_ae),
                    log_text("transaction_uid", report->transaction_uid));
    }
    return 0;
}

/* Storage commitment asked of us */

/* An instance that was asked for, by its series. */
struct asked {
    int64_t series_id;
    const char *sop_uid;
};

static int compare_asked(const void *a, const void *b)
{
    const struct asked *x = a;
    const struct asked *y = b;
    return (x->series_id > y->series_id) - (x->series_id < y->series_id);
}

/* expectation->sop_uids are all that a modality says the series has; series_id 0: nothing of it is there. */
static int expect(const struct services *services, const struct db_expectation *expectation,
                  int64_t series_id, struct sctd_error *err)
{
    const struct db_now at = moment_now();
    const size_t n = expectation->n_sop_uids;
    int r = n > DB_SERIES_INSTANCES_MAX ? 0 : db_series_expect(services->db, &at, expectation, err);
    if (r == 0 && series_id != 0) {
        intake_touch(services->intake, series_id);
    }
    return r;
}

/* asked[n]: sorted, all kept. */
static int expect_asked(const struct services *services, const struct asked *asked, size_t n,
                        struct sctd_error *err)
{
    const char **uids = (const char **)calloc(n, sizeof *uids);
    if (uids == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "a request for storage commitment");
    }
    int r = 0;
    for (size_t i = 0; r >= 0 && i < n;) {
        struct db_series series;
        size_t end = i;
        while (end < n && asked[end].series_id == asked[i].series_id) {
            uids[end - i] = asked[end].sop_uid;
            end++;
        }
        r = db_series_get(services->db, asked[i].series_id, &series, err);
        if (r == 0 && series.state == DB_SERIES_OPEN) {
            const struct db_expectation all = {.series_uid = series.series_uid,
                                               .evidence = DB_EVIDENCE_COMMITMENT,
                                               .count = (int32_t)(end - i),
                                               .sop_uids = uids,
                                               .n_sop_uids = end - i};
            r = expect(services, &all, series.id, err);
        }
        i = end;
    }
    free((void *)uids);
    return r < 0 ? r : 0;
}

/* Say of each instance whether it is kept; *ret_kept: how many are. */
static void judge(struct receivers_commitment *commitment, const struct db_found *found,
                  struct asked *asked, size_t *ret_kept)
{
    size_t kept = 0;
    for (size_t i = 0; i < commitment->n; i++) {
        struct dicom_reference *instance = &commitment->instance[i];
        if (!found[i].found) {
            instance->reason = DICOM_COMMITMENT_NO_SUCH_INSTANCE;
        } else if (strcmp(found[i].sop_class_uid, instance->sop_class_uid) != 0) {
            instance->reason = DICOM_COMMITMENT_CLASS_CONFLICT;
        } else {
            asked[kept++] = (struct asked){found[i].series_id, instance->sop_instance_uid};
        }
    }
    *ret_kept = kept;
}

static int answer(const struct services *services, struct receivers_commitment *commitment,
                  struct db_found *found, struct asked *asked, const char **uids,
                  struct sctd_error *err)
{
    size_t kept = 0;
    for (size_t i = 0; i < commitment->n; i++) {
        uids[i] = commitment->instance[i].sop_instance_uid;
    }
    int r = db_instances_find(services->db, uids, commitment->n, found, err);
    if (r < 0) {
        return r;
    }
    judge(commitment, found, asked, &kept);
    LOG_INFO("storage-commitment-asked",
             log_text("calling_ae", commitment->association.serve->calling_ae),
             log_text("transaction_uid", commitment->transaction_uid),
             log_number("instances", (int64_t)commitment->n), log_number("kept", (int64_t)kept));
    if (kept < commitment->n || kept == 0) {
        return 0; /* it sends the rest, and asks again */
    }
    qsort(asked, kept, sizeof *asked, compare_asked);
    return expect_asked(services, asked, kept, err);
}

int services_commitment(const struct services *services, struct receivers_commitment *commitment,
                        enum receive_reply *ret_reply, struct sctd_error *err)
{
    const size_t n = commitment->n + 1;
    struct db_found *found = calloc(n, sizeof *found);
    struct asked *asked = calloc(n, sizeof *asked);
    const char **uids = (const char **)calloc(n, sizeof *uids);
    int r = 0;
    *ret_reply = RECEIVE_NO_ROOM;
    if (found != NULL && asked != NULL && uids != NULL) {
        *ret_reply = RECEIVE_TAKEN;
        r = answer(services, commitment, found, asked, uids, err);
    }
    free(found);
    free(asked);
    free((void *)uids);
    return r;
}

/* Performed procedure steps */

/* The lists of a series that is there twice belong together. */
static int expect_series(const struct services *services,
                         const struct receivers_performed *performed, size_t i,
                         struct sctd_error *err)
{
    const char *series_uid = performed->series[i].series_uid;
    struct db_series series = {.id = 0};
    size_t n = 0;
    for (size_t k = 0; k < performed->n; k++) {
        const bool is_same = strcmp(performed->series[k].series_uid, series_uid) == 0;
        if (is_same && k < i) {
            return 0; /* it went with the first */
        }
        n += is_same ? performed->series[k].n : 0;
    }
    const char **uids = (const char **)calloc(n + 1, sizeof *uids);
    if (uids == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "a performed step");
    }
    n = 0;
    for (size_t k = i; k < performed->n; k++) {
        const struct receivers_performed_series *s = &performed->series[k];
        for (size_t j = 0; strcmp(s->series_uid, series_uid) == 0 && j < s->n; j++) {
            uids[n++] = s->sop_uids[j];
        }
    }
    int r = db_series_find(services->db, series_uid, &series, err);
    if (r >= 0 && n > 0) {
        const struct db_expectation all = {.series_uid = series_uid,
                                           .evidence = DB_EVIDENCE_MPPS,
                                           .count = (int32_t)n,
                                           .sop_uids = uids,
                                           .n_sop_uids = n};
        r = expect(services, &all, r == 0 ? series.id : 0, err);
    }
    free((void *)uids);
    return r < 0 ? r : 0;
}

/* Whether the store lets the step go on.  Returns 0 and a reply. */
static int check_step(const struct services *services, const struct receivers_performed *performed,
                      enum receive_reply *ret_reply, struct sctd_error *err)
{
    enum db_step_state state = DB_STEP_IN_PROGRESS;
    const int r = db_step_get(services->db, performed->sop_instance_uid, &state, err);
    if (r < 0) {
        return r;
    }
    if (performed->is_new) {
        *ret_reply = r == DB_NONE ? RECEIVE_TAKEN : RECEIVE_DUPLICATE;
    } else if (r == DB_NONE) {
        *ret_reply = RECEIVE_UNKNOWN;
    } else {
        *ret_reply = state == DB_STEP_IN_PROGRESS ? RECEIVE_TAKEN : RECEIVE_FINAL;
    }
    return 0;
}

static int keep_step(const struct services *services, const struct receivers_performed *performed,
                     struct sctd_error *err)
{
    static const enum db_step_state states[] = {
        [DICOM_MPPS_UNSAID] = DB_STEP_IN_PROGRESS,
        [DICOM_MPPS_IN_PROGRESS] = DB_STEP_IN_PROGRESS,
        [DICOM_MPPS_COMPLETED] = DB_STEP_COMPLETED,
        [DICOM_MPPS_DISCONTINUED] = DB_STEP_DISCONTINUED,
    };
    const struct db_now at = moment_now();
    const char *uid = performed->sop_instance_uid;
    int r = performed->is_new ? db_step_create(services->db, &at, uid,
                                               performed->association.serve->calling_ae, err)
                              : 0;
    if (r >= 0 && (!performed->is_new || states[performed->status] != DB_STEP_IN_PROGRESS)) {
        r = db_step_set(services->db, &at, uid, states[performed->status], err);
    }
    return r < 0 ? r : 0;
}

int services_performed(const struct services *services, const struct receivers_performed *performed,
                       enum receive_reply *ret_reply, struct sctd_error *err)
{
    int r = check_step(services, performed, ret_reply, err);
    if (r < 0 || *ret_reply != RECEIVE_TAKEN) {
        return r;
    }
    /* First what it lists: a step that has ended in the store is never told of again. */
    const bool is_complete = performed->status == DICOM_MPPS_COMPLETED;
    for (size_t i = 0; r == 0 && is_complete && i < performed->n; i++) {
        r = expect_series(services, performed, i, err);
    }
    r = r < 0 ? r : keep_step(services, performed, err);
    LOG_INFO("performed-step", log_text("calling_ae", performed->association.serve->calling_ae),
             log_text("uid", performed->sop_instance_uid),
             log_number("series", (int64_t)performed->n),
             log_text("status", is_complete                                    ? "completed"
                                : performed->status == DICOM_MPPS_DISCONTINUED ? "discontinued"
                                                                               : "in progress"));
    return r;
}
