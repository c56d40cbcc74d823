/*
 * child.h - a process of ours: "sctd COMMAND" with a socket for messages (frame.h), from its start to its end.
 *
 * Thread safety: the loop's thread.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/base/json.h"

#ifdef __cplusplus
extern "C" {
#endif

struct uv_loop_s;
struct child;

enum { CHILD_FRAME_FD = 3 }; /* the child's end of the socket */

struct child_options {
    struct uv_loop_s *loop;
    const char *program; /* the path of sctd */
    const char *command; /* its subcommand */
};

struct child_hooks {
    void *arg;
    /* What it sent.  false: it does not keep to the protocol and is killed. */
    bool (*message)(void *arg, const struct json *json);
    /*
     * The process has ended, and `message` was called with all that it had sent.  status: its wait status.
     * The child must not be used after this.
     */
    void (*ended)(void *arg, int status);
};

/*
 * Start it.  *ret_child: belongs to the loop, until `ended` returns.
 * Errors: SCTD_EIO (no process could be started), SCTD_ENOMEM; no hook is called then.
 */
SCTD_NODISCARD int child_start(struct child **ret_child, const struct child_options *options,
                               const struct child_hooks *hooks, struct sctd_error *err);

/* The path of this program, which its children are too, wherever it was started from.  ret_path: SCTD_PATH_MAX bytes.
 * Errors: SCTD_EIO. */
SCTD_NODISCARD int child_find_program(char *ret_path, struct sctd_error *err);

int child_get_fd(const struct child *child); /* to send messages to */
int child_get_pid(const struct child *child);
/* Within `message`: the descriptor that came along (frame.h), the caller's from now on; -1: none. */
int child_take_passed(struct child *child);
/* Kill it unless it has ended, or this was called again, within so many milliseconds; -1: no limit. */
void child_set_deadline(struct child *child, int ms);
void child_terminate(struct child *child); /* ask it to end: SIGTERM */
void child_kill(struct child *child);      /* nothing more is heard of it but `ended` */

/* In the child: end with the parent, whatever happens to it.  false: not started by child_start. */
bool child_is_one(void);
void child_end_with_parent(void);
/* From now on this process and its threads open no sockets but local ones.  Errors: SCTD_EIO. */
SCTD_NODISCARD int child_deny_network(struct sctd_error *err);
/* What a hostile peer makes this process do ends with it: no cores, new privileges, big stacks or memory.
 * Errors: SCTD_EIO. */
SCTD_NODISCARD int child_limit(struct sctd_error *err);
/* The same with an address space of so many MiB; 0: no limit.  May be called again with less. */
SCTD_NODISCARD int child_limit_to(int32_t memory_mib, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
