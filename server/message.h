/*
 * message.h - messages of several types between parent and child, each a record in a frame.
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/record.h"

#ifdef __cplusplus
extern "C" {
#endif

struct message_type {
    const char *name;
    struct record record; /* of the struct that all types share */
};

/* Send one; passed_fd and timeout_ms as frame_send.  Errors: as frame_send, SCTD_ENOMEM. */
SCTD_NODISCARD int message_send(int fd, const struct message_type *type, const void *object,
                                int passed_fd, int timeout_ms, struct sctd_error *err);

/*
 * Which of types[n] it is, *ret_type, and its fields into *ret_object.
 * Errors: SCTD_EDATA (none of them, a field that is missing or does not fit).
 */
SCTD_NODISCARD int message_read(void *ret_object, size_t *ret_type,
                                const struct message_type *types, size_t n, const struct json *json,
                                struct sctd_error *err);

#ifdef __cplusplus
}
#endif
