/* SPDX-License-Identifier: Apache-2.0 */
#include "server/receivers.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <uv.h>

#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/frame.h"
#include "server/receive_messages.h"

enum {
    BATCH_MAX = 256,
    START_MS = 20000, /* from exec to ready */
    TERM_MS = 10000,  /* from the request to end to the end */
    EXIT_MS = 5000,   /* from its last word to its exit */
    CHILD_FD = 3,
};

enum state {
    STARTING, /* not ready yet; may have a connection assigned */
    SPARE,    /* ready, without a connection */
    SERVING,
    CLOSING, /* its handles are being closed */
};

struct receiver {
    struct receivers *all;
    struct receiver *next;
    uv_process_t process;
    uv_poll_t poll;
    uv_timer_t timer; /* that it starts and exits in time */
    struct frame_reader reader;
    int fd;         /* our end of the socket */
    int connection; /* to be handed over; -1: none */
    int open_handles;
    enum state state;
    bool has_exited, has_end, waits; /* waits: it asked to keep an instance */
    int status;
    struct receivers_association association;
    struct receive_serve serve;
    struct receive_keep keep;
    struct receive_end end;
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

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
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

static void on_closed(uv_handle_t *handle)
{
    struct receiver *r = handle->data;
    struct receivers *all = r->all;
    if (--r->open_handles > 0) {
        return;
    }
    unlink_receiver(r);
    frame_reader_fini(&r->reader);
    close_fd(&r->fd);
    close_fd(&r->connection);
    free(r);
    if (all->is_draining && all->n == 0 && all->hooks.drained != NULL && !all->is_freed) {
        all->hooks.drained(all->hooks.arg);
    }
    free_if_closed(all);
}

/* The process has ended and all that it sent is read. */
static void finish(struct receiver *r)
{
    if (r->state == CLOSING) {
        return;
    }
    struct receivers *all = r->all;
    const bool served = r->association.id > 0;
    r->state = CLOSING;
    (void)uv_poll_stop(&r->poll);
    if (served && all->hooks.ended != NULL) {
        all->hooks.ended(all->hooks.arg, &r->association, r->has_end ? &r->end : NULL, r->status);
    }
    uv_close((uv_handle_t *)&r->poll, on_closed);
    uv_close((uv_handle_t *)&r->timer, on_closed);
    uv_close((uv_handle_t *)&r->process, on_closed);
}

static void kill_receiver(struct receiver *r)
{
    (void)uv_poll_stop(&r->poll);
    if (!r->has_exited) {
        (void)uv_process_kill(&r->process, SIGKILL);
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
    const int sent = receive_messages_send(r->fd, &message, r->connection, 0, &err);
    close_fd(&r->connection);
    r->state = SERVING;
    if (sent < 0) {
        kill_receiver(r);
    }
}

static void on_ready(struct receiver *r)
{
    (void)uv_timer_stop(&r->timer);
    if (r->connection >= 0) {
        hand_over(r);
    } else {
        r->state = SPARE;
    }
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
    if (message->type != RECEIVE_KEEP || r->state != SERVING || r->waits || r->has_end ||
        all->n_batch == BATCH_MAX) {
        return false;
    }
    r->keep = message->keep;
    r->waits = true;
    all->batch[all->n_batch++] = r;
    return true;
}

enum reading { READ_ALL, READ_END, READ_NONSENSE };

/* Read what has come. */
static enum reading read_messages(struct receiver *r)
{
    for (;;) {
        struct sctd_error err = {.code = SCTD_OK};
        sctd_auto(json_freep) struct json *json = NULL;
        struct receive_message message;
        int status = frame_next(&r->reader, &json, &err);
        if (status == FRAME_MORE || status == FRAME_END) {
            return status == FRAME_MORE ? READ_ALL : READ_END;
        }
        if (status == 0) {
            status = receive_messages_read(&message, json, &err);
        }
        if (status != 0 || !take_message(r, &message)) {
            return READ_NONSENSE;
        }
    }
}

static void answer(struct receiver *r, const struct receive_kept *kept)
{
    struct sctd_error err = {.code = SCTD_OK};
    const struct receive_message message = {.type = RECEIVE_KEPT, .kept = *kept};
    r->waits = false;
    if (!r->has_exited && receive_messages_send(r->fd, &message, -1, 0, &err) < 0) {
        kill_receiver(r);
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

static void on_late(uv_timer_t *timer)
{
    kill_receiver(timer->data);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct receiver *r = poll->data;
    struct receivers *all = r->all;
    (void)events;
    const enum reading reading = status < 0 ? READ_NONSENSE : read_messages(r);
    if (reading == READ_NONSENSE) {
        kill_receiver(r);
    } else if (reading == READ_END) { /* it is about to exit */
        (void)uv_poll_stop(poll);
        (void)uv_timer_start(&r->timer, on_late, EXIT_MS, 0);
    }
    if (all->n_batch > 0) {
        (void)uv_check_start(&all->check, on_check);
    }
}

static void on_process_exit(uv_process_t *process, int64_t exit_status, int term_signal)
{
    struct receiver *r = process->data;
    struct sctd_error err = {.code = SCTD_OK};
    r->has_exited = true;
    r->status = term_signal != 0 ? term_signal : (int)(exit_status << 8);
    /* Its last words may still be in the socket; a question among them has nobody to be answered to, but
     * the instance is kept all the same. */
    (void)read_messages(r);
    if (r->all->n_batch > 0) {
        on_check(&r->all->check);
    }
    const bool is_sound =
        r->state != STARTING; /* else the next one would fail in the same way at once */
    finish(r);
    if (is_sound && !r->all->is_draining) {
        (void)fill_spares(r->all, &err);
    }
}

/* The child's end goes to it as file descriptor 3. */
static int spawn(struct receiver *r, int child_fd, struct sctd_error *err)
{
    char name[] = "sctd";
    char command[] = "receive";
    char *args[] = {name, command, NULL};
    uv_stdio_container_t stdio[] = {
        {.flags = UV_IGNORE},
        {.flags = UV_IGNORE},
        {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
        {.flags = UV_INHERIT_FD, .data.fd = child_fd},
    };
    uv_process_options_t options = {.exit_cb = on_process_exit,
                                    .file = r->all->options.program,
                                    .args = args,
                                    .stdio_count = CHILD_FD + 1,
                                    .stdio = stdio};
    const int status = uv_spawn(r->all->options.loop, &r->process, &options);
    return status == 0 ? 0
                       : sctd_error(err, SCTD_EIO, "%.100s: %s", options.file, uv_strerror(status));
}

/* The timer and the poll are there; the process handle is closed even if it was not started. */
static int start(struct receiver *r, struct sctd_error *err)
{
    int pair[2];
    struct receivers *all = r->all;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        return sctd_error(err, SCTD_EIO, "socket pair: %s", sctd_errno_text());
    }
    r->fd = pair[0];
    frame_reader_init(&r->reader, r->fd);
    (void)uv_timer_init(all->options.loop, &r->timer);
    (void)uv_poll_init(all->options.loop, &r->poll, r->fd);
    r->process.data = r->poll.data = r->timer.data = r;
    r->open_handles = 3;
    r->next = all->first;
    all->first = r;
    all->n++;
    const int status = spawn(r, pair[1], err);
    (void)close(pair[1]);
    if (status < 0) {
        r->has_exited = true;
        finish(r);
        return status;
    }
    (void)uv_timer_start(&r->timer, on_late, START_MS, 0);
    (void)uv_poll_start(&r->poll, UV_READABLE, on_readable);
    return 0;
}

static int new_receiver(struct receivers *all, struct receiver **ret_receiver,
                        struct sctd_error *err)
{
    struct receiver *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "a receiver");
    }
    r->all = all;
    r->fd = r->connection = -1;
    int status = start(r, err);
    if (status < 0) {
        if (r->open_handles == 0) {
            free(r);
        }
        return status;
    }
    *ret_receiver = r;
    return 0;
}

static bool is_free(const struct receiver *r)
{
    return (r->state == STARTING || r->state == SPARE) && r->association.id == 0 && !r->has_exited;
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
        n += r->association.id > 0 && r->state != CLOSING ? 1 : 0;
    }
    return n;
}

int receivers_count_peer(const struct receivers *receivers, const char *peer)
{
    int n = 0;
    for (const struct receiver *r = receivers->first; r != NULL; r = r->next) {
        n += r->association.id > 0 && r->state != CLOSING && strcmp(r->serve.peer, peer) == 0 ? 1
                                                                                              : 0;
    }
    return n;
}

static void on_drain_timeout(uv_timer_t *timer)
{
    struct receivers *all = timer->data;
    const int number = all->is_terminating ? SIGKILL : SIGTERM;
    for (struct receiver *r = all->first; r != NULL; r = r->next) {
        if (!r->has_exited) {
            (void)uv_process_kill(&r->process, number);
        }
    }
    all->is_terminating = true;
    (void)uv_timer_start(timer, on_drain_timeout, TERM_MS, 0);
}

void receivers_drain(struct receivers *receivers, int grace_ms)
{
    if (receivers->is_draining) {
        return;
    }
    receivers->is_draining = true;
    for (struct receiver *r = receivers->first; r != NULL; r = r->next) {
        if (is_free(r)) {
            kill_receiver(r);
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
        kill_receiver(r);
    }
    uv_close((uv_handle_t *)&receivers->check, on_own_closed);
    uv_close((uv_handle_t *)&receivers->drain, on_own_closed);
}
