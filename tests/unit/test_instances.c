/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "db/db.h"
#include "db/events.h"
#include "db/instances.h"
#include "db/jobs.h"
#include "db/retention.h"
#include "engine/base/error.h"

#include "tests/support/db_kit.h"

static struct db_put_result put(struct db *db, const struct db_instance *i)
{
    struct db_put_result result;
    HOLDS(db_instances_put(db, &kit_now, i, 1, &result, &kit_err) == 0);
    return result;
}

static void a_new_instance_is_stored(void)
{
    struct db *db = kit_open();
    const struct db_instance i = kit_instance(1, 2, 3);
    const struct db_put_result result = put(db, &i);
    HOLDS(result.outcome == DB_PUT_STORED && strcmp(result.kept_file, "in/1-2-3.dcm") == 0);
    HOLDS(result.revision == 1 && result.instances == 1 && !result.reopened);
    db_close(db);
    kit_remove();
}

static void the_same_bytes_again_change_nothing(void)
{
    struct db *db = kit_open();
    struct db_instance i = kit_instance(1, 2, 3);
    (void)put(db, &i);
    i.file = "in/another.dcm";
    i.received_ms += 1000;
    const struct db_put_result result = put(db, &i);
    HOLDS(result.outcome == DB_PUT_SAME && strcmp(result.kept_file, "in/1-2-3.dcm") == 0);
    HOLDS(result.instances == 1);
    HOLDS(kit_number(db, "SELECT count(*) FROM instance") == 1);
    HOLDS(kit_number(db, "SELECT count(*) FROM event") == 0);
    HOLDS(kit_number(db, "SELECT last_ms FROM series") == kit_now.wall_ms);
    db_close(db);
    kit_remove();
}

static void other_bytes_are_refused_and_the_first_are_kept(void)
{
    struct db *db = kit_open();
    struct db_instance i = kit_instance(1, 2, 3);
    const unsigned char first = i.sha256[0];
    (void)put(db, &i);
    i.sha256[0] ^= 1;
    i.file = "in/another.dcm";
    const struct db_put_result result = put(db, &i);
    HOLDS(result.outcome == DB_PUT_CONFLICT && result.reason[0] != '\0');
    HOLDS(strcmp(result.kept_file, "in/1-2-3.dcm") == 0);
    struct db_member_list members = {0};
    HOLDS(db_series_members(db, result.series_id, 0, &members, &kit_err) == 0 && members.n == 1);
    HOLDS(members.member[0].sha256[0] == first);
    db_member_list_fini(&members);
    const struct db_event_filter filter = {.kind = "conflict", .limit = 5};
    struct db_event_page events = {0};
    HOLDS(db_event_list(db, &filter, &events, &kit_err) == 0 && events.n == 1);
    HOLDS(strcmp(events.event[0].subject, "1.2.1.2.3") == 0);
    HOLDS(strcmp(events.event[0].actor, "SCANNER2") == 0);
    db_event_page_fini(&events);
    db_close(db);
    kit_remove();
}

static void a_uid_in_another_series_is_a_conflict_too(void)
{
    struct db *db = kit_open();
    struct db_instance i = kit_instance(1, 2, 3);
    (void)put(db, &i);
    i.series_uid = "1.2.99";
    i.file = "in/another.dcm";
    i.sha256[5] ^= 1;
    HOLDS(put(db, &i).outcome == DB_PUT_CONFLICT);
    HOLDS(kit_number(db, "SELECT count(*) FROM series") == 1);
    db_close(db);
    kit_remove();
}

static void one_bad_instance_does_not_undo_its_batch(void)
{
    struct db *db = kit_open();
    struct db_instance batch[5];
    for (int k = 0; k < 5; k++) {
        batch[k] = kit_instance(1, 1, k);
    }
    batch[1].sop_uid = "";
    batch[2] = batch[0];           /* the same within the batch */
    batch[3].file = batch[0].file; /* a mistake of the caller */
    struct db_put_result results[5];
    HOLDS(db_instances_put(db, &kit_now, batch, 5, results, &kit_err) == 0);
    static const enum db_put expected[] = {DB_PUT_STORED, DB_PUT_INVALID, DB_PUT_SAME,
                                           DB_PUT_INVALID, DB_PUT_STORED};
    for (int k = 0; k < 5; k++) {
        HOLDS(results[k].outcome == expected[k]);
        HOLDS((results[k].reason[0] != '\0') == (expected[k] == DB_PUT_INVALID));
    }
    HOLDS(results[4].instances == 2);
    HOLDS(db_verify(db, DB_CHECK_FULL, &kit_err) == 0);
    db_close(db);
    kit_remove();
}

static void values_beyond_their_limits_are_invalid(void)
{
    static char long_text[1100];
    memset(long_text, 'x', sizeof long_text - 1);
    struct db *db = kit_open();
    for (int k = 0; k < 11; k++) {
        struct db_instance i = kit_instance(1, 1, k);
        const char **texts[] = {&i.study_uid,
                                &i.series_uid,
                                &i.sop_class_uid,
                                &i.calling_ae,
                                &i.file,
                                &i.stack,
                                &i.facts.modality,
                                &i.facts.series_description,
                                &i.identity.patient_name};
        if (k < 9) {
            *texts[k] = long_text;
        } else if (k == 9) {
            i.frames = 0;
        } else {
            i.size = -1;
        }
        const struct db_put_result result = put(db, &i);
        HOLDS(result.outcome == DB_PUT_INVALID && strstr(result.reason, "xxx") == NULL);
    }
    HOLDS(kit_number(db, "SELECT count(*) FROM instance") == 0);
    const struct db_instance i = kit_instance(1, 1, 1);
    struct db_put_result result;
    HOLDS(db_instances_put(db, &kit_now, &i, 0, &result, &kit_err) == SCTD_EINVAL);
    HOLDS(db_instances_put(db, &kit_now, &i, DB_BATCH_MAX + 1, &result, &kit_err) == SCTD_EINVAL);
    db_close(db);
    kit_remove();
}

static void a_late_instance_opens_the_next_revision(void)
{
    struct db *db = kit_open();
    const int64_t job = kit_job(db, 1, 1);
    const struct db_instance late = kit_instance(1, 1, 7);
    struct db_put_result result = put(db, &late);
    HOLDS(result.outcome == DB_PUT_STORED && result.reopened && result.revision == 2);
    struct db_series series;
    HOLDS(db_series_get(db, result.series_id, &series, &kit_err) == 0);
    HOLDS(series.state == DB_SERIES_OPEN && series.revision == 2 && series.instances == 3);
    HOLDS(series.evidence == DB_EVIDENCE_NONE && series.closed_ms == 0);
    const struct db_instance later = kit_instance(1, 1, 8);
    result = put(db, &later);
    HOLDS(!result.reopened && result.revision == 2);
    struct db_member_list members = {0};
    HOLDS(db_series_members(db, series.id, kit_get(db, job).revision, &members, &kit_err) == 0);
    HOLDS(members.n == 2); /* the job's input is what it was */
    db_member_list_fini(&members);
    db_close(db);
    kit_remove();
}

static void the_same_bytes_do_not_open_a_closed_series(void)
{
    struct db *db = kit_open();
    (void)kit_job(db, 1, 1);
    const struct db_instance again = kit_instance(1, 1, 0);
    const struct db_put_result result = put(db, &again);
    HOLDS(result.outcome == DB_PUT_SAME && !result.reopened && result.revision == 1);
    HOLDS(kit_number(db, "SELECT state FROM series") == DB_SERIES_CLOSED);
    db_close(db);
    kit_remove();
}

static void a_discarded_series_takes_instances_and_stays_discarded(void)
{
    struct db *db = kit_open();
    const int64_t id = kit_put(db, 1, 1, 0, 1);
    HOLDS(db_series_discard(db, &kit_now, id, "ignored by rule scout", &kit_err) == 0);
    const struct db_instance i = kit_instance(1, 1, 1);
    HOLDS(put(db, &i).outcome == DB_PUT_STORED);
    HOLDS(kit_number(db, "SELECT state FROM series") == DB_SERIES_DISCARDED);
    HOLDS(kit_number(db, "SELECT closed_ms FROM series") == kit_now.wall_ms);
    db_close(db);
    kit_remove();
}

static void take_all(struct db *db, struct db_removal_list *list)
{
    HOLDS(db_retention_take(db, DB_FILE_RECEIVED, INT64_MAX, 10, list, &kit_err) == 0);
}

static void after_its_file_was_removed_an_instance_is_stored_again(void)
{
    struct db *db = kit_open();
    const int64_t id = kit_put(db, 1, 1, 0, 1);
    struct db_instance i = kit_instance(1, 1, 0);
    struct db_removal_list list = {0};
    HOLDS(db_series_discard(db, &kit_now, id, "not wanted", &kit_err) == 0);
    take_all(db, &list);
    HOLDS(list.n == 1);
    HOLDS(put(db, &i).outcome == DB_PUT_BUSY); /* while it is being removed */
    HOLDS(db_retention_done(db, DB_FILE_RECEIVED, &list.removal[0].id, 1, &kit_err) == 0);
    db_removal_list_fini(&list);
    i.sha256[0] ^= 1; /* other bytes: the first ones are gone */
    i.file = "in/again.dcm";
    const struct db_put_result result = put(db, &i);
    HOLDS(result.outcome == DB_PUT_STORED && result.instances == 1);
    HOLDS(strcmp(result.kept_file, "in/again.dcm") == 0);
    HOLDS(db_verify(db, DB_CHECK_FULL, &kit_err) == 0);
    db_close(db);
    kit_remove();
}

static void an_instance_of_another_study_is_kept_and_noted(void)
{
    struct db *db = kit_open();
    (void)kit_put(db, 1, 1, 0, 1);
    (void)kit_put(db, 2, 5, 0, 1);
    struct db_instance i = kit_instance(2, 5, 1);
    i.series_uid = "1.2.1.1";
    const struct db_put_result result = put(db, &i);
    HOLDS(result.outcome == DB_PUT_STORED && result.instances == 2);
    HOLDS(kit_number(db, "SELECT count(*) FROM event WHERE kind = 'mixed-study'") == 1);
    db_close(db);
    kit_remove();
}

static void what_is_kept_is_found(void)
{
    struct db *db = kit_open();
    (void)kit_put(db, 1, 1, 0, 2);
    const char *uids[] = {"1.2.1.1.1", "1.2.3", "1.2.1.1.0"};
    struct db_found found[3];
    HOLDS(db_instances_find(db, uids, 3, found, &kit_err) == 0);
    HOLDS(found[0].found && !found[1].found && found[2].found);
    HOLDS(strcmp(found[0].sop_class_uid, "1.2.840.10008.5.1.4.1.1.4") == 0);
    HOLDS(found[1].sop_class_uid[0] == '\0');
    db_close(db);
    kit_remove();
}

static void a_full_series_takes_no_more(void)
{
    struct db *db = kit_open();
    (void)kit_put(db, 1, 1, 0, 1);
    db_close(db);
    kit_sql("UPDATE series SET instances = 65536");
    db = kit_open();
    const struct db_instance i = kit_instance(1, 1, 1);
    HOLDS(put(db, &i).outcome == DB_PUT_FULL);
    db_close(db);
    kit_remove();
}

static void on_changed(void *arg, enum db_change what, int64_t id)
{
    int *told = arg;
    HOLDS(what == DB_CHANGE_SERIES && id == 1);
    (*told)++;
}

static void who_listens_is_told_of_what_is_new_alone(void)
{
    struct db *db = kit_open();
    int told = 0;
    db_set_changed(db, on_changed, &told);
    const struct db_instance i[] = {kit_instance(1, 1, 1), kit_instance(1, 1, 2)};
    struct db_put_result result[2];
    HOLDS(db_instances_put(db, &kit_now, i, 2, result, &kit_err) == 0 && told == 1);
    HOLDS(put(db, &i[0]).outcome == DB_PUT_SAME && told == 1);
    db_close(db);
    kit_remove();
}

int main(void)
{
    a_new_instance_is_stored();
    the_same_bytes_again_change_nothing();
    other_bytes_are_refused_and_the_first_are_kept();
    a_uid_in_another_series_is_a_conflict_too();
    one_bad_instance_does_not_undo_its_batch();
    values_beyond_their_limits_are_invalid();
    a_late_instance_opens_the_next_revision();
    the_same_bytes_do_not_open_a_closed_series();
    a_discarded_series_takes_instances_and_stays_discarded();
    after_its_file_was_removed_an_instance_is_stored_again();
    an_instance_of_another_study_is_kept_and_noted();
    what_is_kept_is_found();
    a_full_series_takes_no_more();
    who_listens_is_told_of_what_is_new_alone();
    return 0;
}
