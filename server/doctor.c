/* SPDX-License-Identifier: Apache-2.0 */
#include "server/doctor.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "db/db.h"
#include "db/deliveries.h"
#include "db/jobs.h"
#include "dicom/sender.h"
#include "engine/base/attr.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/engine.h"
#include "server/config.h"
#include "server/policy.h"
#include "server/selftest.h"

enum { CONNECT_MS = 5000, ANSWER_MS = 10000 };

struct doctor {
    doctor_fn on_finding;
    void *arg;
    enum doctor_outcome worst;
};

const char *doctor_outcome_name(enum doctor_outcome outcome)
{
    static const char *const names[] = {"ok", "warning", "failed"};
    return names[outcome];
}

SCTD_PRINTF(4, 5) static void find(struct doctor *d, enum doctor_outcome outcome,
                                   const char *subject, const char *format, ...)
{
    struct doctor_finding finding = {.outcome = outcome};
    va_list args;
    (void)snprintf(finding.subject, sizeof finding.subject, "%s", subject);
    va_start(args, format);
    (void)vsnprintf(finding.text, sizeof finding.text, format, args);
    va_end(args);
    d->worst = outcome > d->worst ? outcome : d->worst;
    d->on_finding(d->arg, &finding);
}

static void look_at_folder(struct doctor *d, const struct config *config)
{
    struct statvfs disk;
    if (access(config->state_dir, F_OK) != 0) {
        find(d, DOCTOR_WARNING, "state folder", "%.150s is not there: the daemon makes it",
             config->state_dir);
        return;
    }
    if (access(config->state_dir, R_OK | W_OK | X_OK) != 0 ||
        statvfs(config->state_dir, &disk) != 0) {
        find(d, DOCTOR_BAD, "state folder", "%.120s: %.80s: run as the daemon's user, or mend it",
             config->state_dir, sctd_errno_text());
        return;
    }
    const double percent = 100.0 * (double)disk.f_bavail / (double)disk.f_blocks;
    const int32_t least = config->retention.min_free_percent;
    find(d, percent < least ? DOCTOR_BAD : DOCTOR_GOOD, "state folder",
         "%.150s: %.0f %% of the disk is free%s", config->state_dir, percent,
         percent < least ? ": nothing is accepted (retention: min_free_percent)" : "");
}

/* What waits for a destination that the configuration does not have any more waits silently. */
static int look_at_backlog(struct doctor *d, const struct config *config, struct db *db,
                           struct sctd_error *err)
{
    sctd_auto(db_destination_page_fini) struct db_destination_page page = {.n = 0};
    int r = db_destination_list(db, &page, err);
    for (size_t i = 0; r == 0 && i < page.n; i++) {
        const struct db_destination *one = &page.destination[i];
        if (one->backlog > 0 && config_find_destination(config, one->name) == NULL) {
            char subject[96];
            (void)snprintf(subject, sizeof subject, "destination %.64s", one->name);
            find(
                d, DOCTOR_WARNING, subject,
                "%d deliveries wait for it, and the configuration does not name it any more: put it "
                "back and reload, or cancel their jobs (sctd job list --state delivering)",
                one->backlog);
        }
    }
    return r;
}

/* What nobody looks at goes nowhere. */
static int look_at_reviews(struct doctor *d, struct db *db, struct sctd_error *err)
{
    enum { MINUTE_MS = 60000 };
    struct db_review_backlog backlog;
    const int r = db_jobs_to_review(db, &backlog, err);
    if (r == 0 && backlog.held > 0) {
        find(d, DOCTOR_WARNING, "reviews",
             "%lld results are held for review, the oldest for %lld min: sctd job list --review "
             "needed, then sctd job accept or reject",
             (long long)backlog.held,
             (long long)((sctd_wall_ms() - backlog.held_since_ms) / MINUTE_MS));
    }
    return r;
}

static void look_at_store(struct doctor *d, const struct config *config)
{
    char path[SCTD_PATH_MAX];
    struct sctd_error err = {.code = SCTD_OK};
    sctd_auto(db_closep) struct db *db = NULL;
    int r = sctd_path_join(path, config->state_dir, "jobs.db", &err);
    if (r == 0 && access(path, F_OK) != 0) {
        find(d, DOCTOR_WARNING, "job store", "%.150s is not there: the daemon makes it", path);
        return;
    }
    r = r < 0 ? r : db_open_reader(&db, path, &err);
    r = r < 0 ? r : db_verify(db, DB_CHECK_FULL, &err);
    r = r < 0 ? r : look_at_backlog(d, config, db, &err);
    r = r < 0 ? r : look_at_reviews(d, db, &err);
    find(d, r < 0 ? DOCTOR_BAD : DOCTOR_GOOD, "job store", "%.240s", r < 0 ? err.text : path);
}

/* It is what the others are compared with. */
static bool is_the_processor(const struct selftest *test)
{
    return strcmp(test->backend, "cuda") != 0 && strcmp(test->precision, "fp32") == 0;
}

/* What was found of a model on one backend; stored is NULL without stored outputs, here
 * where those are enough. */
static void report_model(struct doctor *d, const char *subject, const char *backend,
                         const char *weights_sha256, const struct selftest *stored,
                         const struct selftest *here)
{
    enum { ROOM = 120 };
    char by_file[ROOM] = "no outputs are stored to compare with: sctd model selftest --write";
    char by_processor[ROOM] = "";
    const struct selftest *ran = here != NULL ? here : stored;
    if (stored != NULL) {
        (void)snprintf(by_file, sizeof by_file,
                       "%.2g HU in the mean and %.2g at most from its stored outputs (%d x %dx%d)",
                       stored->found.mean_hu, stored->found.max_hu, stored->slices, stored->height,
                       stored->width);
    }
    if (here != NULL && !is_the_processor(here)) {
        (void)snprintf(
            by_processor, sizeof by_processor,
            ", %.2g HU in the mean and %.2g at most from fp32 on this processor (%d x %dx%d)",
            here->found.mean_hu, here->found.max_hu, here->slices, here->height, here->width);
    }
    find(d, stored != NULL ? DOCTOR_GOOD : DOCTOR_WARNING, subject,
         "on %.20s: %s%s; weights %.12s..., runs on %s (%s; %.120s), loaded in %.0f ms", backend,
         by_file, by_processor, weights_sha256, ran->backend, ran->arithmetic, ran->choice,
         ran->load_ms);
    if ((stored != NULL && selftest_is_inexact(stored)) ||
        (here != NULL && selftest_is_inexact(here))) {
        find(
            d, DOCTOR_WARNING, subject,
            "on %.20s: %s is less exact with this model than 1 HU in the mean and 10 at the 99.9th "
            "percentile: workers.precision fp32 is exact",
            backend, ran->precision);
    }
    if (ran->remark[0] != '\0') {
        find(d, DOCTOR_WARNING, subject, "on %.20s: it is slower than it should be: %s", backend,
             ran->remark);
    }
}

/* As a worker uses it: its backend, precision and batch. */
static void look_at_model_on(struct doctor *d, const struct config_workers *workers,
                             const struct policy_model *model, const char *subject,
                             const char *backend)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct selftest stored = {.slices = 0};
    struct selftest here = {.slices = 0};
    const struct engine_options options = {.backend = backend,
                                           .gpu_memory_mib = workers->gpu_memory_mib,
                                           .precision = workers->precision,
                                           .threads = workers->threads,
                                           .batch = workers->batch};
    const int found = selftest_run(&stored, model->dir, &options, &err);
    const bool is_enough = found == 0 && (stored.is_own_size || is_the_processor(&stored));
    const int r =
        found < 0 || is_enough ? found : selftest_run_here(&here, model->dir, &options, &err);
    if (r < 0) {
        find(d, DOCTOR_BAD, subject, "on %.20s: %.240s", backend, err.text);
        return;
    }
    report_model(d, subject, backend, model->manifest.weights_sha256, found == 0 ? &stored : NULL,
                 is_enough ? NULL : &here);
}

/* The slots before `slot` have another backend. */
static bool is_first_slot(const struct config_workers *workers, int slot)
{
    for (int i = 0; i < slot; i++) {
        if (strcmp(config_worker_backend(workers, i), config_worker_backend(workers, slot)) == 0) {
            return false;
        }
    }
    return true;
}

static void look_at_model(struct doctor *d, const struct config *config,
                          const struct policy_model *model)
{
    char subject[96];
    const struct config_workers *workers = &config->workers;
    (void)snprintf(subject, sizeof subject, "model %.40s@%.40s", model->manifest.name,
                   model->manifest.version);
    for (int slot = 0; slot < workers->slots; slot++) {
        if (is_first_slot(workers, slot)) {
            look_at_model_on(d, workers, model, subject, config_worker_backend(workers, slot));
        }
    }
    if (!model->manifest.quality.is_set) {
        find(d, DOCTOR_WARNING, subject,
             "has no limits: none of its sCTs is checked; import it with --quality");
    }
}

static bool is_gpu(const char *backend)
{
    return strncmp(backend, "cuda", 4) == 0;
}

/* Each GPU that a slot is to use, also where no rule has a model that could be tried on it. */
static void look_at_engines(struct doctor *d, const struct config *config)
{
    for (int i = 0; i < config->workers.slots; i++) {
        char subject[96];
        struct sctd_error err = {.code = SCTD_OK};
        const char *backend = config_worker_backend(&config->workers, i);
        if (!is_gpu(backend) || !is_first_slot(&config->workers, i)) {
            continue;
        }
        (void)snprintf(subject, sizeof subject, "slot %d (%.40s)", i + 1, backend);
        const struct engine_options options = {.backend = backend};
        const int r = engine_check_backend(&options, &err);
        find(d, r < 0 ? DOCTOR_BAD : DOCTOR_GOOD, subject, "%.240s",
             r < 0 ? err.text : "the GPU is there");
    }
}

static bool is_first_use(const struct policy *policy, uint32_t rule)
{
    for (uint32_t i = 0; i < rule; i++) {
        if (strcmp(policy->model[i].dir, policy->model[rule].dir) == 0) {
            return false;
        }
    }
    return policy->model[rule].dir[0] != '\0';
}

static void look_at_destination(struct doctor *d, const struct config *config,
                                const struct config_destination *destination)
{
    char subject[96];
    struct sctd_error err = {.code = SCTD_OK};
    struct dicom_sender_result result;
    const struct dicom_sender_options options = {
        .host = destination->host,
        .port = destination->port,
        .calling_ae = config->ae_title,
        .called_ae = destination->ae_title,
        .connect_ms = CONNECT_MS,
        .answer_ms = ANSWER_MS,
    };
    const struct dicom_sender_work echo = {.n = 0};
    const struct dicom_sender_sink sink = {.arg = NULL};
    (void)snprintf(subject, sizeof subject, "destination %.64s", destination->name);
    int r = dicom_sender_run(&options, &echo, &sink, &result, &err);
    if (r < 0) {
        find(d, DOCTOR_BAD, subject, "%.240s", err.text);
    } else if (result.end != DICOM_SENDER_STORED) {
        find(d, DOCTOR_BAD, subject, "%s", result.reason);
    } else {
        find(d, DOCTOR_GOOD, subject, "%s at %.100s:%d answers the echo", destination->ae_title,
             destination->host, destination->port);
    }
}

enum doctor_outcome doctor_run(const char *config_path, doctor_fn on_finding, void *arg)
{
    struct doctor d = {.on_finding = on_finding, .arg = arg};
    struct sctd_error err = {.code = SCTD_OK};
    sctd_auto(policy_freep) struct policy *policy = NULL;
    if (policy_load(&policy, config_path, &err) < 0) {
        find(&d, DOCTOR_BAD, "configuration", "%.240s", err.text);
        return d.worst;
    }
    const struct config *config = policy->config;
    find(&d, config->rules_count == 0 ? DOCTOR_WARNING : DOCTOR_GOOD, "configuration",
         "%.150s: %u peers, %u destinations, %u rules", config_path, config->peers_count,
         config->destinations_count, config->rules_count);
    look_at_folder(&d, config);
    look_at_store(&d, config);
    look_at_engines(&d, config);
    for (uint32_t i = 0; i < config->rules_count; i++) {
        if (is_first_use(policy, i)) {
            look_at_model(&d, config, &policy->model[i]);
        }
    }
    for (uint32_t i = 0; i < config->destinations_count; i++) {
        look_at_destination(&d, config, &config->destinations[i]);
    }
    return d.worst;
}
