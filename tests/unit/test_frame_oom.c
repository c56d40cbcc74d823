/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/frame.h"

#include "tests/support/torture.h"

static int receive_one(void *arg)
{
    static const char frame[] = "\0\0\0\7{\"a\":5}";
    struct sctd_error err = {0};
    int fd[2];
    (void)arg;
    assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
    assert(write(fd[1], frame, sizeof frame - 1) == (ssize_t)sizeof frame - 1);
    struct frame_reader reader;
    sctd_auto(json_freep) struct json *json = NULL;
    frame_reader_init(&reader, fd[0]);
    const int r = frame_next(&reader, &json, &err);
    assert(r == 0 ? json != NULL : r == SCTD_ENOMEM && json == NULL);
    frame_reader_fini(&reader);
    (void)close(fd[0]);
    (void)close(fd[1]);
    return r;
}

int main(void)
{
    assert(torture_run(receive_one, NULL) >= 2);
    return 0;
}
