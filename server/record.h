/*
 * record.h - a struct as a JSON object and back, by a table of its fields.
 *
 * What comes from another process is checked: every field must be there, of its kind, and fit.
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "engine/base/error.h"
#include "engine/base/json.h"

#ifdef __cplusplus
extern "C" {
#endif

enum record_kind {
    RECORD_TEXT,   /* char[size], NUL-terminated UTF-8 */
    RECORD_BYTES,  /* unsigned char[size], all of them: hex in JSON */
    RECORD_RAW,    /* char[size], NUL-terminated, any bytes: hex in JSON */
    RECORD_I32,    /* int32_t */
    RECORD_I64,    /* int64_t */
    RECORD_DOUBLE, /* double; NAN is null */
    RECORD_BOOL,   /* bool */
};

struct record_field {
    const char *key;
    enum record_kind kind;
    size_t offset, size;
};

#define RECORD_FIELD(kind, type, member, key)                                                      \
    {(key), (kind), offsetof(type, member), sizeof(((type *)NULL)->member)}

struct record {
    const struct record_field *field;
    size_t n;
};

/* Write the fields as members of the object that is open. */
void record_write(struct json_writer *w, const struct record *record, const void *object);

/* Read them; other members are not looked at.  On failure *ret_object holds what was read so far.
 * Errors: SCTD_EDATA naming the key. */
SCTD_NODISCARD int record_read(void *ret_object, const struct record *record,
                               const struct json *json, const struct json_node *node,
                               struct sctd_error *err);

#ifdef __cplusplus
}
#endif
