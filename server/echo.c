/* SPDX-License-Identifier: Apache-2.0 */
#include "server/echo.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "dicom/sender.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/child.h"
#include "server/config.h"
#include "server/send_messages.h"

enum { CONNECT_MS = 5000, ANSWER_MS = 5000, DEADLINE_MS = 15000, SEND_MS = 1000 };

struct echo {
    struct child *child;
    struct send_message order;
    echo_fn done; /* NULL: nobody waits */
    void *arg;
    bool answered;
    char reason[SEND_REASON_SIZE];
    double since_s, end_s;
};

static bool on_message(void *arg, const struct json *json)
{
    struct echo *echo = arg;
    struct sctd_error err = {.code = SCTD_OK};
    struct send_message message;
    if (send_messages_read(&message, json, &err) < 0) {
        return false;
    }
    if (message.type == SEND_READY) {
        echo->since_s = sctd_now_s();
        return send_messages_send(child_get_fd(echo->child), &echo->order, -1, SEND_MS, &err) == 0;
    }
    if (message.type != SEND_END) {
        return false;
    }
    echo->end_s = sctd_now_s();
    echo->answered = message.end.end == DICOM_SENDER_STORED;
    (void)snprintf(echo->reason, sizeof echo->reason, "%s",
                   echo->answered ? "" : message.end.reason);
    return true;
}

static void on_ended(void *arg, int status)
{
    enum { SECOND_MS = 1000 };
    struct echo *echo = arg;
    (void)status;
    if (echo->done != NULL) {
        echo->done(echo->arg, echo->answered, echo->reason,
                   echo->answered ? (echo->end_s - echo->since_s) * SECOND_MS : 0);
    }
    free(echo);
}

int echo_start(struct echo **ret_echo, const struct echo_options *options, echo_fn done, void *arg,
               struct sctd_error *err)
{
    const struct config_destination *to = options->destination;
    const struct child_options child = {
        .loop = options->loop, .program = options->program, .command = "send"};
    struct echo *echo = calloc(1, sizeof *echo);
    if (echo == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "an echo");
    }
    const struct child_hooks hooks = {.arg = echo, .message = on_message, .ended = on_ended};
    struct send_send *order = &echo->order.send;
    echo->order.type = SEND_SEND;
    echo->done = done;
    echo->arg = arg;
    (void)snprintf(echo->reason, sizeof echo->reason, "it did not answer in %d s",
                   DEADLINE_MS / 1000);
    (void)snprintf(order->host, sizeof order->host, "%s", to->host);
    (void)snprintf(order->calling_ae, sizeof order->calling_ae, "%s", options->ae_title);
    (void)snprintf(order->called_ae, sizeof order->called_ae, "%s", to->ae_title);
    order->port = to->port;
    order->connect_ms = CONNECT_MS;
    order->answer_ms = ANSWER_MS;
    const int r = child_start(&echo->child, &child, &hooks, err);
    if (r < 0) {
        free(echo);
        return r;
    }
    child_set_deadline(echo->child, DEADLINE_MS);
    *ret_echo = echo;
    return 0;
}

void echo_forget(struct echo *echo)
{
    echo->done = NULL;
    child_kill(echo->child);
}
