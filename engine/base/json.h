/*
 * json.h - read and write JSON (RFC 8259), strictly and within bounds.
 *
 * Reading gives an array of nodes without recursion: depth at most 64, numbers of at most 63
 * characters, memory at most 25 times the text and 8 KiB.  Repeated keys, keys with a NUL, invalid
 * UTF-8, bad escapes and anything after the value are refused with line and column (of the byte, from
 * 1).  A whole number beyond int64_t is read as a double.
 *
 * Thread safety: a document is immutable once read.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

enum json_type {
    JSON_NULL,
    JSON_BOOL,
    JSON_INT,
    JSON_DOUBLE,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
};

/* Which of the values of a union is set depends on the type. */
struct json_node {
    const char *key; /* if it is an object's member, else NULL; NUL-terminated UTF-8 */
    union {
        const char *string; /* JSON_STRING; NUL-terminated UTF-8 */
        int64_t integer;    /* JSON_INT, JSON_BOOL */
    };
    union {
        size_t string_size; /* JSON_STRING; without the NUL; a string may hold NULs */
        double number;      /* JSON_DOUBLE, JSON_INT */
    };
    enum json_type type;
    uint32_t count; /* members or elements */
    uint32_t first; /* index of the first of them; 0: none */
    uint32_t next;  /* index of the following sibling; 0: none */
};

struct json;

/* *ret_json: the caller frees it; it keeps nothing of the text.  Errors: SCTD_EDATA with line and column,
 * SCTD_ENOMEM. */
SCTD_NODISCARD int json_parse(struct json **ret_json, const char *text, size_t size,
                              struct sctd_error *err);
void json_free(struct json *json); /* NULL is a no-op */
static inline void json_freep(struct json **json)
{
    json_free(*json);
}

const struct json_node *json_get_root(const struct json *json);
/* The first member or element, then the following one; NULL at the end. */
const struct json_node *json_first(const struct json *json, const struct json_node *node);
const struct json_node *json_next(const struct json *json, const struct json_node *node);
/* The member called `key`; NULL if there is none or `object` is none. */
const struct json_node *json_find(const struct json *json, const struct json_node *object,
                                  const char *key);

/*
 * Members of an object by key, each of one type.
 * Errors: SCTD_EDATA naming the key: it is missing, or is not what it must be.
 */
SCTD_NODISCARD int json_get_object(const struct json_node **ret_node, const struct json *json,
                                   const struct json_node *object, const char *key,
                                   struct sctd_error *err);
SCTD_NODISCARD int json_get_array(const struct json_node **ret_node, const struct json *json,
                                  const struct json_node *object, const char *key,
                                  struct sctd_error *err);
SCTD_NODISCARD int json_get_string(const char **ret_string, const struct json *json,
                                   const struct json_node *object, const char *key,
                                   struct sctd_error *err); /* refuses strings with a NUL inside */
SCTD_NODISCARD int json_get_int(int64_t *ret_value, const struct json *json,
                                const struct json_node *object, const char *key,
                                struct sctd_error *err);
SCTD_NODISCARD int json_get_number(double *ret_value, const struct json *json,
                                   const struct json_node *object, const char *key,
                                   struct sctd_error *err);
SCTD_NODISCARD int json_get_bool(bool *ret_value, const struct json *json,
                                 const struct json_node *object, const char *key,
                                 struct sctd_error *err);
/* Refuse members other than the `n` known ones.  Errors: SCTD_EDATA naming the key, or if `object` is
 * none. */
SCTD_NODISCARD int json_check_keys(const struct json *json, const struct json_node *object,
                                   const char *const *known, size_t n, struct sctd_error *err);

/* Writing.  The first failure sticks and is given by json_writer_finish. */
struct json_writer {
    struct sctd_buf *buf; /* borrowed */
    struct sctd_error *err;
    int failed;
    int depth;
    bool comma;  /* a value stands before the next one */
    bool pretty; /* one member a line, two blanks a level */
};

static inline struct json_writer json_writer_make(struct sctd_buf *buf, bool pretty,
                                                  struct sctd_error *err)
{
    const struct json_writer w = {buf, err, 0, 0, false, pretty};
    return w;
}

/* key: within an object, else NULL. */
void json_write_object_begin(struct json_writer *w, const char *key);
void json_write_object_end(struct json_writer *w);
void json_write_array_begin(struct json_writer *w, const char *key);
void json_write_array_end(struct json_writer *w);
void json_write_string(struct json_writer *w, const char *key, const char *value);
void json_write_int(struct json_writer *w, const char *key, int64_t value);
void json_write_double(struct json_writer *w, const char *key, double value); /* not finite: null */
void json_write_bool(struct json_writer *w, const char *key, bool value);
void json_write_null(struct json_writer *w, const char *key);
/* Errors: the first failure, SCTD_EINVAL (the buffer is full, a text is no UTF-8) or SCTD_ENOMEM. */
SCTD_NODISCARD int json_writer_finish(const struct json_writer *w);

#ifdef __cplusplus
}
#endif
