/* SPDX-License-Identifier: Apache-2.0 */
#include "server/deliver.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <uv.h>

#include "db/db.h"
#include "db/deliveries.h"
#include "dicom/sender.h"
#include "dicom/source.h"
#include "dicom/uid.h"
#include "engine/base/attr.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/base/rng.h"
#include "engine/base/sha256.h"
#include "server/child.h"
#include "server/config.h"
#include "server/log.h"
#include "server/moment.h"
#include "server/send_list.h"
#include "server/send_messages.h"

enum {
    LEASE_MS = 120000,
    START_MS = 20000,
    SLACK_MS = 15000,
    END_MS = 5000, /* from its last word, or SIGTERM, to its exit */
    BEGIN_TRIES = 8,
    SEND_MS = 1000,
    FLUSH_N = 32,
    FLUSH_MS = 1000,
    CONNECT_MS = 10000,
    ANSWER_MS = 60000,
    REPORT_MS = 2000,
    COMMITMENT_MS = 600000,
    PAUSE_MS = 1000, /* before what could not be done is tried again */
};

/* What a report said so far. */
struct reported {
    char (*uid)[DICOM_UID_SIZE]; /* [n] */
    int32_t *failure;            /* [n]; 0: committed */
    size_t n, capacity;
};

/* One destination. */
struct lane {
    struct deliver *all;
    struct lane *next;
    char name[DB_NAME_SIZE], ae_title[DB_AE_SIZE], host[SEND_HOST_SIZE];
    int32_t port;
    bool is_gone;        /* not in the configuration any more */
    bool no_commitment;  /* it does none */
    struct child *child; /* NULL: none */
    struct db_delivery delivery;
    struct send_message message;
    int list_fd; /* -1: none, or handed over */
    bool is_lost, has_asked, has_ended;
    int32_t stored[FLUSH_N]; /* not kept yet */
    size_t n_stored;
    int64_t flushed_ms;
    int32_t warnings;
    struct reported reported;
};

struct deliver {
    struct deliver_options options;
    struct deliver_hooks hooks;
    uv_timer_t timer, drain;
    bool is_draining, is_drained, is_freed;
    int open_handles;
    struct sctd_rng rng;
    struct lane *lane;
};

static void kick(struct deliver *all);

static struct db_delivery_retry retry_of(struct deliver *all)
{
    return db_delivery_retry_default((double)sctd_rng_uniform(&all->rng));
}

static void bear(struct deliver *all, const struct sctd_error *err)
{
    LOG_ERROR("job-store", log_text("reason", err->text));
    if (db_is_failed(all->options.db)) {
        all->hooks.failed(all->hooks.arg, err->text);
    }
}

/* What a sender says */

static void flush(struct lane *lane)
{
    struct deliver *all = lane->all;
    const struct db_now at = moment_now();
    const struct db_stored stored = {.number = lane->stored, .n = lane->n_stored};
    struct sctd_error err = {.code = SCTD_OK};
    lane->flushed_ms = at.lease_ms;
    if (lane->is_lost || lane->has_asked) {
        return;
    }
    int r = db_delivery_progress(all->options.db, &at, db_delivery_token(&lane->delivery), LEASE_MS,
                                 &stored, &err);
    lane->n_stored = 0;
    if (r == DB_LOST) {
        lane->is_lost = true;
        child_kill(lane->child);
    } else if (r < 0) {
        bear(all, &err); /* what is not kept is sent again, which is harmless */
    }
}

static bool on_stored(struct lane *lane, const struct send_stored *stored)
{
    if (lane->has_asked || stored->number < 0 || stored->number >= lane->delivery.instances) {
        return false;
    }
    if (stored->status != 0) {
        lane->warnings++;
    }
    lane->stored[lane->n_stored++] = stored->number;
    if (lane->n_stored == FLUSH_N || sctd_boot_ms() - lane->flushed_ms >= FLUSH_MS) {
        flush(lane);
    }
    return true;
}

/* A large instance: the lease must outlast it. */
static void on_moving(struct lane *lane)
{
    const int64_t since_ms = sctd_boot_ms() - lane->flushed_ms;
    if (since_ms >= (lane->n_stored > 0 ? FLUSH_MS : LEASE_MS / 4)) {
        flush(lane);
    }
}

static bool on_ask(struct lane *lane)
{
    struct deliver *all = lane->all;
    struct sctd_error err = {.code = SCTD_OK};
    struct send_message answer = {.type = SEND_ASKED};
    if (lane->has_asked) {
        return false;
    }
    flush(lane);
    const struct db_now at = moment_now();
    int r = db_delivery_ask(all->options.db, &at, db_delivery_token(&lane->delivery),
                            lane->message.send.transaction_uid, all->options.commitment_ms, &err);
    if (r < 0) {
        bear(all, &err);
    }
    lane->has_asked = answer.asked.yes = r == 0;
    return send_messages_send(child_get_fd(lane->child), &answer, -1, SEND_MS, &err) == 0;
}

static bool on_committed(struct reported *reported, const struct send_committed *committed)
{
    if (reported->n == reported->capacity) {
        const size_t capacity = reported->capacity == 0 ? 256 : 2 * reported->capacity;
        char(*uid)[DICOM_UID_SIZE] = capacity > 2 * (size_t)DB_OUTPUTS_MAX
                                         ? NULL
                                         : realloc(reported->uid, capacity * sizeof *uid);
        if (uid == NULL) {
            return false;
        }
        reported->uid = uid;
        int32_t *failure = realloc(reported->failure, capacity * sizeof *failure);
        if (failure == NULL) {
            return false;
        }
        reported->failure = failure;
        reported->capacity = capacity;
    }
    memcpy(reported->uid[reported->n], committed->sop_uid, DICOM_UID_SIZE);
    reported->failure[reported->n++] = committed->failure;
    return true;
}

static void forget_report(struct reported *reported)
{
    free(reported->uid);
    free(reported->failure);
    *reported = (struct reported){.n = 0};
}

/* Returns as db_delivery_report. */
static int keep_report(struct lane *lane, const struct db_commitment_report *report,
                       struct sctd_error *err)
{
    struct deliver *all = lane->all;
    const struct db_now at = moment_now();
    const struct db_delivery_retry retry = retry_of(all);
    struct db_commitment_report named = *report;
    int64_t delivery_id = 0;
    named.destination = lane->name;
    int r = db_delivery_report(all->options.db, &at, &named, &retry, &delivery_id, err);
    if (r == 0) {
        LOG(report->n_failed == 0 ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "storage-commitment",
            log_number("delivery", delivery_id), log_text("destination", lane->name),
            log_number("committed", (int64_t)report->n_committed),
            log_number("failed", (int64_t)report->n_failed), log_text("reason", report->reason));
    }
    return r;
}

static int pass_report(struct lane *lane, const char *transaction_uid, struct sctd_error *err)
{
    const struct reported *reported = &lane->reported;
    char reason[DB_REASON_SIZE];
    const char **uids = (const char **)calloc(reported->n + 1, sizeof *uids);
    if (uids == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "a report");
    }
    struct db_commitment_report report = {.transaction_uid = transaction_uid};
    size_t n = 0;
    for (size_t i = 0; i < reported->n; i++) { /* first the committed ones, then the others */
        if (reported->failure[i] == 0) {
            uids[n++] = reported->uid[i];
        }
    }
    report.committed = uids;
    report.n_committed = n;
    report.failed = uids + n;
    for (size_t i = 0; i < reported->n; i++) {
        if (reported->failure[i] != 0) {
            (void)snprintf(reason, sizeof reason, "first failure: 0x%04X",
                           (unsigned)reported->failure[i]);
            report.reason = report.n_failed == 0 ? reason : report.reason;
            uids[n + report.n_failed++] = reported->uid[i];
        }
    }
    int r = keep_report(lane, &report, err);
    free((void *)uids);
    return r;
}

static bool on_reported(struct lane *lane, const struct send_reported *reported)
{
    struct sctd_error err = {.code = SCTD_OK};
    int r = pass_report(lane, reported->transaction_uid, &err);
    if (r < 0) {
        bear(lane->all, &err); /* it is asked again when no report was kept in time */
    }
    forget_report(&lane->reported);
    return true;
}

/* The end of an attempt */

static void clear(struct lane *lane)
{
    forget_report(&lane->reported);
    if (lane->list_fd >= 0) {
        (void)close(lane->list_fd);
        lane->list_fd = -1;
    }
}

static void finish(struct lane *lane, enum db_sent sent, const char *reason)
{
    struct deliver *all = lane->all;
    const struct db_now at = moment_now();
    const struct db_delivery_retry retry = retry_of(all);
    const struct db_sent_result result = {.sent = sent, .reason = reason};
    struct sctd_error err = {.code = SCTD_OK};
    lane->has_ended = true;
    if (lane->is_lost) {
        return;
    }
    int r = db_delivery_finish(all->options.db, &at, db_delivery_token(&lane->delivery), &result,
                               &retry, &err);
    if (r < 0) {
        bear(all, &err); /* the lease ends by itself, and it is sent again */
    }
}

static enum db_sent sent_of(enum dicom_sender_end end)
{
    switch (end) {
    case DICOM_SENDER_STORED:
    case DICOM_SENDER_ASKED:
    case DICOM_SENDER_REPORTED:
        return DB_SENT_STORED;
    case DICOM_SENDER_UNREACHABLE:
        return DB_SENT_UNREACHABLE;
    case DICOM_SENDER_REFUSED:
    case DICOM_SENDER_UNCOMMITTED:
        return DB_SENT_REFUSED;
    case DICOM_SENDER_FAILED:
        break;
    }
    return DB_SENT_FAILED;
}

static void log_end(const struct lane *lane, const char *result, const char *reason)
{
    LOG(*reason == '\0' ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "delivery",
        log_number("job", lane->delivery.job_id), log_number("delivery", lane->delivery.id),
        log_text("destination", lane->name), log_number("attempt", lane->delivery.attempt),
        log_number("instances", lane->delivery.instances), log_text("result", result),
        log_number("warnings", lane->warnings), log_text("reason", reason));
}

static bool on_end(struct lane *lane, const struct send_end *end)
{
    static const char *const names[] = {
        "stored",  "asked for commitment", "committed", "failed", "unreachable",
        "refused", "stored, not committed"};
    flush(lane);
    log_end(lane, names[end->end], end->reason);
    const enum db_sent sent = sent_of((enum dicom_sender_end)end->end);
    lane->has_ended = true;
    child_set_deadline(lane->child, END_MS);
    if (end->end == DICOM_SENDER_ASKED || end->end == DICOM_SENDER_REPORTED) {
        return lane->has_asked; /* the report ends it, or its absence */
    }
    if (lane->all->is_draining && sent == DB_SENT_FAILED) {
        finish(lane, DB_SENT_RELEASED, "the daemon ends");
    } else {
        finish(lane, sent, sent == DB_SENT_STORED ? NULL : end->reason);
    }
    return true;
}

static void arm(struct lane *lane)
{
    const struct deliver_options *o = &lane->all->options;
    const int wait_ms = o->answer_ms + o->report_ms + o->connect_ms + o->slack_ms;
    child_set_deadline(lane->child, wait_ms);
}

static bool hand_over(struct lane *lane)
{
    struct sctd_error err = {.code = SCTD_OK};
    int r =
        send_messages_send(child_get_fd(lane->child), &lane->message, lane->list_fd, SEND_MS, &err);
    (void)close(lane->list_fd);
    lane->list_fd = -1;
    return r == 0;
}

static bool on_message(void *arg, const struct json *json)
{
    struct lane *lane = arg;
    struct sctd_error err = {.code = SCTD_OK};
    struct send_message message;
    if (send_messages_read(&message, json, &err) < 0 || lane->has_ended) {
        return false;
    }
    arm(lane);
    if (message.type == SEND_READY) {
        return lane->list_fd >= 0 && hand_over(lane);
    }
    if (lane->list_fd >= 0) {
        return false;
    }
    switch (message.type) {
    case SEND_MOVING:
        on_moving(lane);
        return true;
    case SEND_STORED:
        return on_stored(lane, &message.stored);
    case SEND_ASK:
        return on_ask(lane);
    case SEND_COMMITTED:
        return on_committed(&lane->reported, &message.committed);
    case SEND_REPORTED:
        return on_reported(lane, &message.reported);
    case SEND_END:
        return on_end(lane, &message.end);
    case SEND_READY:
    case SEND_SEND:
    case SEND_ASKED:
        break;
    }
    return false;
}

static bool is_any_active(const struct deliver *all)
{
    for (const struct lane *lane = all->lane; lane != NULL; lane = lane->next) {
        if (lane->child != NULL) {
            return true;
        }
    }
    return false;
}

static void free_if_closed(struct deliver *all)
{
    if (!all->is_freed || all->open_handles > 0 || is_any_active(all)) {
        return;
    }
    while (all->lane != NULL) {
        struct lane *lane = all->lane;
        all->lane = lane->next;
        free(lane);
    }
    free(all);
}

static void tell_drained(struct deliver *all)
{
    if (all->is_draining && !all->is_freed && !all->is_drained && !is_any_active(all)) {
        all->is_drained = true;
        all->hooks.drained(all->hooks.arg);
    }
}

static void on_ended(void *arg, int status)
{
    struct lane *lane = arg;
    struct deliver *all = lane->all;
    lane->child = NULL;
    if (!lane->has_ended) {
        char reason[DB_REASON_SIZE];
        (void)snprintf(reason, sizeof reason,
                       "the sender died or hung (wait status %d) after %d of %d instances", status,
                       lane->delivery.stored, lane->delivery.instances);
        flush(lane);
        log_end(lane, all->is_draining ? "released" : "died", reason);
        finish(lane, all->is_draining ? DB_SENT_RELEASED : DB_SENT_DIED, reason);
    }
    clear(lane);
    tell_drained(all);
    if (!all->is_draining) {
        kick(all);
    }
    free_if_closed(all);
}

/* The start of an attempt */

static int make_transaction_uid(char ret_uid[DICOM_UID_SIZE], struct sctd_error *err)
{
    unsigned char random[SHA256_SIZE];
    if (getentropy(random, sizeof random) != 0) {
        return sctd_error(err, SCTD_EIO, "random numbers: %s", sctd_errno_text());
    }
    dicom_uid_from_digest(ret_uid, random);
    return 0;
}

static int prepare(struct lane *lane, struct sctd_error *err)
{
    const struct deliver_options *o = &lane->all->options;
    sctd_auto(db_file_set_fini) struct db_file_set files = {.n = 0};
    int r = db_delivery_files(o->db, lane->delivery.id, &files, err);
    if (r != 0) {
        return r < 0 ? r : sctd_error(err, SCTD_EIO, "the delivery has no files");
    }
    lane->message = (struct send_message){.type = SEND_SEND};
    struct send_send *send = &lane->message.send;
    (void)snprintf(send->host, sizeof send->host, "%s", lane->host);
    (void)snprintf(send->calling_ae, sizeof send->calling_ae, "%s", o->ae_title);
    (void)snprintf(send->called_ae, sizeof send->called_ae, "%s", lane->ae_title);
    (void)snprintf(send->folder, sizeof send->folder, "%s", o->results);
    send->port = lane->port;
    send->connect_ms = o->connect_ms;
    send->answer_ms = o->answer_ms;
    send->report_ms = o->report_ms;
    if (lane->delivery.commitment && lane->no_commitment) { /* configured since it was ordered */
        r = db_delivery_waive(o->db, db_delivery_token(&lane->delivery), err);
        r = r == DB_LOST ? sctd_error(err, SCTD_EIO, "its lease is over") : r;
    } else if (lane->delivery.commitment) {
        r = make_transaction_uid(send->transaction_uid, err);
    }
    return r < 0 ? r : send_list_write(&lane->list_fd, &files, err);
}

/* Whether there is a sender now; else the attempt has ended. */
static bool begin(struct lane *lane)
{
    const struct deliver_options *o = &lane->all->options;
    const struct child_options options = {
        .loop = o->loop, .program = o->program, .command = "send"};
    const struct child_hooks hooks = {.arg = lane, .message = on_message, .ended = on_ended};
    struct sctd_error err = {.code = SCTD_OK};
    lane->is_lost = lane->has_asked = lane->has_ended = false;
    lane->n_stored = 0;
    lane->warnings = 0;
    lane->flushed_ms = sctd_boot_ms();
    int r = prepare(lane, &err);
    r = r < 0 ? r : child_start(&lane->child, &options, &hooks, &err);
    if (r < 0) {
        log_end(lane, "failed", err.text);
        finish(lane, DB_SENT_FAILED, err.text);
        clear(lane);
        return false;
    }
    child_set_deadline(lane->child, START_MS);
    return true;
}

/* Whether it could not be done, and must be tried again. */
static bool claim(struct lane *lane, const struct db_now *at)
{
    struct deliver *all = lane->all;
    char owner[DB_NAME_SIZE];
    struct sctd_error err = {.code = SCTD_OK};
    (void)snprintf(owner, sizeof owner, "%.40s/send", all->options.node);
    const struct db_send_claim claim = {
        .destination = lane->name, .max_active = 1, .owner = owner, .lease_ms = LEASE_MS};
    int r = 0;
    for (int tries = 0; r == 0 && tries < BEGIN_TRIES; tries++) {
        r = db_delivery_claim(all->options.db, at, &claim, &lane->delivery, &err);
        if (r == 0 && begin(lane)) {
            return false;
        }
    }
    if (r < 0) {
        bear(all, &err);
    }
    return r <= 0;
}

static void on_timer(uv_timer_t *timer)
{
    struct deliver *all = timer->data;
    const struct db_now at = moment_now();
    const struct db_delivery_retry retry = retry_of(all);
    struct sctd_error err = {.code = SCTD_OK};
    int32_t n = 0;
    if (db_deliveries_expire(all->options.db, &at, &retry, &n, &err) < 0) {
        bear(all, &err);
    }
    kick(all);
}

/* Wake up for what becomes due after `at`, when the lanes were last looked at, or for what must be tried again. */
static void schedule(struct deliver *all, const struct db_now *at, bool must_repeat)
{
    int64_t next_ms = 0;
    struct sctd_error err = {.code = SCTD_OK};
    if (all->is_draining) {
        (void)uv_timer_stop(&all->timer);
        return;
    }
    int r = db_deliveries_next(all->options.db, at, &next_ms, &err);
    if (r < 0) {
        bear(all, &err);
        must_repeat = true;
    }
    if (r != 0 && !must_repeat) {
        (void)uv_timer_stop(&all->timer);
        return;
    }
    int64_t wait_ms = r == 0 ? next_ms - sctd_boot_ms() : PAUSE_MS;
    wait_ms = must_repeat && wait_ms > PAUSE_MS ? PAUSE_MS : wait_ms;
    (void)uv_timer_start(&all->timer, on_timer, wait_ms > 1 ? (uint64_t)wait_ms : 1, 0);
}

static void kick(struct deliver *all)
{
    const struct db_now at = moment_now();
    bool must_repeat = false;
    for (struct lane *lane = all->lane; lane != NULL && !all->is_draining; lane = lane->next) {
        if (lane->child == NULL && !lane->is_gone) {
            must_repeat = claim(lane, &at) || must_repeat;
        }
    }
    schedule(all, &at, must_repeat);
}

/* Destinations */

static struct lane *find_lane(const struct deliver *all, const char *name)
{
    struct lane *lane = all->lane;
    while (lane != NULL && strcmp(lane->name, name) != 0) {
        lane = lane->next;
    }
    return lane;
}

static int set_lane(struct deliver *all, const struct config_destination *destination,
                    struct sctd_error *err)
{
    struct lane *lane = find_lane(all, destination->name);
    if (lane == NULL) {
        lane = calloc(1, sizeof *lane);
        if (lane == NULL) {
            return sctd_error(err, SCTD_ENOMEM, "a destination");
        }
        lane->all = all;
        lane->list_fd = -1;
        lane->next = all->lane;
        all->lane = lane;
        (void)snprintf(lane->name, sizeof lane->name, "%s", destination->name);
    }
    (void)snprintf(lane->ae_title, sizeof lane->ae_title, "%s", destination->ae_title);
    (void)snprintf(lane->host, sizeof lane->host, "%s", destination->host);
    lane->port = destination->port;
    lane->is_gone = false;
    lane->no_commitment = destination->no_storage_commitment;
    return 0;
}

int deliver_set_config(struct deliver *deliver, const struct config *config, struct sctd_error *err)
{
    int r = 0;
    for (struct lane *lane = deliver->lane; lane != NULL; lane = lane->next) {
        lane->is_gone = true;
    }
    for (uint32_t i = 0; r == 0 && i < config->destinations_count; i++) {
        r = set_lane(deliver, &config->destinations[i], err);
    }
    return r;
}

/* Beginning and end */

static int32_t or_default(int32_t value, int32_t value_default)
{
    return value > 0 ? value : value_default;
}

int deliver_new(struct deliver **ret_deliver, const struct deliver_options *options,
                const struct config *config, const struct deliver_hooks *hooks,
                struct sctd_error *err)
{
    struct deliver *all = calloc(1, sizeof *all);
    if (all == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "deliveries");
    }
    all->options = *options;
    all->hooks = *hooks;
    all->options.connect_ms = or_default(options->connect_ms, CONNECT_MS);
    all->options.answer_ms = or_default(options->answer_ms, ANSWER_MS);
    all->options.report_ms = or_default(options->report_ms, REPORT_MS);
    all->options.commitment_ms = or_default(options->commitment_ms, COMMITMENT_MS);
    all->options.slack_ms = or_default(options->slack_ms, SLACK_MS);
    all->rng.state = (uint64_t)sctd_wall_ms() ^ (uint64_t)getpid() << 32U;
    (void)uv_timer_init(options->loop, &all->timer);
    (void)uv_timer_init(options->loop, &all->drain);
    all->timer.data = all->drain.data = all;
    all->open_handles = 2;
    int r = deliver_set_config(all, config, err);
    if (r < 0) {
        deliver_free(all);
        return r;
    }
    *ret_deliver = all;
    return 0;
}

void deliver_kick(struct deliver *deliver)
{
    kick(deliver);
}

/* The report came over another association: the sender need not wait for it on its own. */
static void spare_waiting(struct lane *lane, const char *transaction_uid)
{
    if (lane->child != NULL && lane->has_asked && !lane->has_ended &&
        strcmp(lane->message.send.transaction_uid, transaction_uid) == 0) {
        child_terminate(lane->child);
    }
}

int deliver_report(struct deliver *deliver, const char *calling_ae,
                   const struct db_commitment_report *report, struct sctd_error *err)
{
    struct lane *lane = deliver->lane;
    int r = DB_NONE;
    while (lane != NULL && r == DB_NONE) {
        if (strcmp(lane->ae_title, calling_ae) == 0) {
            r = keep_report(lane, report, err);
        }
        lane = r == DB_NONE ? lane->next : lane;
    }
    if (r == 0) {
        spare_waiting(lane, report->transaction_uid);
        kick(deliver);
    }
    return r;
}

static void on_drain_timeout(uv_timer_t *timer)
{
    struct deliver *all = timer->data;
    for (struct lane *lane = all->lane; lane != NULL; lane = lane->next) {
        if (lane->child != NULL) {
            child_terminate(lane->child);
            child_set_deadline(lane->child, END_MS);
        }
    }
}

void deliver_drain(struct deliver *deliver, int grace_ms)
{
    if (deliver->is_draining) {
        (void)uv_timer_start(&deliver->drain, on_drain_timeout, (uint64_t)grace_ms, 0);
        return;
    }
    deliver->is_draining = true;
    (void)uv_timer_stop(&deliver->timer);
    (void)uv_timer_start(&deliver->drain, on_drain_timeout, (uint64_t)grace_ms, 0);
    tell_drained(deliver);
}

static void on_closed(uv_handle_t *handle)
{
    struct deliver *all = handle->data;
    all->open_handles--;
    free_if_closed(all);
}

void deliver_free(struct deliver *deliver)
{
    if (deliver == NULL || deliver->is_freed) {
        return;
    }
    deliver->is_freed = deliver->is_draining = true;
    for (struct lane *lane = deliver->lane; lane != NULL; lane = lane->next) {
        if (lane->child != NULL) {
            child_kill(lane->child);
        }
    }
    uv_close((uv_handle_t *)&deliver->timer, on_closed);
    uv_close((uv_handle_t *)&deliver->drain, on_closed);
}
