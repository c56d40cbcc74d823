/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "db/db.h"
#include "db/events.h"
#include "engine/base/error.h"

#include "tests/support/db_kit.h"

static void add(struct db *db, const char *kind, const char *subject)
{
    struct db_event event = {.actor = "physicist", .text = "by hand"};
    (void)snprintf(event.kind, sizeof event.kind, "%s", kind);
    (void)snprintf(event.subject, sizeof event.subject, "%s", subject);
    HOLDS(db_event_add(db, &kit_now, &event, &kit_err) == 0);
}

static void events_come_back_newest_first_and_by_kind_and_subject(void)
{
    struct db *db = kit_open();
    add(db, "login", "");
    add(db, "job-cancel", "7");
    add(db, "job-cancel", "8");
    struct db_event_filter filter = {.limit = 10};
    struct db_event_page list = {0};
    HOLDS(db_event_list(db, &filter, &list, &kit_err) == 0 && list.n == 3 && list.next == 0);
    HOLDS(strcmp(list.event[0].subject, "8") == 0 && strcmp(list.event[2].kind, "login") == 0);
    HOLDS(strcmp(list.event[0].actor, "physicist") == 0);
    HOLDS(strcmp(list.event[0].text, "by hand") == 0 && list.event[0].at_ms == kit_now.wall_ms);
    db_event_page_fini(&list);
    filter.kind = "job-cancel";
    filter.ascending = true;
    filter.limit = 1;
    HOLDS(db_event_list(db, &filter, &list, &kit_err) == 0 && list.n == 1 && list.next != 0);
    HOLDS(strcmp(list.event[0].subject, "7") == 0);
    db_event_page_fini(&list);
    filter.subject = "8";
    HOLDS(db_event_list(db, &filter, &list, &kit_err) == 0 && list.n == 1 && list.next == 0);
    HOLDS(strcmp(list.event[0].subject, "8") == 0);
    db_event_page_fini(&list);
    db_close(db);
}

static void an_event_without_a_kind_is_refused(void)
{
    const struct db_event event = {.text = "what?"};
    struct db *db = kit_open();
    HOLDS(db_event_add(db, &kit_now, &event, &kit_err) == SCTD_EINVAL);
    db_close(db);
}

int main(void)
{
    events_come_back_newest_first_and_by_kind_and_subject();
    an_event_without_a_kind_is_refused();
    kit_remove();
    return 0;
}
