/* SPDX-License-Identifier: Apache-2.0 */
#include "server/receivers.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uv.h>

#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/child.h"
#include "server/receive_messages.h"
#include "server/receivers_answer.h"

enum {
    BATCH_MAX = 256,
    START_MS = 20000, /* from exec to ready */
    TERM_MS = 10000,  /* from the request to end to the end */
};

enum state {
    STARTING, /* not ready yet; may have a connection assigned */
    SPARE,    /* ready, without a connection */
    SERVING,
};

struct receiver {
    struct receivers *all;
    struct receiver *next;
    struct child *child; /* NULL: it has ended */
    int connection;      /* to be handed over; -1: none */
    enum state state;
    bool has_end, waits; /* waits: it asked to keep an instance */
    struct receivers_association association;
    struct receive_serve serve;
    struct receive_keep keep;
    struct receive_end end;
    struct receivers_promises promises;
};

struct receivers {
    struct receivers_options options;
    struct receivers_hooks hooks;
    struct receiver *first;
    int n; /* processes */
    int64_t associations;
    uv_check_t check; /* keeps what was asked for in this turn */
    uv_timer_t drain; /* asks to end, then kills */
    bool is_draining, is_terminating, is_freed;
    int open_handles;
    struct receiver *batch[BATCH_MAX];
    size_t n_batch;
    struct receivers_keep questions[BATCH_MAX];
    struct receive_kept answers[BATCH_MAX];
};

static int fill_spares(struct receivers *all, struct sctd_error *err);

static void free_if_closed(struct receivers *all)
{
    if (all->is_freed && all->open_handles == 0 && all->first == NULL) {
        free(all);
    }
}

static void unlink_receiver(struct receiver *r)
{
    struct receiver **at = &r->all->first;
    while (*at != r) {
        at = &(*at)->next;
    }
    *at = r->next;
    r->all->n--;
}

static void close_connection(struct receiver *r)
{
    if (r->connection >= 0) {
        (void)close(r->connection);
        r->connection = -1;
    }
}

static void fail(struct receivers *all, const char *reason)
{
    if (all->hooks.failed != NULL) {
        all->hooks.failed(all->hooks.arg, reason);
    }
}

/* Give the process its connection.  It is ready. */
static void hand_over(struct receiver *r)
{
    struct sctd_error err = {.code = SCTD_OK};
    const struct receive_message message = {.type = RECEIVE_SERVE, .serve = r->serve};
    const int sent =
        receive_messages_send(child_get_fd(r->child), &message, r->connection, 0, &err);
    close_connection(r);
    r->state = SERVING;
    if (sent < 0) {
        child_kill(r->child);
    }
}

static void on_ready(struct receiver *r)
{
    child_set_deadline(r->child, -1);
    if (r->connection >= 0) {
        hand_over(r);
    } else {
        r->state = SPARE;
    }
}

/* What a peer says about instances.  False: nonsense. */
static bool answer_peer(struct receiver *r, const struct receive_message *message)
{
    struct receivers *all = r->all;
    struct sctd_error err = {.code = SCTD_OK};
    struct sctd_error unsent = {.code = SCTD_OK};
    struct receive_message reply = {.type = RECEIVE_ANSWERED};
    const int status = receivers_answer(&r->promises, &r->association, message,
                                        child_take_passed(r->child), &reply.answered, &err);
    if (status < 0) {
        fail(all, err.text);
    }
    return status != RECEIVERS_ANSWER_NONSENSE &&
           receive_messages_send(child_get_fd(r->child), &reply, -1, 0, &unsent) == 0;
}

/* One that does not answer as it should is not to be trusted with anything. */
static bool take_message(struct receiver *r, const struct receive_message *message)
{
    struct receivers *all = r->all;
    if (message->type == RECEIVE_READY && r->state == STARTING) {
        on_ready(r);
        return true;
    }
    if (message->type == RECEIVE_END && r->state == SERVING && !r->has_end) {
        r->end = message->end;
        r->has_end = true;
        if (r->end.spool_failed) {
            fail(all, "a receiver could not sync the spool");
        }
        return true;
    }
    if (receivers_answer_takes(message->type) && r->state == SERVING && !r->waits && !r->has_end) {
        return answer_peer(r, message);
    }
    if (message->type != RECEIVE_KEEP || r->state != SERVING || r->waits || r->has_end ||
        all->n_batch == BATCH_MAX) {
        return false;
    }
    r->keep = message->keep;
    r->waits = true;
    all->batch[all->n_batch++] = r;
    return true;
}

static void answer(struct receiver *r, const struct receive_kept *kept)
{
    struct sctd_error err = {.code = SCTD_OK};
    const struct receive_message message = {.type = RECEIVE_KEPT, .kept = *kept};
    r->waits = false;
    if (r->child != NULL &&
        receive_messages_send(child_get_fd(r->child), &message, -1, 0, &err) < 0) {
        child_kill(r->child);
    }
}

static void on_check(uv_check_t *check)
{
    struct receivers *all = check->data;
    struct sctd_error err = {.code = SCTD_OK};
    const size_t n = all->n_batch;
    (void)uv_check_stop(check);
    all->n_batch = 0;
    for (size_t i = 0; i < n; i++) {
        all->questions[i] = (struct receivers_keep){.association = all->batch[i]->association,
                                                    .instance = &all->batch[i]->keep};
    }
    const int r = all->hooks.keep(all->hooks.arg, all->questions, n, all->answers, &err);
    for (size_t i = 0; i < n; i++) {
        if (r < 0) {
            all->answers[i] = (struct receive_kept){.outcome = RECEIVE_FAILED};
        }
        answer(all->batch[i], &all->answers[i]);
    }
    if (r < 0) {
        fail(all, err.text);
    }
}

static bool on_message(void *arg, const struct json *json)
{
    struct receiver *r = arg;
    struct sctd_error err = {.code = SCTD_OK};
    struct receive_message message;
    const bool is_sound =
        receive_messages_read(&message, json, &err) == 0 && take_message(r, &message);
    if (r->all->n_batch > 0) {
        (void)uv_check_start(&r->all->check, on_check);
    }
    return is_sound;
}

static void on_ended(void *arg, int status)
{
    struct receiver *r = arg;
    struct receivers *all = r->all;
    struct sctd_error err = {.code = SCTD_OK};
    r->child = NULL;
    /* A question among its last words has nobody to be answered to, but the instance is kept all the same. */
    if (all->n_batch > 0) {
        on_check(&all->check);
    }
    const bool is_sound =
        r->state != STARTING; /* else the next one would fail in the same way at once */
    receivers_answer_end(&r->promises, &r->association);
    if (r->association.id > 0 && all->hooks.ended != NULL) {
        all->hooks.ended(all->hooks.arg, &r->association, r->has_end ? &r->end : NULL, status);
    }
    unlink_receiver(r);
    close_connection(r);
    free(r);
    if (is_sound && !all->is_draining) {
        (void)fill_spares(all, &err);
    }
    if (all->is_draining && all->n == 0 && all->hooks.drained != NULL && !all->is_freed) {
        all->hooks.drained(all->hooks.arg);
    }
    free_if_closed(all);
}

static int new_receiver(struct receivers *all, struct receiver **ret_receiver,
                        struct sctd_error *err)
{
    struct receiver *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "a receiver");
    }
    r->all = all;
    r->connection = -1;
    r->promises.hooks = &all->hooks;
    const struct child_options options = {
        .loop = all->options.loop, .program = all->options.program, .command = "receive"};
    const struct child_hooks hooks = {.arg = r, .message = on_message, .ended = on_ended};
    const int status = child_start(&r->child, &options, &hooks, err);
    if (status < 0) {
        free(r);
        return status;
    }
    child_set_deadline(r->child, START_MS);
    r->next = all->first;
    all->first = r;
    all->n++;
    *ret_receiver = r;
    return 0;
}

static bool is_free(const struct receiver *r)
{
    return (r->state == STARTING || r->state == SPARE) && r->association.id == 0 &&
           r->child != NULL;
}

static int fill_spares(struct receivers *all, struct sctd_error *err)
{
    int n = 0;
    for (const struct receiver *r = all->first; r != NULL; r = r->next) {
        n += is_free(r) ? 1 : 0;
    }
    int status = 0;
    for (; status == 0 && n < all->options.spares; n++) {
        struct receiver *r = NULL;
        status = new_receiver(all, &r, err);
    }
    return status;
}

/* A ready one before one that is starting; NULL: none. */
static struct receiver *find_free(const struct receivers *all)
{
    struct receiver *best = NULL;
    for (struct receiver *r = all->first; r != NULL; r = r->next) {
        if (is_free(r) && (best == NULL || r->state == SPARE)) {
            best = r;
        }
    }
    return best;
}

int receivers_new(struct receivers **ret_receivers, const struct receivers_options *options,
                  const struct receivers_hooks *hooks, struct sctd_error *err)
{
    struct receivers *all = calloc(1, sizeof *all);
    if (all == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "receivers");
    }
    all->options = *options;
    all->hooks = *hooks;
    (void)uv_check_init(options->loop, &all->check);
    (void)uv_timer_init(options->loop, &all->drain);
    all->check.data = all->drain.data = all;
    all->open_handles = 2;
    int r = fill_spares(all, err);
    if (r < 0) {
        receivers_free(all);
        return r;
    }
    *ret_receivers = all;
    return 0;
}

int receivers_serve(struct receivers *receivers, int fd, const struct receive_serve *serve,
                    struct sctd_error *err)
{
    struct sctd_error later = {.code = SCTD_OK};
    struct receiver *r = find_free(receivers);
    int status = r != NULL ? 0 : new_receiver(receivers, &r, err);
    if (status < 0) {
        (void)close(fd);
        return status;
    }
    r->connection = fd;
    r->serve = *serve;
    r->association =
        (struct receivers_association){.id = ++receivers->associations, .serve = &r->serve};
    if (receivers->hooks.opened != NULL) {
        receivers->hooks.opened(receivers->hooks.arg, &r->association);
    }
    if (r->state == SPARE) {
        hand_over(r);
    }
    (void)fill_spares(receivers, &later); /* the next association tries again */
    return 0;
}

int receivers_count(const struct receivers *receivers)
{
    int n = 0;
    for (const struct receiver *r = receivers->first; r != NULL; r = r->next) {
        n += r->association.id > 0 ? 1 : 0;
    }
    return n;
}

int receivers_count_peer(const struct receivers *receivers, const char *peer)
{
    int n = 0;
    for (const struct receiver *r = receivers->first; r != NULL; r = r->next) {
        n += r->association.id > 0 && strcmp(r->serve.peer, peer) == 0 ? 1 : 0;
    }
    return n;
}

static void on_drain_timeout(uv_timer_t *timer)
{
    struct receivers *all = timer->data;
    for (struct receiver *r = all->first; r != NULL; r = r->next) {
        if (all->is_terminating) {
            child_kill(r->child);
        } else {
            child_terminate(r->child);
        }
    }
    all->is_terminating = true;
    (void)uv_timer_start(timer, on_drain_timeout, TERM_MS, 0);
}

void receivers_drain(struct receivers *receivers, int grace_ms)
{
    if (receivers->is_draining) {
        (void)uv_timer_start(&receivers->drain, on_drain_timeout, (uint64_t)grace_ms, 0);
        return;
    }
    receivers->is_draining = true;
    for (struct receiver *r = receivers->first; r != NULL; r = r->next) {
        if (is_free(r)) {
            child_kill(r->child);
        }
    }
    (void)uv_timer_start(&receivers->drain, on_drain_timeout, (uint64_t)grace_ms, 0);
    if (receivers->n == 0 && receivers->hooks.drained != NULL) {
        receivers->hooks.drained(receivers->hooks.arg);
    }
}

static void on_own_closed(uv_handle_t *handle)
{
    struct receivers *all = handle->data;
    all->open_handles--;
    free_if_closed(all);
}

void receivers_free(struct receivers *receivers)
{
    if (receivers == NULL || receivers->is_freed) {
        return;
    }
    receivers->is_freed = true;
    receivers->is_draining = true;
    for (struct receiver *r = receivers->first; r != NULL; r = r->next) {
        child_kill(r->child);
    }
    uv_close((uv_handle_t *)&receivers->check, on_own_closed);
    uv_close((uv_handle_t *)&receivers->drain, on_own_closed);
}
