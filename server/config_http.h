/* config_http.h - the section `http` of sctd.yaml: its defaults, and what is not safe refused. */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "engine/base/error.h"
#include "server/config.h"
#include "server/http/access.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CONFIG_HTTP_PORT = 8104 };

/* Fill in what was left out and check it; path: of the configuration, for errors.
 * Errors: SCTD_EDATA, naming the key and the mend; SCTD_ENOMEM. */
SCTD_NODISCARD int config_http_finish(struct config_http *http, const char *path,
                                      struct sctd_error *err);

/* A token of a configuration that was checked. */
void config_http_read_token(const struct config_token *token, struct access_token *ret_token);

/* Where it listens. */
static inline int config_http_port(const struct config_http *http)
{
    return http->port == NULL ? CONFIG_HTTP_PORT : *http->port;
}

#ifdef __cplusplus
}
#endif
