/*
 * view_messages.h - what the parent and a viewer say to each other (frame.h).
 *
 *     viewer: ready      it has started and waits for a subject
 *     parent: subject    what it is to show, once; with the list of files as a file (worker_list.h)
 *     viewer: loaded     it has read them: what can be shown and what cannot
 *     parent: ask        one at a time
 *     viewer: picture    a PNG, as a sealed file in memory
 *             histogram  the counts, as a sealed file in memory
 *             no         why there is none
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "server/view.h" // IWYU pragma: export

#ifdef __cplusplus
extern "C" {
#endif

enum { VIEW_PARAMETERS_SIZE = 2049 };

struct view_subject_message {
    char spool[SCTD_PATH_MAX], results[SCTD_PATH_MAX];
    char parameters[VIEW_PARAMETERS_SIZE]; /* of the job (parameters.h); "": none */
    int32_t memory_mib;                    /* address space; 0: no limit */
};

struct view_picture {
    int32_t width, height;
    int64_t size; /* bytes of the PNG */
};

struct view_no {
    bool is_absent; /* there is no such slice or image; else what was found does not allow it */
    char reason[VIEW_REASON_SIZE];
};

enum view_type {
    VIEW_TYPE_READY,
    VIEW_TYPE_SUBJECT,
    VIEW_TYPE_LOADED,
    VIEW_TYPE_ASK,
    VIEW_TYPE_PICTURE,
    VIEW_TYPE_HISTOGRAM,
    VIEW_TYPE_NO
};

struct view_message {
    enum view_type type;
    union { /* as the type says; READY and HISTOGRAM have nothing */
        struct view_subject_message subject;
        struct view_facts loaded;
        struct view_request ask;
        struct view_picture picture;
        struct view_no no;
    };
};

/* Send one; passed_fd and timeout_ms as frame_send.  Errors: as frame_send, SCTD_ENOMEM. */
SCTD_NODISCARD int view_messages_send(int fd, const struct view_message *message, int passed_fd,
                                      int timeout_ms, struct sctd_error *err);
/* Errors: SCTD_EDATA (no such type, a field that is missing, does not fit or is out of its range). */
SCTD_NODISCARD int view_messages_read(struct view_message *ret_message, const struct json *json,
                                      struct sctd_error *err);

#ifdef __cplusplus
}
#endif
