/* SPDX-License-Identifier: Apache-2.0 */
#include "server/workers.h"

#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uv.h>

#include "db/db.h"
#include "db/instances.h"
#include "db/jobs.h"
#include "engine/base/attr.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/base/rng.h"
#include "engine/engine.h"
#include "server/child.h"
#include "server/config.h"
#include "server/convert.h"
#include "server/log.h"
#include "server/moment.h"
#include "server/parameters.h"
#include "server/slot_trouble.h"
#include "server/worker_list.h"
#include "server/worker_messages.h"
#include "server/worker_result.h"
#include "server/workers_engine.h"
#include "server/workers_slot.h"

enum {
    SLOTS_MAX = 64,
    HEARTBEAT_MS = 10000,
    LEASE_MORE_MS = 20000, /* than silence and heartbeat: a sound worker never loses its lease */
    START_MS = 20000,
    BACKOFF_MS = 1000, /* after a death, doubling */
    BACKOFF_MAX_MS = 60000,
    PAUSE_MS = 1000, /* before what could not be done is tried again */
    ROOM_MS = 15000, /* before a disk that is full is looked at again */
    SEND_MS = 1000,
    END_MS = 5000, /* for a worker that is asked to end */
};

static void kick(struct workers *all);
static int start_child(struct slot *slot, struct sctd_error *err);

static int64_t lease_ms(const struct workers *all)
{
    return (int64_t)all->options.workers.silence_s * 1000 + HEARTBEAT_MS + LEASE_MORE_MS;
}

static struct db_retry retry_of(struct workers *all)
{
    return db_retry_default((double)sctd_rng_uniform(&all->rng));
}

/* What the store says when it cannot keep something: it ends the process if that may not be so. */
static void bear(struct workers *all, const struct sctd_error *err)
{
    LOG_ERROR("job-store", log_text("reason", err->text));
    if (db_is_failed(all->options.db)) {
        all->hooks.failed(all->hooks.arg, err->text);
    }
}

/* The end of an attempt */

static void forget_job(struct slot *slot)
{
    worker_result_fini(&slot->result);
    if (slot->list_fd >= 0) {
        (void)close(slot->list_fd);
        slot->list_fd = -1;
    }
    slot->is_busy = slot->is_lost = false;
}

static int try_finish(struct slot *slot, struct db_work_result *result, struct sctd_error *err)
{
    struct worker_ending ending = {
        .now = moment_now(), .token = db_job_token(&slot->job), .retry = retry_of(slot->all)};
    if (slot->breaks_max > 0) {
        ending.retry.breaks_max = slot->breaks_max;
    }
    return worker_result_finish(&slot->result, slot->all->options.db, &ending, result, err);
}

const char *workers_outcome_name(int outcome)
{
    static const char *const names[WORKERS_OUTCOMES] = {
        [DB_WORK_DONE] = "done", [DB_WORK_FAILED] = "failed",     [DB_WORK_REFUSED] = "refused",
        [DB_WORK_DIED] = "died", [DB_WORK_RELEASED] = "released", [DB_WORK_BROKEN] = "broken"};
    return names[outcome];
}

static void finish(struct slot *slot, enum db_work work, const char *reason, const char *detail)
{
    struct workers *all = slot->all;
    const int64_t job_id = slot->job.id;
    struct sctd_error err = {.code = SCTD_OK};
    struct db_work_result result = {.work = work, .reason = reason, .detail = detail};
    char engine[DB_ENGINE_SIZE];
    if (work == DB_WORK_DONE && !slot->was_there && workers_engine_describe(slot, engine)) {
        result.engine = engine;
    }
    int r = slot->is_lost ? DB_LOST : try_finish(slot, &result, &err);
    if (r == SCTD_EINVAL) { /* what it made is not what was decided */
        struct sctd_error why = err;
        result = (struct db_work_result){.work = DB_WORK_REFUSED, .reason = why.text};
        r = try_finish(slot, &result, &err);
    }
    LOG(work == DB_WORK_DONE || work == DB_WORK_RELEASED ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING,
        "job-attempt", log_number("job", job_id), log_number("attempt", slot->job.attempt),
        log_text("result", r == DB_LOST ? "lost" : workers_outcome_name((int)result.work)),
        log_text("reason", result.reason), log_text("detail", result.detail),
        log_text("engine", result.engine));
    if (r < 0) {
        bear(all, &err); /* the lease ends by itself, and the job is taken again */
    }
    all->attempts[result.work]++;
    forget_job(slot);
    all->hooks.finished(all->hooks.arg, job_id);
}

/* What a worker says */

static void heartbeat(struct slot *slot)
{
    const struct db_now at = moment_now();
    struct sctd_error err = {.code = SCTD_OK};
    int r = db_job_heartbeat(slot->all->options.db, &at, db_job_token(&slot->job),
                             lease_ms(slot->all), slot->stage.stage, &err);
    slot->heartbeat_ms = at.lease_ms;
    if (r == DB_LOST) {
        slot->is_lost = true;
        child_kill(slot->child);
    } else if (r < 0) {
        bear(slot->all, &err);
    }
}

static void arm(struct slot *slot)
{
    const int64_t silence_ms = (int64_t)slot->all->options.workers.silence_s * 1000;
    const int64_t rest_ms = workers_engine_rest_ms(slot);
    const int64_t ms = rest_ms < silence_ms ? rest_ms : silence_ms;
    child_set_deadline(slot->child, ms > 0 ? (int)ms : 0);
}

static void on_stage(struct slot *slot, const struct worker_stage *stage)
{
    const bool is_new = strcmp(stage->stage, slot->stage.stage) != 0;
    workers_engine_note_stage(slot, stage);
    if (is_new || sctd_boot_ms() - slot->heartbeat_ms >= HEARTBEAT_MS) {
        heartbeat(slot);
    }
}

/* No job is to blame, and none would do better: they wait, and no try is counted. */
static void wait_for_room(struct workers *all)
{
    const int64_t until_ms = sctd_boot_ms() + ROOM_MS;
    for (int i = 0; i < all->n; i++) {
        if (all->slot[i].not_before_ms < until_ms) {
            all->slot[i].not_before_ms = until_ms;
        }
    }
}

/* The engine */

static bool begin_trial(struct slot *slot)
{
    struct sctd_error err = {.code = SCTD_OK};
    slot->is_trying = true;
    slot->is_looking = false;
    slot->message.type = WORKER_TRIAL;
    slot->stage = (struct worker_stage){.done = 0};
    slot->deadline_ms = sctd_boot_ms() + (int64_t)slot->all->options.workers.timeout_s * 1000;
    if (start_child(slot, &err) < 0) {
        slot->is_trying = false;
    }
    return slot->is_trying;
}

/* A model that is no good is for its job to find out. */
static void on_trial_end(struct slot *slot, const struct worker_end *end)
{
    slot->is_leaving = end->outcome == WORKER_NO_ENGINE;
    child_set_deadline(slot->child, slot->is_leaving ? 0 : -1);
    workers_engine_end_trial(slot, !slot->is_leaving, end->reason);
}

static void on_end(struct slot *slot, const struct worker_end *end)
{
    static const enum db_work works[] = {
        [WORKER_DONE] = DB_WORK_DONE,       [WORKER_FAILED] = DB_WORK_FAILED,
        [WORKER_REFUSED] = DB_WORK_REFUSED, [WORKER_BROKEN] = DB_WORK_BROKEN,
        [WORKER_FULL] = DB_WORK_RELEASED,   [WORKER_NO_ENGINE] = DB_WORK_RELEASED};
    char detail[DB_DETAIL_SIZE];
    (void)snprintf(detail, sizeof detail,
                   "load %.0f ms, assemble %.0f ms, orient %.0f ms, network %.0f ms, check %.0f "
                   "ms, write %.0f ms",
                   end->load_ms, end->stage_ms[CONVERT_ASSEMBLE], end->stage_ms[CONVERT_ORIENT],
                   end->stage_ms[CONVERT_NETWORK], end->stage_ms[CONVERT_CHECK],
                   end->stage_ms[CONVERT_WRITE]);
    slot->is_leaving = end->outcome == WORKER_BROKEN || end->outcome == WORKER_NO_ENGINE;
    child_set_deadline(slot->child, slot->is_leaving ? 0 : -1);
    if (!slot->is_leaving) {
        slot->deaths = 0;
    }
    slot->was_there = end->was_there;
    workers_engine_judge(slot, end);
    if (end->outcome == WORKER_FULL) {
        wait_for_room(slot->all);
    }
    if (end->outcome == WORKER_DONE && slot->is_checked && slot->result.quality == NULL) {
        finish(slot, DB_WORK_FAILED, "the worker did not say what the checks found", detail);
    } else {
        finish(slot, works[end->outcome], end->outcome == WORKER_DONE ? NULL : end->reason, detail);
    }
}

static void hand_over(struct slot *slot)
{
    struct sctd_error err = {.code = SCTD_OK};
    int r = worker_messages_send(child_get_fd(slot->child), &slot->message, slot->list_fd, SEND_MS,
                                 &err);
    if (slot->list_fd >= 0) {
        (void)close(slot->list_fd);
        slot->list_fd = -1;
    }
    /* It ended while it was idle: the job has nothing to do with it.  A trial hears of it by the end. */
    if (r < 0 && slot->is_busy) {
        slot->is_leaving = true;
        child_kill(slot->child);
        finish(slot, DB_WORK_RELEASED, "the worker had ended", err.text);
    } else {
        arm(slot);
    }
}

static bool on_ready(struct slot *slot)
{
    slot->is_ready = true;
    child_set_deadline(slot->child, -1);
    if (slot->is_busy || slot->is_trying) {
        hand_over(slot);
    }
    return true;
}

/* What belongs to a trial. */
static bool on_trial_message(struct slot *slot, const struct worker_message *message)
{
    if (message->type == WORKER_STAGE) {
        workers_engine_note_stage(slot, &message->stage);
        arm(slot);
        return true;
    }
    if (message->type == WORKER_ENGINE) {
        arm(slot);
        workers_engine_opened(slot, &message->engine);
        return true;
    }
    if (message->type == WORKER_END) {
        on_trial_end(slot, &message->end);
        kick(slot->all);
        return true;
    }
    return false;
}

/* What belongs to a job. */
static bool on_job_message(struct slot *slot, const struct worker_message *message)
{
    if (message->type == WORKER_STAGE) {
        on_stage(slot, &message->stage);
        arm(slot);
        return true;
    }
    arm(slot);
    if (message->type == WORKER_ENGINE) {
        workers_engine_opened(slot, &message->engine);
        return true;
    }
    if (message->type == WORKER_OUTPUT) {
        return worker_result_add_output(&slot->result, &message->output);
    }
    if (message->type == WORKER_QUALITY) {
        return worker_result_add_quality(&slot->result, &message->quality);
    }
    if (message->type == WORKER_END) {
        on_end(slot, &message->end);
        if (slot->all->is_draining) {
            child_kill(slot->child);
        } else {
            kick(slot->all);
        }
        return true;
    }
    return false;
}

static bool on_message(void *arg, const struct json *json)
{
    struct slot *slot = arg;
    struct sctd_error err = {.code = SCTD_OK};
    struct worker_message message;
    if (worker_messages_read(&message, json, &err) < 0) {
        return false;
    }
    if (message.type == WORKER_READY && !slot->is_ready) {
        return on_ready(slot);
    }
    if (slot->is_ready && slot->is_trying) {
        return on_trial_message(slot, &message);
    }
    return slot->is_ready && slot->is_busy && slot->list_fd < 0 && on_job_message(slot, &message);
}

static void free_if_closed(struct workers *all)
{
    if (!all->is_freed || all->open_handles > 0) {
        return;
    }
    for (int i = 0; i < all->n; i++) {
        if (all->slot[i].child != NULL) {
            return;
        }
    }
    free(all->slot);
    free(all);
}

static void tell_drained(struct workers *all)
{
    bool is_any = false;
    for (int i = 0; i < all->n; i++) {
        is_any = is_any || all->slot[i].child != NULL;
    }
    if (all->is_draining && !is_any && !all->is_freed && !all->is_drained) {
        all->is_drained = true;
        all->hooks.drained(all->hooks.arg);
    }
}

static void describe_death(const struct slot *slot, int status, char *reason, size_t reason_size,
                           char *detail, size_t detail_size)
{
    const bool is_late = !workers_engine_is_opening(slot) && slot->deadline_ms <= sctd_boot_ms();
    if (is_late) {
        (void)snprintf(reason, reason_size, "the job took longer than %d s (workers: timeout_s)",
                       slot->all->options.workers.timeout_s);
    } else if (status == SIGKILL) {
        (void)snprintf(reason, reason_size,
                       "the worker was killed: silent for too long, or out of memory");
    } else if (status == 0) {
        (void)snprintf(reason, reason_size, "the worker ended within the job");
    } else if (status < 256) {
        (void)snprintf(reason, reason_size, "the worker died of signal %d (%s)", status,
                       strsignal(status)); // NOLINT(concurrency-mt-unsafe): the loop's thread
    } else {
        (void)snprintf(reason, reason_size, "the worker ended with exit status %d", status >> 8);
    }
    (void)snprintf(detail, detail_size, "wait status %d; last heard: %s %" PRId64 " of %" PRId64,
                   status, slot->stage.stage[0] == '\0' ? "nothing" : slot->stage.stage,
                   slot->stage.done, slot->stage.total);
}

static void on_ended(void *arg, int status)
{
    struct slot *slot = arg;
    struct workers *all = slot->all;
    char late[WORKER_REASON_SIZE];
    const bool was_late = workers_engine_was_late(slot, status, late);
    const bool is_told = slot->is_leaving && (slot->trouble.needs_trial || slot->is_looking);
    slot->child = NULL;
    slot->is_ready = slot->is_leaving = false;
    workers_engine_forget(slot);
    if (status != 0 && !is_told && !was_late) {
        const int shift = slot->deaths < 6 ? slot->deaths : 6;
        const int64_t wait_ms = (int64_t)BACKOFF_MS << shift;
        slot->deaths++;
        slot->not_before_ms =
            sctd_boot_ms() + (wait_ms < BACKOFF_MAX_MS ? wait_ms : BACKOFF_MAX_MS);
    }
    if (slot->is_trying && all->is_draining) {
        slot->is_trying = false;
    } else if (slot->is_trying) {
        workers_engine_end_trial(slot, false,
                                 was_late ? late : "the worker died while it opened the engine");
    }
    if (slot->is_busy) {
        char reason[DB_REASON_SIZE];
        char detail[DB_DETAIL_SIZE];
        describe_death(slot, status, reason, sizeof reason, detail, sizeof detail);
        if (all->is_draining) {
            finish(slot, DB_WORK_RELEASED, "the daemon ends", detail);
        } else if (was_late) {
            finish(slot, DB_WORK_RELEASED, late, detail);
        } else if (slot->list_fd >= 0) { /* it never heard of the job, which is not to blame */
            finish(slot, DB_WORK_RELEASED, "the worker did not start", detail);
        } else {
            finish(slot, DB_WORK_DIED, reason, detail);
        }
    }
    tell_drained(all);
    if (!all->is_draining) {
        kick(all);
    }
    free_if_closed(all);
}

/* The start of an attempt */

static int fill_message(struct slot *slot, struct sctd_error *err)
{
    const struct workers_options *o = &slot->all->options;
    const struct db_job *job = &slot->job;
    slot->message = (struct worker_message){.type = WORKER_JOB};
    struct worker_job *m = &slot->message.job;
    m->job_id = job->id;
    m->attempt = job->attempt;
    m->threads = o->workers.threads;
    m->batch = o->workers.batch;
    m->memory_mib = o->workers.memory_mib;
    m->gpu_memory_mib = o->workers.gpu_memory_mib;
    memcpy(m->backend, slot->backend, sizeof m->backend);
    m->turn = slot->turn;
    m->turns = slot->turns;
    (void)snprintf(m->spool, sizeof m->spool, "%s", o->spool);
    (void)snprintf(m->results, sizeof m->results, "%s", o->results);
    (void)snprintf(m->model_sha256, sizeof m->model_sha256, "%s", job->model_sha256);
    (void)snprintf(m->parameters, sizeof m->parameters, "%s", job->parameters);
    (void)snprintf(m->source_series_uid, sizeof m->source_series_uid, "%s", job->series_uid);
    (void)snprintf(m->series_uid, sizeof m->series_uid, "%s", job->output_series_uid);
    struct parameters parameters;
    int r = parameters_read(&parameters, job->parameters, err);
    if (r == 0) {
        slot->is_checked = parameters.is_checked;
        r = model_resolve(m->model_dir, o->models_dir, job->model, err);
    }
    return r;
}

static int fill_list(struct slot *slot, struct sctd_error *err)
{
    struct db *db = slot->all->options.db;
    const size_t n_uids = (size_t)slot->job.outputs;
    sctd_auto(db_member_list_fini) struct db_member_list members = {.n = 0};
    int r = db_series_members(db, slot->job.series_id, slot->job.revision, &members, err);
    if (r < 0) {
        return r;
    }
    struct worker_list list = {.uid = calloc(n_uids + 1, sizeof *list.uid), .n_uids = n_uids};
    list.file = (char **)calloc(members.n + 1, sizeof *list.file);
    r = list.uid == NULL || list.file == NULL
            ? sctd_error(err, SCTD_ENOMEM, "a job of %zu files", members.n)
            : db_job_output_uids(db, slot->job.id, list.uid, n_uids, err);
    if (r == 0) {
        for (size_t i = 0; i < members.n; i++) {
            list.file[list.n_files++] = members.member[i].file;
        }
        r = worker_list_write(&slot->list_fd, &list, err);
    }
    free(list.uid);
    free((void *)list.file); /* the texts are the members' */
    return r;
}

static int start_child(struct slot *slot, struct sctd_error *err)
{
    const struct workers_options *o = &slot->all->options;
    const struct child_options options = {
        .loop = o->loop, .program = o->program, .command = "worker"};
    const struct child_hooks hooks = {.arg = slot, .message = on_message, .ended = on_ended};
    slot->is_ready = false;
    int r = child_start(&slot->child, &options, &hooks, err);
    if (r == 0) {
        child_set_deadline(slot->child, START_MS);
    }
    return r;
}

static void begin(struct slot *slot)
{
    struct sctd_error err = {.code = SCTD_OK};
    slot->is_busy = true;
    slot->is_lost = false;
    slot->stage = (struct worker_stage){.done = 0};
    slot->heartbeat_ms = sctd_boot_ms();
    slot->deadline_ms = slot->heartbeat_ms + (int64_t)slot->all->options.workers.timeout_s * 1000;
    LOG_INFO("job-start", log_number("job", slot->job.id), log_number("attempt", slot->job.attempt),
             log_text("model", slot->job.model), log_number("slot", slot->number));
    int r = fill_message(slot, &err);
    r = r < 0 ? r : fill_list(slot, &err);
    if (r < 0) {
        finish(slot, DB_WORK_FAILED, err.text, NULL);
    } else if (slot->child == NULL) {
        if (start_child(slot, &err) < 0) {
            finish(slot, DB_WORK_RELEASED, err.text, NULL);
        }
    } else if (slot->is_ready) {
        hand_over(slot);
    }
}

/* Returns 0 if it has taken a job, DB_NONE if there is none, or an error. */
static int claim(struct slot *slot)
{
    struct workers *all = slot->all;
    char owner[DB_NAME_SIZE];
    const struct db_now at = moment_now();
    struct sctd_error err = {.code = SCTD_OK};
    (void)snprintf(owner, sizeof owner, "%.40s/worker-%d", all->options.node, slot->number);
    int r = db_job_claim(all->options.db, &at, owner, lease_ms(all), &slot->job, &err);
    if (r < 0) {
        bear(all, &err);
    }
    if (r == 0) {
        begin(slot);
    }
    return r;
}

static void on_timer(uv_timer_t *timer)
{
    struct workers *all = timer->data;
    const struct db_now at = moment_now();
    const struct db_retry retry = retry_of(all);
    struct sctd_error err = {.code = SCTD_OK};
    int32_t n = 0;
    if (db_jobs_expire(all->options.db, &at, &retry, &n, &err) < 0) {
        bear(all, &err);
    }
    kick(all);
}

/* Wake up when the next retry is due, a lease is over, or a slot may start again. */
static void schedule(struct workers *all, int64_t slot_ms)
{
    int64_t next_ms = 0;
    struct sctd_error err = {.code = SCTD_OK};
    int r = db_jobs_next(all->options.db, &next_ms, &err);
    if (r != 0) {
        next_ms = INT64_MAX;
    }
    next_ms = slot_ms < next_ms ? slot_ms : next_ms;
    if (next_ms == INT64_MAX || all->is_draining) {
        (void)uv_timer_stop(&all->timer);
        return;
    }
    /* What is due and was not taken waits for a slot, or could not be taken. */
    const int64_t wait_ms = next_ms - sctd_boot_ms();
    (void)uv_timer_start(&all->timer, on_timer,
                         wait_ms > 0 ? (uint64_t)wait_ms : (uint64_t)PAUSE_MS, 0);
}

/* Give a slot something to do.  *is_idle: no job is left to claim.  Returns when to look at it again. */
static int64_t use(struct slot *slot, bool *is_idle)
{
    const int64_t now_ms = sctd_boot_ms();
    const int64_t trial_ms = slot->trouble.needs_trial ? slot->trouble.not_before_ms : 0;
    const int64_t from_ms = slot->not_before_ms > trial_ms ? slot->not_before_ms : trial_ms;
    if (slot->is_busy || slot->is_leaving || slot->is_trying) {
        return INT64_MAX;
    }
    if (from_ms > now_ms) {
        return from_ms;
    }
    if (slot->look_ms != 0 && slot->look_ms <= now_ms) {
        slot->look_ms = 0;
        slot->is_looking = true;
    }
    if (slot->is_looking &&
        slot->child != NULL) { /* a process that has looked once sees no change */
        slot->is_leaving = true;
        child_terminate(slot->child);
        child_set_deadline(slot->child, END_MS);
        return INT64_MAX;
    }
    if (slot->trouble.needs_trial || slot->is_looking) {
        return begin_trial(slot) ? INT64_MAX : now_ms + PAUSE_MS;
    }
    if (*is_idle) {
        return slot->look_ms != 0 ? slot->look_ms : INT64_MAX;
    }
    const int r = claim(slot);
    *is_idle = r != 0;
    if (r > 0 && slot->look_ms != 0) {
        return slot->look_ms;
    }
    return r < 0 || (r == 0 && !slot->is_busy) ? now_ms + PAUSE_MS : INT64_MAX;
}

static void kick(struct workers *all)
{
    int64_t slot_ms = INT64_MAX;
    bool is_idle = false;
    for (int i = 0; i < all->n && !all->is_draining; i++) {
        const int64_t again_ms = use(&all->slot[i], &is_idle);
        slot_ms = again_ms < slot_ms ? again_ms : slot_ms;
    }
    schedule(all, slot_ms);
}

/* Beginning and end */

int workers_new(struct workers **ret_workers, const struct workers_options *options,
                const struct workers_hooks *hooks, struct sctd_error *err)
{
    const int n = options->workers.slots;
    if (n < 1 || n > SLOTS_MAX) {
        return sctd_error(err, SCTD_EINVAL, "workers: slots %d: 1 to %d are possible", n,
                          SLOTS_MAX);
    }
    struct workers *all = calloc(1, sizeof *all);
    if (all == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "workers");
    }
    all->slot = calloc((size_t)n, sizeof *all->slot);
    if (all->slot == NULL) {
        free(all);
        return sctd_error(err, SCTD_ENOMEM, "workers");
    }
    all->options = *options;
    all->options.workers.backends = NULL;
    all->options.workers.backends_count = 0;
    all->hooks = *hooks;
    all->n = n;
    all->rng.state = (uint64_t)sctd_wall_ms() ^ (uint64_t)getpid();
    for (int i = 0; i < n; i++) {
        all->slot[i] = (struct slot){.all = all, .number = i + 1, .list_fd = -1};
        /* A copy: the configuration may go. */
        (void)snprintf(all->slot[i].backend, sizeof all->slot[i].backend, "%s",
                       config_worker_backend(&options->workers, i));
        config_worker_turn(&options->workers, i, &all->slot[i].turn, &all->slot[i].turns);
    }
    (void)uv_timer_init(options->loop, &all->timer);
    (void)uv_timer_init(options->loop, &all->drain);
    all->timer.data = all->drain.data = all;
    all->open_handles = 2;
    *ret_workers = all;
    return 0;
}

void workers_kick(struct workers *workers)
{
    kick(workers);
}

static void kill_all(struct workers *all, bool busy_too)
{
    for (int i = 0; i < all->n; i++) {
        struct slot *slot = &all->slot[i];
        if (slot->child != NULL && (busy_too || !slot->is_busy)) {
            child_kill(slot->child);
        }
    }
}

static void on_drain_timeout(uv_timer_t *timer)
{
    kill_all(timer->data, true);
}

void workers_drain(struct workers *workers, int grace_ms)
{
    if (workers->is_draining) {
        (void)uv_timer_start(&workers->drain, on_drain_timeout, (uint64_t)grace_ms, 0);
        return;
    }
    workers->is_draining = true;
    (void)uv_timer_stop(&workers->timer);
    kill_all(workers, false);
    (void)uv_timer_start(&workers->drain, on_drain_timeout, (uint64_t)grace_ms, 0);
    tell_drained(workers);
}

static void on_closed(uv_handle_t *handle)
{
    struct workers *all = handle->data;
    all->open_handles--;
    free_if_closed(all);
}

void workers_free(struct workers *workers)
{
    if (workers == NULL || workers->is_freed) {
        return;
    }
    workers->is_freed = workers->is_draining = true;
    kill_all(workers, true);
    uv_close((uv_handle_t *)&workers->timer, on_closed);
    uv_close((uv_handle_t *)&workers->drain, on_closed);
}

void workers_get_count(const struct workers *all, struct workers_count *ret_count)
{
    enum { DYING = 3 };
    *ret_count = (struct workers_count){.slots = all->n};
    memcpy(ret_count->attempts, all->attempts, sizeof all->attempts);
    for (int i = 0; i < all->n; i++) {
        const struct slot *slot = &all->slot[i];
        ret_count->alive += slot->child != NULL;
        ret_count->busy += slot->is_busy;
        ret_count->dying += slot->deaths >= DYING && !slot->trouble.needs_trial;
        ret_count->broken += slot->trouble.needs_trial;
        ret_count->fallback += slot->engine.is_fallback;
    }
}

void workers_get_engine(const struct workers *all, int slot, struct workers_engine *ret_engine)
{
    const struct slot *s = &all->slot[slot];
    *ret_engine = (struct workers_engine){
        .asked = s->backend,
        .trouble = &s->trouble,
        .is = s->engine.backend[0] == '\0' ? NULL : &s->engine,
    };
}

bool workers_describe_engine(const struct workers *all, int slot, char *ret_text)
{
    return workers_engine_describe(&all->slot[slot], ret_text);
}
