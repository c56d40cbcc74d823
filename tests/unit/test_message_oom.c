/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/frame.h"
#include "server/worker_messages.h"

#include "tests/support/torture.h"

static int pass(void *arg)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct frame_reader reader;
    sctd_auto(json_freep) struct json *json = NULL;
    const struct worker_message sent = {.type = WORKER_STAGE, .stage = {"network", 1, 2}};
    static struct worker_message got;
    int fd[2];
    (void)arg;
    assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
    frame_reader_init(&reader, fd[1]);
    int r = worker_messages_send(fd[0], &sent, -1, 0, &err);
    r = r < 0 ? r : frame_next(&reader, &json, &err);
    r = r < 0 ? r : worker_messages_read(&got, json, &err);
    assert(r == 0 ? got.stage.total == 2 : r == SCTD_ENOMEM);
    frame_reader_fini(&reader);
    (void)close(fd[0]);
    (void)close(fd[1]);
    return r;
}

int main(void)
{
    assert(torture_run(pass, NULL) >= 3);
    return 0;
}
