/*
 * route.h - which handler a method and a path belong to, who may call it, and with which parameters.
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/http/access.h"

#ifdef __cplusplus
extern "C" {
#endif

struct request;

enum http_method {
    HTTP_GET,
    HTTP_POST,
    HTTP_DELETE,
    HTTP_METHODS
}; /* HEAD is a GET without its body */

/* Fills request->reply. */
typedef void (*route_fn)(struct request *request);

struct route {
    const char *path;   /* "/api/v1/jobs/{id}": {id} is a number from 1, {name} any other segment */
    const char *params; /* names by blanks that it takes; "": none */
    const char *type;   /* Content-Type of its answer */
    route_fn handle;
    enum http_method method;
    enum access_role role;
};

enum { ROUTE_NAME_SIZE = 130 };

struct route_found {
    const struct route *route; /* NULL: none */
    unsigned allowed;          /* bits 1 << enum http_method that the path has */
    int64_t id;
    char name[ROUTE_NAME_SIZE];
};

/* path: decoded (uri.h). */
void route_find(struct route_found *ret_found, const struct route *table, size_t n,
                enum http_method method, const char *path);

/* Whether `route` takes a parameter of this name. */
bool route_takes(const struct route *route, const char *name);

#ifdef __cplusplus
}
#endif
