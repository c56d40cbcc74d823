/* SPDX-License-Identifier: Apache-2.0 */
/* Who changed or saw what. */
#include <stddef.h>

#include "db/db.h"
#include "db/events.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/api/context.h"
#include "server/api/page.h"
#include "server/http/reply.h"
#include "server/http/request.h"

void api_audit(struct request *request)
{
    struct api *api = api_of(request);
    struct sctd_error err = {.code = SCTD_OK};
    struct page page;
    struct db_event_filter filter = {.kind = NULL};
    sctd_auto(db_event_page_fini) struct db_event_page list = {.n = 0};
    if (!request_get_text(request, "kind", DB_NAME_SIZE - 1, &filter.kind) ||
        !request_get_text(request, "subject", DB_NAME_SIZE - 1, &filter.subject) ||
        !page_read(request, &page)) {
        return;
    }
    filter.ascending = page.ascending;
    filter.after = page.after;
    filter.limit = page.limit;
    if (db_event_list(api->node.db, &filter, &list, &err) < 0) {
        reply_error(&request->reply, &err);
        return;
    }
    struct json_writer w = page_begin(request, &err);
    for (size_t i = 0; i < list.n; i++) {
        const struct db_event *event = &list.event[i];
        json_write_object_begin(&w, NULL);
        json_write_int(&w, "id", event->id);
        reply_write_time(&w, "at", event->at_ms);
        json_write_string(&w, "kind", event->kind);
        json_write_string(&w, "actor", event->actor);
        json_write_string(&w, "subject", event->subject);
        json_write_string(&w, "text", event->text);
        json_write_object_end(&w);
    }
    page_end(request, &w, 0, list.next);
}
