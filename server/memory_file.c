/* SPDX-License-Identifier: Apache-2.0 */
#include "server/memory_file.h"

#include <stddef.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"

enum { PIECE_SIZE = 1 << 14 };

int memory_file_write(int *ret_fd, const struct sctd_buf *text, struct sctd_error *err)
{
    const int fd = memfd_create("sctd", MFD_CLOEXEC);
    size_t at = 0;
    while (fd >= 0 && at < text->size) {
        const ssize_t n = write(fd, text->data + at, text->size - at);
        if (n <= 0) {
            break;
        }
        at += (size_t)n;
    }
    if (fd < 0 || at < text->size) {
        (void)sctd_error(err, SCTD_EIO, "a file in memory: %s", sctd_errno_text());
        if (fd >= 0) {
            (void)close(fd);
        }
        return SCTD_EIO;
    }
    *ret_fd = fd;
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
