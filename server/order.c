/* SPDX-License-Identifier: Apache-2.0 */
#include "server/order.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "db/db.h"
#include "db/instances.h"
#include "db/jobs.h"
#include "dicom/source.h"
#include "dicom/uid.h"
#include "engine/base/attr.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "server/config.h"
#include "server/convert_quality.h"
#include "server/parameters.h"
#include "server/policy.h"

/*
 * Turned to the patient's axes, a volume may have more slices than its source has, and how many the headers tell
 * only the worker; UIDs that are left over are never used.
 */
enum { AXIAL_FACTOR = 4, AXIAL_EXTRA = 1024 };

/* What a job is made of, while it is made. */
struct making {
    const struct order *order;
    const struct policy_decision *decision;
    struct sctd_buf parameters;
    struct dicom_source *source; /* [n] frames */
    size_t n;
    char series_uid[DICOM_UID_SIZE];
    char (*uid)[DICOM_UID_SIZE]; /* [n_uids] */
    const char **uids;           /* the same as pointers */
    size_t n_uids;
    bool *no_commitment; /* [destinations] */
};

static void making_fini(struct making *m)
{
    sctd_buf_fini(&m->parameters);
    free(m->source);
    free(m->uid);
    free((void *)m->uids);
    free(m->no_commitment);
}

static size_t count_frames(const struct db_member_list *members)
{
    size_t n = 0;
    for (size_t i = 0; i < members->n; i++) {
        n += members->member[i].frames > 1 ? (size_t)members->member[i].frames : 1;
    }
    return n;
}

static int list_sources(struct making *m, struct sctd_error *err)
{
    const struct db_member_list *members = m->order->members;
    const size_t n = count_frames(members);
    m->source = calloc(n + 1, sizeof *m->source);
    if (m->source == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "%zu sources", n);
    }
    for (size_t i = 0; i < members->n; i++) {
        const struct db_member *member = &members->member[i];
        const int32_t frames = member->frames > 1 ? member->frames : 1;
        for (int32_t k = 0; k < frames; k++) {
            struct dicom_source *source = &m->source[m->n++];
            source->frame = k;
            (void)snprintf(source->sop_instance_uid, sizeof source->sop_instance_uid, "%s",
                           member->sop_uid);
        }
    }
    return 0;
}

static int decide_uids(struct making *m, struct sctd_error *err)
{
    const bool axial = m->decision->rule->grid == CONFIG_GRID_AXIAL;
    const size_t pages = (size_t)convert_quality_pages(&m->decision->model->manifest);
    size_t n = (axial ? AXIAL_FACTOR * m->n + AXIAL_EXTRA : m->n) + pages;
    n = n < DB_OUTPUTS_MAX ? n : DB_OUTPUTS_MAX;
    m->uid = calloc(n, sizeof *m->uid);
    m->uids = (const char **)calloc(n, sizeof *m->uids);
    if (m->uid == NULL || m->uids == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "%zu UIDs", n);
    }
    m->n_uids = n;
    for (size_t i = 0; i < n; i++) {
        m->uids[i] = m->uid[i];
    }
    const struct dicom_sct_work work = {
        .source_series_uid = m->order->series->series_uid,
        .source = m->source,
        .n = m->n,
        .model_sha256 = m->decision->model->manifest.weights_sha256,
        .parameters = sctd_buf_get_text(&m->parameters),
    };
    int r = dicom_uid_for_sct(m->series_uid, m->uid, n - pages, &work, err);
    if (r == 0 && pages > 0) {
        char page_series_uid[DICOM_UID_SIZE];
        r = dicom_uid_for_page(page_series_uid, m->uid[n - 1], m->series_uid, err);
    }
    return r;
}

static int decide_parameters(struct making *m, const struct policy *policy, struct sctd_error *err)
{
    struct parameters parameters;
    int r = parameters_make(&parameters, m->decision->rule, policy->config->workers.precision,
                            &m->decision->model->manifest, err);
    return r < 0 ? r : parameters_write(&m->parameters, &parameters, err);
}

static int find_destinations(struct making *m, const struct policy *policy, struct sctd_error *err)
{
    const struct config_rule *rule = m->decision->rule;
    m->no_commitment = calloc(rule->destinations_count + 1, sizeof *m->no_commitment);
    if (m->no_commitment == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "destinations");
    }
    for (uint32_t i = 0; i < rule->destinations_count; i++) {
        const struct config_destination *destination =
            config_find_destination(policy->config, rule->destinations[i]);
        m->no_commitment[i] = destination != NULL && destination->no_storage_commitment;
    }
    return 0;
}

static int complete(struct order_result *result, struct db *db, const struct db_now *now,
                    const struct making *m, struct sctd_error *err)
{
    const struct config_rule *rule = m->decision->rule;
    const struct manifest *manifest = &m->decision->model->manifest;
    char model[DB_NAME_SIZE * 2];
    (void)snprintf(model, sizeof model, "%s@%s", manifest->name, manifest->version);
    const struct db_job_spec spec = {
        .priority = m->order->terms == NULL ? policy_priority(rule) : m->order->terms->priority,
        .rule = rule->name,
        .model = model,
        .model_sha256 = manifest->weights_sha256,
        .parameters = sctd_buf_get_text(&m->parameters),
        .output_series_uid = m->series_uid,
        .output_uids = m->uids,
        .n_outputs = m->n_uids,
        .destinations = (const char *const *)rule->destinations,
        .n_destinations = rule->destinations_count,
        .commitment = true,
        .no_commitment = m->no_commitment,
        .hold = rule->review == CONFIG_REVIEW_HOLD,
    };
    const struct db_completion completion = {
        .series_id = m->order->series->id,
        .revision = m->order->series->revision,
        .instances = m->order->series->instances,
        .evidence = m->order->completion->evidence,
        .reason = m->order->completion->reason,
        .job = &spec,
    };
    const bool is_closed = m->order->series->state == DB_SERIES_CLOSED;
    const int r = is_closed
                      ? db_job_create(db, now, m->order->series->id, &spec, &result->job_id, err)
                      : db_series_complete(db, now, &completion, &result->job_id, err);
    result->outcome = r == 0 ? ORDER_CREATED : r == DB_EXISTS ? ORDER_EXISTS : ORDER_CHANGED;
    return r < 0 ? r : 0;
}

/* What no rule can know.  Nothing would become of such a series however often it is looked at. */
static int look_for_obstacles(struct policy_decision *decision, struct db *db,
                              const struct order *order, size_t n, struct sctd_error *err)
{
    const size_t most = DB_OUTPUTS_MAX - (size_t)convert_quality_pages(&decision->model->manifest);
    const int ours = db_series_is_ours(db, order->series->series_uid, err);
    if (ours < 0) {
        return ours;
    }
    if (ours == 0) {
        decision->verdict = POLICY_IGNORE;
        (void)snprintf(decision->reason, sizeof decision->reason,
                       "an sCT of ours is never a source");
    } else if (n == 0 || n > most) {
        decision->verdict = POLICY_IGNORE;
        (void)snprintf(decision->reason, sizeof decision->reason,
                       "a series of %zu frames: 1 to %zu are possible", n, most);
    }
    return 0;
}

int order_make(struct order_result *ret_result, struct db *db, const struct db_now *now,
               const struct policy *policy, const struct order *order, struct sctd_error *err)
{
    struct order_result result = {.outcome = ORDER_DISCARDED};
    const size_t n = count_frames(order->members);
    if (order->terms != NULL) {
        result.decision = order->terms->decision;
    } else {
        policy_decide(policy, order->series, n < INT32_MAX ? (int32_t)n : INT32_MAX,
                      &result.decision);
    }
    int r = 0;
    if (result.decision.verdict == POLICY_CONVERT) {
        r = look_for_obstacles(&result.decision, db, order, n, err);
    }
    if (r < 0) {
        return r;
    }
    if (result.decision.verdict == POLICY_IGNORE && order->terms != NULL) {
        result.outcome = ORDER_DISCARDED;
    } else if (result.decision.verdict == POLICY_IGNORE) {
        r = db_series_discard(db, now, order->series->id, result.decision.reason, err);
        result.outcome = r == 0 ? ORDER_DISCARDED : ORDER_CHANGED;
    } else {
        sctd_auto(making_fini) struct making m = {
            .order = order,
            .decision = &result.decision,
            .parameters = sctd_buf_make(PARAMETERS_TEXT_MAX),
        };
        r = list_sources(&m, err);
        r = r < 0 ? r : decide_parameters(&m, policy, err);
        r = r < 0 ? r : decide_uids(&m, err);
        r = r < 0 ? r : find_destinations(&m, policy, err);
        r = r < 0 ? r : complete(&result, db, now, &m, err);
    }
    if (r < 0) {
        return r;
    }
    *ret_result = result;
    return 0;
}
