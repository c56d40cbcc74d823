/*
 * page.h - what lists of the API have in common: cursor, order, limit, and whether patients are shown.
 *
 * Private to server/api.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/http/request.h"

#ifdef __cplusplus
extern "C" {
#endif

struct page {
    bool ascending, identity;
    int64_t after;
    size_t limit;
};

/* Each returns whether it is well; if not, the reply says why not. */
bool page_read(struct request *request, struct page *ret_page);
/* With the right to it only; that it was used is kept in the audit log. */
bool page_read_identity(struct request *request, bool *ret_identity);

/* {"items": [ ... ], "next": ...}.  r: of what wrote the items; `err` as the writer's. */
struct json_writer page_begin(struct request *request, struct sctd_error *err);
void page_end(struct request *request, struct json_writer *w, int r, int64_t next);

/* r of a query of one thing: 404 where there is none, else what went wrong. */
void page_missing(struct request *request, int r, const char *what, const struct sctd_error *err);

#ifdef __cplusplus
}
#endif
