/* SPDX-License-Identifier: Apache-2.0 */
#include "server/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/sha256.h"

enum { TRIES_MAX = 10000, SERIES_HEX = 32, INSTANCE_HEX = 64 };

static const char series_prefix[] = "series/";
static const char suffix[] = ".dcm";

static bool is_room_error(int number)
{
    return number == ENOSPC || number == EDQUOT || number == EFBIG;
}

/* errno as an outcome or an error. */
static int failed(const struct spool *spool, const char *name, struct sctd_error *err)
{
    if (is_room_error(errno)) {
        (void)sctd_error(err, SCTD_EIO, "%.120s/%.80s: %s", spool->path, name, sctd_errno_text());
        return SPOOL_FULL;
    }
    return sctd_error(err, SCTD_EIO, "%.120s/%.80s: %s", spool->path, name, sctd_errno_text());
}

static int sync_failed(struct spool *spool, const char *name, struct sctd_error *err)
{
    spool->is_failed = true;
    return sctd_error(err, SCTD_EIO, "%.120s/%.80s cannot be synced: %s", spool->path, name,
                      sctd_errno_text());
}

static int open_folder(int at, const char *name)
{
    return openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int make_folders(const char *path, struct sctd_error *err)
{
    static const char *const names[] = {"tmp", "series"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char folder[SCTD_PATH_MAX];
        int r = sctd_path_join(folder, path, names[i], err);
        if (r == 0) {
            r = sctd_dir_make(folder, err);
        }
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

int spool_open(struct spool *ret_spool, const char *path, const struct spool_reserve *reserve,
               struct sctd_error *err)
{
    struct spool spool = {.root = -1, .tmp = -1, .series = -1, .reserve = *reserve};
    const int n = snprintf(spool.path, sizeof spool.path, "%s", path);
    if (n < 0 || (size_t)n >= sizeof spool.path) {
        return sctd_error(err, SCTD_EINVAL, "path %.160s is too long", path);
    }
    int r = make_folders(path, err);
    if (r < 0) {
        return r;
    }
    spool.root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (spool.root >= 0) {
        spool.tmp = open_folder(spool.root, "tmp");
    }
    if (spool.tmp < 0) {
        r = sctd_error(err, SCTD_EIO, "%.160s: %s", path, sctd_errno_text());
        spool_close(&spool);
        return r;
    }
    *ret_spool = spool;
    return 0;
}

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
}

void spool_close(struct spool *spool)
{
    close_fd(&spool->series);
    close_fd(&spool->tmp);
    close_fd(&spool->root);
}

int spool_clean(const struct spool *spool, int *ret_n, struct sctd_error *err)
{
    const int fd = open_folder(spool->root, "tmp");
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        const int r = sctd_error(err, SCTD_EIO, "%.160s/tmp: %s", spool->path, sctd_errno_text());
        close_fd(&(int){fd});
        return r;
    }
    const struct dirent *entry = NULL;
    int n = 0;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): one stream, one thread
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.' && unlinkat(fd, entry->d_name, 0) == 0) {
            n++;
        }
    }
    (void)closedir(dir);
    *ret_n = n;
    return 0;
}

int spool_check(const struct spool *spool, int64_t bytes, struct sctd_error *err)
{
    struct statvfs v;
    if (fstatvfs(spool->root, &v) != 0) {
        return sctd_error(err, SCTD_EIO, "%.160s: %s", spool->path, sctd_errno_text());
    }
    const double free_bytes = (double)v.f_bavail * (double)v.f_frsize;
    /* File systems that make inodes as they need them say that they have none. */
    const bool counts_files = v.f_files > 0;
    if (free_bytes < (double)spool->reserve.bytes + (double)bytes) {
        (void)sctd_error(err, SCTD_EIO, "%.120s: %.0f MiB free, %.0f MiB kept in reserve",
                         spool->path, free_bytes / 1048576, (double)spool->reserve.bytes / 1048576);
        return SPOOL_FULL;
    }
    if (counts_files && (double)v.f_favail < (double)spool->reserve.files) {
        (void)sctd_error(err, SCTD_EIO, "%.120s: %.0f inodes free, %lld kept in reserve",
                         spool->path, (double)v.f_favail, (long long)spool->reserve.files);
        return SPOOL_FULL;
    }
    return 0;
}

int spool_file_create(struct spool_file *ret_file, struct spool *spool, struct sctd_error *err)
{
    struct spool_file file = {.spool = spool, .fd = -1};
    /* A process that died may have had this number and left its files: in a container always. */
    for (int i = 0; i < TRIES_MAX; i++) {
        (void)snprintf(file.temporary, sizeof file.temporary, "%d.%u", (int)getpid(),
                       spool->counter++);
        file.fd = openat(spool->tmp, file.temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
        if (file.fd >= 0 || (errno != EEXIST && errno != EINTR)) {
            break;
        }
    }
    if (file.fd < 0) {
        return failed(spool, "tmp", err);
    }
    *ret_file = file;
    return 0;
}

int spool_file_write(struct spool_file *file, const void *bytes, size_t size,
                     struct sctd_error *err)
{
    const char *p = bytes;
    while (size > 0) {
        const ssize_t n = write(file->fd, p, size);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            errno = n == 0 ? ENOSPC : errno;
            return failed(file->spool, file->temporary, err);
        }
        p += n;
        size -= (size_t)n;
        file->size += (uint64_t)n;
    }
    return 0;
}

void spool_file_abort(struct spool_file *file)
{
    if (file->fd >= 0) {
        close_fd(&file->fd);
        (void)unlinkat(file->spool->tmp, file->temporary, 0);
    }
}

/* "series/HASH", "series/HASH/HASH.dcm". */
static void make_names(char ret_series[SPOOL_SERIES_SIZE], char ret_name[SPOOL_NAME_SIZE],
                       const struct spool_identity *identity)
{
    char hex[SHA256_HEX_SIZE];
    unsigned char digest[SHA256_SIZE];
    struct sha256 s;
    sha256_hex_of(identity->series_uid, strlen(identity->series_uid), hex);
    (void)snprintf(ret_series, SPOOL_SERIES_SIZE, "%s%.*s", series_prefix, SERIES_HEX, hex);
    sha256_init(&s);
    sha256_update(&s, identity->sop_uid, strlen(identity->sop_uid) + 1);
    sha256_update(&s, identity->transfer_syntax_uid, strlen(identity->transfer_syntax_uid) + 1);
    sha256_update(&s, identity->sha256, sizeof identity->sha256);
    sha256_final(&s, digest);
    sha256_to_hex(digest, hex);
    (void)snprintf(ret_name, SPOOL_NAME_SIZE, "%s/%s%s", ret_series, hex, suffix);
}

/* Another process may have made the folder a moment ago and not have synced it yet: sync it anyway. */
static int enter_series(struct spool *spool, const char *name, struct sctd_error *err)
{
    if (spool->series >= 0 && strcmp(spool->series_name, name) == 0) {
        return 0;
    }
    close_fd(&spool->series);
    if (mkdirat(spool->root, name, 0750) != 0 && errno != EEXIST) {
        return failed(spool, name, err);
    }
    const int fd = open_folder(spool->root, name);
    const int above = open_folder(spool->root, "series");
    if (fd < 0 || above < 0) {
        const int r = failed(spool, name, err);
        close_fd(&(int){fd});
        close_fd(&(int){above});
        return r;
    }
    int r = fsync(above) == 0 ? 0 : sync_failed(spool, "series", err);
    close_fd(&(int){above});
    if (r < 0) {
        close_fd(&(int){fd});
        return r;
    }
    spool->series = fd;
    (void)snprintf(spool->series_name, sizeof spool->series_name, "%s", name);
    return 0;
}

/* Whoever tidies up may remove an empty folder that is about to be used: make it again, once. */
static int rename_into_series(struct spool *spool, const char *temporary, const char *series,
                              const char *name, struct sctd_error *err)
{
    const char *leaf = name + strlen(series) + 1;
    for (int i = 0;; i++) {
        int r = enter_series(spool, series, err);
        if (r != 0) {
            return r;
        }
        if (renameat(spool->tmp, temporary, spool->series, leaf) == 0) {
            return 0;
        }
        if (errno != ENOENT || i > 0) {
            return failed(spool, name, err);
        }
        close_fd(&spool->series);
    }
}

static int sync_and_close(struct spool_file *file, struct sctd_error *err)
{
    struct stat st;
    if (fstat(file->fd, &st) != 0 || (uint64_t)st.st_size != file->size) {
        return sctd_error(err, SCTD_EIO, "%.120s/tmp/%s: %lld bytes of %llu", file->spool->path,
                          file->temporary, (long long)st.st_size, (unsigned long long)file->size);
    }
    if (fdatasync(file->fd) != 0) {
        return sync_failed(file->spool, file->temporary, err);
    }
    const int fd = file->fd;
    file->fd = -1;
    if (close(fd) != 0) {
        return sync_failed(file->spool, file->temporary, err);
    }
    return 0;
}

int spool_file_commit(struct spool_file *file, const struct spool_identity *identity,
                      char ret_name[SPOOL_NAME_SIZE], struct sctd_error *err)
{
    struct spool *spool = file->spool;
    char series[SPOOL_SERIES_SIZE];
    char name[SPOOL_NAME_SIZE];
    make_names(series, name, identity);
    int r = sync_and_close(file, err);
    if (r == 0) {
        r = rename_into_series(spool, file->temporary, series, name, err);
    }
    if (r != 0) {
        close_fd(&file->fd);
        (void)unlinkat(spool->tmp, file->temporary, 0);
        return r;
    }
    if (fsync(spool->series) != 0) {
        return sync_failed(spool, series, err);
    }
    memcpy(ret_name, name, sizeof name);
    return 0;
}

static const char *skip_hex(const char *text, size_t n)
{
    return text != NULL && strspn(text, "0123456789abcdef") == n ? text + n : NULL;
}

bool spool_is_name(const char *name)
{
    if (strncmp(name, series_prefix, sizeof series_prefix - 1) != 0) {
        return false;
    }
    const char *end = skip_hex(name + sizeof series_prefix - 1, SERIES_HEX);
    end = end != NULL && *end == '/' ? skip_hex(end + 1, INSTANCE_HEX) : NULL;
    return end != NULL && strcmp(end, suffix) == 0;
}

void spool_remove(const struct spool *spool, const char *name)
{
    if (spool_is_name(name)) {
        (void)unlinkat(spool->root, name, 0);
    }
}
