/* SPDX-License-Identifier: Apache-2.0 */
#include "server/control.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <uv.h>

#include "engine/base/attr.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/frame.h"
#include "server/log.h"
#include "server/memory_file.h"
#include "server/message.h"
#include "server/record.h"

enum { BACKLOG = 8, CONNECTIONS_MAX = 16, ASK_MS = 30000, PEER_MS = 5000, MODE = 0660 };

#define FIELD(kind, type, member) RECORD_FIELD(RECORD_##kind, struct type, member, #member)

static const struct record_field request_fields[] = {
    FIELD(TEXT, control_request, action),
    FIELD(I64, control_request, id),
    FIELD(I32, control_request, value),
    FIELD(TEXT, control_request, reason),
};
static const struct record_field answer_fields[] = {
    FIELD(BOOL, control_answer, done),
    FIELD(I64, control_answer, id),
    FIELD(TEXT, control_answer, text),
};
static const struct message_type request_type = {"request", {request_fields, 4}};
static const struct message_type answer_type = {"answer", {answer_fields, 3}};

struct connection {
    struct control *control;
    struct connection *next;
    uv_poll_t poll;
    uv_timer_t timer;
    struct frame_reader reader;
    int fd;
    int open_handles;
    bool is_closing;
};

struct control {
    uv_poll_t poll;
    int fd;
    control_fn answer;
    void *arg;
    char path[sizeof((struct sockaddr_un *)NULL)->sun_path];
    struct connection *connection;
    int n;
    bool is_closed;
};

static void free_if_closed(struct control *control)
{
    if (control->is_closed && control->n == 0 && control->fd < 0) {
        free(control);
    }
}

static void on_connection_closed(uv_handle_t *handle)
{
    struct connection *c = handle->data;
    struct control *control = c->control;
    if (--c->open_handles > 0) {
        return;
    }
    struct connection **at = &control->connection;
    while (*at != c) {
        at = &(*at)->next;
    }
    *at = c->next;
    control->n--;
    frame_reader_fini(&c->reader);
    (void)close(c->fd);
    free(c);
    free_if_closed(control);
}

static void leave(struct connection *c)
{
    if (!c->is_closing) {
        c->is_closing = true;
        uv_close((uv_handle_t *)&c->poll, on_connection_closed);
        uv_close((uv_handle_t *)&c->timer, on_connection_closed);
    }
}

static void on_late(uv_timer_t *timer)
{
    leave(timer->data);
}

static void close_passed(int fd)
{
    if (fd >= 0) {
        (void)close(fd);
    }
}

static void on_question(uv_poll_t *poll, int status, int events)
{
    struct connection *c = poll->data;
    struct sctd_error err = {.code = SCTD_OK};
    sctd_auto(json_freep) struct json *json = NULL;
    struct control_request request = {.id = 0};
    struct control_answer answer = {.done = false};
    size_t type = 0;
    (void)events;
    const int r = status < 0 ? SCTD_EIO : frame_next(&c->reader, &json, &err);
    if (r == FRAME_MORE) {
        return;
    }
    sctd_auto(sctd_buf_fini) struct sctd_buf text = sctd_buf_make(CONTROL_FILE_MAX);
    const int passed = frame_take_fd(&c->reader);
    if (passed >= 0 && memory_file_read(&text, passed, &err) == 0) {
        request.text = sctd_buf_get_text(&text);
        request.text_size = text.size;
    }
    close_passed(passed);
    if (r == 0 && message_read(&request, &type, &request_type, 1, json, &err) == 0) {
        c->control->answer(c->control->arg, &request, &answer);
        if (message_send(c->fd, &answer_type, &answer, -1, 0, &err) < 0) {
            LOG_WARNING("operator-unheard", log_text("reason", err.text));
        }
    }
    leave(c);
}

static void on_knock(uv_poll_t *poll, int status, int events)
{
    struct control *control = poll->data;
    (void)events;
    const int fd = status < 0 ? -1 : accept4(control->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        return;
    }
    struct connection *c = control->n < CONNECTIONS_MAX ? calloc(1, sizeof *c) : NULL;
    if (c == NULL) {
        (void)close(fd);
        return;
    }
    c->control = control;
    c->fd = fd;
    frame_reader_init(&c->reader, fd);
    (void)uv_poll_init(poll->loop, &c->poll, fd);
    (void)uv_timer_init(poll->loop, &c->timer);
    c->poll.data = c->timer.data = c;
    c->open_handles = 2;
    c->next = control->connection;
    control->connection = c;
    control->n++;
    (void)uv_timer_start(&c->timer, on_late, PEER_MS, 0);
    (void)uv_poll_start(&c->poll, UV_READABLE, on_question);
}

static int address_of(struct sockaddr_un *ret_address, const char *path, struct sctd_error *err)
{
    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof ret_address->sun_path) {
        return sctd_error(err, SCTD_EINVAL,
                          "%.120s... is too long for a socket: choose a shorter state_dir", path);
    }
    (void)snprintf(ret_address->sun_path, sizeof ret_address->sun_path, "%s", path);
    return 0;
}

static int listen_at(const char *path, int *ret_fd, struct sctd_error *err)
{
    struct sockaddr_un address;
    int r = address_of(&address, path, err);
    if (r < 0) {
        return r;
    }
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    (void)unlink(path); /* the lock of the job store says that nobody else is using it */
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        chmod(path, MODE) != 0 || listen(fd, BACKLOG) != 0) {
        r = sctd_error(err, SCTD_EIO, "%.120s: %s", path, sctd_errno_text());
        if (fd >= 0) {
            (void)close(fd);
        }
        return r;
    }
    *ret_fd = fd;
    return 0;
}

int control_open(struct control **ret_control, struct uv_loop_s *loop, const char *path,
                 control_fn answer, void *arg, struct sctd_error *err)
{
    struct control *control = calloc(1, sizeof *control);
    if (control == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "the control socket");
    }
    int r = listen_at(path, &control->fd, err);
    if (r < 0) {
        free(control);
        return r;
    }
    control->answer = answer;
    control->arg = arg;
    (void)snprintf(control->path, sizeof control->path, "%s", path);
    (void)uv_poll_init(loop, &control->poll, control->fd);
    control->poll.data = control;
    (void)uv_poll_start(&control->poll, UV_READABLE, on_knock);
    *ret_control = control;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct control *control = handle->data;
    (void)close(control->fd);
    control->fd = -1;
    free_if_closed(control);
}

void control_close(struct control *control)
{
    if (control == NULL || control->is_closed) {
        return;
    }
    control->is_closed = true;
    (void)unlink(control->path);
    for (struct connection *c = control->connection; c != NULL; c = c->next) {
        leave(c);
    }
    uv_close((uv_handle_t *)&control->poll, on_closed);
}

static int ask(int fd, const struct control_request *request, struct control_answer *ret_answer,
               struct sctd_error *err)
{
    struct frame_reader reader;
    sctd_auto(json_freep) struct json *json = NULL;
    size_t type = 0;
    int passed = -1;
    int r = 0;
    frame_reader_init(&reader, fd);
    if (request->text != NULL) {
        sctd_auto(sctd_buf_fini) struct sctd_buf text = sctd_buf_make(CONTROL_FILE_MAX);
        r = sctd_buf_append(&text, request->text, request->text_size, err);
        r = r < 0 ? r : memory_file_write(&passed, &text, err);
    }
    r = r < 0 ? r : message_send(fd, &request_type, request, passed, ASK_MS, err);
    close_passed(passed);
    r = r < 0 ? r : frame_wait(&reader, ASK_MS, &json, err);
    if (r > 0) {
        r = sctd_error(err, SCTD_EDATA, "the daemon does not answer");
    }
    r = r < 0 ? r : message_read(ret_answer, &type, &answer_type, 1, json, err);
    frame_reader_fini(&reader);
    return r;
}

int control_ask(const char *path, const struct control_request *request,
                struct control_answer *ret_answer, struct sctd_error *err)
{
    struct sockaddr_un address;
    int r = address_of(&address, path, err);
    if (r < 0) {
        return r;
    }
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        r = sctd_error(err, SCTD_EIO, "no daemon listens at %.120s (%s): is sctd serve running?",
                       path, sctd_errno_text());
    } else {
        r = ask(fd, request, ret_answer, err);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return r;
}
