/*
 * report_address.h - where a modality hears a report of storage commitment that it did not wait for.
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "engine/base/error.h"
#include "server/allow.h"
#include "server/config.h"

#ifdef __cplusplus
extern "C" {
#endif

struct report_address {
    const char *host; /* the configuration's, or the given `peer` */
    int32_t port;
};

enum { REPORT_ADDRESS_NONE = 1 };

/*
 * The first of the configured peers that fits and has a report_port: at its report_host, else at `peer`, the
 * address that it asked from; else the destination with its AE title.  allow: [config->peers_count], as
 * reload_make_allow makes them.  Returns 0 or REPORT_ADDRESS_NONE.
 */
SCTD_NODISCARD int report_address_find(struct report_address *ret_address,
                                       const struct config *config, const struct allow_rule *allow,
                                       const char *calling_ae, const char *peer);

#ifdef __cplusplus
}
#endif
