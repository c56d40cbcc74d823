/* SPDX-License-Identifier: Apache-2.0 */
#include "server/frame.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include "engine/base/attr.h"
#include "engine/base/buf.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/json.h"

enum { FIRST_CAPACITY = 4096 };

enum { CONTROL_SIZE = CMSG_SPACE(sizeof(int)) }; /* one descriptor */

void frame_reader_init(struct frame_reader *reader, int fd)
{
    *reader = (struct frame_reader){.fd = fd, .passed = -1};
}

void frame_reader_fini(struct frame_reader *reader)
{
    if (reader->passed >= 0) {
        (void)close(reader->passed);
    }
    free(reader->bytes);
    frame_reader_init(reader, reader->fd);
}

int frame_take_fd(struct frame_reader *reader)
{
    const int fd = reader->passed;
    reader->passed = -1;
    return fd;
}

/* The size of the frame that begins at `begin`, header included; 0 while it is not known. */
static int measure(const struct frame_reader *reader, size_t *ret_size, struct sctd_error *err)
{
    *ret_size = 0;
    if (reader->size - reader->begin < FRAME_HEADER_SIZE) {
        return 0;
    }
    const unsigned char *p = reader->bytes + reader->begin;
    const uint32_t n = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    if (n > FRAME_SIZE_MAX) {
        return sctd_error(err, SCTD_EDATA, "a frame of %lu bytes: at most %d", (unsigned long)n,
                          FRAME_SIZE_MAX);
    }
    *ret_size = FRAME_HEADER_SIZE + (size_t)n;
    return 0;
}

/* Room for a frame of `whole` bytes from `begin`, or for a first look. */
static int reserve(struct frame_reader *reader, size_t whole, struct sctd_error *err)
{
    if (reader->begin > 0) {
        memmove(reader->bytes, reader->bytes + reader->begin, reader->size - reader->begin);
        reader->size -= reader->begin;
        reader->begin = 0;
    }
    const size_t need = whole > FIRST_CAPACITY ? whole : FIRST_CAPACITY;
    if (need <= reader->capacity) {
        return 0;
    }
    unsigned char *more = realloc(reader->bytes, need);
    if (more == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "a frame of %zu bytes", whole);
    }
    reader->bytes = more;
    reader->capacity = need;
    return 0;
}

static void keep_passed(struct frame_reader *reader, struct msghdr *message)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
            c->cmsg_len != CMSG_LEN(sizeof(int))) {
            continue;
        }
        if (reader->passed >= 0) {
            (void)close(reader->passed);
        }
        memcpy(&reader->passed, CMSG_DATA(c), sizeof(int));
    }
}

/* Take what has come.  Returns 0, FRAME_MORE or FRAME_END. */
static int receive(struct frame_reader *reader, struct sctd_error *err)
{
    _Alignas(struct cmsghdr) unsigned char control[CONTROL_SIZE];
    struct iovec to = {reader->bytes + reader->size, reader->capacity - reader->size};
    struct msghdr message = {
        .msg_iov = &to, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t n = 0;
    do {
        n = recvmsg(reader->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        /* A child that died with an answer unread resets the pair. */
        if (errno == ECONNRESET) {
            return FRAME_END;
        }
        return errno == EAGAIN ? FRAME_MORE
                               : sctd_error(err, SCTD_EIO, "frame: %s", sctd_errno_text());
    }
    keep_passed(reader, &message);
    reader->size += (size_t)n;
    return n == 0 ? FRAME_END : 0;
}

static int parse(struct frame_reader *reader, size_t whole, struct json **ret_json,
                 struct sctd_error *err)
{
    sctd_auto(json_freep) struct json *json = NULL;
    const char *text = (const char *)reader->bytes + reader->begin + FRAME_HEADER_SIZE;
    int r = json_parse(&json, text, whole - FRAME_HEADER_SIZE, err);
    if (r < 0) {
        return r;
    }
    if (json_get_root(json)->type != JSON_OBJECT) {
        return sctd_error(err, SCTD_EDATA, "a frame that is no object");
    }
    reader->begin += whole;
    *ret_json = sctd_steal(&json);
    return 0;
}

int frame_next(struct frame_reader *reader, struct json **ret_json, struct sctd_error *err)
{
    for (;;) {
        size_t whole = 0;
        int r = measure(reader, &whole, err);
        if (r < 0) {
            return r;
        }
        if (whole > 0 && reader->size - reader->begin >= whole) {
            return parse(reader, whole, ret_json, err);
        }
        r = reserve(reader, whole, err);
        if (r == 0) {
            r = receive(reader, err);
        }
        if (r == FRAME_END && reader->size > 0) {
            return sctd_error(err, SCTD_EDATA, "the other process ended within a frame");
        }
        if (r != 0) {
            return r;
        }
    }
}

/* Returns 0 or FRAME_MORE. */
static int wait_until(int fd, short events, int64_t until_ms, struct sctd_error *err)
{
    for (;;) {
        struct pollfd p = {.fd = fd, .events = events};
        const int64_t left = until_ms < 0 ? -1 : until_ms - sctd_boot_ms();
        if (until_ms >= 0 && left <= 0) {
            return FRAME_MORE;
        }
        const int n = poll(&p, 1, (int)left);
        if (n > 0) {
            return 0;
        }
        if (n < 0 && errno != EINTR) {
            return sctd_error(err, SCTD_EIO, "frame: %s", sctd_errno_text());
        }
    }
}

int frame_wait(struct frame_reader *reader, int timeout_ms, struct json **ret_json,
               struct sctd_error *err)
{
    const int64_t until = timeout_ms < 0 ? -1 : sctd_boot_ms() + timeout_ms;
    for (;;) {
        int r = frame_next(reader, ret_json, err);
        if (r != FRAME_MORE) {
            return r;
        }
        r = wait_until(reader->fd, POLLIN, until, err);
        if (r != 0) {
            return r;
        }
    }
}

/* What is left of a frame, with its descriptor until the first byte has gone. */
struct sending {
    unsigned char header[FRAME_HEADER_SIZE];
    struct iovec part[2];
    _Alignas(struct cmsghdr) unsigned char control[CONTROL_SIZE];
    struct msghdr message;
};

static void prepare(struct sending *s, const struct sctd_buf *text, int passed_fd)
{
    const size_t n = text->size;
    *s = (struct sending){
        .header = {(unsigned char)(n >> 24), (unsigned char)(n >> 16), (unsigned char)(n >> 8),
                   (unsigned char)n},
        .part = {{s->header, FRAME_HEADER_SIZE}, {text->data, n}},
        .message = {.msg_iov = s->part, .msg_iovlen = 2},
    };
    if (passed_fd >= 0) {
        s->message.msg_control = s->control;
        s->message.msg_controllen = sizeof s->control;
        struct cmsghdr *c = CMSG_FIRSTHDR(&s->message);
        c->cmsg_len = CMSG_LEN(sizeof(int));
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        memcpy(CMSG_DATA(c), &passed_fd, sizeof(int));
    }
}

static void advance(struct sending *s, size_t sent)
{
    for (int i = 0; i < 2; i++) {
        const size_t step = sent < s->part[i].iov_len ? sent : s->part[i].iov_len;
        s->part[i].iov_base = (unsigned char *)s->part[i].iov_base + step;
        s->part[i].iov_len -= step;
        sent -= step;
    }
    s->message.msg_control = NULL;
    s->message.msg_controllen = 0;
}

/* As much as goes now, or wait for room. */
static int send_some(int fd, struct sending *s, int64_t until_ms, struct sctd_error *err)
{
    const ssize_t sent = sendmsg(fd, &s->message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) {
        advance(s, (size_t)sent);
        return 0;
    }
    if (errno == EINTR) {
        return 0;
    }
    if (errno != EAGAIN) {
        return sctd_error(err, SCTD_EIO, "frame: %s", sctd_errno_text());
    }
    const int r = wait_until(fd, POLLOUT, until_ms, err);
    return r <= 0 ? r : sctd_error(err, SCTD_EIO, "frame: the other process does not read");
}

int frame_send(int fd, const struct sctd_buf *text, int passed_fd, int timeout_ms,
               struct sctd_error *err)
{
    if (text->size > FRAME_SIZE_MAX) {
        return sctd_error(err, SCTD_EINVAL, "a frame of %zu bytes: at most %d", text->size,
                          FRAME_SIZE_MAX);
    }
    struct sending s;
    prepare(&s, text, passed_fd);
    const int64_t until = sctd_boot_ms() + timeout_ms;
    int r = 0;
    while (r == 0 && s.part[0].iov_len + s.part[1].iov_len > 0) {
        r = send_some(fd, &s, until, err);
    }
    return r;
}
