/* SPDX-License-Identifier: Apache-2.0 */
/* This program is its own child: child_start runs it again with the name of what it is to do. */
#undef NDEBUG
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <uv.h>

#include "engine/base/attr.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "server/child.h"
#include "server/frame.h"

enum { MANY = 5000, NEVER_MS = 20000 };

/* In the child */

static void say(int64_t number)
{
    struct sctd_error err = {.code = SCTD_OK};
    sctd_auto(sctd_buf_fini) struct sctd_buf text = sctd_buf_make(FRAME_SIZE_MAX);
    if (sctd_buf_printf(&text, &err, "{\"n\": %lld}", (long long)number) < 0 ||
        frame_send(CHILD_FRAME_FD, &text, -1, NEVER_MS, &err) < 0) {
        _exit(99);
    }
}

static void write_raw(const char *bytes, size_t size)
{
    if (write(CHILD_FRAME_FD, bytes, size) != (ssize_t)size) {
        _exit(99);
    }
}

static int echo(void)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct frame_reader reader;
    sctd_auto(json_freep) struct json *json = NULL;
    int64_t n = 0;
    frame_reader_init(&reader, CHILD_FRAME_FD);
    if (frame_wait(&reader, NEVER_MS, &json, &err) != 0 ||
        json_get_int(&n, json, json_get_root(json), "n", &err) < 0) {
        return 99;
    }
    say(n + 1);
    frame_reader_fini(&reader);
    return 0;
}

static int sleep_on(void)
{
    for (;;) {
        (void)pause();
    }
    return 0;
}

/* Whether what child_limit forbids is forbidden. */
static int limited(void)
{
    struct rlimit core;
    struct rlimit files;
    struct sctd_error why = {.code = SCTD_OK};
    if (child_limit(&why) < 0) {
        return 2;
    }
    return getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_max == 0 &&
                   getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_max == 64
               ? 0
               : 1;
}

static int be_child(const char *command)
{
    if (!child_is_one()) {
        return 98;
    }
    child_end_with_parent();
    if (strcmp(command, "exit-7") == 0) {
        return 7;
    }
    if (strcmp(command, "words") == 0) {
        for (int64_t i = 0; i < MANY; i++) {
            say(i);
        }
        return 0;
    }
    if (strcmp(command, "words-then-dies") == 0) {
        say(1);
        say(2);
        (void)raise(SIGABRT);
    }
    if (strcmp(command, "closes-then-hangs") == 0) {
        say(1);
        (void)close(CHILD_FRAME_FD);
        return sleep_on();
    }
    if (strcmp(command, "nonsense") == 0) {
        write_raw("\0\0\0\2[]", 6);
        return sleep_on();
    }
    if (strcmp(command, "too-long") == 0) {
        write_raw("\x7f\xff\xff\xff", 4);
        return sleep_on();
    }
    if (strcmp(command, "half-a-frame") == 0) {
        say(1);
        write_raw("\0\0\0\x40{\"n\"", 8);
        return 0;
    }
    if (strcmp(command, "talks-for-ever") == 0) {
        for (int64_t i = 0;; i++) {
            say(i);
        }
    }
    if (strcmp(command, "limited") == 0) {
        return limited();
    }
    return strcmp(command, "echo") == 0 ? echo() : sleep_on();
}

/* In the parent */

static uv_loop_t loop;
static struct sctd_error err;
static char self[SCTD_PATH_MAX];

struct seen {
    struct child *child;
    int64_t messages, last,
        refuse_at; /* refuse_at: its messages from this one on are not accepted; 0: never */
    int ended, status;
    bool in_order, kills, is_slow;
    int ticks;
    uv_timer_t timer;
};

static bool on_message(void *arg, const struct json *json)
{
    struct seen *seen = arg;
    int64_t n = -1;
    assert(seen->ended == 0);
    if (json_get_int(&n, json, json_get_root(json), "n", &err) < 0) {
        return false;
    }
    seen->in_order = seen->in_order && (seen->messages == 0 || n == seen->last + 1);
    seen->last = n;
    seen->messages++;
    if (seen->is_slow) { /* so that there is always more to be read */
        (void)usleep(500);
    }
    if (seen->kills) {
        child_kill(seen->child); /* from within its own message */
    }
    return seen->refuse_at == 0 || seen->messages < seen->refuse_at;
}

static void on_ended(void *arg, int status)
{
    struct seen *seen = arg;
    seen->ended++;
    seen->status = status;
    seen->child = NULL;
}

static struct seen *start(const char *command)
{
    static struct seen seen;
    seen = (struct seen){.in_order = true};
    const struct child_options options = {.loop = &loop, .program = self, .command = command};
    const struct child_hooks hooks = {.arg = &seen, .message = on_message, .ended = on_ended};
    assert(child_start(&seen.child, &options, &hooks, &err) == 0);
    assert(child_get_pid(seen.child) > 0);
    child_set_deadline(seen.child, NEVER_MS); /* should a test fail, it does so soon */
    return &seen;
}

static const struct seen *run(struct seen *seen)
{
    assert(uv_run(&loop, UV_RUN_DEFAULT) == 0);
    assert(seen->ended == 1);
    return seen;
}

static void a_child_that_exits_is_told_with_its_status(void)
{
    const struct seen *seen = run(start("exit-7"));
    assert(WIFEXITED(seen->status) && WEXITSTATUS(seen->status) == 7 && seen->messages == 0);
    seen = run(start("limited"));
    assert(seen->status == 0);
}

static void all_that_a_child_said_is_heard_before_its_end(void)
{
    const struct seen *seen = run(start("words"));
    assert(seen->status == 0 && seen->messages == MANY && seen->in_order);
    seen = run(start("words-then-dies"));
    assert(WIFSIGNALED(seen->status) && WTERMSIG(seen->status) == SIGABRT);
    assert(seen->messages == 2 && seen->last == 2);
}

static void it_answers_what_it_is_sent(void)
{
    struct seen *seen = start("echo");
    sctd_auto(sctd_buf_fini) struct sctd_buf text = sctd_buf_make(64);
    assert(sctd_buf_text(&text, "{\"n\": 41}", &err) == 0);
    assert(frame_send(child_get_fd(seen->child), &text, -1, 0, &err) == 0);
    assert(run(seen)->last == 42 && seen->status == 0);
}

static void a_child_that_is_killed_or_terminated_is_told(void)
{
    struct seen *seen = start("sleep");
    child_kill(seen->child);
    child_kill(seen->child); /* again changes nothing */
    assert(WTERMSIG(run(seen)->status) == SIGKILL);
    seen = start("sleep");
    child_terminate(seen->child);
    assert(WTERMSIG(run(seen)->status) == SIGTERM);
}

static void a_child_that_is_late_is_killed(void)
{
    struct seen *seen = start("sleep");
    child_set_deadline(seen->child, 20);
    assert(WTERMSIG(run(seen)->status) == SIGKILL);
    seen = start("echo"); /* a deadline that was taken back */
    child_set_deadline(seen->child, 0);
    child_set_deadline(seen->child, -1);
    child_terminate(seen->child);
    assert(WTERMSIG(run(seen)->status) == SIGTERM);
}

static void nonsense_ends_it(void)
{
    static const char *const commands[] = {"nonsense", "too-long"};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        const struct seen *seen = run(start(commands[i]));
        assert(WTERMSIG(seen->status) == SIGKILL && seen->messages == 0);
    }
    const struct seen *half = run(start("half-a-frame"));
    assert(half->messages == 1);
}

static void a_message_that_is_not_accepted_ends_it(void)
{
    struct seen *seen = start("talks-for-ever");
    seen->refuse_at = 3;
    assert(WTERMSIG(run(seen)->status) == SIGKILL && seen->messages == 3);
}

static void nothing_is_heard_of_a_child_that_was_killed(void)
{
    struct seen *seen = start("talks-for-ever");
    seen->kills = true;
    assert(WTERMSIG(run(seen)->status) == SIGKILL && seen->messages == 1);
}

static void one_that_closes_its_socket_and_hangs_is_killed(void)
{
    const struct seen *seen = run(start("closes-then-hangs"));
    assert(WTERMSIG(seen->status) == SIGKILL && seen->messages == 1);
}

static void on_tick(uv_timer_t *timer)
{
    struct seen *seen = timer->data;
    if (++seen->ticks == 10) {
        uv_close((uv_handle_t *)timer, NULL);
        child_kill(seen->child);
    }
}

static void one_that_talks_for_ever_leaves_the_loop_to_others(void)
{
    struct seen *seen = start("talks-for-ever");
    seen->is_slow = true;
    assert(uv_timer_init(&loop, &seen->timer) == 0);
    seen->timer.data = seen;
    assert(uv_timer_start(&seen->timer, on_tick, 5, 5) == 0);
    (void)run(seen);
    assert(seen->ticks == 10 && seen->messages > 64 && seen->in_order);
}

static void a_program_that_is_not_there_is_an_error(void)
{
    static struct seen seen;
    const struct child_options options = {
        .loop = &loop, .program = "/nonexistent/sctd", .command = "worker"};
    const struct child_hooks hooks = {.arg = &seen, .message = on_message, .ended = on_ended};
    assert(child_start(&seen.child, &options, &hooks, &err) == SCTD_EIO);
    assert(strstr(err.text, "/nonexistent/sctd worker") != NULL);
    assert(uv_run(&loop, UV_RUN_DEFAULT) == 0);
    assert(seen.child == NULL && seen.ended == 0);
}

static int count_fds(void)
{
    int n = 0;
    for (int fd = 0; fd < 256; fd++) {
        n += fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
    }
    return n;
}

static void a_child_without_network_opens_local_sockets_only(void)
{
    const pid_t pid = fork();
    assert(pid >= 0);
    if (pid == 0) {
        const bool denied = child_deny_network(&err) == 0 && socket(AF_INET, SOCK_STREAM, 0) < 0 &&
                            errno == EACCES && socket(AF_INET6, SOCK_DGRAM, 0) < 0 &&
                            errno == EACCES && socket(AF_NETLINK, SOCK_RAW, 0) < 0 &&
                            errno == EACCES && syscall(SYS_io_uring_setup, 1, NULL) < 0 &&
                            errno == EACCES;
        const int local = socket(AF_UNIX, SOCK_STREAM, 0);
        _exit(denied && local >= 0 ? 0 : 1);
    }
    int status = -1;
    assert(waitpid(pid, &status, 0) == pid);
    assert(status == 0);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        return be_child(argv[1]);
    }
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    assert(n > 0);
    assert(!child_is_one());
    a_child_without_network_opens_local_sockets_only();
    assert(uv_loop_init(&loop) == 0);
    a_child_that_exits_is_told_with_its_status();
    const int fds = count_fds();
    all_that_a_child_said_is_heard_before_its_end();
    it_answers_what_it_is_sent();
    a_child_that_is_killed_or_terminated_is_told();
    a_child_that_is_late_is_killed();
    nonsense_ends_it();
    a_message_that_is_not_accepted_ends_it();
    nothing_is_heard_of_a_child_that_was_killed();
    one_that_closes_its_socket_and_hangs_is_killed();
    one_that_talks_for_ever_leaves_the_loop_to_others();
    a_program_that_is_not_there_is_an_error();
    assert(count_fds() == fds);
    assert(uv_loop_close(&loop) == 0); /* every handle is closed */
    return 0;
}
