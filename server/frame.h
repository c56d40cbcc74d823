/*
 * frame.h - messages between the parent and its children: JSON in frames over a socket pair.
 *
 * A frame is the size of its text in four bytes, big end first, and the text: one JSON object.  A frame may
 * carry a file descriptor.  A child asks and waits for its answer; the parent reads what has come and never
 * waits.  What a child sends is checked like what a stranger sends.
 *
 * Thread safety: a reader belongs to one thread.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/json.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { FRAME_SIZE_MAX = 64 << 10, FRAME_HEADER_SIZE = 4 };

struct frame_reader {
    int fd;     /* borrowed: one end of a stream socket pair */
    int passed; /* a file descriptor that came along, owned; -1: none */
    size_t size, begin;
    unsigned char *bytes; /* owned; [begin, size) was received and not given out */
    size_t capacity;
};

/* Outcomes that are no errors. */
enum {
    FRAME_MORE = 1, /* no whole frame yet; when waiting: not in time */
    FRAME_END = 2,  /* the other side has closed, between frames */
};

void frame_reader_init(struct frame_reader *reader, int fd);
void frame_reader_fini(
    struct frame_reader *reader); /* closes a passed descriptor, not the socket */

/*
 * The next message, without waiting.  *ret_json: the caller frees it; its root is an object.
 * Returns 0, FRAME_MORE or FRAME_END.
 * Errors: SCTD_EDATA (too long, no JSON object, the end within a frame), SCTD_EIO, SCTD_ENOMEM.
 */
SCTD_NODISCARD int frame_next(struct frame_reader *reader, struct json **ret_json,
                              struct sctd_error *err);
/* The same, waiting up to timeout_ms (-1: for ever). */
SCTD_NODISCARD int frame_wait(struct frame_reader *reader, int timeout_ms, struct json **ret_json,
                              struct sctd_error *err);
/* The descriptor that came along, close-on-exec, the caller's from now on; -1: none. */
int frame_take_fd(struct frame_reader *reader);

/*
 * Send one message; passed_fd: a descriptor that goes along, which stays the caller's; -1: none.
 * Waits up to timeout_ms for room (0: not at all); a frame that was sent in part is an error, and the
 * socket is no good any more.
 * Errors: SCTD_EINVAL (too long), SCTD_EIO.
 */
SCTD_NODISCARD int frame_send(int fd, const struct sctd_buf *text, int passed_fd, int timeout_ms,
                              struct sctd_error *err);

#ifdef __cplusplus
}
#endif
