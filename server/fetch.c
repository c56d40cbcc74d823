/* SPDX-License-Identifier: Apache-2.0 */
#include "server/fetch.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "dicom/found.h"
#include "dicom/query.h"
#include "dicom/receiver.h"
#include "dicom/requestor.h"
#include "engine/base/attr.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/base/utf8.h"
#include "server/fetch_files.h"
#include "server/fetch_messages.h"
#include "server/frame.h"
#include "server/receive.h"
#include "server/receive_messages.h"
#include "server/worker_list.h"

enum { PARENT_MS = 60000, MOVING_MS = 1000 };

struct fetching {
    int fd;
    struct frame_reader parent;
    int64_t said_ms; /* that something moves */
    bool spool_failed;
};

static int say(const struct fetching *f, const struct fetch_message *message,
               struct sctd_error *err)
{
    return fetch_messages_send(f->fd, message, -1, PARENT_MS, err);
}

static void on_moving(void *arg)
{
    struct fetching *f = arg;
    struct sctd_error err = {.code = SCTD_OK};
    const struct fetch_message message = {.type = FETCH_MOVING};
    const int64_t now_ms = sctd_boot_ms();
    if (now_ms - f->said_ms >= MOVING_MS) {
        f->said_ms = now_ms;
        (void)say(f, &message, &err); /* without the parent this process ends */
    }
}

static bool on_found(void *arg, const struct dicom_found *found)
{
    struct fetching *f = arg;
    struct sctd_error err = {.code = SCTD_OK};
    const struct fetch_message message = {.type = FETCH_FOUND, .found = {.series = *found}};
    return say(f, &message, &err) == 0;
}

static bool on_scanned(void *arg, const struct fetch_found *found)
{
    struct fetching *f = arg;
    struct sctd_error err = {.code = SCTD_OK};
    const struct fetch_message message = {.type = FETCH_FOUND, .found = *found};
    on_moving(f);
    return say(f, &message, &err) == 0;
}

/* What the parent wants, with the list that came along; the caller closes *ret_list_fd. */
static int hear(struct fetching *f, struct fetch_work *ret_work, int *ret_list_fd,
                struct receive_serve *ret_serve, struct sctd_error *err)
{
    sctd_auto(json_freep) struct json *json = NULL;
    sctd_auto(json_freep) struct json *second = NULL;
    struct fetch_message message;
    struct receive_message serve;
    int r = frame_wait(&f->parent, PARENT_MS, &json, err);
    r = r > 0 ? sctd_error(err, SCTD_EIO, "the parent says nothing") : r;
    r = r < 0 ? r : fetch_messages_read(&message, json, err);
    if (r == 0 && message.type != FETCH_WORK) {
        r = sctd_error(err, SCTD_EDATA, "the parent says something else");
    }
    if (r < 0) {
        return r;
    }
    *ret_work = message.work;
    *ret_list_fd = frame_take_fd(&f->parent);
    r = frame_wait(&f->parent, PARENT_MS, &second, err);
    r = r > 0 ? sctd_error(err, SCTD_EIO, "the parent says nothing") : r;
    r = r < 0 ? r : receive_messages_read(&serve, second, err);
    if (r == 0 && serve.type != RECEIVE_SERVE) {
        r = sctd_error(err, SCTD_EDATA, "the parent says something else");
    }
    if (r == 0) {
        *ret_serve = serve.serve;
    }
    return r;
}

static struct dicom_requestor peer_of(const struct fetch_work *work,
                                      const volatile sig_atomic_t *stop)
{
    const struct dicom_requestor peer = {
        .host = work->host,
        .port = work->port,
        .calling_ae = work->calling_ae,
        .called_ae = work->called_ae,
        .connect_ms = work->connect_ms,
        .answer_ms = work->answer_ms,
        .stop = stop,
    };
    return peer;
}

static int find(struct fetching *f, const struct fetch_work *work, int list_fd,
                const volatile sig_atomic_t *stop, struct dicom_query_result *ret_result,
                struct sctd_error *err)
{
    sctd_auto(worker_list_fini) struct worker_list list = {.n_uids = 0};
    const struct dicom_requestor peer = peer_of(work, stop);
    int r = list_fd < 0 ? 0 : worker_list_read(&list, list_fd, err);
    const char **uids = r < 0 ? NULL : (const char **)calloc(list.n_uids + 1, sizeof *uids);
    if (uids == NULL) {
        return r < 0 ? r : sctd_error(err, SCTD_ENOMEM, "a list of studies");
    }
    for (size_t i = 0; i < list.n_uids; i++) {
        uids[i] = list.uid[i];
    }
    const struct dicom_query_keys keys = {
        .from = work->from,
        .to = work->to,
        .patient_id = work->patient_id,
        .accession = work->accession,
        .modality = work->modality,
        .study_uid = uids,
        .n = list.n_uids,
        .limit = work->limit > 0 ? (size_t)work->limit : 1,
    };
    const struct dicom_query_sink sink = {.arg = f, .found = on_found, .moving = on_moving};
    r = dicom_query_find(&peer, &keys, &sink, ret_result, err);
    free((void *)uids);
    return r;
}

static int retrieve(struct fetching *f, const struct fetch_work *work, struct receive *receive,
                    const volatile sig_atomic_t *stop, struct dicom_query_result *ret_result,
                    struct sctd_error *err)
{
    const struct dicom_requestor peer = peer_of(work, stop);
    const struct dicom_retrieval retrieval = {
        .study_uid = work->study_uid,
        .series_uid = work->series_uid,
        .all_syntaxes = work->all_syntaxes,
        .move_to = work->kind == FETCH_MOVE ? work->calling_ae : NULL,
        .window_ms = receive->serve->window_ms,
        .min_bytes = receive->serve->min_window_bytes,
    };
    const struct dicom_receiver_sink sink = receive_sink(receive);
    const struct dicom_query_sink moving = {.arg = f, .moving = on_moving};
    return dicom_query_retrieve(&peer, &retrieval, &sink, &moving, ret_result, err);
}

static int work_on(struct fetching *f, const struct fetch_work *work,
                   const struct receive_serve *serve, const volatile sig_atomic_t *stop,
                   struct dicom_query_result *ret_result, struct sctd_error *err)
{
    struct receive receive;
    int r = receive_open(&receive, serve, &f->parent, err);
    if (r < 0) {
        return r;
    }
    receive.series_uid = work->series_uid;
    if (work->kind == FETCH_FILES) {
        const struct dicom_receiver_sink sink = receive_sink(&receive);
        const struct fetch_files_sink to = {
            .arg = f, .found = on_scanned, .moving = on_moving, .instances = &sink, .stop = stop};
        r = fetch_files_read(work->folder, work->series_uid, &to, ret_result, err);
    } else {
        r = retrieve(f, work, &receive, stop, ret_result, err);
    }
    f->spool_failed = receive.spool.is_failed;
    receive_close(&receive);
    return r;
}

static int serve(struct fetching *f, const volatile sig_atomic_t *stop, struct sctd_error *err)
{
    const struct fetch_message ready = {.type = FETCH_READY};
    struct fetch_message end = {.type = FETCH_END};
    struct fetch_work work = {.kind = FETCH_FIND};
    struct receive_serve serve = {.idle_ms = 0};
    struct dicom_query_result result = {.end = DICOM_QUERY_FAILED};
    struct sctd_error why = {.code = SCTD_OK};
    int list_fd = -1;
    int r = say(f, &ready, err);
    r = r < 0 ? r : hear(f, &work, &list_fd, &serve, err);
    if (r == 0 && work.kind == FETCH_FIND) {
        r = find(f, &work, list_fd, stop, &result, &why);
    } else if (r == 0 && work.kind == FETCH_SCAN) {
        const struct fetch_files_sink to = {
            .arg = f, .found = on_scanned, .moving = on_moving, .stop = stop};
        r = fetch_files_scan(work.folder, &to, &result, &why);
    } else if (r == 0) {
        r = work_on(f, &work, &serve, stop, &result, &why);
    }
    if (list_fd >= 0) {
        (void)close(list_fd);
    }
    if (r < 0 && why.code == SCTD_OK) {
        return r;
    }
    end.end = (struct fetch_end){.end = (int32_t)result.end,
                                 .completed = result.completed,
                                 .failed = result.failed,
                                 .warned = result.warned,
                                 .announced = result.announced,
                                 .spool_failed = f->spool_failed};
    if (r < 0) {
        const bool is_final = r == SCTD_EDATA || r == SCTD_EINVAL || work.kind == FETCH_SCAN;
        end.end.end = is_final ? DICOM_QUERY_REFUSED : DICOM_QUERY_FAILED;
    }
    (void)snprintf(end.end.reason, sizeof end.end.reason, "%s", r < 0 ? why.text : result.reason);
    utf8_clean(end.end.reason);
    return say(f, &end, err);
}

int fetch_run(int frame_fd, const volatile sig_atomic_t *stop, struct sctd_error *err)
{
    struct fetching f = {.fd = frame_fd, .said_ms = sctd_boot_ms()};
    int r = dicom_receiver_prepare(err);
    if (r < 0) {
        return r;
    }
    frame_reader_init(&f.parent, frame_fd);
    r = serve(&f, stop, err);
    frame_reader_fini(&f.parent);
    return r;
}
