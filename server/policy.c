/* SPDX-License-Identifier: Apache-2.0 */
#include "server/policy.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "db/instances.h"
#include "dicom/sct_writer.h"
#include "engine/base/attr.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/utf8.h"
#include "engine/engine.h"
#include "server/config.h"
#include "server/parameters.h"
#include "server/rules.h"

enum { PRIORITY_MIDDLE = 5, PRIORITY_STEP = 20 };

void policy_free(struct policy *policy)
{
    if (policy != NULL) {
        config_free(policy->config);
        free(policy->model);
        free(policy);
    }
}

/* What a series would be refused for by the job store, when it has come. */
static int check_job(const struct policy_model *model, const struct config *config,
                     const struct config_rule *rule, struct sctd_error *err)
{
    const struct manifest *manifest = &model->manifest;
    char name[2 * MANIFEST_NAME_MAX];
    char dir[SCTD_PATH_MAX];
    struct parameters parameters;
    sctd_auto(sctd_buf_fini) struct sctd_buf text = sctd_buf_make(PARAMETERS_TEXT_MAX);
    (void)snprintf(name, sizeof name, "%s@%s", manifest->name, manifest->version);
    if (strlen(name) >= DB_NAME_SIZE) {
        return sctd_error(err, SCTD_EINVAL,
                          "model %.64s...: name and version are longer than %d characters", name,
                          DB_NAME_SIZE - 1);
    }
    /* A job keeps the name, by which its worker must find the same folder. */
    int r = model_resolve(dir, config->models_dir, name, err);
    if (r < 0 || strcmp(dir, model->dir) != 0) {
        return sctd_error(err, SCTD_EINVAL,
                          "model %.64s is not %s/%s, as its manifest says: import it", rule->model,
                          config->models_dir, name);
    }
    if (rule->destinations_count > DB_DESTINATIONS_MAX) {
        return sctd_error(err, SCTD_EINVAL, "%u destinations: at most %d", rule->destinations_count,
                          DB_DESTINATIONS_MAX);
    }
    r = parameters_make(&parameters, rule, config->workers.precision, manifest, err);
    return r < 0 ? r : parameters_write(&text, &parameters, err);
}

int policy_load_model(struct policy_model *model, const struct config *config,
                      const struct config_rule *rule, struct sctd_error *err)
{
    char path[SCTD_PATH_MAX];
    int r = model_resolve(model->dir, config->models_dir, rule->model, err);
    if (r == 0) {
        r = sctd_path_join(path, model->dir, "manifest.json", err);
    }
    if (r == 0) {
        r = manifest_read(&model->manifest, path, err);
    }
    if (r == 0) {
        r = check_job(model, config, rule, err);
    }
    if (r < 0) {
        sctd_error_prefix(err, "rule \"%.64s\"", rule->name);
    }
    return r;
}

int policy_load(struct policy **ret_policy, const char *path, struct sctd_error *err)
{
    sctd_auto(policy_freep) struct policy *policy = calloc(1, sizeof *policy);
    if (policy == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "a configuration");
    }
    int r = config_load(&policy->config, path, err);
    if (r < 0) {
        return r;
    }
    const struct config *config = policy->config;
    policy->model = calloc(config->rules_count + 1, sizeof *policy->model);
    if (policy->model == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "the models of %u rules", config->rules_count);
    }
    for (uint32_t i = 0; r == 0 && i < config->rules_count; i++) {
        if (!config->rules[i].ignore) {
            r = policy_load_model(&policy->model[i], config, &config->rules[i], err);
        }
    }
    if (r == 0) {
        *ret_policy = sctd_steal(&policy);
    }
    return r;
}

/* Says which rule is nearest; returns it if all but one of its conditions hold. */
static const struct config_rule *explain_none(const struct config *config,
                                              const struct rules_subject *subject, char *reason,
                                              size_t size)
{
    int misses = 0;
    char why[RULES_WHY_SIZE];
    const struct config_rule *nearest = rules_nearest(config, subject, &misses, why);
    if (nearest == NULL) {
        (void)snprintf(reason, size, "there is no rule: see docs/configuration.md");
        return NULL;
    }
    (void)snprintf(reason, size, "no rule holds; nearest is \"%.64s\": %.140s", nearest->name, why);
    utf8_clean(reason); /* a cut may have split a character */
    return misses == 1 ? nearest : NULL;
}

void policy_decide(const struct policy *policy, const struct db_series *series, int32_t frames,
                   struct policy_decision *ret_decision)
{
    const struct config *config = policy->config;
    struct policy_decision *d = ret_decision;
    *d = (struct policy_decision){.verdict = POLICY_IGNORE};
    if (strcmp(series->manufacturer, SCT_MANUFACTURER) == 0) {
        d->is_ours = true;
        (void)snprintf(d->reason, sizeof d->reason, "an sCT of ours is never a source");
        return;
    }
    const struct rules_subject subject = {
        .modality = series->modality,
        .calling_ae_title = series->calling_ae,
        .station_name = series->station,
        .manufacturer = series->manufacturer,
        .series_description = series->series_description,
        .body_part_examined = series->body_part,
        .image_type = series->image_type,
        .slices = frames,
    };
    const struct config_rule *rule = rules_find(config, &subject);
    if (rule == NULL) {
        d->almost = explain_none(config, &subject, d->reason, sizeof d->reason);
    } else if (rule->ignore) {
        (void)snprintf(d->reason, sizeof d->reason, "rule \"%s\" ignores it", rule->name);
        d->rule = rule;
    } else {
        (void)snprintf(d->reason, sizeof d->reason, "rule \"%s\"", rule->name);
        d->verdict = POLICY_CONVERT;
        d->rule = rule;
        d->model = &policy->model[rule - config->rules];
    }
}

int32_t policy_priority(const struct config_rule *rule)
{
    const int32_t priority = PRIORITY_MIDDLE - rule->priority / PRIORITY_STEP;
    return priority < 0 ? 0 : priority > POLICY_PRIORITY_LAST ? POLICY_PRIORITY_LAST : priority;
}
