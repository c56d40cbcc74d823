/* SPDX-License-Identifier: Apache-2.0 */
#include "server/adopt.h"

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "dicom/index.h"
#include "dicom/part10.h"
#include "dicom/receiver.h"
#include "engine/base/attr.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/sha256.h"
#include "server/frame.h"
#include "server/receive.h"
#include "server/receive_messages.h"
#include "server/spool.h"
#include "server/worker_list.h"

/* A data set that was deflated on its way is known by what was received, which part10.h does not give. */
static int read_file(struct receive_keep *ret_keep, const char *spool, const char *name,
                     struct sctd_error *err)
{
    char path[SCTD_PATH_MAX];
    struct dicom_part10 part10;
    int r = sctd_path_join(path, spool, name, err);
    r = r < 0 ? r : dicom_part10_open(&part10, path, err);
    if (r != 0) {
        return r < 0 ? r : sctd_error(err, SCTD_EDATA, "no data set");
    }
    struct receive_keep keep = {.size = (int64_t)part10.map.size, .received_ms = sctd_wall_ms()};
    struct sha256 hash;
    r = part10.inflated != NULL ? sctd_error(err, SCTD_EDATA, "a deflated data set")
                                : dicom_index_read(&keep.index, &part10, err);
    sha256_init(&hash);
    sha256_update(&hash, part10.data, part10.size);
    sha256_final(&hash, keep.sha256);
    (void)snprintf(keep.transfer_syntax_uid, sizeof keep.transfer_syntax_uid, "%s",
                   part10.transfer_syntax_uid);
    (void)snprintf(keep.file, sizeof keep.file, "%s", name);
    dicom_part10_close(&part10);
    if (r == 0) {
        *ret_keep = keep;
    }
    return r;
}

static int set_aside(const char *spool, const char *name, struct sctd_error *err)
{
    char folder[SCTD_PATH_MAX];
    char from[SCTD_PATH_MAX];
    char to[SCTD_PATH_MAX];
    int r = sctd_path_join(folder, spool, "quarantine", err);
    r = r < 0 ? r : sctd_dir_make(folder, err);
    r = r < 0 ? r : sctd_path_join(from, spool, name, err);
    r = r < 0 ? r : sctd_path_join(to, folder, strrchr(name, '/') + 1, err);
    return r < 0 ? r : sctd_file_move(from, to, err);
}

/* Returns 0 if the job store has it now, 1 if it was set aside. */
static int adopt_file(struct receive *receive, const char *name, struct sctd_error *err)
{
    struct receive_kept kept;
    struct sctd_error why = {.code = SCTD_OK};
    const char *spool = receive->serve->spool;
    int r = read_file(&receive->keep, spool, name, &why);
    if (r == SCTD_EDATA) {
        r = set_aside(spool, name, err);
        return r < 0 ? r : 1;
    }
    if (r < 0) {
        *err = why;
        return r;
    }
    if (!receive_ask(receive, &kept) || kept.outcome == RECEIVE_FAILED) {
        return sctd_error(err, SCTD_EIO, "the parent does not answer");
    }
    if (kept.outcome == RECEIVE_NOT_KEPT) {
        return sctd_error(err, SCTD_EIO, "the job store has no room now");
    }
    if (kept.outcome == RECEIVE_STORED || kept.outcome == RECEIVE_SAME) {
        if (strcmp(kept.file, name) != 0) {
            spool_remove(&receive->spool, name);
        }
        return 0;
    }
    r = set_aside(spool, name, err);
    return r < 0 ? r : 1;
}

int adopt_run(struct receive_end *ret_end, struct frame_reader *parent,
              const struct receive_serve *serve, int list_fd, const volatile sig_atomic_t *stop,
              struct sctd_error *err)
{
    struct receive receive;
    sctd_auto(worker_list_fini) struct worker_list list = {.n_files = 0};
    struct receive_end end = {.end = DICOM_END_RELEASED};
    int r = worker_list_read(&list, list_fd, err);
    r = r < 0 ? r : receive_open(&receive, serve, parent, err);
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; r >= 0 && i < list.n_files && *stop == 0; i++) {
        r = adopt_file(&receive, list.file[i], err);
        end.stored += r == 0 ? 1 : 0;
        end.refused += r > 0 ? 1 : 0;
    }
    receive_close(&receive);
    if (r < 0) {
        return r;
    }
    *ret_end = end;
    return 0;
}
