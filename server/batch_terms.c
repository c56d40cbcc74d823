/* SPDX-License-Identifier: Apache-2.0 */
#include "server/batch_terms.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "db/batches.h"
#include "db/db.h"
#include "db/instances.h"
#include "db/jobs.h"
#include "dicom/accept.h"
#include "dicom/found.h"
#include "engine/base/attr.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/engine.h"
#include "server/batch_request.h"
#include "server/config.h"
#include "server/order.h"
#include "server/parameters.h"
#include "server/policy.h"

static char batch_rule[] = "batch";

/* What `sctd convert` does without options. */
static struct config_rule default_rule(void)
{
    const struct config_rule rule = {.name = batch_rule, .series_number_offset = 1000};
    return rule;
}

static int find_rule(struct batch_terms *terms, struct sctd_error *err)
{
    const struct config *config = terms->policy->config;
    const char *name = terms->request->rule;
    for (uint32_t i = 0; i < config->rules_count; i++) {
        if (strcmp(config->rules[i].name, name) == 0 && !config->rules[i].ignore) {
            terms->named = &config->rules[i];
            return 0;
        }
    }
    return sctd_error(err, SCTD_EINVAL, "there is no rule \"%.64s\" that converts", name);
}

static int find_model(struct batch_terms *terms, struct sctd_error *err)
{
    struct config_rule rule = terms->named == NULL ? default_rule() : *terms->named;
    rule.model = terms->request->model;
    const int r = policy_load_model(&terms->model, terms->policy->config, &rule, err);
    terms->has_model = r == 0;
    return r;
}

int batch_terms_init(struct batch_terms *ret_terms, const struct policy *policy,
                     struct batch_request *request, struct sctd_error *err)
{
    struct batch_terms *terms = ret_terms;
    *terms = (struct batch_terms){.policy = policy, .request = request};
    int r = request->rule[0] == '\0' ? 0 : find_rule(terms, err);
    r = r < 0 || request->model[0] == '\0' ? r : find_model(terms, err);
    for (size_t i = 0; r == 0 && i < request->n_destinations; i++) {
        terms->destination[i] = request->destination[i];
        if (config_find_destination(policy->config, request->destination[i]) == NULL) {
            r = sctd_error(err, SCTD_EINVAL, "there is no destination \"%.64s\"",
                           request->destination[i]);
        }
    }
    return r;
}

void batch_terms_decide(struct batch_terms *terms, const struct db_series *series, int32_t frames,
                        struct order_terms *ret_order_terms)
{
    struct policy_decision d;
    policy_decide(terms->policy, series, frames, &d);
    if (d.is_ours) {
        *ret_order_terms = (struct order_terms){d, POLICY_PRIORITY_BATCH};
        return;
    }
    if (!dicom_accept_modality(series->modality)) {
        d = (struct policy_decision){.verdict = POLICY_IGNORE};
        (void)snprintf(d.reason, sizeof d.reason, "modality %.16s: only MR and CT are sources",
                       series->modality);
        *ret_order_terms = (struct order_terms){d, POLICY_PRIORITY_BATCH};
        return;
    }
    if (terms->named != NULL) {
        d.verdict = POLICY_CONVERT;
        d.rule = terms->named;
        d.model = &terms->policy->model[terms->named - terms->policy->config->rules];
    } else if (d.rule == NULL && terms->has_model) {
        d.verdict = POLICY_CONVERT;
    }
    if (d.verdict == POLICY_CONVERT) {
        terms->rule = d.rule == NULL ? default_rule() : *d.rule;
        if (terms->request->keep || terms->request->n_destinations > 0) {
            terms->rule.destinations = terms->destination;
            terms->rule.destinations_count = (uint32_t)terms->request->n_destinations;
        }
        d.rule = &terms->rule;
        d.model = terms->has_model ? &terms->model : d.model;
        (void)snprintf(d.reason, sizeof d.reason, "rule \"%.64s\"", terms->rule.name);
    }
    *ret_order_terms = (struct order_terms){d, POLICY_PRIORITY_BATCH};
}

void batch_terms_guess(struct db_series *ret_series, const struct dicom_found *found,
                       const char *source_ae)
{
    *ret_series = (struct db_series){.state = DB_SERIES_OPEN, .instances = found->images};
    struct db_series *s = ret_series;
    (void)snprintf(s->calling_ae, sizeof s->calling_ae, "%.16s", source_ae);
    (void)snprintf(s->modality, sizeof s->modality, "%.16s", found->modality);
    (void)snprintf(s->series_description, sizeof s->series_description, "%s",
                   found->series_description);
    (void)snprintf(s->station, sizeof s->station, "%s", found->station);
    (void)snprintf(s->protocol, sizeof s->protocol, "%s", found->protocol);
    (void)snprintf(s->body_part, sizeof s->body_part, "%s", found->body_part);
    (void)snprintf(s->manufacturer, sizeof s->manufacturer, "%s", found->manufacturer);
}

int batch_terms_find_made(const struct batch_terms *terms, const struct order_terms *order,
                          struct db *db, int64_t series_id, struct db_made *ret_made,
                          struct sctd_error *err)
{
    const struct manifest *manifest = &order->decision.model->manifest;
    struct parameters parameters;
    sctd_auto(sctd_buf_fini) struct sctd_buf text = sctd_buf_make(PARAMETERS_TEXT_MAX);
    int r = parameters_make(&parameters, order->decision.rule,
                            terms->policy->config->workers.precision, manifest, err);
    r = r < 0 ? r : parameters_write(&text, &parameters, err);
    return r < 0 ? r
                 : db_batches_find_made(db, series_id, manifest->weights_sha256,
                                        sctd_buf_get_text(&text), ret_made, err);
}

int batch_terms_deliver(const struct batch_terms *terms, const struct config_rule *rule,
                        struct db *db, const struct db_now *now, int64_t job_id,
                        struct sctd_error *err)
{
    bool no_commitment[DB_DESTINATIONS_MAX] = {false};
    for (uint32_t i = 0; i < rule->destinations_count && i < DB_DESTINATIONS_MAX; i++) {
        const struct config_destination *destination =
            config_find_destination(terms->policy->config, rule->destinations[i]);
        no_commitment[i] = destination != NULL && destination->no_storage_commitment;
    }
    const struct db_job_spec spec = {
        .priority = POLICY_PRIORITY_BATCH,
        .destinations = (const char *const *)rule->destinations,
        .n_destinations = rule->destinations_count,
        .commitment = true,
        .no_commitment = no_commitment,
        .hold = rule->review == CONFIG_REVIEW_HOLD,
    };
    return db_job_deliver(db, now, job_id, &spec, terms->request->force, err);
}
