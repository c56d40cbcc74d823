/* SPDX-License-Identifier: Apache-2.0 */
/*
 * To be preloaded: syncs of files whose path holds the text in SCTD_NOSYNC do nothing and succeed, or fail with EIO while
 * the file that SCTD_FAILSYNC names is there.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int is_stubbed(int fd)
{
    char link[64];
    char path[PATH_MAX];
    // NOLINTNEXTLINE(concurrency-mt-unsafe): nobody changes the environment
    const char *part = getenv("SCTD_NOSYNC");
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t n = readlink(link, path, sizeof path - 1);
    path[n < 0 ? 0 : n] = '\0';
    return part != NULL && strstr(path, part) != NULL;
}

/* What a stubbed sync returns. */
static int pretend(void)
{
    // NOLINTNEXTLINE(concurrency-mt-unsafe): nobody changes the environment
    const char *fail = getenv("SCTD_FAILSYNC");
    if (fail == NULL || access(fail, F_OK) != 0) {
        return 0;
    }
    errno = EIO;
    return -1;
}

/* glibc's names of the parameters are reserved. */
// NOLINTBEGIN(readability-inconsistent-declaration-parameter-name)
int fsync(int fd)
{
    return is_stubbed(fd) ? pretend() : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    return is_stubbed(fd) ? pretend() : (int)syscall(SYS_fdatasync, fd);
}
// NOLINTEND(readability-inconsistent-declaration-parameter-name)
