/*
 * assets.h - the files of the dashboard and the description of the API, within the program.
 *
 * Thread safety: constants.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct asset {
    const char *name; /* "app.js" */
    const char *type; /* Content-Type */
    const unsigned char *bytes;
    size_t size;
};

/* Made by deploy/cmake/SctdAssets.cmake. */
extern const struct asset assets[];
extern const size_t assets_count;

const struct asset *api_assets_find(const char *name); /* NULL: there is none */

#ifdef __cplusplus
}
#endif
