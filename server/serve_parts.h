/*
 * serve_parts.h - what serve.c and serve_receive.c share: the daemon's parts, and what becomes of what comes in.
 *
 * Thread safety: the loop's thread.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <uv.h>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "server/allow.h"
#include "server/api/api.h"
#include "server/batches.h"
#include "server/config.h"
#include "server/control.h"
#include "server/deliver.h"
#include "server/diagnosis.h"
#include "server/front_door.h"
#include "server/intake.h"
#include "server/metrics.h"
#include "server/policy.h"
#include "server/receive_messages.h"
#include "server/receivers.h"
#include "server/reporter.h"
#include "server/serve.h"
#include "server/workers.h"

#ifdef __cplusplus
extern "C" {
#endif

struct serve {
    const struct serve_options *options;
    uv_loop_t loop;
    uv_signal_t terminate, interrupt, hangup;
    uv_timer_t upkeep, watchdog, sweep, end;
    struct policy *policy;
    char ae_title[CONFIG_AE_TITLE_MAX + 1]; /* that it was started with */
    const char *called_ae[1];
    char models_dir[SCTD_PATH_MAX];
    struct allow_rule *allow; /* [peers of the policy] */
    struct db *db;
    char spool[SCTD_PATH_MAX], results[SCTD_PATH_MAX];
    struct intake *intake;
    struct workers *workers;
    struct deliver *deliver;
    struct reporter *reporter;
    struct batches *batches;
    struct front_door *door;
    struct control *control;
    struct diagnosis *diagnosis;
    struct metrics *metrics;
    struct api *api;  /* NULL: no HTTP */
    uv_idle_t reload; /* runs when the configuration is to be read again */
    int to_drain;     /* parts that have not ended yet */
    bool is_draining, has_failed, must_sweep;
    struct sctd_error failure;
};

/* What the daemon does with what receivers say; `failed` and `drained` are the caller's to set. */
void serve_receive_hooks(struct receivers_hooks *ret_hooks, struct serve *serve);
/* The same for what a batch fetches.  arg: the serve.  As `keep` and `ended` of batches_hooks. */
int serve_receive_keep(void *arg, const struct receivers_keep *instances, size_t n,
                       struct receive_kept *ret_kept, struct sctd_error *err);
void serve_receive_fetched(void *arg, const struct receivers_association *association,
                           const struct receive_end *end, int status);
/* Look through the spool for files that nobody knows.  Errors: SCTD_EIO, SCTD_ENOMEM. */
SCTD_NODISCARD int serve_receive_sweep(struct serve *serve, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
