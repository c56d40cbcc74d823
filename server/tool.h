/*
 * tool.h - "sctd WORDS..." run to its end beside the daemon, and what it printed.
 *
 * Thread safety: the loop's thread.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct uv_loop_s;
struct tool;

enum { TOOL_TEXT_SIZE = 16 << 10 };

/* Called once, at the end; the tool is gone then.  status: its exit status, 128 and more: it was killed.  text: what it
 * printed on standard output, as one line, cut off at TOOL_TEXT_SIZE. */
typedef void (*tool_fn)(void *arg, int status, const char *text);

struct tool_options {
    struct uv_loop_s *loop;
    const char *program;      /* the path of sctd */
    const char *const *words; /* ended by NULL, without the program's own name */
    int timeout_ms;           /* after which it is killed */
};

/* *ret_tool: belongs to the loop until `done` was called.  Errors: SCTD_EIO, SCTD_ENOMEM; `done` is not called. */
SCTD_NODISCARD int tool_start(struct tool **ret_tool, const struct tool_options *options,
                              tool_fn done, void *arg, struct sctd_error *err);
/* Nobody waits for it any more: it is killed, and `done` is not called. */
void tool_forget(struct tool *tool);

#ifdef __cplusplus
}
#endif
