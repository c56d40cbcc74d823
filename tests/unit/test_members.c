/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "db/deliveries.h"
#include "db/instances.h"
#include "db/jobs.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/members.h"

struct page {
    struct sctd_error err;
    struct sctd_buf text;
    struct json_writer w;
};

static void begin(struct page *page)
{
    *page = (struct page){.text = sctd_buf_make(4096)};
    page->w = json_writer_make(&page->text, false, &page->err);
    json_write_object_begin(&page->w, NULL);
}

static void end(struct page *page, const char *wanted)
{
    json_write_object_end(&page->w);
    assert(json_writer_finish(&page->w) == 0);
    assert(strcmp(sctd_buf_get_text(&page->text), wanted) == 0);
    sctd_buf_fini(&page->text);
}

static void a_job_is_its_states_names_and_numbers(void)
{
    const struct db_job job = {.id = 7,
                               .state = DB_JOB_DELIVERING,
                               .reason = "a \"reason\"",
                               .review = DB_REVIEW_NEEDED,
                               .hold = true,
                               .revision = 2,
                               .evidence = DB_EVIDENCE_RELEASE,
                               .source_ae = "MR",
                               .rule = "head",
                               .model = "m@1",
                               .series_uid = "1.2",
                               .output_series_uid = "1.3",
                               .outputs = 12,
                               .priority = 9,
                               .attempt = 1};
    struct page page;
    begin(&page);
    members_write_job(&page.w, &job);
    end(&page,
        "{\"id\":7,\"state\":\"delivering\",\"reason\":\"a \\\"reason\\\"\",\"review\":\"needed\","
        "\"hold\":true,\"held\":true,\"revision\":2,\"evidence\":\"release\",\"source_ae\":"
        "\"MR\",\"rule\":\"head\",\"model\":\"m@1\",\"series_uid\":\"1.2\","
        "\"output_series_uid\":\"1.3\",\"outputs\":12,\"priority\":9,\"attempt\":1}");
}

static void a_delivery_and_a_change_are_told_alike(void)
{
    const struct db_delivery delivery = {.id = 3,
                                         .destination = "pacs",
                                         .state = DB_DELIVERY_SENDING,
                                         .instances = 12,
                                         .stored = 5,
                                         .committed = 4,
                                         .attempt = 2,
                                         .reason = "slow"};
    const struct db_transition change = {.attempt = 1,
                                         .destination = "pacs",
                                         .from = "queued",
                                         .to = "sending",
                                         .reason = "begun",
                                         .detail = "d"};
    struct page page;
    begin(&page);
    members_write_delivery(&page.w, &delivery);
    end(&page, "{\"id\":3,\"destination\":\"pacs\",\"state\":\"sending\",\"instances\":12,"
               "\"stored\":5,\"committed\":4,\"attempt\":2,\"reason\":\"slow\"}");
    begin(&page);
    members_write_transition(&page.w, &change);
    end(&page, "{\"attempt\":1,\"destination\":\"pacs\",\"from\":\"queued\",\"to\":\"sending\","
               "\"reason\":\"begun\",\"detail\":\"d\"}");
}

static void a_series_has_the_name_of_its_state(void)
{
    static const char *const names[] = {"open", "closed", "discarded"};
    const struct db_series series = {.id = 1,
                                     .state = DB_SERIES_DISCARDED,
                                     .reason = "no rule holds",
                                     .revision = 1,
                                     .series_uid = "1.2",
                                     .study_uid = "1.1",
                                     .instances = 4,
                                     .bytes = 5000,
                                     .calling_ae = "MR",
                                     .peer = "::1",
                                     .modality = "MR",
                                     .series_description = "T1"};
    struct page page;
    begin(&page);
    members_write_series(&page.w, &series);
    end(&page,
        "{\"id\":1,\"state\":\"discarded\",\"reason\":\"no rule holds\",\"evidence\":\"none\","
        "\"revision\":1,\"series_uid\":\"1.2\",\"study_uid\":\"1.1\",\"instances\":4,"
        "\"bytes\":5000,\"calling_ae\":\"MR\",\"peer\":\"::1\",\"modality\":\"MR\","
        "\"series_description\":\"T1\"}");
    for (int i = 0; i < DB_SERIES_STATES; i++) {
        assert(strcmp(db_series_state_name((enum db_series_state)i), names[i]) == 0);
    }
}

int main(void)
{
    a_job_is_its_states_names_and_numbers();
    a_delivery_and_a_change_are_told_alike();
    a_series_has_the_name_of_its_state();
    return 0;
}
