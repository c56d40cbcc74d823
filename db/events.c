/* SPDX-License-Identifier: Apache-2.0 */
#include "db/events.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "db/core.h"
#include "db/db.h"
#include "db/sql.h"
#include "engine/base/error.h"

int db_event_add(struct db *db, const struct db_now *now, const struct db_event *event,
                 struct sctd_error *err)
{
    const struct core_text texts[] = {
        {"kind of event", event->kind, sizeof event->kind, true},
        {"actor of an event", event->actor, sizeof event->actor, false},
        {"subject of an event", event->subject, sizeof event->subject, false},
        {"text of an event", event->text, sizeof event->text, false},
    };
    int r = core_check_texts(texts, sizeof texts / sizeof *texts, err);
    r = r < 0 ? r : core_begin(db, err);
    return r < 0 ? r : core_end(db, core_event(db, now, event, err), err);
}

int db_event_list(struct db *db, const struct db_event_filter *filter,
                  struct db_event_page *ret_list, struct sctd_error *err)
{
    static const struct sql_field fields[] = {
        SQL_FIELD(SQL_I64, db_event, id),       SQL_FIELD(SQL_I64, db_event, at_ms),
        SQL_FIELD(SQL_TEXT, db_event, kind),    SQL_FIELD(SQL_TEXT, db_event, actor),
        SQL_FIELD(SQL_TEXT, db_event, subject), SQL_FIELD(SQL_TEXT, db_event, text),
    };
    const struct core_match matches[] = {
        {"kind = ?", filter->kind, 0, filter->kind != NULL},
        {"subject = ?", filter->subject, 0, filter->subject != NULL},
    };
    const struct core_page page = {
        .select = "SELECT id, at_ms, kind, actor, subject, text FROM event",
        .id = "id",
        .match = matches,
        .n_matches = sizeof matches / sizeof *matches,
        .ascending = filter->ascending,
        .after = filter->after,
        .limit = filter->limit,
        .layout = {fields, sizeof fields / sizeof *fields, sizeof(struct db_event)},
    };
    struct core_rows rows = {0};
    const int r = core_list(db, &page, &rows, err);
    if (r == 0) {
        *ret_list = (struct db_event_page){rows.data, rows.n, rows.next};
    }
    return r;
}

void db_event_page_fini(struct db_event_page *list)
{
    free(list->event);
    *list = (struct db_event_page){0};
}
