/* SPDX-License-Identifier: Apache-2.0 */
#include "server/reporter.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uv.h>

#include "db/db.h"
#include "db/promises.h"
#include "dicom/references.h"
#include "dicom/sender.h"
#include "engine/base/attr.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/base/rng.h"
#include "server/allow.h"
#include "server/child.h"
#include "server/config.h"
#include "server/instance_list.h"
#include "server/log.h"
#include "server/metrics.h"
#include "server/moment.h"
#include "server/receivers.h"
#include "server/report_address.h"
#include "server/send_messages.h"

enum {
    ACTIVE_MAX = 4, /* senders at once, one for each modality */
    START_MS = 20000,
    SLACK_MS = 15000,
    END_MS = 5000,
    SEND_MS = 1000,
    CONNECT_MS = 10000,
    ANSWER_MS = 30000,
    RETRY_MS = 2000, /* doubling */
    RETRY_MAX_MS = 900000,
    HORIZON_MS = 86400000,
};

/* A report that is to be told. */
struct owed {
    struct reporter *all;
    struct owed *next;
    struct db_promise promise;
    int64_t due_ms, until_ms; /* lease clock */
    int tries;
    int64_t tried_ms;    /* wall clock; 0: not yet */
    struct child *child; /* NULL: none */
    struct send_message message;
    int list_fd; /* -1: none, or handed over */
    bool is_over, is_heard;
    char reason[SEND_REASON_SIZE]; /* of the last failure */
};

struct reporter {
    struct reporter_options options;
    struct reporter_hooks hooks;
    const struct config *config;
    const struct allow_rule *allow;
    uv_timer_t timer;
    bool is_draining, is_drained, is_freed, is_closed;
    struct sctd_rng rng;
    struct owed *first;
};

static void kick(struct reporter *all);

static void bear(struct reporter *all, const struct sctd_error *err)
{
    LOG_ERROR("job-store", log_text("reason", err->text));
    if (db_is_failed(all->options.db)) {
        all->hooks.failed(all->hooks.arg, err->text);
    }
}

static void log_owed(enum log_level level, const struct owed *owed, const char *result,
                     const char *reason)
{
    LOG(level, "storage-commitment-report", log_text("calling_ae", owed->promise.calling_ae),
        log_text("transaction_uid", owed->promise.transaction_uid),
        log_number("instances", owed->promise.instances), log_number("attempt", owed->tries),
        log_text("result", result), log_text("reason", reason));
}

/* The end of an attempt */

static void close_list(struct owed *owed)
{
    if (owed->list_fd >= 0) {
        (void)close(owed->list_fd);
        owed->list_fd = -1;
    }
}

static void drop(struct owed *owed)
{
    struct owed **at = &owed->all->first;
    while (*at != owed) {
        at = &(*at)->next;
    }
    *at = owed->next;
    free(owed);
}

static void end_promise(struct owed *owed)
{
    struct sctd_error err = {.code = SCTD_OK};
    if (db_promise_end(owed->all->options.db, owed->promise.id, &err) < 0) {
        bear(owed->all, &err); /* it is told once more after the next start, which is harmless */
    }
    drop(owed);
}

/* Full jitter above a half: two modalities that were down together do not come together. */
static int64_t delay_ms(struct reporter *all, int tries)
{
    const int shift = tries < 10 ? tries : 10;
    const int64_t most = (int64_t)RETRY_MS << (shift > 0 ? shift - 1 : 0);
    const int64_t half_ms = (most < RETRY_MAX_MS ? most : RETRY_MAX_MS) / 2;
    return half_ms + (int64_t)((float)half_ms * sctd_rng_uniform(&all->rng));
}

static void try_later(struct owed *owed)
{
    const int64_t now_ms = sctd_boot_ms();
    if (owed->all->is_draining) {
        return;
    }
    if (now_ms >= owed->until_ms) {
        log_owed(LOG_LEVEL_ERROR, owed, "given up: the modality has to ask again", owed->reason);
        metrics_report(owed->all->options.metrics, METRICS_REPORT_GIVEN_UP);
        end_promise(owed);
        return;
    }
    log_owed(LOG_LEVEL_WARNING, owed, "again later", owed->reason);
    owed->due_ms = now_ms + delay_ms(owed->all, owed->tries);
}

static void free_if_closed(struct reporter *all)
{
    for (const struct owed *owed = all->first; owed != NULL; owed = owed->next) {
        if (owed->child != NULL) {
            return;
        }
    }
    if (all->is_freed && all->is_closed) {
        while (all->first != NULL) {
            drop(all->first);
        }
        free(all);
    }
}

static void tell_drained(struct reporter *all)
{
    bool is_any = false;
    for (const struct owed *owed = all->first; owed != NULL; owed = owed->next) {
        is_any = is_any || owed->child != NULL;
    }
    if (all->is_draining && !is_any && !all->is_freed && !all->is_drained) {
        all->is_drained = true;
        all->hooks.drained(all->hooks.arg);
    }
}

static void on_ended(void *arg, int status)
{
    struct owed *owed = arg;
    struct reporter *all = owed->all;
    owed->child = NULL;
    close_list(owed);
    if (owed->is_heard) {
        log_owed(LOG_LEVEL_INFO, owed, "heard", "");
        metrics_report(all->options.metrics, METRICS_REPORT_HEARD_LATER);
        end_promise(owed);
    } else {
        if (!owed->is_over) {
            (void)snprintf(owed->reason, sizeof owed->reason,
                           "the sender died or hung (wait status %d)", status);
        }
        try_later(owed);
    }
    tell_drained(all);
    kick(all);
    free_if_closed(all);
}

static bool on_message(void *arg, const struct json *json)
{
    struct owed *owed = arg;
    struct sctd_error err = {.code = SCTD_OK};
    struct send_message message;
    const struct reporter_options *o = &owed->all->options;
    if (send_messages_read(&message, json, &err) < 0 || owed->is_over) {
        return false;
    }
    if (message.type == SEND_READY && owed->list_fd >= 0) {
        child_set_deadline(owed->child, o->connect_ms + 2 * o->answer_ms + SLACK_MS);
        const int r = send_messages_send(child_get_fd(owed->child), &owed->message, owed->list_fd,
                                         SEND_MS, &err);
        close_list(owed);
        return r == 0;
    }
    if (message.type != SEND_END || owed->list_fd >= 0) {
        return false;
    }
    owed->is_over = true;
    owed->is_heard = message.end.end == DICOM_SENDER_STORED;
    (void)snprintf(owed->reason, sizeof owed->reason, "%s", message.end.reason);
    child_set_deadline(owed->child, END_MS);
    return true;
}

/* The start of an attempt */

static int list_instances(struct owed *owed, struct sctd_error *err)
{
    sctd_auto(db_promised_list_fini) struct db_promised_list promised = {.n = 0};
    sctd_auto(dicom_references_fini) struct dicom_references list = {.n = 0};
    int r = db_promise_instances(owed->all->options.db, owed->promise.id, &promised, err);
    if (r != 0) {
        return r < 0 ? r : sctd_error(err, SCTD_EDATA, "the job store has no instances of it");
    }
    list.item = calloc(promised.n, sizeof *list.item);
    if (list.item == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "%zu instances", promised.n);
    }
    list.n = list.capacity = promised.n;
    for (size_t i = 0; i < promised.n; i++) {
        const struct db_promised *from = &promised.instance[i];
        struct dicom_reference *to = &list.item[i];
        to->reason = from->reason;
        memcpy(to->sop_class_uid, from->sop_class_uid, sizeof to->sop_class_uid);
        memcpy(to->sop_instance_uid, from->sop_uid, sizeof to->sop_instance_uid);
    }
    owed->message.send.promised = (int32_t)list.n;
    return instance_list_new(&owed->list_fd, &list, err);
}

static int prepare(struct owed *owed, struct sctd_error *err)
{
    const struct reporter *all = owed->all;
    const struct reporter_options *o = &all->options;
    struct report_address address;
    if (report_address_find(&address, all->config, all->allow, owed->promise.calling_ae,
                            owed->promise.peer) != 0) {
        return sctd_error(err, SCTD_EDATA, "the configuration has no report_port for it any more");
    }
    owed->message = (struct send_message){.type = SEND_SEND};
    struct send_send *send = &owed->message.send;
    (void)snprintf(send->host, sizeof send->host, "%s", address.host);
    (void)snprintf(send->calling_ae, sizeof send->calling_ae, "%s", o->ae_title);
    (void)snprintf(send->called_ae, sizeof send->called_ae, "%s", owed->promise.calling_ae);
    (void)snprintf(send->transaction_uid, sizeof send->transaction_uid, "%s",
                   owed->promise.transaction_uid);
    send->port = address.port;
    send->connect_ms = o->connect_ms;
    send->answer_ms = o->answer_ms;
    return list_instances(owed, err);
}

static void begin(struct owed *owed)
{
    const struct reporter_options *o = &owed->all->options;
    const struct child_options options = {
        .loop = o->loop, .program = o->program, .command = "send"};
    const struct child_hooks hooks = {.arg = owed, .message = on_message, .ended = on_ended};
    struct sctd_error err = {.code = SCTD_OK};
    owed->is_over = owed->is_heard = false;
    owed->tries++;
    owed->tried_ms = sctd_wall_ms();
    int r = prepare(owed, &err);
    r = r < 0 ? r : child_start(&owed->child, &options, &hooks, &err);
    if (r < 0) {
        (void)snprintf(owed->reason, sizeof owed->reason, "%s", err.text);
        close_list(owed);
        try_later(owed);
        return;
    }
    child_set_deadline(owed->child, START_MS);
}

/* Whether another one may begin, and with this modality. */
static bool may_begin(const struct reporter *all, const struct owed *owed)
{
    const char *const ae = owed->promise.calling_ae;
    int active = 0;
    bool is_same = false;
    for (const struct owed *one = all->first; one != NULL; one = one->next) {
        active += one->child != NULL ? 1 : 0;
        is_same = is_same || (one->child != NULL && strcmp(one->promise.calling_ae, ae) == 0);
    }
    return active < ACTIVE_MAX && !is_same;
}

static void on_timer(uv_timer_t *timer)
{
    kick(timer->data);
}

/* Begin what is due, and wake up for what will be: what waits for another's end is looked at then. */
static void kick(struct reporter *all)
{
    const int64_t now_ms = sctd_boot_ms();
    int64_t next_ms = INT64_MAX;
    if (all->is_draining) {
        return;
    }
    for (struct owed *owed = all->first; owed != NULL;) {
        struct owed *next = owed->next; /* one that is given up goes */
        if (owed->child == NULL && owed->due_ms <= now_ms && may_begin(all, owed)) {
            begin(owed);
        }
        owed = next;
    }
    for (const struct owed *owed = all->first; owed != NULL; owed = owed->next) {
        if (owed->child == NULL && owed->due_ms > now_ms && owed->due_ms < next_ms) {
            next_ms = owed->due_ms;
        }
    }
    if (next_ms == INT64_MAX) {
        (void)uv_timer_stop(&all->timer);
    } else {
        (void)uv_timer_start(&all->timer, on_timer, (uint64_t)(next_ms - now_ms), 0);
    }
}

/* What is owed */

static int add(struct reporter *all, const struct db_promise *promise, struct sctd_error *err)
{
    struct owed *owed = calloc(1, sizeof *owed);
    if (owed == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "a report");
    }
    struct owed **at = &all->first;
    while (*at != NULL) {
        at = &(*at)->next;
    }
    owed->all = all;
    owed->promise = *promise;
    owed->list_fd = -1;
    owed->due_ms = sctd_boot_ms();
    owed->until_ms = owed->due_ms + HORIZON_MS;
    *at = owed;
    return 0;
}

static struct owed *find_same(const struct reporter *all, const struct db_promise *promise)
{
    struct owed *owed = all->first;
    while (owed != NULL && (strcmp(owed->promise.calling_ae, promise->calling_ae) != 0 ||
                            strcmp(owed->promise.transaction_uid, promise->transaction_uid) != 0)) {
        owed = owed->next;
    }
    return owed;
}

/* The store has forgotten the earlier one. */
static void forget_same(struct reporter *all, const struct db_promise *promise)
{
    struct owed *owed = find_same(all, promise);
    if (owed != NULL && owed->child == NULL) {
        drop(owed);
    } else if (owed != NULL) {
        owed->until_ms = 0; /* this attempt is its last */
    }
}

static int keep(struct reporter *all, const struct receivers_commitment *commitment,
                struct sctd_error *err)
{
    const struct db_now at = moment_now();
    struct db_promise promise = {.instances = (int32_t)commitment->n};
    struct db_promised *instances = calloc(commitment->n + 1, sizeof *instances);
    if (instances == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "a report");
    }
    (void)snprintf(promise.transaction_uid, sizeof promise.transaction_uid, "%s",
                   commitment->transaction_uid);
    (void)snprintf(promise.calling_ae, sizeof promise.calling_ae, "%s",
                   commitment->association.serve->calling_ae);
    (void)snprintf(promise.peer, sizeof promise.peer, "%s", commitment->association.serve->peer);
    for (size_t i = 0; i < commitment->n; i++) {
        const struct dicom_reference *from = &commitment->instance[i];
        instances[i].reason = from->reason;
        memcpy(instances[i].sop_class_uid, from->sop_class_uid, sizeof instances[i].sop_class_uid);
        memcpy(instances[i].sop_uid, from->sop_instance_uid, sizeof instances[i].sop_uid);
    }
    int r = db_promise_keep(all->options.db, &at, &promise, instances, &promise.id, err);
    free(instances);
    if (r == DB_REFUSED) {
        return sctd_error(err, SCTD_EIO, "too many reports wait for modalities that are down");
    }
    if (r == 0) {
        forget_same(all, &promise);
        r = add(all, &promise, err);
    }
    return r;
}

static void lose(const struct reporter *all, const struct receivers_commitment *commitment,
                 const char *reason)
{
    metrics_report(all->options.metrics, METRICS_REPORT_LOST);
    LOG_WARNING("storage-commitment-unreported",
                log_text("calling_ae", commitment->association.serve->calling_ae),
                log_text("transaction_uid", commitment->transaction_uid),
                log_text("reason", reason),
                log_text("effect", "the modality ended its association before the report: it has "
                                   "to ask again"));
}

void reporter_take(struct reporter *reporter, const struct receivers_commitment *commitment)
{
    const struct receive_serve *who = commitment->association.serve;
    struct report_address address;
    struct sctd_error err = {.code = SCTD_OK};
    if (report_address_find(&address, reporter->config, reporter->allow, who->calling_ae,
                            who->peer) != 0) {
        lose(reporter, commitment, "no address to report to: set report_port of its peers entry");
        return;
    }
    if (keep(reporter, commitment, &err) < 0) {
        lose(reporter, commitment, err.text);
        if (db_is_failed(reporter->options.db)) {
            reporter->hooks.failed(reporter->hooks.arg, err.text);
        }
        return;
    }
    kick(reporter);
}

void reporter_get_trial(const struct reporter *reporter, const char *calling_ae,
                        struct reporter_trial *ret_trial)
{
    *ret_trial = (struct reporter_trial){.reason = ""};
    for (const struct owed *owed = reporter->first; owed != NULL; owed = owed->next) {
        if (owed->tries > ret_trial->tries && strcmp(owed->promise.calling_ae, calling_ae) == 0) {
            *ret_trial = (struct reporter_trial){.tries = owed->tries,
                                                 .tried_ms = owed->tried_ms,
                                                 .due_ms = owed->due_ms,
                                                 .reason = owed->reason};
        }
    }
}

/* Beginning and end */

void reporter_set_config(struct reporter *reporter, const struct config *config,
                         const struct allow_rule *allow)
{
    reporter->config = config;
    reporter->allow = allow;
    for (struct owed *owed = reporter->first; owed != NULL; owed = owed->next) {
        owed->due_ms = 0;
    }
    kick(reporter);
}

static int load(struct reporter *all, struct sctd_error *err)
{
    sctd_auto(db_promise_page_fini) struct db_promise_page list = {.n = 0};
    int r = db_promise_list(all->options.db, &list, err);
    for (size_t i = 0; r == 0 && i < list.n; i++) {
        r = add(all, &list.promise[i], err);
    }
    return r;
}

int reporter_new(struct reporter **ret_reporter, const struct reporter_options *options,
                 const struct config *config, const struct allow_rule *allow,
                 const struct reporter_hooks *hooks, struct sctd_error *err)
{
    struct reporter *all = calloc(1, sizeof *all);
    if (all == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "reports");
    }
    all->options = *options;
    all->hooks = *hooks;
    all->options.connect_ms = options->connect_ms > 0 ? options->connect_ms : CONNECT_MS;
    all->options.answer_ms = options->answer_ms > 0 ? options->answer_ms : ANSWER_MS;
    all->config = config;
    all->allow = allow;
    all->rng.state = (uint64_t)sctd_wall_ms() ^ (uint64_t)getpid() << 32U;
    (void)uv_timer_init(options->loop, &all->timer);
    all->timer.data = all;
    int r = load(all, err);
    if (r < 0) {
        reporter_free(all);
        return r;
    }
    kick(all);
    *ret_reporter = all;
    return 0;
}

void reporter_drain(struct reporter *reporter)
{
    if (reporter->is_draining) {
        return;
    }
    reporter->is_draining = true;
    (void)uv_timer_stop(&reporter->timer);
    for (struct owed *owed = reporter->first; owed != NULL; owed = owed->next) {
        if (owed->child != NULL) {
            child_terminate(owed->child);
            child_set_deadline(owed->child, END_MS);
        }
    }
    tell_drained(reporter);
}

static void on_closed(uv_handle_t *handle)
{
    struct reporter *all = handle->data;
    all->is_closed = true;
    free_if_closed(all);
}

void reporter_free(struct reporter *reporter)
{
    if (reporter == NULL || reporter->is_freed) {
        return;
    }
    reporter->is_freed = reporter->is_draining = true;
    for (struct owed *owed = reporter->first; owed != NULL; owed = owed->next) {
        if (owed->child != NULL) {
            child_kill(owed->child);
        }
    }
    uv_close((uv_handle_t *)&reporter->timer, on_closed);
}
