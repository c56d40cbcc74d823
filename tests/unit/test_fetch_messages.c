/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dicom/found.h"
#include "dicom/query.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/fetch_messages.h"
#include "server/frame.h"

static struct sctd_error err;
static struct fetch_message again;

/* Through a socket pair. */
static int pass(const struct fetch_message *message)
{
    int fd[2];
    struct frame_reader reader;
    sctd_auto(json_freep) struct json *json = NULL;
    assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
    frame_reader_init(&reader, fd[1]);
    assert(fetch_messages_send(fd[0], message, -1, 0, &err) == 0);
    assert(frame_next(&reader, &json, &err) == 0);
    const int r = fetch_messages_read(&again, json, &err);
    frame_reader_fini(&reader);
    (void)close(fd[0]);
    (void)close(fd[1]);
    return r;
}

static void the_largest_work_comes_back_as_it_was(void)
{
    static struct fetch_message m = {.type = FETCH_WORK,
                                     .work = {.kind = FETCH_MOVE,
                                              .host = "pacs.example",
                                              .port = 104,
                                              .calling_ae = "SCTD",
                                              .called_ae = "PACS",
                                              .study_uid = "1.2.3",
                                              .series_uid = "1.2.3.4",
                                              .all_syntaxes = true}};
    memset(m.work.folder, 0xff, sizeof m.work.folder - 1);
    memset(m.work.patient_id, 0xe4, sizeof m.work.patient_id - 1);
    assert(pass(&m) == 0 && again.type == FETCH_WORK);
    assert(strcmp(again.work.folder, m.work.folder) == 0 && again.work.kind == FETCH_MOVE);
    assert(strcmp(again.work.patient_id, m.work.patient_id) == 0 && again.work.port == 104);
    assert(strcmp(again.work.host, "pacs.example") == 0 && again.work.all_syntaxes);
    assert(strcmp(again.work.study_uid, "1.2.3") == 0);
    assert(strcmp(again.work.series_uid, "1.2.3.4") == 0);
}

static void what_was_found_comes_back_as_it_was(void)
{
    static struct fetch_message m = {
        .type = FETCH_FOUND,
        .found = {.series = {.study_uid = "1.2", .series_uid = "1.3", .images = -1},
                  .image_type = "ORIGINAL\\PRIMARY",
                  .folder = "/data/\xff"}};
    memset(m.found.series.series_description, 'x', sizeof m.found.series.series_description - 1);
    assert(pass(&m) == 0 && again.type == FETCH_FOUND);
    const struct dicom_found *series = &again.found.series;
    assert(strcmp(series->series_description, m.found.series.series_description) == 0);
    assert(strcmp(series->study_uid, "1.2") == 0 && series->images == -1);
    assert(strcmp(again.found.folder, "/data/\xff") == 0);
    assert(strcmp(again.found.image_type, "ORIGINAL\\PRIMARY") == 0);
    const struct fetch_message end = {
        .type = FETCH_END,
        .end = {.end = DICOM_QUERY_REFUSED, .failed = 3, .announced = 9, .reason = "no"}};
    assert(pass(&end) == 0 && again.type == FETCH_END && again.end.failed == 3);
    assert(again.end.announced == 9);
}

static void the_impossible_is_refused(void)
{
    const struct fetch_message rows[] = {
        {.type = FETCH_WORK, .work = {.kind = FETCH_KINDS}},
        {.type = FETCH_WORK, .work = {.kind = -1}},
        {.type = FETCH_WORK, .work = {.kind = FETCH_GET, .series_uid = "../x"}},
        {.type = FETCH_FOUND, .found = {.series = {.study_uid = "1.2"}}},
        {.type = FETCH_END, .end = {.end = DICOM_QUERY_REFUSED + 1}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert(pass(&rows[i]) == SCTD_EDATA);
    }
}

int main(void)
{
    the_largest_work_comes_back_as_it_was();
    what_was_found_comes_back_as_it_was();
    the_impossible_is_refused();
    return 0;
}
