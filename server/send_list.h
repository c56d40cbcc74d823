/*
 * send_list.h - the instances of a delivery, handed to a sender as a file in memory.
 *
 * One line each: "S CLASS UID FILE" if it is stored already, else "N CLASS UID FILE"; FILE below the results' folder.
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "db/deliveries.h"
#include "dicom/sender.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* *ret_fd: the caller closes it.  Errors: SCTD_EIO, SCTD_ENOMEM. */
SCTD_NODISCARD int send_list_write(int *ret_fd, const struct db_file_set *files,
                                   struct sctd_error *err);

struct send_list {
    struct dicom_sender_file *file; /* [n], owned */
    char **path;                    /* [n], owned: theirs */
    size_t n;
};
void send_list_fini(struct send_list *list); /* leaves it empty */

/* `folder` goes before each path.  Errors: SCTD_EDATA (not such a file), SCTD_EIO, SCTD_ENOMEM. */
SCTD_NODISCARD int send_list_read(struct send_list *ret_list, int fd, const char *folder,
                                  struct sctd_error *err);

#ifdef __cplusplus
}
#endif
