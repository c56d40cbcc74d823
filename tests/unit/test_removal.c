/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "db/db.h"
#include "db/deliveries.h"
#include "db/retention.h"
#include "engine/base/error.h"
#include "server/config.h"
#include "server/removal.h"

#include "tests/support/db_kit.h"

#define DAY_MS INT64_C(86400000)

static char spool[256], results[256];

static const char *at(const char *root, const char *file)
{
    static char path[4][512];
    static int turn;
    turn = (turn + 1) % 4;
    (void)snprintf(path[turn], sizeof path[turn], "%s/%s", root, file);
    return path[turn];
}

static bool is_there(const char *root, const char *file)
{
    return access(at(root, file), F_OK) == 0;
}

static void touch(const char *root, const char *folder, const char *name)
{
    char file[128];
    (void)snprintf(file, sizeof file, "%s/%s", folder, name);
    (void)mkdir(at(root, folder), 0700);
    FILE *f = fopen(at(root, file), "we");
    HOLDS(f != NULL && fputs("x", f) >= 0 && fclose(f) == 0);
}

/* A series of two instances whose job made three files: all on the disk, delivered or not. */
static void make(struct db *db, int series, int job, bool delivered)
{
    char name[64];
    const int64_t id = kit_written(db, series, 1, false);
    HOLDS(id == job);
    for (int i = 0; i < 2; i++) {
        (void)snprintf(name, sizeof name, "1-%d-%d.dcm", series, i);
        touch(spool, "in", name);
    }
    (void)mkdir(at(results, "out"), 0700);
    for (int i = 0; i < KIT_OUTPUTS; i++) {
        char folder[64];
        (void)snprintf(folder, sizeof folder, "out/%d", job);
        (void)snprintf(name, sizeof name, "%d.dcm", i);
        touch(results, folder, name);
    }
    if (delivered) {
        const struct db_send_claim claim = {"pacs1", 1, "node/s", 1000};
        const struct db_delivery_retry retry = db_delivery_retry_default(0);
        const struct db_sent_result result = {.sent = DB_SENT_STORED};
        const int32_t all[] = {0, 1, 2};
        const struct db_stored stored = {all, 3};
        struct db_delivery d;
        HOLDS(db_delivery_claim(db, &kit_now, &claim, &d, &kit_err) == 0);
        const struct db_send_token token = db_delivery_token(&d);
        HOLDS(db_delivery_progress(db, &kit_now, token, 1000, &stored, &kit_err) == 0);
        HOLDS(db_delivery_finish(db, &kit_now, token, &result, &retry, &kit_err) == 0);
    }
}

static struct db *begin(void)
{
    (void)snprintf(spool, sizeof spool, "%s", kit_path("spool"));
    (void)snprintf(results, sizeof results, "%s", kit_path("results"));
    HOLDS(mkdir(spool, 0700) == 0 && mkdir(results, 0700) == 0);
    return kit_open();
}

static void end(struct db *db)
{
    db_close(db);
    kit_remove();
}

static struct removal everything(struct db *db)
{
    const struct removal removal = {.db = db,
                                    .spool = spool,
                                    .results = results,
                                    .received_before_ms = INT64_MAX,
                                    .produced_before_ms = INT64_MAX};
    return removal;
}

static void what_was_delivered_goes_and_nothing_else(void)
{
    struct db *db = begin();
    int64_t n = 0;
    make(db, 1, 1, true);
    make(db, 2, 2, false);
    const struct removal removal = everything(db);
    HOLDS(removal_run(&removal, &n, &kit_err) == 0 && n == 2 + KIT_OUTPUTS);
    HOLDS(!is_there(results, "out/1") && !is_there(spool, "in/1-1-0.dcm"));
    HOLDS(is_there(spool, "in/1-2-0.dcm") && is_there(spool, "in/1-2-1.dcm"));
    HOLDS(is_there(results, "out/2/0.dcm") && is_there(results, "out/2/2.dcm"));
    HOLDS(removal_run(&removal, &n, &kit_err) == 0 && n == 0);
    HOLDS(kit_number(db, "SELECT count(*) FROM output WHERE file_state = 2") == KIT_OUTPUTS);
    end(db);
}

static void what_is_too_young_stays(void)
{
    struct db *db = begin();
    int64_t n = 0;
    make(db, 1, 1, true);
    const struct config_retention retention = {
        .received_days = 7, .produced_days = 2, .min_free_percent = -100};
    struct removal removal =
        removal_of(db, spool, results, &retention, kit_now.wall_ms + 2 * DAY_MS);
    HOLDS(removal.produced_before_ms == kit_now.wall_ms);
    HOLDS(removal.received_before_ms == kit_now.wall_ms - 5 * DAY_MS);
    HOLDS(removal_run(&removal, &n, &kit_err) == 0 && n == 0);
    removal = removal_of(db, spool, results, &retention, kit_now.wall_ms + 2 * DAY_MS + 1);
    HOLDS(removal_run(&removal, &n, &kit_err) == 0 && n == KIT_OUTPUTS);
    HOLDS(is_there(spool, "in/1-1-0.dcm") && !is_there(results, "out/1"));
    end(db);
}

static void a_disk_that_is_nearly_full_asks_for_all_that_may_go(void)
{
    struct db *db = begin();
    const struct config_retention retention = {
        .received_days = 7, .produced_days = 7, .min_free_percent = 100};
    const struct removal removal = removal_of(db, spool, results, &retention, kit_now.wall_ms);
    HOLDS(removal.received_before_ms == INT64_MAX && removal.produced_before_ms == INT64_MAX);
    end(db);
}

/* Marked, unlinked in part, and the process died; then the same after a restart. */
static void a_crash_between_the_steps_is_taken_up(void)
{
    struct db *db = begin();
    struct db_removal_list list = {0};
    int64_t n = 0;
    make(db, 1, 1, true);
    HOLDS(db_retention_take(db, DB_FILE_PRODUCED, INT64_MAX, 100, &list, &kit_err) == 0);
    HOLDS(list.n == KIT_OUTPUTS && unlink(at(results, list.removal[0].file)) == 0);
    db_removal_list_fini(&list);
    db_close(db);

    db = kit_open();
    struct removal removal = everything(db);
    removal.received_before_ms = removal.produced_before_ms = 0; /* nothing new */
    HOLDS(removal_run(&removal, &n, &kit_err) == 0 && n == KIT_OUTPUTS);
    HOLDS(!is_there(results, "out/1") && is_there(spool, "in/1-1-0.dcm"));
    HOLDS(removal_run(&removal, &n, &kit_err) == 0 && n == 0);

    /* unlinked with its folder, but not told to the store */
    HOLDS(db_retention_take(db, DB_FILE_RECEIVED, INT64_MAX, 100, &list, &kit_err) == 0);
    HOLDS(list.n == 2);
    db_removal_list_fini(&list);
    HOLDS(unlink(at(spool, "in/1-1-0.dcm")) == 0 && unlink(at(spool, "in/1-1-1.dcm")) == 0);
    HOLDS(rmdir(at(spool, "in")) == 0);
    HOLDS(removal_run(&removal, &n, &kit_err) == 0 && n == 2);
    HOLDS(is_there(spool, ".")); /* only the folder of the series went */
    end(db);
}

static void one_that_cannot_be_removed_keeps_no_other(void)
{
    struct db *db = begin();
    int64_t n = 0;
    make(db, 1, 1, true);
    make(db, 2, 2, true);
    HOLDS(unlink(at(results, "out/1/1.dcm")) == 0 && mkdir(at(results, "out/1/1.dcm"), 0700) == 0);
    const struct removal removal = everything(db);
    HOLDS(removal_run(&removal, &n, &kit_err) == SCTD_EIO);
    HOLDS(n == 2 * 2 + 2 * KIT_OUTPUTS - 1);
    HOLDS(!is_there(results, "out/2") && !is_there(results, "out/1/2.dcm"));
    HOLDS(kit_number(db, "SELECT count(*) FROM output WHERE file_state = 1") == 1);
    HOLDS(removal_run(&removal, &n, &kit_err) == SCTD_EIO && n == 0);
    HOLDS(rmdir(at(results, "out/1/1.dcm")) == 0); /* as an operator would */
    HOLDS(removal_run(&removal, &n, &kit_err) == 0 && n == 1);
    end(db);
}

int main(void)
{
    what_was_delivered_goes_and_nothing_else();
    what_is_too_young_stays();
    a_disk_that_is_nearly_full_asks_for_all_that_may_go();
    a_crash_between_the_steps_is_taken_up();
    one_that_cannot_be_removed_keeps_no_other();
    return 0;
}
