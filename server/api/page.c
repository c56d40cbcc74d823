/* SPDX-License-Identifier: Apache-2.0 */
#include "server/api/page.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/api/context.h"
#include "server/http/reply.h"
#include "server/http/request.h"
#include "server/http/route.h"

enum { LIMIT = 50, LIMIT_MAX = 200 };

bool page_read_identity(struct request *request, bool *ret_identity)
{
    char subject[24] = "list";
    *ret_identity = false;
    if (!request_get_bool(request, "identity", ret_identity) || !*ret_identity) {
        return request->reply.status == 200;
    }
    if (!request->who.identity) {
        *ret_identity = false;
        reply_problem(&request->reply, 403, "\"%s\" may not see who patients are",
                      request->who.name);
        return false;
    }
    if (request->found.id > 0) {
        (void)snprintf(subject, sizeof subject, "%" PRId64, request->found.id);
    }
    request->reply.secret = true;
    api_note(request, "identity", subject, request->found.route->path);
    return true;
}

bool page_read(struct request *request, struct page *ret_page)
{
    static const char *const orders[] = {"newest", "oldest"};
    int order = 0;
    int64_t limit = LIMIT;
    *ret_page = (struct page){.ascending = false};
    if (!request_get_choice(request, "order", orders, 2, &order) ||
        !request_get_int(request, "limit", 1, LIMIT_MAX, &limit) ||
        !request_get_int(request, "cursor", 0, INT64_MAX, &ret_page->after) ||
        (route_takes(request->found.route, "identity") &&
         !page_read_identity(request, &ret_page->identity))) {
        return false;
    }
    ret_page->ascending = order == 1;
    ret_page->limit = (size_t)limit;
    return true;
}

struct json_writer page_begin(struct request *request, struct sctd_error *err)
{
    struct json_writer w = reply_begin_json(&request->reply, err);
    json_write_array_begin(&w, "items");
    return w;
}

void page_end(struct request *request, struct json_writer *w, int r, int64_t next)
{
    char cursor[24];
    if (r < 0) {
        reply_error(&request->reply, w->err);
        return;
    }
    json_write_array_end(w);
    if (next == 0) {
        json_write_null(w, "next");
    } else {
        (void)snprintf(cursor, sizeof cursor, "%" PRId64, next);
        json_write_string(w, "next", cursor);
    }
    reply_end_json(&request->reply, w);
}

void page_missing(struct request *request, int r, const char *what, const struct sctd_error *err)
{
    if (r < 0) {
        reply_error(&request->reply, err);
    } else {
        reply_problem(&request->reply, 404, "there is no %s %" PRId64, what, request->found.id);
    }
}
