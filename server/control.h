/*
 * control.h - what an operator asks of a running daemon, over a socket in its state folder.
 *
 * Who may open the socket may ask: it belongs to the daemon's user and group (mode 0660).  One question and one
 * answer for a connection, each a message (message.h).
 *
 * Thread safety: the loop's thread; control_ask anywhere.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct uv_loop_s;
struct control;

enum {
    CONTROL_ACTION_SIZE = 33,
    CONTROL_TEXT_SIZE = 241,
    CONTROL_FILE_MAX = 8 << 20, /* of what goes along */
};
#define CONTROL_SOCKET "control" /* in the state folder */

struct control_request {
    char action[CONTROL_ACTION_SIZE]; /* "job-cancel" */
    int64_t id;
    int32_t value;                  /* of "job-prioritise" */
    char reason[CONTROL_TEXT_SIZE]; /* for the history */
    /* What is too long for a message, of "batch-create"; borrowed.  NULL: nothing. */
    const char *text;
    size_t text_size;
};

struct control_answer {
    bool done;
    int64_t id; /* of what was made, or does the same; 0: nothing was to be made */
    char text[CONTROL_TEXT_SIZE]; /* what was done, or why not */
};

typedef void (*control_fn)(void *arg, const struct control_request *request,
                           struct control_answer *ret_answer);

/* Listen at `path`, replacing what a dead daemon left.  *ret_control: freed by control_close.
 * Errors: SCTD_EIO, SCTD_EINVAL (the path is too long for a socket), SCTD_ENOMEM. */
SCTD_NODISCARD int control_open(struct control **ret_control, struct uv_loop_s *loop,
                                const char *path, control_fn answer, void *arg,
                                struct sctd_error *err);
void control_close(
    struct control *control); /* its handles close as the loop runs on; NULL is a no-op */

/* Ask a daemon.  Errors: SCTD_EIO (none listens there), SCTD_EDATA (it does not answer), SCTD_ENOMEM. */
SCTD_NODISCARD int control_ask(const char *path, const struct control_request *request,
                               struct control_answer *ret_answer, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
