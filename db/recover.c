/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "db/core.h"
#include "db/db.h"
#include "db/deliveries.h"
#include "db/jobs.h"
#include "db/moves.h"
#include "db/sql.h"
#include "engine/base/error.h"

/* Whether the boot that the store last saw was another one; from now on it is this one. */
static int note_boot(struct db *db, const char *boot_id, bool *ret_new, struct sctd_error *err)
{
    struct sql_statement *s = NULL;
    const int r =
        sql_prepare(&s, db->sql,
                    "INSERT INTO meta (key, value) VALUES ('boot', ?1) ON CONFLICT (key) DO "
                    "UPDATE SET value = excluded.value WHERE value <> excluded.value",
                    err);
    if (r < 0) {
        return r;
    }
    sql_bind_text(s, boot_id);
    const int done = sql_finish(s, err);
    *ret_new = sql_changes(db->sql) > 0;
    return done;
}

/* Lease times of an earlier boot mean nothing: what waited for one is due. */
static int forget_times(struct db *db, struct sctd_error *err)
{
    static const char *const texts[] = {
        "UPDATE job SET due_ms = 0 WHERE state = 1",
        "UPDATE delivery SET due_ms = 0 WHERE state IN (2, 4)",
        "UPDATE destination SET due_ms = 0 WHERE due_ms <> 0",
        "UPDATE batch SET due_ms = 0 WHERE due_ms <> 0",
        "UPDATE batch_item SET due_ms = 0 WHERE state = 0 AND due_ms <> 0",
    };
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof texts / sizeof *texts; i++) {
        struct sql_statement *s = NULL;
        r = sql_prepare(&s, db->sql, texts[i], err);
        r = r < 0 ? r : sql_finish(s, err);
    }
    return r;
}

struct search {
    const char *node;
    bool all; /* owners of other nodes too */
    int32_t interruptions_max;
};

static bool is_ours(const struct search *search, const char *owner)
{
    const size_t size = strlen(search->node);
    return search->all || (strncmp(owner, search->node, size) == 0 && owner[size] == '/');
}

static const char interrupted[] = "the daemon ended during this attempt";

static int take_back_job(struct db *db, const struct db_now *now, const struct search *search,
                         int64_t id, int32_t *n, struct sctd_error *err)
{
    const struct moves_why why = {interrupted, NULL};
    struct db_job job = {0};
    const int r = db_job_get(db, id, &job, err);
    if (r != 0 || !is_ours(search, job.owner)) {
        return r < 0 ? r : 0;
    }
    (*n)++;
    job.interruptions++;
    const bool poison =
        search->interruptions_max > 0 && job.interruptions >= search->interruptions_max;
    return moves_job(db, now, &job, poison ? DB_JOB_POISON : DB_JOB_QUEUED, &why, err);
}

static int take_back_delivery(struct db *db, const struct db_now *now, const struct search *search,
                              int64_t id, int32_t *n, struct sctd_error *err)
{
    const struct moves_why why = {interrupted, NULL};
    struct moves_sending m = {0};
    const int r = moves_get_delivery(db, id, &m, err);
    if (r != 0 || !is_ours(search, m.owner)) {
        return r < 0 ? r : 0;
    }
    (*n)++;
    return moves_delivery(db, now, &m, DB_DELIVERY_QUEUED, &why, err);
}

typedef int take_back(struct db *db, const struct db_now *now, const struct search *search,
                      int64_t id, int32_t *n, struct sctd_error *err);

struct kind {
    const char *leased; /* ids above ?1 that are under a lease */
    take_back *take;
};

static int take_all_back(struct db *db, const struct db_now *now, const struct search *search,
                         const struct kind *kind, int32_t *ret_n, struct sctd_error *err)
{
    struct moves_query query = {kind->leased, {0}, 1};
    struct moves_ids ids;
    int r = 0;
    do {
        r = moves_find(db, &query, &ids, err);
        for (size_t i = 0; r == 0 && i < ids.n; i++) {
            r = kind->take(db, now, search, ids.id[i], ret_n, err);
            query.number[0] = ids.id[i];
        }
    } while (r == 0 && ids.n == MOVES_IDS);
    return r;
}

/* Whoever fetched them is dead. */
static int take_items_back(struct db *db, struct sctd_error *err)
{
    struct sql_statement *s = NULL;
    const int r = sql_prepare(&s, db->sql,
                              "UPDATE batch_item SET state = 0, due_ms = 0, reason = 'the daemon "
                              "ended during this attempt' WHERE state = 1",
                              err);
    return r < 0 ? r : sql_finish(s, err);
}

static int recover(struct db *db, const struct db_now *now, const struct db_recovery *recovery,
                   struct db_recovered *ret_recovered, struct sctd_error *err)
{
    static const struct kind jobs = {"SELECT id FROM job WHERE state = 2 AND id > ?1 ORDER BY id",
                                     take_back_job};
    static const struct kind deliveries = {
        "SELECT id FROM delivery WHERE state = 3 AND id > ?1 ORDER BY id", take_back_delivery};
    struct search search = {recovery->node, false, recovery->interruptions_max};
    int r = note_boot(db, recovery->boot_id, &search.all, err);
    if (r == 0 && search.all) {
        r = forget_times(db, err);
    }
    r = r < 0 ? r : take_items_back(db, err);
    r = r < 0 ? r : take_all_back(db, now, &search, &jobs, &ret_recovered->jobs, err);
    return r < 0 ? r
                 : take_all_back(db, now, &search, &deliveries, &ret_recovered->deliveries, err);
}

int db_recover(struct db *db, const struct db_now *now, const struct db_recovery *recovery,
               struct db_recovered *ret_recovered, struct sctd_error *err)
{
    const struct core_text texts[] = {
        {"boot id", recovery->boot_id, DB_NAME_SIZE, true},
        {"node", recovery->node, DB_NAME_SIZE, true},
    };
    struct db_recovered recovered = {0};
    int r = core_check_texts(texts, sizeof texts / sizeof *texts, err);
    r = r < 0 ? r : core_begin(db, err);
    r = r < 0 ? r : core_end(db, recover(db, now, recovery, &recovered, err), err);
    if (r == 0) {
        *ret_recovered = recovered;
    }
    return r;
}
