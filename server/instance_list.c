/* SPDX-License-Identifier: Apache-2.0 */
#include "server/instance_list.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "dicom/references.h"
#include "dicom/source.h"
#include "dicom/uid.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"

enum { SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL };

static int put(int fd, const void *bytes, size_t size, struct sctd_error *err)
{
    const char *p = bytes;
    for (size_t done = 0; done < size;) {
        const ssize_t n = pwrite(fd, p + done, size - done, (off_t)done);
        if (n < 0 && errno != EINTR) {
            return sctd_error(err, SCTD_EIO, "a list of instances: %s", sctd_errno_text());
        }
        done += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static int get(int fd, void *to, size_t size, struct sctd_error *err)
{
    char *p = to;
    for (size_t done = 0; done < size;) {
        const ssize_t n = pread(fd, p + done, size - done, (off_t)done);
        if (n == 0 || (n < 0 && errno != EINTR)) {
            return sctd_error(err, SCTD_EIO, "a list of instances: %s",
                              n == 0 ? "it is too short" : sctd_errno_text());
        }
        done += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

int instance_list_new(int *ret_fd, const struct dicom_references *references,
                      struct sctd_error *err)
{
    const int fd = memfd_create("instances", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) {
        return sctd_error(err, SCTD_EIO, "a list of instances: %s", sctd_errno_text());
    }
    int r = put(fd, references->item, references->n * sizeof *references->item, err);
    if (r == 0 && fcntl(fd, F_ADD_SEALS, SEALS) != 0) {
        r = sctd_error(err, SCTD_EIO, "a list of instances: %s", sctd_errno_text());
    }
    if (r < 0) {
        (void)close(fd);
        return r;
    }
    *ret_fd = fd;
    return 0;
}

static bool is_text(const char *text, bool may_be_empty)
{
    return memchr(text, '\0', DICOM_UID_SIZE) != NULL &&
           ((may_be_empty && text[0] == '\0') || dicom_uid_is_valid(text));
}

static int check(const struct dicom_references *references, struct sctd_error *err)
{
    for (size_t i = 0; i < references->n; i++) {
        const struct dicom_reference *item = &references->item[i];
        if (!is_text(item->series_uid, true) || !is_text(item->sop_class_uid, false) ||
            !is_text(item->sop_instance_uid, false)) {
            return sctd_error(err, SCTD_EDATA, "a list of instances with what is no UID");
        }
    }
    return 0;
}

int instance_list_read(struct dicom_references *ret_references, int fd, size_t n,
                       struct sctd_error *err)
{
    sctd_auto(dicom_references_fini) struct dicom_references list = {.n = n, .capacity = n};
    struct stat st;
    const size_t size = n * sizeof *list.item;
    if (n > DICOM_REFERENCES_MAX || fstat(fd, &st) != 0 || st.st_size != (off_t)size ||
        fcntl(fd, F_GET_SEALS) != SEALS) { /* which only a file in memory has */
        return sctd_error(err, SCTD_EDATA, "not a list of %zu instances", n);
    }
    list.item = calloc(n > 0 ? n : 1, sizeof *list.item);
    if (list.item == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "%zu instances", n);
    }
    int r = get(fd, list.item, size, err);
    if (r == 0) {
        r = check(&list, err);
    }
    if (r == 0) {
        *ret_references = list;
        list = (struct dicom_references){.item = NULL};
    }
    return r;
}

int instance_list_write(int fd, const struct dicom_references *references, struct sctd_error *err)
{
    return put(fd, references->item, references->n * sizeof *references->item, err);
}
