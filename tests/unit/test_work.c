/* SPDX-License-Identifier: Apache-2.0 */
/* Work folders; this program has its own flock, to have it fail and to act in between. */
#undef NDEBUG
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/work.h"

#include "tests/support/temporary.h"

enum { ROOM = 256, TOO_LONG_S = 60 };

static char root[] = TEMPORARY("test_work");
static int flock_error; /* what every flock fails with; 0: none */
static char before_flock_from[SCTD_PATH_MAX];
static char before_flock_to[SCTD_PATH_MAX]; /* rename once before a flock, if not "" */
static bool made_anew;                      /* and make the first name again */

// NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): the C library's begin with __
int flock(int fd, int operation)
{
    if (before_flock_to[0] != '\0') {
        struct sctd_error err = {0};
        assert(sctd_dir_install(before_flock_from, before_flock_to, &err) == 0);
        before_flock_to[0] = '\0';
        assert(!made_anew || mkdir(before_flock_from, 0700) == 0);
    }
    if (flock_error != 0) {
        errno = flock_error;
        return -1;
    }
    return (int)syscall(SYS_flock, fd, operation);
}

static const char *at(const char *name)
{
    static char path[4][ROOM];
    static int turn;
    turn = (turn + 1) % 4;
    (void)snprintf(path[turn], ROOM, "%s/%s", root, name);
    return path[turn];
}

static bool exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

static int count_in_root(void)
{
    struct dirent **entry = NULL;
    const int n = scandir(root, &entry, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        free(entry[i]);
    }
    free((void *)entry);
    return n - 2;
}

static void make(struct sctd_work *work, const char *prefix)
{
    struct sctd_error err = {0};
    char file[SCTD_PATH_MAX];
    assert(sctd_work_make(work, root, prefix, &err) == 0);
    assert(sctd_path_join(file, work->path, "file", &err) == 0);
    assert(sctd_file_replace(file, "x", 1, &err) == 0);
}

/* What a process leaves that dies with a work folder. */
static void leave_one(char *ret_path, const char *prefix)
{
    int channel[2];
    assert(pipe(channel) == 0);
    const pid_t child = fork();
    assert(child >= 0);
    if (child == 0) {
        struct sctd_work work = {.fd = -1};
        make(&work, prefix);
        const bool sent = write(channel[1], work.path, SCTD_PATH_MAX) == SCTD_PATH_MAX;
        _exit(sent ? 0 : 1);
    }
    int status = 1;
    assert(read(channel[0], ret_path, SCTD_PATH_MAX) == SCTD_PATH_MAX);
    assert(waitpid(child, &status, 0) == child && status == 0);
    (void)close(channel[0]);
    (void)close(channel[1]);
    assert(exists(ret_path));
}

static void a_work_folder_becomes_the_result(void)
{
    struct sctd_error err = {0};
    struct sctd_work work = {.fd = -1};
    struct stat st;
    const mode_t mask = umask(027);
    make(&work, ".w");
    (void)umask(mask);
    assert(stat(work.path, &st) == 0 && (st.st_mode & 0777) == 0750);
    assert(sctd_work_install(&work, at("result"), &err) == 0);
    assert(work.fd == -1 && !exists(work.path) && exists(at("result/file")));
    sctd_work_remove(&work);
    assert(exists(at("result/file")));

    make(&work, ".w");
    assert(sctd_work_install(&work, at("result"), &err) == SCTD_EINVAL);
    assert(work.fd == -1 && !exists(work.path));
    sctd_dir_remove(at("result"));
    assert(count_in_root() == 0);
}

static void what_a_dead_process_left_is_removed(void)
{
    char left[SCTD_PATH_MAX];
    struct sctd_work work = {.fd = -1};
    leave_one(left, ".w");
    make(&work, ".w");
    assert(!exists(left) && count_in_root() == 1);
    sctd_work_remove(&work);
    assert(count_in_root() == 0);
}

static void what_a_living_one_works_on_stays(void)
{
    struct sctd_work first = {.fd = -1};
    struct sctd_work second = {.fd = -1};
    make(&first, ".w");
    make(&second, ".w");
    assert(strcmp(first.path, second.path) != 0 && count_in_root() == 2);
    sctd_work_remove(&second);
    assert(exists(first.path));
    sctd_work_remove(&first);
    assert(count_in_root() == 0);
}

static void other_names_stay(void)
{
    static const char *const names[] = {".w",     ".w.1",    ".w.1.",    ".w.1.2x", ".wx.1.2",
                                        ".w.a.1", "x.w.1.2", ".w.1.2.3", ".w..2"};
    enum { NAMES = sizeof names / sizeof names[0] };
    struct sctd_error err = {0};
    struct sctd_work work = {.fd = -1};
    for (int i = 0; i < NAMES; i++) {
        assert(mkdir(at(names[i]), 0700) == 0);
    }
    assert(sctd_file_replace(at(".w.1.3"), "x", 1, &err) == 0);
    assert(symlink(at(".w"), at(".w.1.4")) == 0);
    assert(mkdir(at(".w.1.5"), 0700) == 0);
    make(&work, ".w");
    assert(exists(at(".w.1.3")) && exists(at(".w.1.4")) && !exists(at(".w.1.5")));
    sctd_work_remove(&work);
    assert(unlink(at(".w.1.3")) == 0 && unlink(at(".w.1.4")) == 0);
    for (int i = 0; i < NAMES; i++) {
        assert(rmdir(at(names[i])) == 0);
    }
}

/* Seen, installed and unlocked, and the name is another's already: the lock says nothing of that one. */
static void a_folder_installed_meanwhile_stays(void)
{
    char left[SCTD_PATH_MAX];
    struct sctd_work work = {.fd = -1};
    leave_one(left, ".w");
    memcpy(before_flock_from, left, sizeof left);
    (void)snprintf(before_flock_to, sizeof before_flock_to, "%s", at("result"));
    made_anew = true;
    make(&work, ".w");
    made_anew = false;
    assert(before_flock_to[0] == '\0' && exists(left) && exists(at("result/file")));
    sctd_work_remove(&work);
    assert(rmdir(left) == 0);
    sctd_dir_remove(at("result"));
    assert(count_in_root() == 0);
}

/* Another process saw it before it was locked, took it for left behind, and moved it out of the way. */
static void a_folder_lost_to_another_is_made_again(void)
{
    char lost[ROOM];
    struct sctd_error err = {0};
    struct sctd_work work = {.fd = -1};
    make(&work, ".w");
    unsigned number = 0;
    for (const char *p = strrchr(work.path, '.') + 1; *p != '\0'; p++) {
        number = 10 * number + (unsigned)(*p - '0');
    }
    sctd_work_remove(&work);
    (void)snprintf(lost, sizeof lost, "%s/.w.%d.%u", root, (int)getpid(), number + 1);
    memcpy(before_flock_from, lost, sizeof lost);
    (void)snprintf(before_flock_to, sizeof before_flock_to, "%s", at("gone"));
    assert(sctd_work_make(&work, root, ".w", &err) == 0);
    assert(before_flock_to[0] == '\0' && strcmp(work.path, lost) != 0 && exists(work.path));
    sctd_work_remove(&work);
    assert(rmdir(at("gone")) == 0 && count_in_root() == 0);
}

static void without_locks_there_is_work_but_no_clearing(void)
{
    char left[SCTD_PATH_MAX];
    struct sctd_error err = {0};
    struct sctd_work work = {.fd = -1};
    leave_one(left, ".w");
    flock_error = EBADF; /* NFS says so of a folder */
    make(&work, ".w");
    assert(exists(left) && exists(work.path));
    sctd_work_remove(&work);
    flock_error =
        ENOLCK; /* locks there are, but none to be had: nobody could see that it is alive */
    assert(sctd_work_make(&work, root, ".w", &err) == SCTD_EIO);
    flock_error = 0;
    assert(exists(left) && count_in_root() == 1);
    sctd_dir_remove(left);
}

static void a_folder_that_takes_none_is_named(void)
{
    static char longest[SCTD_PATH_MAX];
    struct sctd_error err = {0};
    struct sctd_work work = {.fd = -1};
    memset(longest, 'a', SCTD_PATH_MAX - 3);
    assert(sctd_work_make(&work, at("none"), ".w", &err) == SCTD_EIO);
    assert(strstr(err.text, at("none")) != NULL && strstr(err.text, "No such") != NULL);
    assert(sctd_work_make(&work, longest, ".w", &err) == SCTD_EINVAL);
    assert(work.fd == -1);
}

int main(void)
{
    assert(mkdtemp(root) != NULL);
    (void)alarm(TOO_LONG_S);
    a_work_folder_becomes_the_result();
    what_a_dead_process_left_is_removed();
    what_a_living_one_works_on_stays();
    other_names_stay();
    a_folder_installed_meanwhile_stays();
    a_folder_lost_to_another_is_made_again();
    without_locks_there_is_work_but_no_clearing();
    a_folder_that_takes_none_is_named();
    assert(rmdir(root) == 0);
    return 0;
}
