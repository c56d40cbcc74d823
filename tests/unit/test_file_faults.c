/* SPDX-License-Identifier: Apache-2.0 */
/* Files under a kernel that interrupts, writes short or fails: this program has its own system calls. */
#undef NDEBUG
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/base/file.h"

#include "tests/support/temporary.h"

enum { ROOM = 256, DATA = 10000, SHORT = 7 };

static char root[] = TEMPORARY("test_file_faults");
static bool write_is_short;
static int interruptions; /* how many of the next writes are interrupted */
static bool fsync_fails, no_noreplace;
static int fsyncs;

// NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): the C library's begin with __
ssize_t write(int fd, const void *bytes, size_t size)
{
    if (interruptions > 0) {
        interruptions--;
        errno = EINTR;
        return -1;
    }
    return syscall(SYS_write, fd, bytes, write_is_short && size > SHORT ? SHORT : size);
}

int fsync(int fd)
{
    fsyncs++;
    if (fsync_fails) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    if (no_noreplace && flags != 0) {
        errno = EINVAL;
        return -1;
    }
    return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
}

// NOLINTEND(readability-inconsistent-declaration-parameter-name)

static const char *at(const char *name)
{
    static char path[4][ROOM];
    static int turn;
    turn = (turn + 1) % 4;
    (void)snprintf(path[turn], ROOM, "%s/%s", root, name);
    return path[turn];
}

static int count_in_root(void)
{
    struct dirent **entry = NULL;
    const int n = scandir(root, &entry, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        free(entry[i]);
    }
    free((void *)entry);
    return n;
}

static bool holds(const char *path, const char *bytes, size_t size)
{
    struct sctd_error err = {0};
    struct sctd_map map = {0};
    assert(sctd_map_open(&map, path, &err) == 0);
    const bool same = map.size == size && memcmp(map.data, bytes, size) == 0;
    sctd_map_close(&map);
    return same;
}

static void short_and_interrupted_writes_are_completed(void)
{
    struct sctd_error err = {0};
    static char bytes[DATA];
    for (size_t i = 0; i < DATA; i++) {
        bytes[i] = (char)(i % 251);
    }
    write_is_short = true;
    interruptions = 3;
    assert(sctd_file_replace(at("a"), bytes, DATA, &err) == 0);
    write_is_short = false;
    assert(interruptions == 0 && holds(at("a"), bytes, DATA));
}

static void a_failed_fsync_is_told_once_and_leaves_the_old_file(void)
{
    struct sctd_error err = {0};
    assert(sctd_file_replace(at("b"), "old", 3, &err) == 0);
    const int before = count_in_root();
    fsync_fails = true;
    fsyncs = 0;
    assert(sctd_file_replace(at("b"), "new", 3, &err) == SCTD_EIO);
    fsync_fails = false;
    assert(fsyncs == 1);
    assert(holds(at("b"), "old", 3) && count_in_root() == before);
}

static void a_commit_syncs_the_file_and_its_folder(void)
{
    struct sctd_error err = {0};
    fsyncs = 0;
    assert(sctd_file_replace(at("c"), "x", 1, &err) == 0);
    assert(fsyncs == 2);
    fsyncs = 0;
    assert(sctd_dir_make(at("d/e/"), &err) == 0); /* each new name in the folder that holds it */
    assert(fsyncs == 2);
    fsyncs = 0;
    assert(sctd_dir_make(at("d/e"), &err) == 0);
    assert(fsyncs == 0);
}

/* As in a container, where the next process has the number of the one that died. */
static void temporaries_of_a_dead_process_do_not_stop_the_next(void)
{
    struct sctd_error err = {0};
    struct sctd_file file = {.fd = -1};
    assert(sctd_file_create(&file, at("e"), &err) == 0);
    unsigned number = 0;
    char stem[SCTD_PATH_MAX];
    const int n = snprintf(stem, sizeof stem, "%s.%d.", file.path, (int)getpid());
    assert(n > 0 && strncmp(file.temporary, stem, (size_t)n) == 0);
    for (const char *p = file.temporary + n; *p != '.'; p++) {
        number = number * 10 + (unsigned)(*p - '0');
    }
    sctd_file_abort(&file);
    for (unsigned i = 1; i <= 5; i++) {
        char left[SCTD_PATH_MAX + 32];
        (void)snprintf(left, sizeof left, "%s%u.tmp", stem, number + i);
        FILE *stream = fopen(left, "w");
        assert(stream != NULL && fclose(stream) == 0);
    }
    assert(sctd_file_replace(at("e"), "x", 1, &err) == 0);
    assert(holds(at("e"), "x", 1));
}

static void a_folder_is_installed_where_the_kernel_cannot_refuse_to_replace(void)
{
    struct sctd_error err = {0};
    assert(sctd_dir_make(at("f"), &err) == 0);
    assert(sctd_file_replace(at("f/x"), "x", 1, &err) == 0);
    assert(sctd_dir_make(at("empty"), &err) == 0);
    no_noreplace = true;
    assert(sctd_dir_install(at("f"), at("empty"), &err) == SCTD_EINVAL);
    assert(sctd_dir_install(at("f"), at("g"), &err) == 0);
    assert(sctd_dir_install(at("f"), at("h"), &err) == SCTD_EIO);
    no_noreplace = false;
    assert(holds(at("g/x"), "x", 1));
    sctd_dir_remove(at("g"));
    sctd_dir_remove(at("empty"));
}

int main(void)
{
    assert(mkdtemp(root) != NULL);
    short_and_interrupted_writes_are_completed();
    a_failed_fsync_is_told_once_and_leaves_the_old_file();
    a_commit_syncs_the_file_and_its_folder();
    temporaries_of_a_dead_process_do_not_stop_the_next();
    a_folder_is_installed_where_the_kernel_cannot_refuse_to_replace();
    sctd_dir_remove(at("d/e"));
    sctd_dir_remove(at("d"));
    sctd_dir_remove(root);
    struct stat st;
    assert(stat(root, &st) != 0);
    return 0;
}
