/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "db/db.h"
#include "db/promises.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"

#include "tests/support/db_kit.h"

static struct db_promised instances[3] = {
    {"1.2.840.10008.5.1.4.1.1.4", "1.2.3.1", 0},
    {"1.2.840.10008.5.1.4.1.1.4", "1.2.3.2", 0x0112},
    {"1.2.840.10008.5.1.4.1.1.2", "1.2.3.3", 0xffff},
};

static struct db_promise promise_of(const char *ae, const char *transaction_uid)
{
    struct db_promise promise = {.instances = 3, .peer = "10.1.2.3"};
    (void)snprintf(promise.calling_ae, sizeof promise.calling_ae, "%s", ae);
    (void)snprintf(promise.transaction_uid, sizeof promise.transaction_uid, "%s", transaction_uid);
    return promise;
}

static int keep(struct db *db, const char *ae, const char *transaction_uid, int64_t *ret_id)
{
    const struct db_promise promise = promise_of(ae, transaction_uid);
    return db_promise_keep(db, &kit_now, &promise, instances, ret_id, &kit_err);
}

static size_t count(struct db *db)
{
    sctd_auto(db_promise_page_fini) struct db_promise_page list = {.n = 0};
    HOLDS(db_promise_list(db, &list, &kit_err) == 0);
    return list.n;
}

static void a_promise_outlives_the_process_whole(void)
{
    struct db *db = kit_open();
    int64_t id = 0;
    HOLDS(keep(db, "MR1", "2.25.1", &id) == 0);
    db_close(db);
    db = kit_open();
    sctd_auto(db_promise_page_fini) struct db_promise_page list = {.n = 0};
    sctd_auto(db_promised_list_fini) struct db_promised_list promised = {.n = 0};
    HOLDS(db_promise_list(db, &list, &kit_err) == 0);
    HOLDS(list.n == 1 && list.promise[0].id == id && list.promise[0].instances == 3);
    HOLDS(list.promise[0].made_ms == kit_now.wall_ms);
    HOLDS(strcmp(list.promise[0].calling_ae, "MR1") == 0);
    HOLDS(strcmp(list.promise[0].transaction_uid, "2.25.1") == 0);
    HOLDS(strcmp(list.promise[0].peer, "10.1.2.3") == 0);
    HOLDS(db_promise_instances(db, id, &promised, &kit_err) == 0);
    HOLDS(promised.n == 3);
    for (size_t i = 0; i < 3; i++) {
        HOLDS(strcmp(promised.instance[i].sop_uid, instances[i].sop_uid) == 0);
        HOLDS(strcmp(promised.instance[i].sop_class_uid, instances[i].sop_class_uid) == 0);
        HOLDS(promised.instance[i].reason == instances[i].reason);
    }
    HOLDS(db_promise_end(db, id, &kit_err) == 0);
    HOLDS(db_promise_end(db, id, &kit_err) == DB_NONE);
    HOLDS(count(db) == 0);
    HOLDS(kit_number(db, "SELECT count(*) FROM promised") == 0);
    db_close(db);
}

static void one_that_is_asked_again_is_there_once(void)
{
    struct db *db = kit_open();
    int64_t first = 0;
    int64_t again = 0;
    int64_t other = 0;
    HOLDS(keep(db, "MR1", "2.25.2", &first) == 0);
    HOLDS(keep(db, "MR1", "2.25.2", &again) == 0);
    HOLDS(keep(db, "MR2", "2.25.2", &other) == 0);
    HOLDS(again != first && count(db) == 2);
    HOLDS(kit_number(db, "SELECT count(*) FROM promised") == 6);
    HOLDS(db_promise_end(db, again, &kit_err) == 0 && db_promise_end(db, other, &kit_err) == 0);
    db_close(db);
}

static void what_is_owed_is_told_by_modality(void)
{
    struct db *db = kit_open();
    sctd_auto(db_owed_page_fini) struct db_owed_page none = {.n = 0};
    sctd_auto(db_owed_page_fini) struct db_owed_page list = {.n = 0};
    int64_t id[3] = {0};
    HOLDS(db_promise_owed(db, &none, &kit_err) == 0 && none.n == 0);
    const int64_t first_ms = kit_now.wall_ms;
    HOLDS(keep(db, "MR2", "2.25.6", &id[0]) == 0);
    kit_now.wall_ms += 7000;
    HOLDS(keep(db, "MR1", "2.25.7", &id[1]) == 0);
    HOLDS(keep(db, "MR2", "2.25.7", &id[2]) == 0);
    HOLDS(db_promise_owed(db, &list, &kit_err) == 0 && list.n == 2);
    HOLDS(strcmp(list.owed[0].calling_ae, "MR1") == 0 && list.owed[0].reports == 1);
    HOLDS(list.owed[0].instances == 3 && list.owed[0].since_ms == first_ms + 7000);
    HOLDS(strcmp(list.owed[1].calling_ae, "MR2") == 0 && list.owed[1].reports == 2);
    HOLDS(list.owed[1].instances == 6 && list.owed[1].since_ms == first_ms);
    for (size_t i = 0; i < 3; i++) {
        HOLDS(db_promise_end(db, id[i], &kit_err) == 0);
    }
    db_close(db);
}

static void there_are_not_too_many(void)
{
    struct db *db = kit_open();
    int64_t id = 0;
    for (int i = 0; i < DB_PROMISES_MAX; i++) {
        char uid[DB_UID_SIZE];
        (void)snprintf(uid, sizeof uid, "2.25.3%d", i);
        HOLDS(keep(db, "MR1", uid, &id) == 0);
    }
    HOLDS(keep(db, "MR1", "2.25.4", &id) == DB_REFUSED);
    HOLDS(db_promise_end(db, id, &kit_err) == 0);
    HOLDS(keep(db, "MR1", "2.25.4", &id) == 0);
    db_close(db);
}

static void what_names_nobody_is_refused(void)
{
    struct db *db = kit_open();
    int64_t id = 0;
    struct db_promise none = promise_of("MR1", "2.25.5");
    none.instances = 0;
    HOLDS(db_promise_keep(db, &kit_now, &none, instances, &id, &kit_err) == SCTD_EINVAL);
    HOLDS(keep(db, "", "2.25.5", &id) == SCTD_EINVAL);
    HOLDS(keep(db, "MR1", "", &id) == SCTD_EINVAL);
    db_close(db);
}

int main(void)
{
    a_promise_outlives_the_process_whole();
    one_that_is_asked_again_is_there_once();
    what_is_owed_is_told_by_modality();
    there_are_not_too_many();
    what_names_nobody_is_refused();
    kit_remove();
    return 0;
}
