/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "db/db.h"
#include "db/instances.h"
#include "db/jobs.h"
#include "engine/base/error.h"

#include "tests/support/db_kit.h"

static void a_series_tells_its_facts_and_times(void)
{
    struct db *db = kit_open();
    const int64_t started = kit_now.wall_ms;
    const int64_t id = kit_put(db, 1, 2, 0, 1);
    kit_now.wall_ms += 1000;
    (void)kit_put(db, 1, 2, 1, 1);
    kit_now.wall_ms += 1000;
    (void)kit_put(db, 1, 3, 0, 1); /* another series of the study */
    struct db_series s;
    HOLDS(db_series_get(db, id, &s, &kit_err) == 0);
    HOLDS(s.state == DB_SERIES_OPEN && s.instances == 2 && s.bytes == 2001 && s.revision == 1);
    HOLDS(s.first_ms == started && s.last_ms == started + 1000);
    HOLDS(s.study_last_ms == started + 2000);
    HOLDS(strcmp(s.study_uid, "1.2.1") == 0 && strcmp(s.series_uid, "1.2.1.2") == 0);
    HOLDS(strcmp(s.calling_ae, "SCANNER2") == 0 && strcmp(s.called_ae, "SCTD") == 0);
    HOLDS(strcmp(s.modality, "MR") == 0 && strcmp(s.series_description, "t1") == 0);
    HOLDS(strcmp(s.peer, "192.0.2.7") == 0 && s.series_number == 4 && s.body_part[0] == '\0');
    HOLDS(db_series_find(db, "1.2.1.2", &s, &kit_err) == 0 && s.id == id);
    HOLDS(db_series_find(db, "1.2.9", &s, &kit_err) == DB_NONE);
    HOLDS(db_series_get(db, 99, &s, &kit_err) == DB_NONE);
    db_close(db);
    kit_remove();
}

static void members_come_with_their_geometry_in_the_order_of_arrival(void)
{
    struct db *db = kit_open();
    struct db_put_result result;
    struct db_instance i = kit_instance(1, 1, 5);
    HOLDS(db_instances_put(db, &kit_now, &i, 1, &result, &kit_err) == 0);
    i = kit_instance(1, 1, 2);
    i.slice_mm = (double)NAN;
    i.instance_number = INT32_MIN;
    i.stack = "a";
    i.frames = 40;
    HOLDS(db_instances_put(db, &kit_now, &i, 1, &result, &kit_err) == 0);
    struct db_member_list list = {0};
    HOLDS(db_series_members(db, result.series_id, 0, &list, &kit_err) == 0 && list.n == 2);
    const struct db_member *m = list.member;
    HOLDS(strcmp(m[0].sop_uid, "1.2.1.1.5") == 0 && fabs(m[0].slice_mm - 12.5) < 1e-12);
    HOLDS(m[0].instance_number == 5 && m[0].frames == 1 && m[0].size == 1005);
    HOLDS(isnan(m[1].slice_mm) && m[1].instance_number == INT32_MIN && m[1].frames == 40);
    HOLDS(strcmp(m[1].stack, "a") == 0 && strcmp(m[1].file, "in/1-1-2.dcm") == 0);
    db_member_list_fini(&list);
    db_close(db);
    kit_remove();
}

static void series_are_listed_by_state_and_study(void)
{
    struct db *db = kit_open();
    for (int k = 1; k <= 3; k++) {
        (void)kit_put(db, k, k, 0, 1);
    }
    (void)kit_job(db, 9, 0); /* closed, of study 1 */
    struct db_series_filter filter = {.state = DB_SERIES_OPEN, .ascending = true, .limit = 2};
    struct db_series_page list = {0};
    HOLDS(db_series_list(db, &filter, &list, &kit_err) == 0 && list.n == 2 && list.next != 0);
    HOLDS(strcmp(list.series[0].series_uid, "1.2.1.1") == 0);
    filter.after = list.next;
    db_series_page_fini(&list);
    HOLDS(db_series_list(db, &filter, &list, &kit_err) == 0 && list.n == 1 && list.next == 0);
    db_series_page_fini(&list);
    filter = (struct db_series_filter){.state = -1, .study_uid = "1.2.1", .limit = 10};
    HOLDS(db_series_list(db, &filter, &list, &kit_err) == 0 && list.n == 2);
    HOLDS(list.series[0].state == DB_SERIES_CLOSED); /* newest first */
    HOLDS(list.series[0].evidence == DB_EVIDENCE_QUIET);
    HOLDS(strcmp(list.series[0].reason, "no byte for 60 s") == 0);
    db_series_page_fini(&list);
    db_close(db);
    kit_remove();
}

static void what_is_expected_is_counted_down(void)
{
    const char *uids[] = {"1.2.1.1.0", "1.2.1.1.1", "1.2.1.1.2"};
    struct db_expectation e = {"1.2.1.1", DB_EVIDENCE_MPPS, 3, uids, 3};
    struct db *db = kit_open();
    HOLDS(db_series_expect(db, &kit_now, &e, &kit_err) == 0); /* before it comes */
    const int64_t id = kit_put(db, 1, 1, 0, 1);
    struct db_series s;
    HOLDS(db_series_get(db, id, &s, &kit_err) == 0);
    HOLDS(s.expected_by == DB_EVIDENCE_MPPS && s.expected == 3 && s.missing == 2);
    (void)kit_put(db, 1, 1, 1, 2);
    HOLDS(db_series_get(db, id, &s, &kit_err) == 0 && s.missing == 0);
    e = (struct db_expectation){"1.2.1.1", DB_EVIDENCE_COUNT, 4, NULL, 0}; /* replaces it */
    HOLDS(db_series_expect(db, &kit_now, &e, &kit_err) == 0);
    HOLDS(db_series_get(db, id, &s, &kit_err) == 0);
    HOLDS(s.expected_by == DB_EVIDENCE_COUNT && s.expected == 4 && s.missing == -1);
    db_close(db);
    kit_remove();
}

static void expectations_that_tell_nothing_are_refused(void)
{
    struct db *db = kit_open();
    const struct db_expectation wrong[] = {
        {"1.2", DB_EVIDENCE_QUIET, 3, NULL, 0},
        {"1.2", DB_EVIDENCE_COUNT, 0, NULL, 0},
        {"1.2", DB_EVIDENCE_COUNT, DB_SERIES_INSTANCES_MAX + 1, NULL, 0},
        {"", DB_EVIDENCE_COUNT, 3, NULL, 0},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        HOLDS(db_series_expect(db, &kit_now, &wrong[i], &kit_err) == SCTD_EINVAL);
    }
    db_close(db);
    kit_remove();
}

static void expectations_end_with_the_series_or_after_30_days(void)
{
    const char *uids[] = {"1.2.1.1.0"};
    const struct db_expectation mine = {"1.2.1.1", DB_EVIDENCE_COMMITMENT, 1, uids, 1};
    const struct db_expectation old = {"1.2.7.7", DB_EVIDENCE_COMMITMENT, 1, uids, 1};
    struct db *db = kit_open();
    HOLDS(db_series_expect(db, &kit_now, &mine, &kit_err) == 0);
    (void)kit_job(db, 1, 0);
    HOLDS(kit_number(db, "SELECT count(*) FROM expected") == 0);
    HOLDS(db_series_expect(db, &kit_now, &old, &kit_err) == 0);
    kit_now.wall_ms += (int64_t)31 * 24 * 3600 * 1000;
    HOLDS(db_series_expect(db, &kit_now, &mine, &kit_err) == 0);
    HOLDS(kit_number(db, "SELECT count(*) FROM expected") == 1);
    HOLDS(kit_number(db, "SELECT count(*) FROM expected_uid") == 1);
    db_close(db);
    kit_remove();
}

static void discarding_and_reopening_follow_the_state(void)
{
    struct db *db = kit_open();
    struct db_series s;
    const int64_t id = kit_put(db, 1, 1, 0, 1);
    HOLDS(db_series_discard(db, &kit_now, 99, "x", &kit_err) == DB_NONE);
    HOLDS(db_series_discard(db, &kit_now, id, "", &kit_err) == SCTD_EINVAL);
    HOLDS(db_series_reopen(db, &kit_now, id, "x", &kit_err) == DB_REFUSED);
    HOLDS(db_series_discard(db, &kit_now, id, "a scout", &kit_err) == 0);
    HOLDS(db_series_discard(db, &kit_now, id, "again", &kit_err) == DB_REFUSED);
    HOLDS(db_series_get(db, id, &s, &kit_err) == 0 && s.state == DB_SERIES_DISCARDED);
    HOLDS(strcmp(s.reason, "a scout") == 0 && s.closed_ms == kit_now.wall_ms);
    HOLDS(db_series_reopen(db, &kit_now, id, "wanted after all", &kit_err) == 0);
    HOLDS(db_series_get(db, id, &s, &kit_err) == 0 && s.state == DB_SERIES_OPEN);
    HOLDS(s.closed_ms == 0);
    (void)kit_job(db, 2, 0);
    HOLDS(db_series_find(db, "1.2.1.2", &s, &kit_err) == 0);
    HOLDS(db_series_discard(db, &kit_now, s.id, "x", &kit_err) == DB_REFUSED);
    db_close(db);
    kit_remove();
}

static void our_own_series_are_known_even_when_cancelled(void)
{
    struct db *db = kit_open();
    const int64_t job = kit_job(db, 1, 0);
    HOLDS(db_series_is_ours(db, "2.25.1", &kit_err) == 0);
    HOLDS(db_series_is_ours(db, "1.2.1.1", &kit_err) == DB_NONE);
    HOLDS(db_job_cancel(db, &kit_now, job, "by hand", &kit_err) == 0);
    HOLDS(db_series_is_ours(db, "2.25.1", &kit_err) == 0);
    db_close(db);
    kit_remove();
}

static void identity_is_the_peers_bytes_and_only_there(void)
{
    struct db *db = kit_open();
    struct db_instance i = kit_instance(1, 1, 0);
    i.identity.patient_name = "M\xfcller^\xc9va"; /* ISO 8859-1: no UTF-8 */
    struct db_put_result result;
    struct db_series s;
    struct db_subject identity;
    HOLDS(db_instances_put(db, &kit_now, &i, 1, &result, &kit_err) == 0);
    HOLDS(result.outcome == DB_PUT_STORED);
    HOLDS(db_series_get(db, result.series_id, &s, &kit_err) == 0);
    HOLDS(db_subject_get(db, s.id, &identity, &kit_err) == 0);
    HOLDS(strcmp(identity.patient_name, "M\xfcller^\xc9va") == 0);
    HOLDS(strcmp(identity.patient_id, "P7") == 0);
    HOLDS(strcmp(identity.character_set, "ISO_IR 100") == 0);
    HOLDS(db_subject_get(db, 99, &identity, &kit_err) == DB_NONE);
    db_close(db);
    kit_remove();
}

static void evidence_has_names(void)
{
    HOLDS(strcmp(db_evidence_name(DB_EVIDENCE_QUIET), "quiet") == 0);
    for (int i = 0; i < DB_EVIDENCES; i++) {
        HOLDS(strcmp(db_evidence_name((enum db_evidence)i), "?") != 0);
    }
}

int main(void)
{
    a_series_tells_its_facts_and_times();
    members_come_with_their_geometry_in_the_order_of_arrival();
    series_are_listed_by_state_and_study();
    what_is_expected_is_counted_down();
    expectations_that_tell_nothing_are_refused();
    expectations_end_with_the_series_or_after_30_days();
    discarding_and_reopening_follow_the_state();
    our_own_series_are_known_even_when_cancelled();
    identity_is_the_peers_bytes_and_only_there();
    evidence_has_names();
    return 0;
}
