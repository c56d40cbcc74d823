/* SPDX-License-Identifier: Apache-2.0 */
#include "server/allow.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "dicom/associate.h"
#include "engine/base/error.h"
#include "engine/base/parse.h"

enum { V4_BYTES = 4, V6_BYTES = 16, V4_IN_V6_AT = 12, TEXT_SIZE = 64 };

bool allow_matches(const char *pattern, const char *text)
{
    const char *star = NULL;
    const char *retry = NULL;
    while (*text != '\0') {
        if (*pattern == '*') {
            star = pattern++;
            retry = text;
        } else if (*pattern == '?' || *pattern == *text) {
            pattern++;
            text++;
        } else if (star != NULL) {
            pattern = star + 1;
            text = ++retry;
        } else {
            return false;
        }
    }
    while (*pattern == '*') {
        pattern++;
    }
    return *pattern == '\0';
}

static int parse_address(struct allow_rule *rule, const char *text, struct sctd_error *err)
{
    char address[TEXT_SIZE];
    const char *slash = strchr(text, '/');
    const size_t n = slash == NULL ? strlen(text) : (size_t)(slash - text);
    if (strcmp(text, "*") == 0) {
        return 0;
    }
    if (n < sizeof address) {
        memcpy(address, text, n);
        address[n] = '\0';
        rule->family = inet_pton(AF_INET, address, rule->address) == 1    ? AF_INET
                       : inet_pton(AF_INET6, address, rule->address) == 1 ? AF_INET6
                                                                          : AF_UNSPEC;
    }
    if (rule->family == AF_UNSPEC) {
        return sctd_error(err, SCTD_EINVAL,
                          "\"%.64s\" is no address: use 10.1.2.3, 10.1.0.0/16 or fd00::/8", text);
    }
    const int most = 8 * (rule->family == AF_INET ? V4_BYTES : V6_BYTES);
    int64_t bits = most;
    int r = slash == NULL ? 0 : sctd_parse_i64(&bits, slash + 1, 0, most, err);
    rule->bits = (int)bits;
    return r;
}

int allow_parse(struct allow_rule *ret_rule, const char *text, struct sctd_error *err)
{
    struct allow_rule rule = {.ae = "*", .family = AF_UNSPEC};
    const char *at = strrchr(text, '@');
    const size_t n = at == NULL ? strlen(text) : (size_t)(at - text);
    if (n >= sizeof rule.ae) {
        return sctd_error(err, SCTD_EINVAL, "\"%.64s\": an AE title has at most 16 characters",
                          text);
    }
    if (n > 0) {
        memcpy(rule.ae, text, n);
        rule.ae[n] = '\0';
        if (!dicom_associate_is_ae(rule.ae)) {
            return sctd_error(err, SCTD_EINVAL, "\"%.16s\" can be no AE title", rule.ae);
        }
    }
    int r = at == NULL ? 0 : parse_address(&rule, at + 1, err);
    if (r < 0) {
        return r;
    }
    *ret_rule = rule;
    return 0;
}

/* The bytes that count, and AF_INET for IPv4 in IPv6. */
static int address_of(const struct sockaddr *address, unsigned char ret_bytes[ALLOW_ADDRESS_SIZE])
{
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    if (address->sa_family == AF_INET) {
        memcpy(&in, address, sizeof in);
        memcpy(ret_bytes, &in.sin_addr, V4_BYTES);
        return AF_INET;
    }
    if (address->sa_family != AF_INET6) {
        return AF_UNSPEC;
    }
    memcpy(&in6, address, sizeof in6);
    if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr)) {
        memcpy(ret_bytes, in6.sin6_addr.s6_addr + V4_IN_V6_AT, V4_BYTES);
        return AF_INET;
    }
    memcpy(ret_bytes, &in6.sin6_addr, V6_BYTES);
    return AF_INET6;
}

static bool same_bits(const unsigned char *a, const unsigned char *b, int bits)
{
    const size_t whole = (size_t)bits / 8;
    const unsigned mask = 0xff00U >> (unsigned)(bits % 8) & 0xffU;
    return memcmp(a, b, whole) == 0 && (mask == 0 || ((a[whole] ^ b[whole]) & mask) == 0);
}

const struct allow_rule *allow_find(const struct allow_rule *rules, size_t n,
                                    const char *calling_ae, const struct sockaddr *address)
{
    unsigned char bytes[ALLOW_ADDRESS_SIZE + 1] = {0};
    const int family = address_of(address, bytes);
    for (size_t i = 0; i < n; i++) {
        const struct allow_rule *rule = &rules[i];
        const bool here = rule->family == AF_UNSPEC ||
                          (rule->family == family && same_bits(bytes, rule->address, rule->bits));
        if (here && allow_matches(rule->ae, calling_ae)) {
            return rule;
        }
    }
    return NULL;
}
