/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/access.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "engine/base/error.h"
#include "engine/base/sha256.h"

enum { SESSION_MS = 12 * 3600 * 1000, IDLE_MS = 3600 * 1000, CSRF_BYTES = 16 };

static const char token_prefix[] = "sctd_";

struct session {
    bool used;
    unsigned char sha256[SHA256_SIZE]; /* of its secret */
    unsigned char token[SHA256_SIZE];  /* of the token that it came from */
    int64_t since_ms, last_ms;
    struct access_who who;
};

struct access {
    struct access_token *token; /* [n] */
    size_t n;
    struct session session[ACCESS_SESSIONS_MAX];
};

const char *access_role_name(enum access_role role)
{
    static const char *const names[] = {"nobody", "viewer", "operator", "admin"};
    return names[role];
}

int access_new(struct access **ret_access, struct sctd_error *err)
{
    *ret_access = calloc(1, sizeof **ret_access);
    return *ret_access == NULL ? sctd_error(err, SCTD_ENOMEM, "access") : 0;
}

void access_free(struct access *access)
{
    if (access != NULL) {
        free(access->token);
        free(access);
    }
}

/* Without a branch on the bytes. */
static bool same(const unsigned char *a, const unsigned char *b, size_t n)
{
    unsigned differ = 0;
    for (size_t i = 0; i < n; i++) {
        differ |= (unsigned)(a[i] ^ b[i]);
    }
    return differ == 0;
}

static void hash(const char *text, unsigned char ret_sha256[SHA256_SIZE])
{
    struct sha256 s;
    sha256_init(&s);
    sha256_update(&s, text, strlen(text));
    sha256_final(&s, ret_sha256);
}

static const struct access_token *find_token(const struct access *access,
                                             const unsigned char sha256[SHA256_SIZE])
{
    const struct access_token *found = NULL;
    for (size_t i = 0; i < access->n; i++) {
        if (same(access->token[i].sha256, sha256, SHA256_SIZE)) {
            found = &access->token[i];
        }
    }
    return found;
}

static void set_who(struct access_who *who, const struct access_token *token)
{
    (void)snprintf(who->name, sizeof who->name, "%s", token->name);
    who->role = token->role;
    who->identity = token->identity;
}

int access_set_tokens(struct access *access, const struct access_token *tokens, size_t n,
                      struct sctd_error *err)
{
    struct access_token *copy = calloc(n + 1, sizeof *copy);
    if (copy == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "%zu tokens", n);
    }
    if (n > 0) {
        memcpy(copy, tokens, n * sizeof *copy);
    }
    free(access->token);
    access->token = copy;
    access->n = n;
    for (size_t i = 0; i < ACCESS_SESSIONS_MAX; i++) {
        struct session *session = &access->session[i];
        const struct access_token *token =
            session->used ? find_token(access, session->token) : NULL;
        session->used = token != NULL;
        if (token != NULL) {
            set_who(&session->who, token);
        }
    }
    return 0;
}

bool access_by_token(const struct access *access, const char *token, struct access_who *ret_who)
{
    unsigned char sha256[SHA256_SIZE];
    hash(token, sha256);
    const struct access_token *found = find_token(access, sha256);
    if (found == NULL) {
        return false;
    }
    *ret_who = (struct access_who){.role = ACCESS_NOBODY};
    set_who(ret_who, found);
    return true;
}

static int make_hex(size_t bytes, char *ret_hex, struct sctd_error *err)
{
    unsigned char random[SHA256_SIZE];
    if (getrandom(random, bytes, 0) != (ssize_t)bytes) {
        return sctd_error(err, SCTD_EIO, "no randomness: %s", sctd_errno_text());
    }
    for (size_t i = 0; i < bytes; i++) {
        (void)snprintf(ret_hex + 2 * i, 3, "%02x", random[i]);
    }
    return 0;
}

int access_make_token(char ret_token[ACCESS_SECRET_SIZE], struct sctd_error *err)
{
    (void)snprintf(ret_token, ACCESS_SECRET_SIZE, "%s", token_prefix);
    return make_hex(SHA256_SIZE, ret_token + sizeof token_prefix - 1, err);
}

/* A free place, or that of the session that was used longest ago. */
static struct session *find_place(struct access *access)
{
    struct session *place = &access->session[0];
    for (size_t i = 0; i < ACCESS_SESSIONS_MAX; i++) {
        struct session *session = &access->session[i];
        if (!session->used) {
            return session;
        }
        if (session->last_ms < place->last_ms) {
            place = session;
        }
    }
    return place;
}

int access_login(struct access *access, const char *token, int64_t now_ms,
                 char ret_secret[ACCESS_SECRET_SIZE], struct access_who *ret_who,
                 struct sctd_error *err)
{
    struct session session = {.used = true, .since_ms = now_ms, .last_ms = now_ms};
    hash(token, session.token);
    const struct access_token *found = find_token(access, session.token);
    if (found == NULL) {
        return false;
    }
    set_who(&session.who, found);
    int r = make_hex(SHA256_SIZE, ret_secret, err);
    r = r < 0 ? r : make_hex(CSRF_BYTES, session.who.csrf, err);
    if (r < 0) {
        return r;
    }
    hash(ret_secret, session.sha256);
    *find_place(access) = session;
    *ret_who = session.who;
    return true;
}

static struct session *find_session(struct access *access, const char *secret)
{
    unsigned char sha256[SHA256_SIZE];
    hash(secret, sha256);
    for (size_t i = 0; i < ACCESS_SESSIONS_MAX; i++) {
        if (access->session[i].used && same(access->session[i].sha256, sha256, SHA256_SIZE)) {
            return &access->session[i];
        }
    }
    return NULL;
}

bool access_by_session(struct access *access, const char *secret, int64_t now_ms,
                       struct access_who *ret_who)
{
    struct session *session = find_session(access, secret);
    if (session == NULL) {
        return false;
    }
    if (now_ms - session->since_ms > SESSION_MS || now_ms - session->last_ms > IDLE_MS) {
        session->used = false;
        return false;
    }
    session->last_ms = now_ms;
    *ret_who = session->who;
    return true;
}

void access_logout(struct access *access, const char *secret)
{
    struct session *session = find_session(access, secret);
    if (session != NULL) {
        session->used = false;
    }
}

bool access_is_csrf(const struct access_who *who, const char *csrf)
{
    const size_t n = strlen(who->csrf);
    return n == strlen(csrf) && n > 0 &&
           same((const unsigned char *)who->csrf, (const unsigned char *)csrf, n);
}
