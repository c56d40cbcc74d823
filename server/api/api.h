/*
 * api.h - the HTTP API of a running daemon: what is behind /api/v1, /healthz, /readyz, /metrics and the dashboard.
 *
 * server/http knows bytes and who asks; here is what is asked.  openapi.json describes it.
 *
 * Thread safety: the loop's thread.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db/db.h"
#include "engine/base/error.h"
#include "engine/base/sha256.h"
#include "server/batches.h"
#include "server/config.h"
#include "server/deliver.h"
#include "server/diagnosis.h"
#include "server/front_door.h"
#include "server/intake.h"
#include "server/metrics.h"
#include "server/policy.h"
#include "server/reporter.h"
#include "server/workers.h"

#ifdef __cplusplus
extern "C" {
#endif

struct uv_loop_s;

/* What the daemon lends; all of it outlives the API. */
struct api_node {
    struct uv_loop_s *loop;
    const char *program; /* the path of sctd */
    const char *version, *ae_title, *spool, *results, *models_dir;
    const char *state_dir; /* used by api_open only */
    struct db *db;
    struct intake *intake;
    struct workers *workers;
    struct deliver *deliver;
    struct reporter *reporter;
    struct batches *batches;
    struct front_door *door;
    struct diagnosis *diagnosis;
    struct metrics *metrics;
    int64_t started_ms;        /* wall clock */
    void (*kick)(void *arg);   /* there may be something to do for workers and deliveries */
    void (*remove)(void *arg); /* files were marked for removal */
    /* The configuration is to be read again: after a change of the active model. */
    void (*reload)(void *arg);
    void (*drained)(void *arg); /* after api_drain: none of its processes is left */
    void *arg;
};

struct api;

/* Listen as policy->config->http says, which is not NULL.  *ret_api: freed by api_close.
 * Errors: SCTD_EIO (the port, a file), SCTD_EINVAL, SCTD_ENOMEM. */
SCTD_NODISCARD int api_open(struct api **ret_api, const struct api_node *node,
                            const struct policy *policy, struct sctd_error *err);
int api_get_port(const struct api *api);

/* Another configuration: tokens, certificate and rules are those of it from now on; the port stays.
 * Errors: SCTD_EIO (the certificate: then the old one stays), SCTD_ENOMEM. */
SCTD_NODISCARD int api_set_policy(struct api *api, const struct policy *policy,
                                  struct sctd_error *err);

/* The daemon ends: /readyz says so, and pictures are drawn no more; other requests are answered until api_close, which
 * comes after node.drained. */
void api_drain(struct api *api);

/* Connections are closed at once; its handles close as the loop runs on.  NULL is a no-op. */
void api_close(struct api *api);

#ifdef __cplusplus
}
#endif
