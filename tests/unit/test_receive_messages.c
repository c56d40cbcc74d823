/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dicom/mpps.h"
#include "dicom/receiver.h"
#include "dicom/references.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/frame.h"
#include "server/receive_messages.h"

#define FILE_NAME                                                                                  \
    "series/00112233445566778899aabbccddeeff/"                                                     \
    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff.dcm"

static struct sctd_error err;

/* Through a socket pair. */
static int pass(const struct receive_message *message, struct receive_message *ret_message)
{
    int fd[2];
    struct frame_reader reader;
    sctd_auto(json_freep) struct json *json = NULL;
    assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
    frame_reader_init(&reader, fd[1]);
    assert(receive_messages_send(fd[0], message, -1, 0, &err) == 0);
    assert(frame_next(&reader, &json, &err) == 0);
    const int r = receive_messages_read(ret_message, json, &err);
    frame_reader_fini(&reader);
    (void)close(fd[0]);
    (void)close(fd[1]);
    return r;
}

static void a_connection_to_serve_comes_back_as_it_was(void)
{
    struct receive_message again;
    const struct receive_message ready = {.type = RECEIVE_READY};
    assert(pass(&ready, &again) == 0 && again.type == RECEIVE_READY);

    const struct receive_message serve = {.type = RECEIVE_SERVE,
                                          .serve = {.peer = "10.1.2.3",
                                                    .calling_ae = "MR 1",
                                                    .called_ae = "SCTD",
                                                    .spool = "/var/\xff",
                                                    .reserve_bytes = INT64_C(1) << 40,
                                                    .idle_ms = 7,
                                                    .all_syntaxes = true}};
    assert(pass(&serve, &again) == 0 && again.type == RECEIVE_SERVE);
    assert(strcmp(again.serve.spool, serve.serve.spool) == 0 && again.serve.all_syntaxes);
    assert(again.serve.reserve_bytes == INT64_C(1) << 40 && again.serve.idle_ms == 7);
}

static void an_instance_to_keep_comes_back_as_it_was(void)
{
    struct receive_message again;
    struct receive_message keep = {.type = RECEIVE_KEEP,
                                   .keep = {.index = {.sop_instance_uid = "1.2.3",
                                                      .patient_name = "M\xfcller",
                                                      .modality = "MR",
                                                      .slice_mm = (double)NAN,
                                                      .frames = 1},
                                            .file = FILE_NAME,
                                            .size = 12,
                                            .sha256 = {1, 2, 3}}};
    assert(pass(&keep, &again) == 0 && again.type == RECEIVE_KEEP);
    assert(strcmp(again.keep.index.patient_name, "M\xfcller") == 0);
    assert(isnan(again.keep.index.slice_mm) && again.keep.size == 12);
    assert(memcmp(again.keep.sha256, keep.keep.sha256, sizeof again.keep.sha256) == 0);
}

static void answers_and_ends_come_back_as_they_were(void)
{
    struct receive_message again;
    const struct receive_message kept = {.type = RECEIVE_KEPT,
                                         .kept = {.outcome = RECEIVE_CONFLICT, .file = FILE_NAME}};
    assert(pass(&kept, &again) == 0 && again.kept.outcome == RECEIVE_CONFLICT);

    const struct receive_message end = {
        .type = RECEIVE_END, .end = {.end = DICOM_END_SLOW, .stored = 3, .spool_failed = true}};
    assert(pass(&end, &again) == 0 && again.end.end == DICOM_END_SLOW && again.end.stored == 3);
    assert(again.end.spool_failed);
}

static void what_peers_say_comes_back_as_it_was(void)
{
    struct receive_message again;
    static const enum receive_type types[] = {RECEIVE_REPORT, RECEIVE_COMMITMENT, RECEIVE_REPORTED};
    for (size_t i = 0; i < 3; i++) {
        const struct receive_message m = {
            .type = types[i],
            .commitment = {.transaction_uid = "2.25.1", .n = DICOM_REFERENCES_MAX}};
        assert(pass(&m, &again) == 0 && again.type == types[i]);
        assert(strcmp(again.commitment.transaction_uid, "2.25.1") == 0);
        assert(again.commitment.n == DICOM_REFERENCES_MAX);
    }
    const struct receive_message performed = {.type = RECEIVE_PERFORMED,
                                              .performed = {.sop_instance_uid = "2.25.2",
                                                            .is_new = true,
                                                            .status = DICOM_MPPS_IN_PROGRESS,
                                                            .n = 3}};
    assert(pass(&performed, &again) == 0 && again.type == RECEIVE_PERFORMED);
    assert(strcmp(again.performed.sop_instance_uid, "2.25.2") == 0 && again.performed.is_new);
    assert(again.performed.status == DICOM_MPPS_IN_PROGRESS && again.performed.n == 3);
    const struct receive_message answered = {.type = RECEIVE_ANSWERED,
                                             .answered = {.reply = RECEIVE_FINAL}};
    assert(pass(&answered, &again) == 0 && again.answered.reply == RECEIVE_FINAL);
}

static void what_peers_cannot_have_said_is_refused(void)
{
    struct receive_message again = {.type = RECEIVE_READY};
    static const struct receive_message bad[] = {
        {.type = RECEIVE_REPORT, .commitment = {.transaction_uid = "../x"}},
        {.type = RECEIVE_COMMITMENT,
         .commitment = {.transaction_uid = "1.2", .n = DICOM_REFERENCES_MAX + 1}},
        {.type = RECEIVE_REPORTED, .commitment = {.transaction_uid = "1.2", .n = -1}},
        {.type = RECEIVE_PERFORMED, .performed = {.sop_instance_uid = ""}},
        {.type = RECEIVE_PERFORMED, .performed = {.sop_instance_uid = "1.2", .n = -1}},
        {.type = RECEIVE_PERFORMED,
         .performed = {.sop_instance_uid = "1.2", .status = DICOM_MPPS_DISCONTINUED + 1}},
        {.type = RECEIVE_ANSWERED, .answered = {.reply = RECEIVE_BROKEN + 1}},
        {.type = RECEIVE_ANSWERED, .answered = {.reply = -1}},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert(pass(&bad[i], &again) == SCTD_EDATA && again.type == RECEIVE_READY);
    }
}

static void what_makes_no_sense_is_refused(void)
{
    struct receive_message again = {.type = RECEIVE_READY};
    struct receive_message m = {.type = RECEIVE_KEPT, .kept = {.outcome = RECEIVE_FAILED + 1}};
    assert(pass(&m, &again) == SCTD_EDATA);
    m.kept.outcome = -1;
    assert(pass(&m, &again) == SCTD_EDATA);
    m = (struct receive_message){.type = RECEIVE_END, .end = {.end = DICOM_END_STOPPED + 1}};
    assert(pass(&m, &again) == SCTD_EDATA);
    m = (struct receive_message){.type = RECEIVE_KEEP, .keep = {.file = "../../etc/passwd"}};
    assert(pass(&m, &again) == SCTD_EDATA);
    static const char *const texts[] = {"{}", "{\"type\":\"x\"}", "{\"type\":1}",
                                        "{\"type\":\"kept\"}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        sctd_auto(json_freep) struct json *json = NULL;
        assert(json_parse(&json, texts[i], strlen(texts[i]), &err) == 0);
        assert(receive_messages_read(&again, json, &err) == SCTD_EDATA);
    }
    assert(again.type == RECEIVE_READY);
}

static void the_longest_instance_fits_a_frame(void)
{
    static struct receive_message m = {.type = RECEIVE_KEEP, .keep = {.file = FILE_NAME}};
    static struct receive_message again;
    struct dicom_index *index = &m.keep.index;
    memset(index->patient_id, 0xff, sizeof index->patient_id - 1);
    memset(index->patient_name, 0xff, sizeof index->patient_name - 1);
    /* a control character takes six in JSON */
    memset(index->series_description, 1, sizeof index->series_description - 1);
    memset(index->study_description, 1, sizeof index->study_description - 1);
    memset(index->image_type, 1, sizeof index->image_type - 1);
    assert(pass(&m, &again) == 0);
    assert(strcmp(again.keep.index.patient_id, index->patient_id) == 0);
    assert(strcmp(again.keep.index.image_type, index->image_type) == 0);
}

int main(void)
{
    a_connection_to_serve_comes_back_as_it_was();
    an_instance_to_keep_comes_back_as_it_was();
    answers_and_ends_come_back_as_they_were();
    what_peers_say_comes_back_as_it_was();
    what_peers_cannot_have_said_is_refused();
    what_makes_no_sense_is_refused();
    the_longest_instance_fits_a_frame();
    return 0;
}
