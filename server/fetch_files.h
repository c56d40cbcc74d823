/*
 * fetch_files.h - series in a folder: which there are, and the instances of one into the spool.
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <signal.h>
#include <stdbool.h>

#include "dicom/query.h"
#include "dicom/receiver.h"
#include "engine/base/error.h"
#include "server/fetch_messages.h"

#ifdef __cplusplus
extern "C" {
#endif

struct fetch_files_sink {
    void *arg;
    bool (*found)(void *arg, const struct fetch_found *found);
    void (*moving)(void *arg);
    const struct dicom_receiver_sink *instances; /* of fetch_files_read */
    const volatile sig_atomic_t *stop;
};

/* Errors of both: SCTD_EIO (a path that cannot be read), SCTD_ENOMEM, SCTD_EDATA (no such series). */
SCTD_NODISCARD int fetch_files_scan(const char *folder, const struct fetch_files_sink *sink,
                                    struct dicom_query_result *ret_result, struct sctd_error *err);
/* The instances of a series, one after another, each answered as by a peer's C-STORE. */
SCTD_NODISCARD int fetch_files_read(const char *folder, const char *series_uid,
                                    const struct fetch_files_sink *sink,
                                    struct dicom_query_result *ret_result, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
