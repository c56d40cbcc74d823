/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes through a socket pair, in pieces: each message is an object, and they end with an answer. */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/frame.h"

enum { PIECE_MAX = 4096 };

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Read until there is nothing; returns what frame_next said last. */
static int drain(struct frame_reader *reader, struct sctd_error *err)
{
    struct json *json = NULL;
    int r = frame_next(reader, &json, err);
    while (r == 0) {
        assert(json_get_root(json)->type == JSON_OBJECT);
        json_free(json);
        json = NULL;
        r = frame_next(reader, &json, err);
    }
    assert(json == NULL);
    return r;
}

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sctd_error err = {0};
    struct frame_reader reader;
    int fd[2];
    assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
    frame_reader_init(&reader, fd[0]);
    int r = FRAME_MORE;
    while (size > 0 && r == FRAME_MORE) {
        size_t n = 1 + data[0] % 64U * 64U;
        n = n < size ? n : size;
        n = n < PIECE_MAX ? n : PIECE_MAX;
        assert(write(fd[1], data, n) == (ssize_t)n);
        data += n;
        size -= n;
        r = drain(&reader, &err);
    }
    assert(r == FRAME_MORE || r == SCTD_EDATA);
    (void)close(fd[1]);
    if (r == FRAME_MORE) {
        r = drain(&reader, &err);
        assert(r == FRAME_END || r == SCTD_EDATA);
    }
    frame_reader_fini(&reader);
    (void)close(fd[0]);
    return 0;
}
