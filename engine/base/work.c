/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/base/work.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/base/file.h"

enum { MAX_TRIES = 10000, NAME_ROOM = 256 };

/* The folder at `path`, locked. */
struct hold {
    int fd;
    bool locked; /* false where the file system has no such locks */
    uid_t owner;
};

/*
 * Returns 0 or an errno: EWOULDBLOCK if somebody else has it, ENOENT if it is not there, or no longer
 * under this name: it may have been installed between the opening and the locking.
 */
static int take(struct hold *ret_hold, const char *path)
{
    struct stat mine;
    struct stat there;
    struct hold hold = {.fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
    if (hold.fd < 0) {
        return errno;
    }
    int error = 0;
    hold.locked = flock(hold.fd, LOCK_EX | LOCK_NB) == 0;
    if ((!hold.locked && (errno == EWOULDBLOCK || errno == ENOLCK)) || fstat(hold.fd, &mine) != 0 ||
        lstat(path, &there) != 0) {
        error = errno;
    } else if (mine.st_ino != there.st_ino || mine.st_dev != there.st_dev) {
        error = ENOENT;
    }
    if (error != 0) {
        (void)close(hold.fd);
        return error;
    }
    hold.owner = mine.st_uid;
    *ret_hold = hold;
    return 0;
}

/* PREFIX.DIGITS.DIGITS */
static bool is_work_name(const char *name, const char *prefix)
{
    static const char digits[] = "0123456789";
    const size_t length = strlen(prefix);
    if (strncmp(name, prefix, length) != 0 || name[length] != '.') {
        return false;
    }
    const char *pid = name + length + 1;
    const char *number = pid + strspn(pid, digits);
    if (number == pid || *number != '.') {
        return false;
    }
    number++;
    const size_t size = strspn(number, digits);
    return size > 0 && number[size] == '\0';
}

static void remove_if_left(const char *folder, const char *name)
{
    char path[SCTD_PATH_MAX];
    struct hold hold;
    struct sctd_error err = {.code = SCTD_OK};
    if (sctd_path_join(path, folder, name, &err) < 0 || take(&hold, path) != 0) {
        return;
    }
    if (hold.locked && hold.owner == geteuid()) {
        sctd_dir_remove(path);
    }
    (void)close(hold.fd);
}

static void remove_all_left(const char *folder, const char *prefix)
{
    DIR *dir = opendir(folder);
    if (dir == NULL) {
        return;
    }
    const struct dirent *entry = NULL;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): one stream, one thread
    while ((entry = readdir(dir)) != NULL) {
        if (is_work_name(entry->d_name, prefix)) {
            remove_if_left(folder, entry->d_name);
        }
    }
    (void)closedir(dir);
}

/* Make and lock a folder at `path`.  Returns 0 or an errno. */
static int make_one(struct hold *ret_hold, const char *path)
{
    if (mkdir(path, 0777) != 0) {
        return errno;
    }
    const int error = take(ret_hold, path);
    if (error != 0) {
        (void)rmdir(path);
    }
    return error;
}

/* Another process had this number, or took the folder before it was locked for one left behind. */
static bool was_taken(int error, const char *folder)
{
    struct stat st;
    return error == EEXIST || error == EWOULDBLOCK || (error == ENOENT && stat(folder, &st) == 0);
}

int sctd_work_make(struct sctd_work *ret_work, const char *folder, const char *prefix,
                   struct sctd_error *err)
{
    static atomic_uint counter;
    struct sctd_work work = {.fd = -1};
    struct hold hold = {.fd = -1};
    int error = EEXIST;
    remove_all_left(folder, prefix);
    for (int i = 0; i < MAX_TRIES && was_taken(error, folder); i++) {
        char name[NAME_ROOM];
        (void)snprintf(name, sizeof name, "%.200s.%d.%u", prefix, (int)getpid(),
                       atomic_fetch_add(&counter, 1U));
        int r = sctd_path_join(work.path, folder, name, err);
        if (r < 0) {
            return r;
        }
        error = make_one(&hold, work.path);
    }
    if (error != 0) {
        return sctd_error(err, SCTD_EIO, "%.160s: %s", work.path, strerrordesc_np(error));
    }
    work.fd = hold.fd;
    *ret_work = work;
    return 0;
}

static void release(struct sctd_work *work)
{
    (void)close(work->fd);
    work->fd = -1;
}

int sctd_work_install(struct sctd_work *work, const char *to, struct sctd_error *err)
{
    int r = sctd_dir_install(work->path, to, err);
    if (r < 0) {
        sctd_work_remove(work);
        return r;
    }
    release(work);
    return 0;
}

void sctd_work_remove(struct sctd_work *work)
{
    if (work->fd >= 0) {
        sctd_dir_remove(work->path);
        release(work);
    }
}
