/* SPDX-License-Identifier: Apache-2.0 */
#include "server/fetcher.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "dicom/query.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/child.h"
#include "server/fetch_messages.h"
#include "server/receive_messages.h"
#include "server/receivers.h"

enum {
    START_MS = 20000,
    SLACK_MS = 30000,
    END_MS = 5000, /* from its last word, or SIGTERM, to its exit */
    SEND_MS = 1000,
};

struct fetcher {
    struct fetcher_order order;
    struct fetcher_hooks hooks;
    struct child *child;
    struct receivers_association association;
    struct fetch_end end;
    bool has_work, has_ended, is_stopping;
};

static void close_list(struct fetcher *f)
{
    if (f->order.list_fd >= 0) {
        (void)close(f->order.list_fd);
        f->order.list_fd = -1;
    }
}

/* All of its own waits are shorter than this together. */
static void arm(struct fetcher *f)
{
    if (!f->is_stopping) {
        child_set_deadline(f->child, f->order.work.connect_ms + f->order.work.answer_ms + SLACK_MS);
    }
}

static bool hand_over(struct fetcher *f)
{
    struct sctd_error err = {.code = SCTD_OK};
    const struct fetch_message work = {.type = FETCH_WORK, .work = f->order.work};
    const struct receive_message serve = {.type = RECEIVE_SERVE, .serve = f->order.serve};
    const int fd = child_get_fd(f->child);
    int r = fetch_messages_send(fd, &work, f->order.list_fd, SEND_MS, &err);
    r = r < 0 ? r : receive_messages_send(fd, &serve, -1, SEND_MS, &err);
    close_list(f);
    f->has_work = true;
    return r == 0;
}

static bool keep(struct fetcher *f, const struct receive_keep *instance)
{
    struct sctd_error err = {.code = SCTD_OK};
    const struct receivers_keep asked = {f->association, instance};
    struct receive_message answer = {.type = RECEIVE_KEPT};
    if (f->hooks.keep == NULL || !f->has_work || f->has_ended) {
        return false;
    }
    if (f->hooks.keep(f->hooks.arg, &asked, 1, &answer.kept, &err) < 0) {
        answer.kept = (struct receive_kept){.outcome = RECEIVE_FAILED};
        f->hooks.failed(f->hooks.arg, err.text);
    }
    return receive_messages_send(child_get_fd(f->child), &answer, -1, SEND_MS, &err) == 0;
}

static bool take(struct fetcher *f, const struct fetch_message *message)
{
    switch (message->type) {
    case FETCH_READY:
        return !f->has_work && hand_over(f);
    case FETCH_FOUND:
        return f->has_work && f->hooks.found != NULL &&
               f->hooks.found(f->hooks.arg, &message->found);
    case FETCH_MOVING:
        if (f->hooks.moved != NULL) {
            f->hooks.moved(f->hooks.arg);
        }
        return f->has_work;
    case FETCH_END:
        f->end = message->end;
        f->has_ended = true;
        if (f->end.spool_failed) {
            f->hooks.failed(f->hooks.arg, "a fetcher could not sync the spool");
        }
        child_set_deadline(f->child, END_MS);
        return true;
    case FETCH_WORK:
    case FETCH_TYPES:
        break;
    }
    return false;
}

static bool on_message(void *arg, const struct json *json)
{
    struct fetcher *f = arg;
    struct sctd_error err = {.code = SCTD_OK};
    struct fetch_message message;
    struct receive_message question;
    if (f->has_ended) {
        return false;
    }
    arm(f);
    if (fetch_messages_read(&message, json, &err) == 0) {
        return take(f, &message);
    }
    return receive_messages_read(&question, json, &err) == 0 && question.type == RECEIVE_KEEP &&
           keep(f, &question.keep);
}

static void on_ended(void *arg, int status)
{
    struct fetcher *f = arg;
    close_list(f);
    if (!f->has_ended) {
        f->end = (struct fetch_end){.end = DICOM_QUERY_FAILED};
        (void)snprintf(f->end.reason, sizeof f->end.reason,
                       f->is_stopping ? "stopped" : "the fetcher died or hung (wait status %d)",
                       status);
    }
    f->hooks.ended(f->hooks.arg, &f->end);
    free(f);
}

int fetcher_start(struct fetcher **ret_fetcher, struct uv_loop_s *loop, const char *program,
                  const struct fetcher_order *order, const struct fetcher_hooks *hooks,
                  struct sctd_error *err)
{
    struct fetcher *f = calloc(1, sizeof *f);
    if (f == NULL) {
        if (order->list_fd >= 0) {
            (void)close(order->list_fd);
        }
        return sctd_error(err, SCTD_ENOMEM, "a fetcher");
    }
    f->order = *order;
    f->hooks = *hooks;
    f->association =
        (struct receivers_association){.id = order->association_id, .serve = &f->order.serve};
    const struct child_options options = {.loop = loop, .program = program, .command = "fetch"};
    const struct child_hooks child = {.arg = f, .message = on_message, .ended = on_ended};
    const int r = child_start(&f->child, &options, &child, err);
    if (r < 0) {
        close_list(f);
        free(f);
        return r;
    }
    child_set_deadline(f->child, START_MS);
    *ret_fetcher = f;
    return 0;
}

void fetcher_stop(struct fetcher *fetcher)
{
    fetcher->is_stopping = true;
    child_terminate(fetcher->child);
    child_set_deadline(fetcher->child, END_MS);
}

void fetcher_kill(struct fetcher *fetcher)
{
    fetcher->is_stopping = true;
    child_kill(fetcher->child);
}
