/*
 * access.h - who asks over HTTP: tokens for programs, sessions for browsers, and what each may do.
 *
 * A token is 256 bits of randomness of which only the hash is kept; so no slow hash is needed.  A session comes from a
 * token, lasts 12 hours, or 1 hour without a request, and ends when its token does.
 *
 * Thread safety: the loop's thread.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/base/sha256.h"

#ifdef __cplusplus
extern "C" {
#endif

enum access_role { ACCESS_NOBODY, ACCESS_VIEWER, ACCESS_OPERATOR, ACCESS_ADMIN };
const char *access_role_name(enum access_role role); /* "viewer"; never NULL */

enum {
    ACCESS_NAME_SIZE = 65,
    ACCESS_SECRET_SIZE = 70, /* of a token or a session's secret, as text with a NUL */
    ACCESS_CSRF_SIZE = 33,
    ACCESS_SESSIONS_MAX = 64,
};

struct access_token {
    char name[ACCESS_NAME_SIZE];
    enum access_role role;
    bool identity; /* may see who patients are */
    unsigned char sha256[SHA256_SIZE];
};

/* Who asks. */
struct access_who {
    char name[ACCESS_NAME_SIZE]; /* of the token */
    enum access_role role;
    bool identity;
    char csrf[ACCESS_CSRF_SIZE]; /* of the session; "" where a token was given */
};

struct access;

/* *ret_access: freed by access_free.  Errors: SCTD_ENOMEM. */
SCTD_NODISCARD int access_new(struct access **ret_access, struct sctd_error *err);
void access_free(struct access *access); /* NULL is a no-op */

/* Other tokens from now on (copied); sessions of those that are not among them end.  Errors: SCTD_ENOMEM. */
SCTD_NODISCARD int access_set_tokens(struct access *access, const struct access_token *tokens,
                                     size_t n, struct sctd_error *err);

/* Whether it is a token, in a time that does not depend on how much of it is right. */
bool access_by_token(const struct access *access, const char *token, struct access_who *ret_who);

/* Begin a session; the oldest ends where there are too many.  now_ms: any clock that does not step.
 * Returns whether it is a token.  Errors: SCTD_EIO (no randomness). */
SCTD_NODISCARD int access_login(struct access *access, const char *token, int64_t now_ms,
                                char ret_secret[ACCESS_SECRET_SIZE], struct access_who *ret_who,
                                struct sctd_error *err);
bool access_by_session(struct access *access, const char *secret, int64_t now_ms,
                       struct access_who *ret_who);
void access_logout(struct access *access, const char *secret);

/* Whether `csrf` is that of the session. */
bool access_is_csrf(const struct access_who *who, const char *csrf);

/* A new token, "sctd_" and 64 hex digits.  Errors: SCTD_EIO. */
SCTD_NODISCARD int access_make_token(char ret_token[ACCESS_SECRET_SIZE], struct sctd_error *err);

#ifdef __cplusplus
}
#endif
