/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config_http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "engine/base/error.h"
#include "engine/base/parse.h"
#include "engine/base/sha256.h"
#include "server/config.h"
#include "server/http/access.h"

enum { CONNECTIONS = 256, REQUESTS_PER_SECOND = 2000, FAILURES_PER_MINUTE = 10, MOST = 100000 };

static bool is_loopback(const char *address)
{
    struct in_addr v4;
    struct in6_addr v6;
    enum { NET_SHIFT = 24 };
    if (inet_pton(AF_INET, address, &v4) == 1) {
        return ntohl(v4.s_addr) >> NET_SHIFT == IN_LOOPBACKNET;
    }
    return inet_pton(AF_INET6, address, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

static bool find_role(const char *name, enum access_role *ret_role)
{
    if (name == NULL) {
        *ret_role = ACCESS_VIEWER;
        return true;
    }
    for (int i = ACCESS_VIEWER; i <= ACCESS_ADMIN; i++) {
        if (strcmp(access_role_name((enum access_role)i), name) == 0) {
            *ret_role = (enum access_role)i;
            return true;
        }
    }
    return false;
}

static bool is_name(const char *name)
{
    const size_t n = strlen(name);
    return n >= 1 && n <= CONFIG_NAME_MAX && strpbrk(name, "\r\n\t") == NULL;
}

static int check_token(const struct config_http *http, uint32_t number, const char *path,
                       struct sctd_error *err)
{
    const struct config_token *token = &http->tokens[number];
    enum access_role role = ACCESS_NOBODY;
    unsigned char sha256[SHA256_SIZE];
    size_t n = 0;
    if (!is_name(token->name)) {
        return sctd_error(err, SCTD_EDATA, "%.100s: http.tokens %u: name: 1 to %d characters", path,
                          number + 1, (int)CONFIG_NAME_MAX);
    }
    if (!find_role(token->role, &role)) {
        return sctd_error(err, SCTD_EDATA,
                          "%.100s: http token \"%.64s\": role: viewer, operator or admin", path,
                          token->name);
    }
    if (sctd_parse_hex(sha256, sizeof sha256, token->sha256, &n) < 0 || n != sizeof sha256) {
        return sctd_error(err, SCTD_EDATA,
                          "%.100s: http token \"%.64s\": sha256: 64 hex digits, as \"sctd token\" "
                          "prints them",
                          path, token->name);
    }
    for (uint32_t k = 0; k < number; k++) {
        if (strcmp(http->tokens[k].name, token->name) == 0 ||
            strcasecmp(http->tokens[k].sha256, token->sha256) == 0) {
            return sctd_error(err, SCTD_EDATA,
                              "%.100s: http token \"%.64s\": its name or sha256 is there twice",
                              path, token->name);
        }
    }
    return 0;
}

static int check_tokens(const struct config_http *http, const char *path, struct sctd_error *err)
{
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < http->tokens_count; i++) {
        r = check_token(http, i, path, err);
    }
    return r;
}

int config_http_finish(struct config_http *http, const char *path, struct sctd_error *err)
{
    if (http->address == NULL) {
        http->address = strdup("127.0.0.1");
        if (http->address == NULL) {
            return sctd_error(err, SCTD_ENOMEM, "configuration");
        }
    }
    http->connections = http->connections == 0 ? CONNECTIONS : http->connections;
    http->requests_per_second =
        http->requests_per_second == 0 ? REQUESTS_PER_SECOND : http->requests_per_second;
    http->failures_per_minute =
        http->failures_per_minute == 0 ? FAILURES_PER_MINUTE : http->failures_per_minute;
    if ((http->certificate == NULL) != (http->key == NULL)) {
        return sctd_error(err, SCTD_EDATA, "%.100s: http: give both certificate and key, or none",
                          path);
    }
    if (!is_loopback(http->address) && http->certificate == NULL && !http->plain) {
        return sctd_error(err, SCTD_EDATA,
                          "%.80s: http.address %.46s is reached from other machines: give "
                          "certificate and key (or plain: true behind a proxy with TLS)",
                          path, http->address);
    }
    if (http->connections < 8 || http->connections > 1024) {
        return sctd_error(err, SCTD_EDATA, "%.100s: http.connections is %d: it must be 8 to 1024",
                          path, http->connections);
    }
    if (http->requests_per_second < 1 || http->requests_per_second > MOST) {
        return sctd_error(err, SCTD_EDATA,
                          "%.100s: http.requests_per_second is %d: it must be 1 to %d", path,
                          http->requests_per_second, MOST);
    }
    if (http->failures_per_minute < 1 || http->failures_per_minute > MOST) {
        return sctd_error(err, SCTD_EDATA,
                          "%.100s: http.failures_per_minute is %d: it must be 1 to %d", path,
                          http->failures_per_minute, MOST);
    }
    return check_tokens(http, path, err);
}

void config_http_read_token(const struct config_token *token, struct access_token *ret_token)
{
    size_t n = 0;
    *ret_token = (struct access_token){.identity = token->identity};
    (void)snprintf(ret_token->name, sizeof ret_token->name, "%s", token->name);
    (void)find_role(token->role, &ret_token->role);
    if (sctd_parse_hex(ret_token->sha256, sizeof ret_token->sha256, token->sha256, &n) < 0) {
        ret_token->role = ACCESS_NOBODY; /* it was not checked */
    }
}
