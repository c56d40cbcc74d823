/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "db/core.h"
#include "db/db.h"
#include "db/events.h"
#include "db/sql.h"
#include "engine/base/error.h"

#include "tests/support/db_kit.h"

static void texts_that_do_not_fit_are_refused_by_name(void)
{
    static const struct {
        struct core_text text;
        int expected;
    } cases[] = {
        {{"rule", "abc", 4, true}, 0},
        {{"rule", "abcd", 4, true}, SCTD_EINVAL},
        {{"rule", "", 4, true}, SCTD_EINVAL},
        {{"rule", NULL, 4, true}, SCTD_EINVAL},
        {{"rule", "", 4, false}, 0},
        {{"rule", NULL, 4, false}, 0},
        {{"rule", "\xc3\xa9", 4, true}, 0},
        {{"rule", "\xc3", 4, true}, SCTD_EINVAL},
        {{"rule", "\xff", 4, false}, SCTD_EINVAL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        HOLDS(core_check_texts(&cases[i].text, 1, &kit_err) == cases[i].expected);
        HOLDS(cases[i].expected == 0 || strstr(kit_err.text, "rule") != NULL);
    }
}

static void delays_double_to_a_cap_with_full_jitter(void)
{
    /* base 5, cap 60: 5 10 20 40 60 60 */
    static const int64_t most[] = {5, 10, 20, 40, 60, 60};
    for (int32_t i = 0; i < 6; i++) {
        HOLDS(core_delay_ms(5, 60, i + 1, 1.0) == most[i]);
        HOLDS(core_delay_ms(5, 60, i + 1, 0.0) == 0);
        HOLDS(core_delay_ms(5, 60, i + 1, 0.5) == most[i] / 2);
    }
    HOLDS(core_delay_ms(5000, INT64_MAX, 200, 0.5) > INT64_MAX / 4);
    HOLDS(core_delay_ms(90, 60, 1, 1.0) == 60);
}

static int fail_after_an_event(struct db *db)
{
    const struct db_event event = {.kind = "k"};
    HOLDS(core_event(db, &kit_now, &event, &kit_err) == 0);
    return sctd_error(&kit_err, SCTD_EDATA, "made to fail");
}

static void an_error_undoes_the_transaction_and_an_outcome_keeps_it(void)
{
    const struct db_event event = {.kind = "k"};
    struct db *db = kit_open();
    HOLDS(core_begin(db, &kit_err) == 0);
    HOLDS(core_end(db, fail_after_an_event(db), &kit_err) == SCTD_EDATA);
    HOLDS(kit_number(db, "SELECT count(*) FROM event") == 0);
    HOLDS(core_begin(db, &kit_err) == 0);
    HOLDS(core_event(db, &kit_now, &event, &kit_err) == 0);
    HOLDS(core_end(db, DB_EXISTS, &kit_err) == DB_EXISTS);
    HOLDS(kit_number(db, "SELECT count(*) FROM event") == 1);
    db_close(db);
}

struct item {
    int64_t id;
};

static void a_page_tells_whether_there_is_another(void)
{
    static const struct sql_field field = SQL_FIELD(SQL_I64, item, id);
    const struct core_match none = {"id > ?", NULL, 100, false};
    struct core_page page = {.select = "SELECT id FROM job_count_of_ten",
                             .id = "id",
                             .match = &none,
                             .n_matches = 1,
                             .limit = 4,
                             .layout = {&field, 1, sizeof(struct item)}};
    struct db *db = kit_open();
    HOLDS(
        sql_run(db->sql,
                "CREATE TEMP VIEW job_count_of_ten AS WITH RECURSIVE c (id) AS (SELECT 1 UNION ALL "
                "SELECT id + 1 FROM c WHERE id < 10) SELECT id FROM c",
                &kit_err) == 0);
    static const struct {
        bool ascending;
        int64_t first[3];
    } orders[] = {{true, {1, 5, 9}}, {false, {10, 6, 2}}};
    for (size_t o = 0; o < 2; o++) {
        page.ascending = orders[o].ascending;
        page.after = 0;
        for (int i = 0; i < 3; i++) {
            struct core_rows rows = {0};
            HOLDS(core_list(db, &page, &rows, &kit_err) == 0);
            const struct item *item = rows.data;
            HOLDS(rows.n == (i < 2 ? 4 : 2) && item[0].id == orders[o].first[i]);
            HOLDS((rows.next != 0) == (i < 2));
            page.after = rows.next;
            free(rows.data);
        }
    }
    page.limit = 0;
    struct core_rows rows = {0};
    HOLDS(core_list(db, &page, &rows, &kit_err) == SCTD_EINVAL);
    page.limit = DB_PAGE_MAX + 1;
    HOLDS(core_list(db, &page, &rows, &kit_err) == SCTD_EINVAL);
    db_close(db);
}

int main(void)
{
    texts_that_do_not_fit_are_refused_by_name();
    delays_double_to_a_cap_with_full_jitter();
    an_error_undoes_the_transaction_and_an_outcome_keeps_it();
    a_page_tells_whether_there_is_another();
    kit_remove();
    return 0;
}
