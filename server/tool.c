/* SPDX-License-Identifier: Apache-2.0 */
#include "server/tool.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "engine/base/error.h"
#include "engine/base/utf8.h"

enum { WORDS_MAX = 15, KILLED = 128 };

struct tool {
    uv_process_t process;
    uv_pipe_t pipe;
    uv_timer_t timer;
    tool_fn done; /* NULL: nobody waits */
    void *arg;
    int open_handles, status;
    bool has_ended, has_said_all;
    size_t size;
    char text[TOOL_TEXT_SIZE];
    char rest[1024]; /* of what is not kept */
};

static void on_closed(uv_handle_t *handle)
{
    struct tool *tool = handle->data;
    if (--tool->open_handles > 0) {
        return;
    }
    if (tool->done != NULL) {
        tool->text[tool->size] = '\0';
        for (char *c = strchr(tool->text, '\n'); c != NULL; c = strchr(c, '\n')) {
            *c = ' ';
        }
        utf8_clean(tool->text);
        tool->done(tool->arg, tool->status, tool->text);
    }
    free(tool);
}

static void close_all(struct tool *tool)
{
    if (tool->has_ended && tool->has_said_all) {
        uv_close((uv_handle_t *)&tool->process, on_closed);
        uv_close((uv_handle_t *)&tool->pipe, on_closed);
        uv_close((uv_handle_t *)&tool->timer, on_closed);
    }
}

// NOLINTNEXTLINE(misc-include-cleaner): what uv.h includes for its callbacks
static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf)
{
    struct tool *tool = handle->data;
    const size_t room = sizeof tool->text - 1 - tool->size;
    (void)suggested;
    *ret_buf = room > 0 ? uv_buf_init(tool->text + tool->size, (unsigned)room)
                        : uv_buf_init(tool->rest, sizeof tool->rest);
}

// NOLINTNEXTLINE(misc-include-cleaner): what uv.h includes for its callbacks
static void on_text(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct tool *tool = stream->data;
    if (n < 0) {
        (void)uv_read_stop(stream);
        tool->has_said_all = true;
        close_all(tool);
    } else if (buf->base != tool->rest) {
        tool->size += (size_t)n;
    }
}

static void on_ended(uv_process_t *process, int64_t status, int signal)
{
    struct tool *tool = process->data;
    tool->status = signal != 0 ? KILLED + signal : (int)status;
    tool->has_ended = true;
    close_all(tool);
}

static void on_timeout(uv_timer_t *timer)
{
    struct tool *tool = timer->data;
    if (!tool->has_ended) {
        (void)uv_process_kill(&tool->process, SIGKILL);
    }
}

static void on_spoiled(uv_handle_t *handle)
{
    struct tool *tool = handle->data;
    if (--tool->open_handles == 0) {
        free(tool);
    }
}

static int spawn(struct tool *tool, const struct tool_options *asked)
{
    union { /* libuv asks for words that it does not change */
        const char *given[WORDS_MAX + 2];
        char *taken[WORDS_MAX + 2];
    } argv = {.given = {asked->program}};
    uv_stdio_container_t stdio[3] = {
        {.flags = UV_IGNORE}, {.flags = UV_IGNORE}, {.flags = UV_IGNORE}};
    const uv_process_options_t options = {.exit_cb = on_ended,
                                          .file = asked->program,
                                          .args = argv.taken,
                                          .stdio = stdio,
                                          .stdio_count = 3};
    for (size_t i = 0; i < WORDS_MAX && asked->words[i] != NULL; i++) {
        argv.given[i + 1] = asked->words[i];
    }
    /* A set of flags, which C has no enum constant for. */
    const unsigned flags = (unsigned)UV_CREATE_PIPE | (unsigned)UV_WRITABLE_PIPE;
    memcpy(&stdio[1].flags, &flags, sizeof stdio[1].flags);
    stdio[1].data.stream = (uv_stream_t *)&tool->pipe;
    return uv_spawn(asked->loop, &tool->process, &options);
}

int tool_start(struct tool **ret_tool, const struct tool_options *options, tool_fn done, void *arg,
               struct sctd_error *err)
{
    struct tool *tool = calloc(1, sizeof *tool);
    if (tool == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "a process");
    }
    tool->done = done;
    tool->arg = arg;
    tool->open_handles = 3;
    (void)uv_pipe_init(options->loop, &tool->pipe, 0);
    (void)uv_timer_init(options->loop, &tool->timer);
    tool->process.data = tool->pipe.data = tool->timer.data = tool;
    const int r = spawn(tool, options);
    if (r < 0) {
        uv_close((uv_handle_t *)&tool->process, on_spoiled);
        uv_close((uv_handle_t *)&tool->pipe, on_spoiled);
        uv_close((uv_handle_t *)&tool->timer, on_spoiled);
        return sctd_error(err, SCTD_EIO, "sctd %s: %s", options->words[0], uv_strerror(r));
    }
    (void)uv_read_start((uv_stream_t *)&tool->pipe, on_room, on_text);
    (void)uv_timer_start(&tool->timer, on_timeout, (uint64_t)options->timeout_ms, 0);
    *ret_tool = tool;
    return 0;
}

void tool_forget(struct tool *tool)
{
    tool->done = NULL;
    if (!tool->has_ended) {
        (void)uv_process_kill(&tool->process, SIGKILL);
    }
}
