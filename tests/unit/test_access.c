/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/sha256.h"
#include "server/http/access.h"

#include "tests/support/hold.h"

static struct access_token token_of(const char *name, const char *text, enum access_role role)
{
    struct access_token token = {.role = role, .identity = role == ACCESS_ADMIN};
    struct sha256 s;
    (void)snprintf(token.name, sizeof token.name, "%s", name);
    sha256_init(&s);
    sha256_update(&s, text, strlen(text));
    sha256_final(&s, token.sha256);
    return token;
}

static struct access *open(const struct access_token *tokens, size_t n)
{
    struct access *access = NULL;
    struct sctd_error err = {0};
    HOLD(access_new(&access, &err) == 0 && access_set_tokens(access, tokens, n, &err) == 0);
    return access;
}

static void tokens_are_known_by_their_hash(void)
{
    const struct access_token tokens[] = {token_of("a", "sctd_a", ACCESS_VIEWER),
                                          token_of("b", "sctd_b", ACCESS_ADMIN)};
    struct access *access = open(tokens, 2);
    struct access_who who;
    HOLD(access_by_token(access, "sctd_b", &who) && strcmp(who.name, "b") == 0);
    HOLD(who.role == ACCESS_ADMIN && who.identity && who.csrf[0] == '\0');
    HOLD(access_by_token(access, "sctd_a", &who) && !who.identity);
    HOLD(!access_by_token(access, "sctd_c", &who) && !access_by_token(access, "", &who));
    access_free(access);
}

static void a_session_ends_with_its_time_its_token_and_by_hand(void)
{
    const int64_t hour_ms = 3600000;
    const struct access_token tokens[] = {token_of("a", "sctd_a", ACCESS_OPERATOR)};
    struct access *access = open(tokens, 1);
    struct access_who who;
    struct sctd_error err = {0};
    char secret[ACCESS_SECRET_SIZE];
    HOLD(access_login(access, "sctd_x", 0, secret, &who, &err) == 0);
    HOLD(access_login(access, "sctd_a", 0, secret, &who, &err) == 1 && strlen(secret) == 64);
    const struct access_who first = who;
    HOLD(access_by_session(access, secret, hour_ms, &who));
    HOLD(access_is_csrf(&who, first.csrf) && !access_is_csrf(&who, "") &&
         !access_is_csrf(&who, "00000000000000000000000000000000"));
    HOLD(access_by_session(access, secret, 2 * hour_ms, &who)); /* each request prolongs it */
    HOLD(!access_by_session(access, secret, 3 * hour_ms + 1, &who));
    HOLD(!access_by_session(access, secret, 3 * hour_ms, &who)); /* once ended it is gone */

    HOLD(access_login(access, "sctd_a", 0, secret, &who, &err) == 1);
    for (int hour = 1; hour <= 12; hour++) {
        HOLD(access_by_session(access, secret, hour * hour_ms, &who));
    }
    HOLD(!access_by_session(access, secret, 12 * hour_ms + 1, &who));

    HOLD(access_login(access, "sctd_a", 0, secret, &who, &err) == 1);
    access_logout(access, secret);
    HOLD(!access_by_session(access, secret, 1, &who));

    HOLD(access_login(access, "sctd_a", 0, secret, &who, &err) == 1);
    const struct access_token weaker[] = {token_of("a", "sctd_a", ACCESS_VIEWER)};
    HOLD(access_set_tokens(access, weaker, 1, &err) == 0);
    HOLD(access_by_session(access, secret, 1, &who) && who.role == ACCESS_VIEWER);
    HOLD(access_set_tokens(access, NULL, 0, &err) == 0);
    HOLD(!access_by_session(access, secret, 2, &who));
    access_free(access);
}

static void the_session_that_was_used_longest_ago_makes_place(void)
{
    const struct access_token tokens[] = {token_of("a", "sctd_a", ACCESS_VIEWER)};
    struct access *access = open(tokens, 1);
    struct access_who who;
    struct sctd_error err = {0};
    char secret[ACCESS_SESSIONS_MAX + 1][ACCESS_SECRET_SIZE];
    for (int i = 0; i <= ACCESS_SESSIONS_MAX; i++) {
        if (i == ACCESS_SESSIONS_MAX) {
            HOLD(access_by_session(access, secret[0], i, &who));
        }
        HOLD(access_login(access, "sctd_a", i, secret[i], &who, &err) == 1);
    }
    HOLD(access_by_session(access, secret[0], 100, &who));
    HOLD(!access_by_session(access, secret[1], 100, &who));
    HOLD(access_by_session(access, secret[ACCESS_SESSIONS_MAX], 100, &who));
    access_free(access);
}

static void new_tokens_differ(void)
{
    char a[ACCESS_SECRET_SIZE];
    char b[ACCESS_SECRET_SIZE];
    struct sctd_error err = {0};
    HOLD(access_make_token(a, &err) == 0 && access_make_token(b, &err) == 0);
    HOLD(strlen(a) == strlen("sctd_") + 64 && strncmp(a, "sctd_", 5) == 0 && strcmp(a, b) != 0);
}

int main(void)
{
    tokens_are_known_by_their_hash();
    a_session_ends_with_its_time_its_token_and_by_hand();
    the_session_that_was_used_longest_ago_makes_place();
    new_tokens_differ();
    return 0;
}
