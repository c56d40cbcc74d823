/* SPDX-License-Identifier: Apache-2.0 */
#include "server/receive.h"

#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dicom/associate.h"
#include "dicom/file_meta.h"
#include "dicom/index.h"
#include "dicom/part10.h"
#include "dicom/receiver.h"
#include "dicom/source.h"
#include "engine/base/attr.h"
#include "engine/base/buf.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/sha256.h"
#include "server/adopt.h"
#include "server/frame.h"
#include "server/receive_ask.h"
#include "server/receive_messages.h"
#include "server/spool.h"

enum { META_MAX = 2048, KEPT_TIMEOUT_MS = 60000, SEND_TIMEOUT_MS = 10000 };

SCTD_PRINTF(3, 4) static void refuse(struct receive *r, enum dicom_store_status status,
                                     const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(r->answer.comment, sizeof r->answer.comment, format, args);
    va_end(args);
    r->answer.status = (uint16_t)status;
    r->is_wanted = false;
}

/* What a spool function said that did not succeed. */
static void refuse_spool(struct receive *r)
{
    refuse(r, DICOM_STORE_OUT_OF_RESOURCES, "out of resources");
    r->answer.stop = r->spool.is_failed;
}

static int start_file(struct receive *r, const struct dicom_store_request *request,
                      struct sctd_error *err)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf head = sctd_buf_make(META_MAX);
    const struct dicom_file_meta meta = {.sop_class_uid = request->sop_class_uid,
                                         .sop_instance_uid = request->sop_instance_uid,
                                         .transfer_syntax_uid = request->transfer_syntax_uid};
    int status = spool_check(&r->spool, 0, err);
    if (status == 0) {
        status = dicom_file_meta_start(&head, &meta, err);
    }
    if (status == 0) {
        status = spool_file_create(&r->file, &r->spool, err);
    }
    return status != 0 ? status : spool_file_write(&r->file, head.data, head.size, err);
}

static bool begin(void *arg, const struct dicom_store_request *request,
                  struct dicom_receiver_answer *ret_answer)
{
    struct receive *r = arg;
    struct sctd_error err = {.code = SCTD_OK};
    r->keep = (struct receive_keep){.move_originator_id = request->move_originator_id};
    r->answer = (struct dicom_receiver_answer){.status = DICOM_STORE_SUCCESS};
    r->is_wanted = true;
    r->size = 0;
    sha256_init(&r->hash);
    (void)snprintf(r->keep.index.sop_class_uid, DICOM_UID_SIZE, "%s", request->sop_class_uid);
    (void)snprintf(r->keep.index.sop_instance_uid, DICOM_UID_SIZE, "%s", request->sop_instance_uid);
    (void)snprintf(r->keep.transfer_syntax_uid, DICOM_UID_SIZE, "%s", request->transfer_syntax_uid);
    if (dicom_associate_is_ae(request->move_originator_ae)) {
        (void)snprintf(r->keep.move_originator_ae, DICOM_AE_SIZE, "%s",
                       request->move_originator_ae);
    }
    if (start_file(r, request, &err) != 0) {
        refuse_spool(r);
        spool_file_abort(&r->file);
        *ret_answer = r->answer;
        return false;
    }
    return true;
}

static bool write_some(void *arg, const void *bytes, size_t size)
{
    struct receive *r = arg;
    struct sctd_error err = {.code = SCTD_OK};
    r->size += size;
    if (r->size > (uint64_t)r->serve->max_instance_bytes) {
        refuse(r, DICOM_STORE_OUT_OF_RESOURCES, "larger than %lld MiB",
               (long long)(r->serve->max_instance_bytes >> 20));
        return false;
    }
    if (spool_file_write(&r->file, bytes, size, &err) != 0) {
        refuse_spool(r);
        return false;
    }
    sha256_update(&r->hash, bytes, size);
    return true;
}

/* Read what the job store wants from the file as it was written. */
static int read_index(struct receive *r, struct dicom_index *ret_index, struct sctd_error *err)
{
    char tmp[SCTD_PATH_MAX];
    char path[SCTD_PATH_MAX];
    struct dicom_part10 part10;
    int status = sctd_path_join(tmp, r->spool.path, "tmp", err);
    if (status == 0) {
        status = sctd_path_join(path, tmp, r->file.temporary, err);
    }
    if (status == 0) {
        status = dicom_part10_open(&part10, path, err);
    }
    if (status != 0) {
        return status < 0 ? status : sctd_error(err, SCTD_EDATA, "no data set");
    }
    status = dicom_index_read(ret_index, &part10, err);
    dicom_part10_close(&part10);
    return status;
}

/* Whether the data set is sound and what the request said it is; else the answer is set. */
static bool check_data_set(struct receive *r)
{
    struct dicom_index index;
    struct sctd_error err = {.code = SCTD_OK};
    int status = read_index(r, &index, &err);
    if (status == SCTD_EDATA) {
        refuse(r, DICOM_STORE_CANNOT_UNDERSTAND, "%.*s", DICOM_COMMENT_SIZE - 1, err.text);
    } else if (status < 0) {
        refuse(r, DICOM_STORE_OUT_OF_RESOURCES, "out of resources");
    } else if (strcmp(index.sop_class_uid, r->keep.index.sop_class_uid) != 0) {
        refuse(r, DICOM_STORE_CLASS_MISMATCH, "SOP Class UID differs from the request");
    } else if (strcmp(index.sop_instance_uid, r->keep.index.sop_instance_uid) != 0) {
        refuse(r, DICOM_STORE_CLASS_MISMATCH, "SOP Instance UID differs from the request");
    } else if (r->series_uid != NULL && strcmp(index.series_uid, r->series_uid) != 0) {
        refuse(r, DICOM_STORE_CANNOT_UNDERSTAND, "not of the series that was asked for");
    } else {
        r->keep.index = index;
    }
    return r->is_wanted;
}

bool receive_ask(struct receive *r, struct receive_kept *ret_kept)
{
    struct sctd_error err = {.code = SCTD_OK};
    const struct receive_message question = {.type = RECEIVE_KEEP, .keep = r->keep};
    struct receive_message answer;
    sctd_auto(json_freep) struct json *json = NULL;
    if (receive_messages_send(r->parent->fd, &question, -1, SEND_TIMEOUT_MS, &err) < 0 ||
        frame_wait(r->parent, KEPT_TIMEOUT_MS, &json, &err) != 0 ||
        receive_messages_read(&answer, json, &err) < 0 || answer.type != RECEIVE_KEPT) {
        return false;
    }
    *ret_kept = answer.kept;
    return true;
}

static void apply_kept(struct receive *r, const struct receive_kept *kept)
{
    switch ((enum receive_outcome)kept->outcome) {
    case RECEIVE_STORED:
    case RECEIVE_SAME:
        break;
    case RECEIVE_CONFLICT:
        refuse(r, DICOM_STORE_CONFLICT, "SOP Instance UID is known with other content");
        break;
    case RECEIVE_FULL:
        refuse(r, DICOM_STORE_CANNOT_UNDERSTAND, "the series has too many instances");
        break;
    case RECEIVE_NOT_KEPT:
        refuse(r, DICOM_STORE_OUT_OF_RESOURCES, "out of resources");
        return;
    case RECEIVE_FAILED:
        /* It may be in the job store or not: the next start tells. */
        r->answer.stop = true;
        return;
    }
    if (strcmp(kept->file, r->keep.file) != 0) {
        spool_remove(&r->spool, r->keep.file);
    }
}

static void keep(struct receive *r)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct receive_kept kept;
    struct spool_identity identity = {.series_uid = r->keep.index.series_uid,
                                      .sop_uid = r->keep.index.sop_instance_uid,
                                      .transfer_syntax_uid = r->keep.transfer_syntax_uid};
    sha256_final(&r->hash, identity.sha256);
    memcpy(r->keep.sha256, identity.sha256, sizeof r->keep.sha256);
    r->keep.received_ms = sctd_wall_ms();
    r->keep.size = (int64_t)r->file.size;
    if (spool_file_commit(&r->file, &identity, r->keep.file, &err) != 0) {
        refuse_spool(r);
        return;
    }
    if (!receive_ask(r, &kept)) {
        r->answer.stop = true;
        return;
    }
    apply_kept(r, &kept);
}

static void end(void *arg, struct dicom_receiver_answer *ret_answer)
{
    struct receive *r = arg;
    if (r->is_wanted && check_data_set(r)) {
        keep(r);
    }
    spool_file_abort(&r->file);
    *ret_answer = r->answer;
}

static void abandon(void *arg)
{
    struct receive *r = arg;
    spool_file_abort(&r->file);
}

struct dicom_receiver_sink receive_sink(struct receive *receive)
{
    const struct dicom_receiver_sink sink = {
        .arg = receive, .begin = begin, .write = write_some, .end = end, .abandon = abandon};
    return sink;
}

int receive_open(struct receive *ret_receive, const struct receive_serve *serve,
                 struct frame_reader *parent, struct sctd_error *err)
{
    struct receive receive = {.serve = serve, .parent = parent, .file = spool_file_none()};
    const struct spool_reserve reserve = {.bytes = serve->reserve_bytes,
                                          .files = serve->reserve_files};
    int r = spool_open(&receive.spool, serve->spool, &reserve, err);
    if (r == 0) {
        *ret_receive = receive;
    }
    return r;
}

void receive_close(struct receive *receive)
{
    spool_file_abort(&receive->file);
    spool_close(&receive->spool);
}

/* Wait for the parent's order.  Returns 0 or FRAME_END. */
static int wait_for_serve(struct frame_reader *parent, struct receive_serve *ret_serve,
                          struct sctd_error *err)
{
    sctd_auto(json_freep) struct json *json = NULL;
    struct receive_message message;
    int r = frame_wait(parent, -1, &json, err);
    if (r == 0) {
        r = receive_messages_read(&message, json, err);
    }
    if (r == 0 && (message.type != RECEIVE_SERVE || parent->passed < 0)) {
        r = sctd_error(err, SCTD_EDATA, "expected a connection to serve");
    }
    if (r == 0) {
        *ret_serve = message.serve;
    }
    return r;
}

static int serve_connection(struct frame_reader *parent, const struct receive_serve *serve,
                            const volatile sig_atomic_t *stop, struct sctd_error *err)
{
    struct receive receive;
    struct receive_message message = {.type = RECEIVE_END};
    struct dicom_receiver_result result = {.end = DICOM_END_STOPPED};
    int r = receive_open(&receive, serve, parent, err);
    if (r < 0) {
        return r;
    }
    const struct dicom_receiver_sink sink = receive_sink(&receive);
    const struct dicom_receiver_services services = receive_ask_services(parent);
    const struct dicom_receiver_options options = {
        .fd = frame_take_fd(parent),
        .idle_ms = serve->idle_ms,
        .window_ms = serve->window_ms,
        .min_bytes = serve->min_window_bytes,
        .all_syntaxes = serve->all_syntaxes,
        .services = &services,
        .stop = stop,
    };
    r = dicom_receiver_run(&options, &sink, &result, err);
    message.end = (struct receive_end){.end = (int32_t)result.end,
                                       .stored = result.stored,
                                       .refused = result.refused,
                                       .echoed = result.echoed,
                                       .told = result.told,
                                       .contexts = result.contexts,
                                       .spool_failed = receive.spool.is_failed};
    receive_close(&receive);
    const int sent = receive_messages_send(parent->fd, &message, -1, SEND_TIMEOUT_MS, err);
    return r < 0 ? r : sent;
}

static int adopt(struct frame_reader *parent, const struct receive_serve *serve,
                 const volatile sig_atomic_t *stop, struct sctd_error *err)
{
    struct receive_message message = {.type = RECEIVE_END};
    const int fd = frame_take_fd(parent);
    int r = adopt_run(&message.end, parent, serve, fd, stop, err);
    (void)close(fd);
    return r < 0 ? r : receive_messages_send(parent->fd, &message, -1, SEND_TIMEOUT_MS, err);
}

int receive_run(int frame_fd, const volatile sig_atomic_t *stop, struct sctd_error *err)
{
    const struct receive_message ready = {.type = RECEIVE_READY};
    struct receive_serve serve;
    struct frame_reader parent;
    int r = dicom_receiver_prepare(err);
    if (r == 0) {
        r = receive_messages_send(frame_fd, &ready, -1, SEND_TIMEOUT_MS, err);
    }
    if (r < 0) {
        return r;
    }
    frame_reader_init(&parent, frame_fd);
    r = wait_for_serve(&parent, &serve, err);
    if (r == 0 && serve.adopt) {
        r = adopt(&parent, &serve, stop, err);
    } else if (r == 0) {
        r = serve_connection(&parent, &serve, stop, err);
    }
    frame_reader_fini(&parent);
    return r == FRAME_END ? 0 : r; /* a spare that is not needed any more */
}
