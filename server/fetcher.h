/*
 * fetcher.h - a process that asks a PACS or fetches one series, from its start to its end.
 *
 * Thread safety: the loop's thread.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "server/fetch_messages.h"
#include "server/receive_messages.h"
#include "server/receivers.h"

#ifdef __cplusplus
extern "C" {
#endif

struct uv_loop_s;
struct fetcher;

struct fetcher_order {
    struct fetch_work work;
    struct receive_serve serve; /* who sends, where to, and the limits */
    int64_t association_id;     /* of what comes, as receivers.h counts; negative */
    int list_fd;                /* studies to look for (worker_list.h), taken over; -1: none */
};

struct fetcher_hooks {
    void *arg;
    bool (*found)(void *arg, const struct fetch_found *found); /* false: it is ended */
    void (*moved)(void *arg);                                  /* NULL: of no interest */
    /* As in receivers.h.  NULL: the work brings no instances. */
    int (*keep)(void *arg, const struct receivers_keep *instances, size_t n,
                struct receive_kept *ret_kept, struct sctd_error *err);
    void (*failed)(void *arg, const char *reason); /* the disk or the job store: end the process */
    /* Once, after everything else; the fetcher is gone then.  One that died has FAILED. */
    void (*ended)(void *arg, const struct fetch_end *end);
};

/* Start it.  *ret_fetcher: belongs to the loop, until `ended` returns.
 * Errors: SCTD_EIO, SCTD_ENOMEM; no hook is called then, and the list is closed. */
SCTD_NODISCARD int fetcher_start(struct fetcher **ret_fetcher, struct uv_loop_s *loop,
                                 const char *program, const struct fetcher_order *order,
                                 const struct fetcher_hooks *hooks, struct sctd_error *err);

void fetcher_stop(struct fetcher *fetcher); /* soon: it is asked to, then killed */
void fetcher_kill(struct fetcher *fetcher); /* nothing more is heard of it but `ended` */

#ifdef __cplusplus
}
#endif
