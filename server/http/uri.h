/*
 * uri.h - the target of an HTTP request, taken apart: a path and its parameters.
 *
 * Strict: an absolute path of visible ASCII, percent escapes that are valid UTF-8 and no control characters, no "."
 * or ".." segment, no parameter twice (RFC 9112 3.2.1, RFC 3986).
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { URI_SIZE_MAX = 2048, URI_PARAMS_MAX = 24 };

struct uri_param {
    const char *name, *value; /* decoded UTF-8; "" where there is no '=' */
};

struct uri {
    const char *path; /* decoded, begins with '/' */
    struct uri_param param[URI_PARAMS_MAX];
    size_t n;
    char text[URI_SIZE_MAX]; /* what the pointers point into: a struct uri is never copied */
};

/* Errors: SCTD_EDATA, saying what is wrong with it. */
SCTD_NODISCARD int uri_parse(struct uri *ret_uri, const char *target, struct sctd_error *err);

/* The value of a parameter, or NULL. */
const char *uri_get(const struct uri *uri, const char *name);

#ifdef __cplusplus
}
#endif
