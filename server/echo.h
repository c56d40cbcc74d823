/*
 * echo.h - whether a destination answers a C-ECHO (PS3.4 A), asked by a process of its own.
 *
 * Thread safety: the loop's thread.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "engine/base/error.h"
#include "server/config.h"

#ifdef __cplusplus
extern "C" {
#endif

struct uv_loop_s;
struct echo;

struct echo_options {
    struct uv_loop_s *loop;
    const char *program;  /* the path of sctd */
    const char *ae_title; /* ours */
    const struct config_destination *destination;
};

/* Called once, at the end; the echo is gone then.  reason: why not; "" where it answered. */
typedef void (*echo_fn)(void *arg, bool answered, const char *reason, double ms);

/* *ret_echo: belongs to the loop until `done` was called.  Errors: SCTD_EIO, SCTD_ENOMEM; `done` is not called. */
SCTD_NODISCARD int echo_start(struct echo **ret_echo, const struct echo_options *options,
                              echo_fn done, void *arg, struct sctd_error *err);
/* Nobody waits for it any more: `done` is not called. */
void echo_forget(struct echo *echo);

#ifdef __cplusplus
}
#endif
