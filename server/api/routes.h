/* routes.h - every path of the API with its handler. */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "server/http/route.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const struct route api_routes[];
extern const size_t api_routes_count;

#ifdef __cplusplus
}
#endif
