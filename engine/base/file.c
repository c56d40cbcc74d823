/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/error.h"

enum { LONGEST_FINAL = SCTD_PATH_MAX - 40, MAX_TRIES = 10000 };

static int open_file(const char *path, int flags)
{
    int fd = -1;
    do {
        fd = open(path, flags | O_CLOEXEC, 0644);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

int sctd_map_open(struct sctd_map *ret_map, const char *path, struct sctd_error *err)
{
    /* O_NONBLOCK: opening a FIFO must not wait for a writer. */
    const int fd = open_file(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return sctd_error(err, SCTD_EIO, "%.160s: %s", path, sctd_errno_text());
    }
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        (void)close(fd);
        return sctd_error(err, SCTD_EIO, "%.160s: not a regular file", path);
    }
    struct sctd_map map = {.data = NULL, .size = (size_t)st.st_size};
    if (map.size > 0) {
        void *data = mmap(NULL, map.size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED) {
            const int r = sctd_error(err, SCTD_EIO, "%.160s: %s", path, sctd_errno_text());
            (void)close(fd);
            return r;
        }
        map.data = data;
    }
    (void)close(fd);
    *ret_map = map;
    return 0;
}

static void *writable(const void *p)
{
    void *same = NULL;
    memcpy((void *)&same, (const void *)&p, sizeof same);
    return same;
}

void sctd_map_close(struct sctd_map *map)
{
    if (map->data != NULL) {
        (void)munmap(writable(map->data), map->size);
    }
    *map = (struct sctd_map){0};
}

void sctd_map_drop(const struct sctd_map *map, size_t offset, size_t size)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t first = (offset + page - 1) / page * page;
    const size_t end = (offset + size) / page * page;
    if (map->data != NULL && first < end) {
        (void)madvise((char *)writable(map->data) + first, end - first, MADV_DONTNEED);
    }
}

int sctd_path_join(char *ret_path, const char *folder, const char *name, struct sctd_error *err)
{
    char path[SCTD_PATH_MAX];
    const size_t size = strlen(folder);
    const bool bare = size == 0 || folder[size - 1] == '/';
    const int n = snprintf(path, sizeof path, "%s%s%s", folder, bare ? "" : "/", name);
    if (n < 0 || (size_t)n >= sizeof path) {
        return sctd_error(err, SCTD_EINVAL, "path %.100s/%.60s is too long", folder, name);
    }
    memcpy(ret_path, path, (size_t)n + 1);
    return 0;
}

int sctd_file_create(struct sctd_file *ret_file, const char *path, struct sctd_error *err)
{
    static atomic_uint counter;
    struct sctd_file file = {.fd = -1};
    const int n = snprintf(file.path, sizeof file.path, "%s", path);
    if (n < 0 || n > LONGEST_FINAL) {
        return sctd_error(err, SCTD_EINVAL, "path %.160s is too long", path);
    }
    /* A process that died may have had this number and left its files: in a container always. */
    for (int i = 0; i < MAX_TRIES; i++) {
        (void)snprintf(file.temporary, sizeof file.temporary, "%.*s.%d.%u.tmp", LONGEST_FINAL,
                       file.path, (int)getpid(), atomic_fetch_add(&counter, 1U));
        file.fd = open_file(file.temporary, O_WRONLY | O_CREAT | O_EXCL);
        if (file.fd >= 0 || errno != EEXIST) {
            break;
        }
    }
    if (file.fd < 0) {
        return sctd_error(err, SCTD_EIO, "%.160s: %s", file.temporary, sctd_errno_text());
    }
    *ret_file = file;
    return 0;
}

int sctd_file_write(struct sctd_file *file, const void *bytes, size_t size, struct sctd_error *err)
{
    const char *p = bytes;
    while (size > 0) {
        const ssize_t n = write(file->fd, p, size < (1U << 30) ? size : (1U << 30));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return sctd_error(err, SCTD_EIO, "%.160s: %s", file->temporary, sctd_errno_text());
        }
        p += n;
        size -= (size_t)n;
    }
    return 0;
}

void sctd_file_abort(struct sctd_file *file)
{
    if (file->fd >= 0) {
        (void)close(file->fd);
        (void)unlink(file->temporary);
        file->fd = -1;
    }
}

/* Sync the folder that holds `path`, whatever slashes it ends in. */
static int sync_parent(const char *path, struct sctd_error *err)
{
    char folder[SCTD_PATH_MAX];
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') {
        n--;
    }
    while (n > 0 && path[n - 1] != '/') {
        n--;
    }
    if (n == 0) {
        return sctd_dir_sync(".", err);
    }
    const int size = snprintf(folder, sizeof folder, "%.*s", (int)n, path);
    if (size < 0 || (size_t)size >= sizeof folder) {
        return sctd_error(err, SCTD_EINVAL, "path %.160s is too long", path);
    }
    return sctd_dir_sync(folder, err);
}

void sctd_file_start_sync(const struct sctd_file *file)
{
    (void)sync_file_range(file->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

int sctd_file_install(struct sctd_file *file, struct sctd_error *err)
{
    if (fsync(file->fd) != 0) {
        const int r = sctd_error(err, SCTD_EIO, "%.160s: %s", file->temporary, sctd_errno_text());
        sctd_file_abort(file);
        return r;
    }
    const int fd = file->fd;
    file->fd = -1;
    if (close(fd) != 0 || rename(file->temporary, file->path) != 0) { // lint-allow
        const int r = sctd_error(err, SCTD_EIO, "%.160s: %s", file->path, sctd_errno_text());
        (void)unlink(file->temporary);
        return r;
    }
    return 0;
}

int sctd_file_commit(struct sctd_file *file, struct sctd_error *err)
{
    int r = sctd_file_install(file, err);
    return r < 0 ? r : sync_parent(file->path, err);
}

int sctd_file_replace(const char *path, const void *bytes, size_t size, struct sctd_error *err)
{
    struct sctd_file file = {.fd = -1};
    int r = sctd_file_create(&file, path, err);
    if (r == 0) {
        r = sctd_file_write(&file, bytes, size, err);
    }
    if (r == 0) {
        return sctd_file_commit(&file, err);
    }
    sctd_file_abort(&file);
    return r;
}

int sctd_dir_sync(const char *path, struct sctd_error *err)
{
    const int fd = open_file(path, O_RDONLY | O_DIRECTORY);
    if (fd < 0) {
        return sctd_error(err, SCTD_EIO, "%.160s: %s", path, sctd_errno_text());
    }
    int r = 0;
    if (fsync(fd) != 0) {
        r = sctd_error(err, SCTD_EIO, "%.160s: %s", path, sctd_errno_text());
    }
    (void)close(fd);
    return r;
}

static int make_one(const char *path, struct sctd_error *err)
{
    if (mkdir(path, 0755) == 0) {
        return sync_parent(path, err);
    }
    return errno == EEXIST ? 0 : sctd_error(err, SCTD_EIO, "%.160s: %s", path, sctd_errno_text());
}

int sctd_dir_make(const char *path, struct sctd_error *err)
{
    char part[SCTD_PATH_MAX];
    const int n = snprintf(part, sizeof part, "%s", path);
    if (n < 0 || (size_t)n >= sizeof part) {
        return sctd_error(err, SCTD_EINVAL, "path %.160s is too long", path);
    }
    for (char *p = part + 1; n > 0; p++) {
        if (*p != '/' && *p != '\0') {
            continue;
        }
        const char was = *p;
        *p = '\0';
        int r = make_one(part, err);
        if (r < 0) {
            return r;
        }
        if (was == '\0') {
            break;
        }
        *p = was;
    }
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        return sctd_error(err, SCTD_EIO, "%.160s: not a folder", path);
    }
    return 0;
}

/* Some file systems, NFS among them, know no RENAME_NOREPLACE and answer EINVAL. */
static int rename_to_nothing(const char *from, const char *to)
{
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) {
        return 0;
    }
    struct stat st;
    if (errno != EINVAL) {
        return -1;
    }
    if (lstat(to, &st) == 0) {
        errno = EEXIST;
        return -1;
    }
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int sctd_dir_install(const char *from, const char *to, struct sctd_error *err)
{
    int r = sctd_dir_sync(from, err);
    if (r < 0) {
        return r;
    }
    if (rename_to_nothing(from, to) != 0) {
        if (errno == EEXIST) {
            return sctd_error(err, SCTD_EINVAL, "%.160s exists already", to);
        }
        return sctd_error(err, SCTD_EIO, "%.160s: %s", to, sctd_errno_text());
    }
    return sync_parent(to, err);
}

int sctd_file_move(const char *from, const char *to, struct sctd_error *err)
{
    if (renameat(AT_FDCWD, from, AT_FDCWD, to) != 0) {
        return sctd_error(err, SCTD_EIO, "%.160s: %s", to, sctd_errno_text());
    }
    int r = sync_parent(to, err);
    return r < 0 ? r : sync_parent(from, err);
}

int sctd_dir_count(int32_t *ret_n, bool *ret_exists, const char *path, struct sctd_error *err)
{
    int32_t n = 0;
    DIR *dir = opendir(path);
    if (dir == NULL && errno != ENOENT) {
        return sctd_error(err, SCTD_EIO, "%.160s: %s", path, strerrordesc_np(errno));
    }
    if (dir == NULL) {
        *ret_n = 0;
        *ret_exists = false;
        return 0;
    }
    errno = 0;
    for (;;) {
        const struct dirent *entry = readdir(dir); // NOLINT(concurrency-mt-unsafe): own stream
        if (entry == NULL) {
            break;
        }
        n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    }
    const int failure = errno;
    (void)closedir(dir);
    if (failure != 0) {
        return sctd_error(err, SCTD_EIO, "%.160s: %s", path, strerrordesc_np(failure));
    }
    *ret_n = n;
    *ret_exists = true;
    return 0;
}

void sctd_dir_remove(const char *path)
{
    const int fd = open_file(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return;
    }
    const struct dirent *entry = NULL;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): one stream, one thread
    while ((entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            (void)unlinkat(fd, entry->d_name, 0);
        }
    }
    (void)closedir(dir);
    (void)rmdir(path);
}
