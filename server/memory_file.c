/* SPDX-License-Identifier: Apache-2.0 */
#include "server/memory_file.h"

#include <fcntl.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"

enum { PIECE_SIZE = 1 << 14, SEALS = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL };

static int make(int *ret_fd, const char *bytes, size_t size, int seals, struct sctd_error *err)
{
    const int fd = memfd_create("sctd", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    size_t at = 0;
    while (fd >= 0 && at < size) {
        const ssize_t n = write(fd, bytes + at, size - at);
        if (n <= 0) {
            break;
        }
        at += (size_t)n;
    }
    if (fd < 0 || at < size || (seals != 0 && fcntl(fd, F_ADD_SEALS, seals) != 0)) {
        (void)sctd_error(err, SCTD_EIO, "a file in memory: %s", sctd_errno_text());
        if (fd >= 0) {
            (void)close(fd);
        }
        return SCTD_EIO;
    }
    *ret_fd = fd;
    return 0;
}

int memory_file_write(int *ret_fd, const struct sctd_buf *text, struct sctd_error *err)
{
    return make(ret_fd, text->data, text->size, 0, err);
}

int memory_file_seal(int *ret_fd, const void *bytes, size_t size, struct sctd_error *err)
{
    return make(ret_fd, bytes, size, SEALS, err);
}

int memory_file_read_sealed(void *to, size_t size, int fd, struct sctd_error *err)
{
    struct stat st;
    char *p = to;
    if (fcntl(fd, F_GET_SEALS) != SEALS || fstat(fd, &st) != 0 || st.st_size != (off_t)size) {
        return sctd_error(err, SCTD_EDATA, "not a sealed file in memory of %zu bytes", size);
    }
    for (size_t at = 0; at < size;) {
        const ssize_t n = pread(fd, p + at, size - at, (off_t)at);
        if (n <= 0) {
            return sctd_error(err, SCTD_EIO, "a file in memory: %s", sctd_errno_text());
        }
        at += (size_t)n;
    }
    return 0;
}

int memory_file_read(struct sctd_buf *text, int fd, struct sctd_error *err)
{
    char piece[PIECE_SIZE];
    off_t at = 0;
    for (;;) {
        const ssize_t n = pread(fd, piece, sizeof piece, at);
        if (n < 0) {
            return sctd_error(err, SCTD_EIO, "a file in memory: %s", sctd_errno_text());
        }
        if (n == 0) {
            return 0;
        }
        int r = sctd_buf_append(text, piece, (size_t)n, err);
        if (r < 0) {
            return r;
        }
        at += n;
    }
}
