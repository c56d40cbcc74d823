/* SPDX-License-Identifier: Apache-2.0 */
/* The spool under a kernel that fills up or fails: this program has its own system calls. */
#undef NDEBUG
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/sha256.h"
#include "server/spool.h"

#include "tests/support/temporary.h"

enum { ROOM = 256, LOG_MAX = 64 };

static char root[] = TEMPORARY("test_spool");
static struct sctd_error err;

/* What the spool asked the kernel for, a letter each: w(rite), D(ata sync), c(lose), r(ename), F(older sync),
 * m(kdir). */
static char calls[LOG_MAX];
static bool logs;
static int room_left = -1;  /* bytes that write still takes; -1: any */
static char fails;          /* the call that fails with EIO */
static int fails_after;     /* so many that pass first */
static bool write_is_short; /* at most 1,000 bytes at a time */
static struct statvfs *stat_answer;

static bool note(char call)
{
    const size_t n = strlen(calls);
    if (logs && n + 1 < sizeof calls && (n == 0 || call != 'w' || calls[n - 1] != 'w')) {
        calls[n] = call;
        calls[n + 1] = '\0';
    }
    if (logs && call == fails && fails_after-- <= 0) {
        errno = EIO;
        return false;
    }
    return true;
}

// NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): the C library's begin with __
ssize_t write(int fd, const void *bytes, size_t size)
{
    if (!note('w')) {
        return -1;
    }
    if (room_left == 0) {
        errno = ENOSPC;
        return -1;
    }
    size_t n = write_is_short && size > 1000 ? 1000 : size;
    n = room_left > 0 && n > (size_t)room_left ? (size_t)room_left : n;
    room_left -= room_left > 0 ? (int)n : 0;
    return syscall(SYS_write, fd, bytes, n);
}

int fdatasync(int fd)
{
    return note('D') ? (int)syscall(SYS_fdatasync, fd) : -1;
}

int fsync(int fd)
{
    return note('F') ? (int)syscall(SYS_fsync, fd) : -1;
}

int close(int fd)
{
    const bool fine = note('c');
    const int r = (int)syscall(SYS_close, fd);
    errno = fine ? errno : EIO;
    return fine ? r : -1;
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    return note('r') ? (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, 0) : -1;
}

int mkdirat(int dir, const char *name, mode_t mode)
{
    return note('m') ? (int)syscall(SYS_mkdirat, dir, name, mode) : -1;
}

int fstatvfs(int fd, struct statvfs *ret_v)
{
    (void)fd;
    assert(stat_answer != NULL);
    *ret_v = *stat_answer;
    return 0;
}

// NOLINTEND(readability-inconsistent-declaration-parameter-name)

static const struct spool_reserve reserve = {.bytes = 1000000, .files = 100};

static int count_in(const char *name)
{
    char path[ROOM];
    struct dirent **entry = NULL;
    (void)snprintf(path, sizeof path, "%s/%s", root, name);
    const int n = scandir(path, &entry, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        free(entry[i]);
    }
    free((void *)entry);
    return n - 2;
}

static struct spool_identity identity_of(const char *sop_uid, const char *data)
{
    struct sha256 s;
    struct spool_identity identity = {
        .series_uid = "1.2.3", .sop_uid = sop_uid, .transfer_syntax_uid = "1.2.840.10008.1.2"};
    sha256_init(&s);
    sha256_update(&s, data, strlen(data));
    sha256_final(&s, identity.sha256);
    return identity;
}

static int put(struct spool *spool, const char *sop_uid, const char *data, char *ret_name)
{
    struct spool_file file = spool_file_none();
    const struct spool_identity identity = identity_of(sop_uid, data);
    int r = spool_file_create(&file, spool, &err);
    if (r == 0) {
        r = spool_file_write(&file, data, strlen(data), &err);
    }
    if (r == 0) {
        r = spool_file_commit(&file, &identity, ret_name, &err);
    }
    spool_file_abort(&file);
    return r;
}

static void start_log(char failing, int after)
{
    calls[0] = '\0';
    fails = failing;
    fails_after = after;
    logs = true;
}

static bool log_is(const char *expected)
{
    logs = false;
    fails = '\0';
    return strcmp(calls, expected) == 0;
}

static void a_file_is_durable_in_the_right_order(void)
{
    struct spool spool;
    char name[SPOOL_NAME_SIZE];
    char path[ROOM];
    struct sctd_map map = {0};
    assert(spool_open(&spool, root, &reserve, &err) == 0);
    start_log('\0', 0);
    assert(put(&spool, "1.2.3.4", "hello", name) == 0);
    /* its own sync and close, the folder of its series and the one above, rename, the folder's sync */
    assert(log_is("wDcmFcrF"));
    start_log('\0', 0);
    assert(put(&spool, "1.2.3.5", "hello", name) == 0);
    assert(log_is("wDcrF"));
    (void)snprintf(path, sizeof path, "%s/%s", root, name);
    assert(sctd_map_open(&map, path, &err) == 0);
    assert(map.size == 5 && memcmp(map.data, "hello", 5) == 0);
    sctd_map_close(&map);
    assert(spool_is_name(name) && count_in("tmp") == 0);
    spool_close(&spool);
}

static void names_tell_instances_apart_and_are_never_a_peers(void)
{
    struct spool spool;
    char a[SPOOL_NAME_SIZE], b[SPOOL_NAME_SIZE], c[SPOOL_NAME_SIZE], d[SPOOL_NAME_SIZE];
    assert(spool_open(&spool, root, &reserve, &err) == 0);
    assert(put(&spool, "1.2.3.6", "one", a) == 0);
    assert(put(&spool, "1.2.3.6", "two", b) == 0);
    assert(put(&spool, "1.2.3.6", "one", c) == 0);
    assert(put(&spool, "../../../tmp/x", "one", d) == 0);
    assert(strcmp(a, b) != 0 && strcmp(a, c) == 0 && strcmp(a, d) != 0);
    assert(spool_is_name(d));
    spool_close(&spool);
}

static void a_name_is_checked_before_it_removes_anything(void)
{
    struct spool spool;
    char name[SPOOL_NAME_SIZE];
    assert(spool_open(&spool, root, &reserve, &err) == 0);
    assert(put(&spool, "1.2.3.7", "x", name) == 0);
    const int n = count_in("series");
    static const char *const bad[] = {
        "tmp/../x", "series/../x.dcm", "",
        "series",   "series/a/b.dcm",  "series/00000000000000000000000000000000"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert(!spool_is_name(bad[i]));
        spool_remove(&spool, bad[i]);
    }
    assert(count_in("series") == n);
    char longer[SPOOL_NAME_SIZE + 2];
    (void)snprintf(longer, sizeof longer, "%s0", name);
    assert(!spool_is_name(longer));
    spool_remove(&spool, name);
    spool_remove(&spool, name);
    char path[ROOM];
    struct stat st;
    (void)snprintf(path, sizeof path, "%s/%s", root, name);
    assert(stat(path, &st) != 0);
    spool_close(&spool);
}

static void a_full_disk_is_an_outcome_and_leaves_nothing(void)
{
    struct spool spool;
    char name[SPOOL_NAME_SIZE] = "";
    assert(spool_open(&spool, root, &reserve, &err) == 0);
    for (int room = 0; room < 5; room++) {
        room_left = room;
        logs = true;
        assert(put(&spool, "1.2.3.8", "hello", name) == SPOOL_FULL);
        room_left = -1;
        logs = false;
        assert(count_in("tmp") == 0 && name[0] == '\0' && !spool.is_failed);
    }
    assert(put(&spool, "1.2.3.8", "hello", name) == 0);
    spool_close(&spool);
}

static void short_writes_are_completed(void)
{
    struct spool spool;
    char name[SPOOL_NAME_SIZE], path[ROOM];
    char data[5001];
    struct stat st;
    memset(data, 'x', sizeof data - 1);
    data[sizeof data - 1] = '\0';
    assert(spool_open(&spool, root, &reserve, &err) == 0);
    write_is_short = true;
    assert(put(&spool, "1.2.3.9", data, name) == 0);
    write_is_short = false;
    (void)snprintf(path, sizeof path, "%s/%s", root, name);
    assert(stat(path, &st) == 0 && st.st_size == 5000);
    spool_close(&spool);
}

static void a_failed_sync_is_not_tried_again_and_ends_the_spool(void)
{
    static const struct {
        const char *calls;
        int after;
        char call;
        bool is_sync;
    } cases[] = {
        {"wc", 0, 'w', false},      {"wDc", 0, 'D', true},     {"wDc", 0, 'c', true},
        {"wDcm", 0, 'm', false},    {"wDcmFcc", 0, 'F', true}, {"wDcmFcr", 0, 'r', false},
        {"wDcmFcrF", 1, 'F', true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct spool spool;
        char name[SPOOL_NAME_SIZE] = "";
        assert(spool_open(&spool, root, &reserve, &err) == 0);
        start_log(cases[i].call, cases[i].after);
        assert(put(&spool, "1.2.3.10", "hello", name) == SCTD_EIO);
        assert(log_is(cases[i].calls));
        assert(spool.is_failed == cases[i].is_sync && name[0] == '\0');
        assert(count_in("tmp") == 0);
        spool_close(&spool);
    }
}

static void a_folder_that_was_tidied_away_is_made_again(void)
{
    struct spool spool;
    char name[SPOOL_NAME_SIZE], path[ROOM];
    assert(spool_open(&spool, root, &reserve, &err) == 0);
    struct spool_identity identity = identity_of("1.2.3.11", "x");
    identity.series_uid = "1.2.99";
    for (int i = 0; i < 2; i++) {
        struct spool_file file = spool_file_none();
        assert(spool_file_create(&file, &spool, &err) == 0);
        assert(spool_file_write(&file, "x", 1, &err) == 0);
        assert(spool_file_commit(&file, &identity, name, &err) == 0);
        spool_remove(&spool, name);
        (void)snprintf(path, sizeof path, "%s/%s", root, spool.series_name);
        assert(rmdir(path) == 0);
    }
    spool_close(&spool);
}

static void what_was_on_its_way_is_removed_at_start(void)
{
    struct spool spool;
    struct spool_file file = spool_file_none();
    int n = -1;
    assert(spool_open(&spool, root, &reserve, &err) == 0);
    assert(spool_file_create(&file, &spool, &err) == 0);
    assert(spool_file_write(&file, "half", 4, &err) == 0);
    assert(spool_clean(&spool, &n, &err) == 0 && n == 1 && count_in("tmp") == 0);
    assert(spool_clean(&spool, &n, &err) == 0 && n == 0);
    spool_file_abort(&file);
    spool_close(&spool);
}

static void the_reserve_is_kept_free(void)
{
    struct spool spool;
    struct statvfs v = {.f_frsize = 1000, .f_bavail = 2000, .f_files = 1000, .f_favail = 100};
    stat_answer = &v;
    assert(spool_open(&spool, root, &reserve, &err) == 0);
    assert(spool_check(&spool, 1000000, &err) == 0);
    assert(spool_check(&spool, 1000001, &err) == SPOOL_FULL);
    v.f_favail = 99;
    assert(spool_check(&spool, 0, &err) == SPOOL_FULL && strstr(err.text, "inodes") != NULL);
    v.f_files = 0;
    v.f_favail = 0;
    assert(spool_check(&spool, 0, &err) == 0);
    v.f_bavail = 999;
    assert(spool_check(&spool, 0, &err) == SPOOL_FULL && strstr(err.text, "MiB") != NULL);
    spool_close(&spool);
}

static void a_folder_that_cannot_be_is_an_error(void)
{
    struct spool spool;
    char path[ROOM];
    (void)snprintf(path, sizeof path, "%s/file", root);
    assert(sctd_file_replace(path, "x", 1, &err) == 0);
    assert(spool_open(&spool, path, &reserve, &err) == SCTD_EIO);
}

int main(void)
{
    assert(mkdtemp(root) != NULL);
    a_file_is_durable_in_the_right_order();
    names_tell_instances_apart_and_are_never_a_peers();
    a_name_is_checked_before_it_removes_anything();
    a_full_disk_is_an_outcome_and_leaves_nothing();
    short_writes_are_completed();
    a_failed_sync_is_not_tried_again_and_ends_the_spool();
    a_folder_that_was_tidied_away_is_made_again();
    what_was_on_its_way_is_removed_at_start();
    the_reserve_is_kept_free();
    a_folder_that_cannot_be_is_an_error();
    return 0;
}
