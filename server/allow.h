/*
 * allow.h - who may open an association: calling AE titles and addresses by pattern.
 *
 * "MR*@10.1.0.0/16": an AE title with '*' and '?', and an address, a network or "*".  Each of the two may be
 * left out: "MR1", "@10.1.2.3".  An AE title proves nothing; the address is what limits.
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "dicom/associate.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { ALLOW_ADDRESS_SIZE = 16 };

struct allow_rule {
    int family; /* AF_INET, AF_INET6; AF_UNSPEC: any address */
    int bits;   /* of the address that count */
    unsigned char address[ALLOW_ADDRESS_SIZE];
    char ae[DICOM_AE_SIZE]; /* with wildcards */
    bool compressed;        /* it may send compressed transfer syntaxes; allow_parse leaves false */
};

/* Errors: SCTD_EINVAL, saying what is wrong with which text. */
SCTD_NODISCARD int allow_parse(struct allow_rule *ret_rule, const char *text,
                               struct sctd_error *err);

/* The first of rules[n] that fits, or NULL.  IPv4 in IPv6 counts as IPv4. */
const struct allow_rule *allow_find(const struct allow_rule *rules, size_t n,
                                    const char *calling_ae, const struct sockaddr *address);

/* '*' stands for any number of characters, '?' for one. */
bool allow_matches(const char *pattern, const char *text);

#ifdef __cplusplus
}
#endif
