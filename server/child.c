/* SPDX-License-Identifier: Apache-2.0 */
#include "server/child.h"

#include <errno.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <uv.h>

#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "server/frame.h"

enum {
    EXIT_MS = 5000, /* from its last word to its exit */
    NAME_SIZE = 32,
    FILES_MAX = 64,
    MEMORY_MIB = 1024,
    MESSAGES_MAX = 64, /* at once: one that talks without end must not have the loop for itself */
};
#define STACK_MAX ((rlim_t)1 << 20)
#define X32_CALLS 0x40000000 /* the first number of another ABI of this architecture */

struct child {
    struct child_hooks hooks;
    uv_process_t process;
    uv_poll_t poll;
    uv_timer_t timer;
    uv_idle_t more; /* runs while it may have said more than was read */
    struct frame_reader reader;
    int fd; /* our end of the socket */
    int open_handles;
    bool has_exited, is_deaf; /* deaf: nothing it says counts any more */
};

static void on_closed(uv_handle_t *handle)
{
    struct child *child = handle->data;
    if (--child->open_handles > 0) {
        return;
    }
    frame_reader_fini(&child->reader);
    (void)close(child->fd);
    free(child);
}

static void close_handles(struct child *child)
{
    uv_close((uv_handle_t *)&child->poll, on_closed);
    uv_close((uv_handle_t *)&child->more, on_closed);
    uv_close((uv_handle_t *)&child->timer, on_closed);
    uv_close((uv_handle_t *)&child->process, on_closed);
}

int child_take_passed(struct child *child)
{
    return frame_take_fd(&child->reader);
}

void child_kill(struct child *child)
{
    (void)uv_poll_stop(&child->poll);
    (void)uv_idle_stop(&child->more);
    child->is_deaf = true;
    if (!child->has_exited) {
        (void)uv_process_kill(&child->process, SIGKILL);
    }
}

void child_terminate(struct child *child)
{
    if (!child->has_exited) {
        (void)uv_process_kill(&child->process, SIGTERM);
    }
}

static void on_late(uv_timer_t *timer)
{
    child_kill(timer->data);
}

void child_set_deadline(struct child *child, int ms)
{
    (void)uv_timer_stop(&child->timer);
    if (ms >= 0) {
        (void)uv_timer_start(&child->timer, on_late, (uint64_t)ms, 0);
    }
}

/* Read what has come, at most n messages.  Returns 0 (there may be more), FRAME_MORE or FRAME_END; negative: one that
 * is not to be trusted any more. */
static int read_messages(struct child *child, int n)
{
    for (int i = 0; i < n; i++) {
        if (child->is_deaf) {
            return FRAME_MORE;
        }
        struct sctd_error err = {.code = SCTD_OK};
        sctd_auto(json_freep) struct json *json = NULL;
        const int status = frame_next(&child->reader, &json, &err);
        if (status != 0) {
            return status;
        }
        if (!child->hooks.message(child->hooks.arg, json)) {
            return SCTD_EDATA;
        }
    }
    return 0;
}

static void on_more(uv_idle_t *more);

static void take(struct child *child)
{
    const int reading = read_messages(child, MESSAGES_MAX);
    if (reading == 0) { /* it may lie in the reader, where the socket does not show it */
        (void)uv_idle_start(&child->more, on_more);
        return;
    }
    (void)uv_idle_stop(&child->more);
    if (reading < 0) {
        child_kill(child);
    } else if (reading == FRAME_END) {
        (void)uv_poll_stop(&child->poll);
        child_set_deadline(child, EXIT_MS);
    }
}

static void on_more(uv_idle_t *more)
{
    take(more->data);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct child *child = poll->data;
    (void)events;
    if (status < 0) {
        child_kill(child);
    } else {
        take(child);
    }
}

static void on_process_exit(uv_process_t *process, int64_t exit_status, int term_signal)
{
    struct child *child = process->data;
    child->has_exited = true;
    (void)read_messages(child, INT_MAX); /* no more than its socket holds */
    child->hooks.ended(child->hooks.arg, term_signal != 0 ? term_signal : (int)(exit_status << 8));
    close_handles(child);
}

static int spawn(struct child *child, const struct child_options *options, int child_fd,
                 struct sctd_error *err)
{
    char name[] = "sctd";
    char command[NAME_SIZE];
    char *args[] = {name, command, NULL};
    uv_stdio_container_t stdio[] = {
        {.flags = UV_IGNORE},
        {.flags = UV_IGNORE},
        {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
        {.flags = UV_INHERIT_FD, .data.fd = child_fd},
    };
    const uv_process_options_t process = {.exit_cb = on_process_exit,
                                          .file = options->program,
                                          .args = args,
                                          .stdio_count = CHILD_FRAME_FD + 1,
                                          .stdio = stdio};
    (void)snprintf(command, sizeof command, "%s", options->command);
    const int status = uv_spawn(options->loop, &child->process, &process);
    return status == 0 ? 0
                       : sctd_error(err, SCTD_EIO, "%.100s %s: %s", options->program, command,
                                    uv_strerror(status));
}

int child_start(struct child **ret_child, const struct child_options *options,
                const struct child_hooks *hooks, struct sctd_error *err)
{
    int pair[2];
    struct child *child = calloc(1, sizeof *child);
    if (child == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "a child");
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        free(child);
        return sctd_error(err, SCTD_EIO, "socket pair: %s", sctd_errno_text());
    }
    child->hooks = *hooks;
    child->fd = pair[0];
    frame_reader_init(&child->reader, child->fd);
    const int status = uv_poll_init(options->loop, &child->poll, child->fd);
    if (status != 0) {
        (void)close(pair[0]);
        (void)close(pair[1]);
        free(child);
        return sctd_error(err, SCTD_EIO, "%s: %s", options->command, uv_strerror(status));
    }
    (void)uv_timer_init(options->loop, &child->timer);
    (void)uv_idle_init(options->loop, &child->more);
    child->process.data = child->poll.data = child->timer.data = child->more.data = child;
    child->open_handles = 4;
    const int r = spawn(child, options, pair[1], err);
    (void)close(pair[1]);
    if (r < 0) {
        close_handles(child);
        return r;
    }
    (void)uv_poll_start(&child->poll, UV_READABLE, on_readable);
    *ret_child = child;
    return 0;
}

int child_find_program(char *ret_path, struct sctd_error *err)
{
    const ssize_t n = readlink("/proc/self/exe", ret_path, SCTD_PATH_MAX - 1);
    if (n <= 0) {
        return sctd_error(err, SCTD_EIO, "/proc/self/exe: %s", sctd_errno_text());
    }
    ret_path[n] = '\0';
    return 0;
}

int child_get_fd(const struct child *child)
{
    return child->fd;
}

int child_get_pid(const struct child *child)
{
    return uv_process_get_pid(&child->process);
}

bool child_is_one(void)
{
    struct stat st;
    return fstat(CHILD_FRAME_FD, &st) == 0 && S_ISSOCK(st.st_mode);
}

void child_end_with_parent(void)
{
    /* The parent may be gone before this is said: its end of the socket is closed then. */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
}

int child_limit_to(int32_t memory_mib, struct sctd_error *err)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    memory_mib = 0; /* sanitizers reserve terabytes */
#endif
    const struct {
        int resource;
        rlim_t value;
    } limits[] = {
        {RLIMIT_CORE, 0},
        {RLIMIT_STACK, STACK_MAX},
        {RLIMIT_NOFILE, FILES_MAX},
        {RLIMIT_AS, memory_mib > 0 ? (rlim_t)memory_mib << 20 : RLIM_INFINITY},
    };
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        const __rlimit_resource_t resource = (__rlimit_resource_t)limits[i].resource;
        struct rlimit r = {RLIM_INFINITY, RLIM_INFINITY};
        (void)getrlimit(resource, &r);
        r.rlim_max = limits[i].value < r.rlim_max ? limits[i].value : r.rlim_max;
        r.rlim_cur = r.rlim_max;
        if (setrlimit(resource, &r) != 0) {
            return sctd_error(err, SCTD_EIO, "limits: %s", sctd_errno_text());
        }
    }
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    return 0;
}

int child_limit(struct sctd_error *err)
{
    return child_limit_to(MEMORY_MIB, err);
}

/* A filter of system calls (seccomp(2)): socket() of any family but AF_UNIX fails.  Other ABIs are not let in. */
int child_deny_network(struct sctd_error *err)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_CALLS, 4, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 3, 0), /* it opens sockets too */
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_UNIX, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {.len = sizeof code / sizeof code[0], .filter = code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        return sctd_error(err, SCTD_EIO, "seccomp: %s", sctd_errno_text());
    }
    return 0;
}
