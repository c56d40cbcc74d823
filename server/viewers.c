/* SPDX-License-Identifier: Apache-2.0 */
#include "server/viewers.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uv.h>

#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/child.h"
#include "server/log.h"
#include "server/memory_file.h"
#include "server/view_messages.h"
#include "server/view_subject.h"
#include "server/worker_list.h"

enum {
    VIEWERS = 2,
    VIEWERS_MAX = 16,
    QUEUE = 64,
    QUEUE_MAX = 4096,
    IDLE_MS = 30000,
    DEADLINE_MS = 20000,
    MEMORY_MIB = 3072,
    SEND_MS = 1000,
    TENURE_MS = 3000, /* before it gives way to a subject whose request is older */
};

/* Somebody's request, from viewers_ask to `done`. */
struct ask {
    struct ask *next;
    uint64_t number; /* counted up: the smaller is the older */
    struct view_request request;
    viewers_done_fn done; /* NULL: forgotten */
    void *arg;
    bool was_tried; /* by a process that died; the second time it is answered */
};

enum state {
    STATE_WAITING,  /* has no process */
    STATE_STARTING, /* it has not said that it is ready */
    STATE_LOADING,
    STATE_IDLE,
    STATE_BUSY,   /* with the first of its requests */
    STATE_LEAVING /* was killed for want of room or work: its requests wait for another process */
};

/* A subject, its process if it has one, and what is asked about it. */
struct viewing {
    struct viewing *next;
    struct viewers *all;
    struct viewers_subject subject; /* owned */
    enum state state;
    struct child *child; /* NULL: WAITING */
    struct view_facts facts;
    struct ask *first, *last;
    int64_t loaded_ms,
        said_ms; /* when it was; when it last had something to do or said something */
};

struct viewers {
    struct viewers_options options;
    struct viewers_hooks hooks;
    uv_timer_t timer;
    bool is_draining, is_drained, is_freed, is_closed;
    struct viewing *viewings;
    int n_asks;
    uint64_t number;
};

static void on_timer(uv_timer_t *timer);

/* What is decided about processes is decided from the loop, where nobody holds on to a request. */
static void kick(struct viewers *all)
{
    if (!all->is_freed) {
        (void)uv_timer_start(&all->timer, on_timer, 0, 0);
    }
}

/* Requests */

static void push(struct viewing *v, struct ask *ask)
{
    ask->next = NULL;
    *(v->last == NULL ? &v->first : &v->last->next) = ask;
    v->last = ask;
    v->all->n_asks++;
}

static struct ask *pop(struct viewing *v)
{
    struct ask *ask = v->first;
    v->first = ask->next;
    v->last = v->first == NULL ? NULL : v->last;
    v->all->n_asks--;
    return ask;
}

/* The first request's end; `done` may ask for more. */
static void answer(struct viewing *v, const struct viewers_answer *answer)
{
    struct ask *ask = pop(v);
    if (ask->done != NULL) {
        ask->done(ask->arg, answer);
    }
    free(ask);
}

static void answer_all(struct viewing *v, enum viewers_status status, const char *reason)
{
    const struct viewers_answer a = {.status = status, .reason = reason};
    const uint64_t last = v->all->number; /* not those that come meanwhile */
    while (v->first != NULL && v->first->number <= last) {
        answer(v, &a);
    }
}

/* Viewings */

static void remove_viewing(struct viewing *v)
{
    struct viewing **at = &v->all->viewings;
    while (*at != v) {
        at = &(*at)->next;
    }
    *at = v->next;
    view_subject_fini(&v->subject);
    free(v);
}

static void free_if_closed(struct viewers *all)
{
    if (all->is_closed && all->viewings == NULL) {
        free(all);
    }
}

static void tell_drained(struct viewers *all)
{
    if (all->is_draining && all->viewings == NULL && !all->is_drained && !all->is_freed) {
        all->is_drained = true;
        all->hooks.drained(all->hooks.arg);
    }
}

/* It has gone from the list where nothing is asked of it and no process runs. */
static void tidy(struct viewers *all)
{
    for (struct viewing *v = all->viewings, *next = NULL; v != NULL; v = next) {
        next = v->next;
        if (v->state == STATE_WAITING && v->first == NULL) {
            remove_viewing(v);
        }
    }
}

static void leave(struct viewing *v)
{
    v->state = STATE_LEAVING;
    child_kill(v->child);
}

/* What a viewer says */

static void send_ask(struct viewing *v)
{
    struct sctd_error err = {.code = SCTD_OK};
    const struct view_message message = {.type = VIEW_TYPE_ASK, .ask = v->first->request};
    v->state = STATE_BUSY;
    v->said_ms = sctd_boot_ms();
    child_set_deadline(v->child, v->all->options.deadline_ms);
    if (view_messages_send(child_get_fd(v->child), &message, -1, SEND_MS, &err) < 0) {
        child_kill(v->child); /* `ended` answers */
    }
}

/* The oldest request of a subject that has no process. */
static uint64_t find_oldest(const struct viewers *all)
{
    uint64_t oldest = UINT64_MAX;
    for (const struct viewing *v = all->viewings; v != NULL; v = v->next) {
        if (v->state == STATE_WAITING && v->first != NULL && v->first->number < oldest) {
            oldest = v->first->number;
        }
    }
    return oldest;
}

static void go_on(struct viewing *v)
{
    const int64_t now_ms = sctd_boot_ms();
    while (v->first != NULL && v->first->done == NULL) {
        free(pop(v));
    }
    if (v->first != NULL && now_ms - v->loaded_ms >= TENURE_MS &&
        find_oldest(v->all) < v->first->number) {
        leave(v);
    } else if (v->first != NULL) {
        send_ask(v);
    } else {
        v->state = STATE_IDLE;
        v->said_ms = now_ms;
        child_set_deadline(v->child, -1);
        kick(v->all);
    }
}

static void send_subject(struct viewing *v)
{
    const struct viewers_options *o = &v->all->options;
    struct sctd_error err = {.code = SCTD_OK};
    struct view_message message = {.type = VIEW_TYPE_SUBJECT};
    int fd = -1;
    message.subject.memory_mib = o->memory_mib;
    (void)snprintf(message.subject.spool, sizeof message.subject.spool, "%s", o->spool);
    (void)snprintf(message.subject.results, sizeof message.subject.results, "%s", o->results);
    (void)snprintf(message.subject.parameters, sizeof message.subject.parameters, "%s",
                   v->subject.parameters);
    v->state = STATE_LOADING;
    v->said_ms = sctd_boot_ms();
    child_set_deadline(v->child, o->deadline_ms);
    int r = worker_list_write(&fd, &v->subject.list, &err);
    if (r == 0) {
        r = view_messages_send(child_get_fd(v->child), &message, fd, SEND_MS, &err);
        (void)close(fd);
    }
    if (r < 0) {
        child_kill(v->child);
    }
}

static bool on_picture(struct viewing *v, const struct view_picture *picture, int fd)
{
    struct sctd_error err = {.code = SCTD_OK};
    static const unsigned char signature[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    const size_t size = (size_t)picture->size;
    unsigned char *png = malloc(size);
    const bool is_png = png != NULL && memory_file_read_sealed(png, size, fd, &err) == 0 &&
                        size > sizeof signature && memcmp(png, signature, sizeof signature) == 0;
    if (is_png) {
        const struct viewers_answer a = {.reason = "",
                                         .png = png,
                                         .png_size = size,
                                         .width = picture->width,
                                         .height = picture->height,
                                         .facts = &v->facts};
        answer(v, &a);
    }
    free(png);
    return is_png;
}

static bool on_histogram(struct viewing *v, int fd)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct view_histogram *histogram = malloc(sizeof *histogram);
    const bool is_one = histogram != NULL &&
                        memory_file_read_sealed(histogram, sizeof *histogram, fd, &err) == 0 &&
                        histogram->bins == v->first->request.bins;
    if (is_one) {
        const struct viewers_answer a = {.reason = "", .histogram = histogram, .facts = &v->facts};
        answer(v, &a);
    }
    free(histogram);
    return is_one;
}

/* What answers the first request, if it is an answer to that. */
static bool on_answer(struct viewing *v, const struct view_message *message, int fd)
{
    const int32_t kind = v->first->request.kind;
    struct viewers_answer a = {.reason = "", .facts = &v->facts};
    if (message->type == VIEW_TYPE_PICTURE && kind == VIEW_PICTURE) {
        return on_picture(v, &message->picture, fd);
    }
    if (message->type == VIEW_TYPE_HISTOGRAM && kind == VIEW_HISTOGRAM) {
        return on_histogram(v, fd);
    }
    if (message->type == VIEW_TYPE_NO) {
        a.status = message->no.is_absent ? VIEWERS_ABSENT : VIEWERS_REFUSED;
        a.reason = message->no.reason;
    } else if (message->type != VIEW_TYPE_LOADED || kind != VIEW_FACTS) {
        return false;
    }
    answer(v, &a);
    return true;
}

static bool take(struct viewing *v, const struct view_message *message, int fd)
{
    if (v->state == STATE_STARTING && message->type == VIEW_TYPE_READY) {
        send_subject(v);
        return true;
    }
    if (v->state == STATE_LOADING && message->type == VIEW_TYPE_LOADED) {
        v->facts = message->loaded;
        v->loaded_ms = sctd_boot_ms();
        go_on(v);
        return true;
    }
    if (v->state != STATE_BUSY || !on_answer(v, message, fd)) {
        return false;
    }
    if (v->state == STATE_BUSY) { /* `done` may have ended everything */
        go_on(v);
    }
    return true;
}

static bool on_message(void *arg, const struct json *json)
{
    struct viewing *v = arg;
    struct sctd_error err = {.code = SCTD_OK};
    struct view_message message;
    const int fd = child_take_passed(v->child);
    const bool is_good = view_messages_read(&message, json, &err) == 0 && take(v, &message, fd);
    if (fd >= 0) {
        (void)close(fd);
    }
    return is_good;
}

/* Its end */

/* It has been killed for it. */
static bool was_late(const struct viewing *v, int status)
{
    const int64_t ms = sctd_boot_ms() - v->said_ms;
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && ms >= v->all->options.deadline_ms;
}

static void describe_end(const struct viewing *v, int status, char *reason, size_t size)
{
    if (was_late(v, status)) {
        (void)snprintf(reason, size, "no picture within %d s",
                       (v->all->options.deadline_ms + 999) / 1000);
    } else if (WIFSIGNALED(status)) {
        (void)snprintf(reason, size, "the process that draws pictures died: %s",
                       sigdescr_np(WTERMSIG(status)));
    } else {
        (void)snprintf(reason, size, "the process that draws pictures ended with status %d",
                       WEXITSTATUS(status));
    }
}

/* It may have died before it was asked, or by somebody's hand: then another one does it. */
static bool may_try_again(struct viewing *v, enum state was, int status)
{
    const bool may = was == STATE_BUSY && !v->first->was_tried && !was_late(v, status);
    if (may) {
        v->first->was_tried = true;
    }
    return may;
}

static void on_ended(void *arg, int status)
{
    struct viewing *v = arg;
    struct viewers *all = v->all;
    const enum state was = v->state;
    v->child = NULL;
    v->state = STATE_WAITING;
    if (all->is_draining) {
        answer_all(v, VIEWERS_UNAVAILABLE, "the daemon ends");
    } else if (was != STATE_LEAVING) {
        char reason[VIEW_REASON_SIZE];
        describe_end(v, status, reason, sizeof reason);
        LOG_WARNING("viewer-death", log_text("subject", v->subject.key),
                    log_text("reason", reason));
        if (!may_try_again(v, was, status)) {
            answer_all(v, VIEWERS_UNAVAILABLE, reason);
        }
    }
    tidy(all);
    tell_drained(all);
    kick(all);
    free_if_closed(all);
}

/* Which subjects have processes */

static int count_running(const struct viewers *all)
{
    int n = 0;
    for (const struct viewing *v = all->viewings; v != NULL; v = v->next) {
        n += v->state != STATE_WAITING ? 1 : 0;
    }
    return n;
}

static struct viewing *find_waiting(const struct viewers *all)
{
    const uint64_t oldest = find_oldest(all);
    for (struct viewing *v = all->viewings; v != NULL; v = v->next) {
        if (v->state == STATE_WAITING && v->first != NULL && v->first->number == oldest) {
            return v;
        }
    }
    return NULL;
}

static bool start(struct viewing *v)
{
    const struct viewers_options *o = &v->all->options;
    const struct child_options options = {
        .loop = o->loop, .program = o->program, .command = "view"};
    const struct child_hooks hooks = {.arg = v, .message = on_message, .ended = on_ended};
    struct sctd_error err = {.code = SCTD_OK};
    if (child_start(&v->child, &options, &hooks, &err) < 0) {
        LOG_WARNING("viewer-start", log_text("reason", err.text));
        answer_all(v, VIEWERS_UNAVAILABLE, err.text);
        return false;
    }
    v->state = STATE_STARTING;
    v->said_ms = sctd_boot_ms();
    child_set_deadline(v->child, o->deadline_ms);
    return true;
}

/* The one that has been idle for longest goes, unless one goes already. */
static void make_room(const struct viewers *all)
{
    struct viewing *idle = NULL;
    bool is_leaving = false;
    for (struct viewing *v = all->viewings; v != NULL; v = v->next) {
        is_leaving = is_leaving || v->state == STATE_LEAVING;
        if (v->state == STATE_IDLE && v->first == NULL &&
            (idle == NULL || v->said_ms < idle->said_ms)) {
            idle = v;
        }
    }
    if (!is_leaving && idle != NULL) {
        leave(idle);
    }
}

static void start_waiting(struct viewers *all)
{
    for (struct viewing *v = find_waiting(all); v != NULL; v = find_waiting(all)) {
        if (count_running(all) >= all->options.n) {
            make_room(all);
            return;
        }
        if (!start(v)) { /* whoever was answered may have asked again: not in this turn */
            kick(all);
            return;
        }
    }
}

/* Idle ones get what came for them, or end when their time is over.  The time until the next does; -1: none. */
static int64_t look_after_idle(struct viewers *all)
{
    const int64_t now_ms = sctd_boot_ms();
    int64_t next_ms = -1;
    for (struct viewing *v = all->viewings; v != NULL; v = v->next) {
        if (v->state == STATE_IDLE && v->first != NULL) {
            go_on(v);
        }
        if (v->state != STATE_IDLE) {
            continue;
        }
        const int64_t rest_ms = v->said_ms + all->options.idle_ms - now_ms;
        if (rest_ms <= 0) {
            leave(v);
        } else if (next_ms < 0 || rest_ms < next_ms) {
            next_ms = rest_ms;
        }
    }
    return next_ms;
}

static void on_timer(uv_timer_t *timer)
{
    struct viewers *all = timer->data;
    const int64_t next_ms = look_after_idle(all);
    if (!all->is_draining) {
        start_waiting(all);
    }
    tidy(all);
    if (next_ms > 0 && !uv_is_active((uv_handle_t *)timer)) {
        (void)uv_timer_start(timer, on_timer, (uint64_t)next_ms, 0);
    }
}

/* The interface */

static int32_t choose(int32_t value, int32_t otherwise)
{
    return value == 0 ? otherwise : value;
}

int viewers_new(struct viewers **ret_viewers, const struct viewers_options *options,
                const struct viewers_hooks *hooks, struct sctd_error *err)
{
    struct viewers_options o = *options;
    o.n = choose(o.n, VIEWERS);
    o.queue = choose(o.queue, QUEUE);
    o.idle_ms = choose(o.idle_ms, IDLE_MS);
    o.deadline_ms = choose(o.deadline_ms, DEADLINE_MS);
    o.memory_mib = choose(o.memory_mib, MEMORY_MIB);
    if (o.n < 1 || o.n > VIEWERS_MAX || o.queue < 1 || o.queue > QUEUE_MAX || o.idle_ms < 1 ||
        o.deadline_ms < 1 || o.memory_mib < 1) {
        return sctd_error(err, SCTD_EINVAL,
                          "viewers: 1 to %d processes and 1 to %d requests are possible",
                          VIEWERS_MAX, QUEUE_MAX);
    }
    struct viewers *all = calloc(1, sizeof *all);
    if (all == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "viewers");
    }
    all->options = o;
    all->hooks = *hooks;
    (void)uv_timer_init(o.loop, &all->timer);
    all->timer.data = all;
    *ret_viewers = all;
    return 0;
}

static int copy_texts(char ***ret_text, size_t *ret_n, char *const *text, size_t n)
{
    *ret_text = (char **)calloc(n + 1, sizeof **ret_text);
    for (*ret_n = 0; *ret_text != NULL && *ret_n < n; (*ret_n)++) {
        (*ret_text)[*ret_n] = strdup(text[*ret_n]);
        if ((*ret_text)[*ret_n] == NULL) {
            return SCTD_ENOMEM;
        }
    }
    return *ret_text == NULL ? SCTD_ENOMEM : 0;
}

static int add_viewing(struct viewing **ret_viewing, struct viewers *all,
                       const struct viewers_subject *subject, struct sctd_error *err)
{
    struct viewing *v = calloc(1, sizeof *v);
    if (v == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "a subject");
    }
    struct worker_list *to = &v->subject.list;
    const struct worker_list *from = &subject->list;
    memcpy(v->subject.key, subject->key, sizeof v->subject.key);
    memcpy(v->subject.parameters, subject->parameters, sizeof v->subject.parameters);
    if (copy_texts(&to->file, &to->n_files, from->file, from->n_files) < 0 ||
        copy_texts(&to->result, &to->n_results, from->result, from->n_results) < 0) {
        view_subject_fini(&v->subject);
        free(v);
        return sctd_error(err, SCTD_ENOMEM, "a subject of %zu files", from->n_files);
    }
    v->all = all;
    v->next = all->viewings;
    all->viewings = v;
    *ret_viewing = v;
    return 0;
}

static int find_viewing(struct viewing **ret_viewing, struct viewers *all,
                        const struct viewers_subject *subject, struct sctd_error *err)
{
    for (struct viewing *v = all->viewings; v != NULL; v = v->next) {
        if (strcmp(v->subject.key, subject->key) == 0) {
            *ret_viewing = v;
            return 0;
        }
    }
    return add_viewing(ret_viewing, all, subject, err);
}

int viewers_ask(struct viewers *viewers, const struct viewers_subject *subject,
                const struct view_request *request, viewers_done_fn done, void *arg,
                struct sctd_error *err)
{
    struct viewing *v = NULL;
    int r = view_request_check(request, err);
    if (r < 0) {
        return r;
    }
    if (viewers->is_draining || viewers->n_asks >= viewers->options.queue) {
        return VIEWERS_BUSY;
    }
    struct ask *ask = malloc(sizeof *ask);
    if (ask == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "a request");
    }
    r = find_viewing(&v, viewers, subject, err);
    if (r < 0) {
        free(ask);
        return r;
    }
    *ask = (struct ask){.number = ++viewers->number, .request = *request, .done = done, .arg = arg};
    push(v, ask);
    kick(viewers);
    return 0;
}

/* One that a viewer is busy with stays, unanswered, until it is done with it. */
static void forget(struct viewing *v, const void *arg)
{
    struct ask *kept = v->first;
    v->first = v->last = NULL;
    for (bool is_first = true; kept != NULL; is_first = false) {
        struct ask *ask = kept;
        kept = ask->next;
        v->all->n_asks--;
        if (ask->arg == arg) {
            ask->done = NULL;
        }
        if (ask->done == NULL && !(is_first && v->state == STATE_BUSY)) {
            free(ask);
        } else {
            push(v, ask);
        }
    }
}

void viewers_forget(struct viewers *viewers, const void *arg)
{
    for (struct viewing *v = viewers->viewings; v != NULL; v = v->next) {
        forget(v, arg);
    }
    kick(viewers);
}

void viewers_drain(struct viewers *viewers)
{
    if (viewers->is_draining) {
        return;
    }
    viewers->is_draining = true;
    (void)uv_timer_stop(&viewers->timer);
    for (struct viewing *v = viewers->viewings; v != NULL; v = v->next) {
        if (v->child != NULL) {
            leave(v);
        }
        answer_all(v, VIEWERS_UNAVAILABLE, "the daemon ends");
    }
    tidy(viewers);
    tell_drained(viewers);
}

static void on_closed(uv_handle_t *handle)
{
    struct viewers *all = handle->data;
    all->is_closed = true;
    free_if_closed(all);
}

void viewers_free(struct viewers *viewers)
{
    if (viewers == NULL || viewers->is_freed) {
        return;
    }
    viewers->is_freed = true; /* nobody is told any more */
    viewers_drain(viewers);
    uv_close((uv_handle_t *)&viewers->timer, on_closed);
}
