/*
 * health.h - whether the daemon can do its work, each thing by name: /healthz, /readyz and what monitoring reads.
 *
 * Thread safety: the loop's thread.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db/db.h"
#include "server/front_door.h"
#include "server/policy.h"
#include "server/workers.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { HEALTH_CHECKS_MAX = 8 };

struct health_check {
    const char *name; /* "disk" */
    bool ok;
    bool is_vital;    /* the process itself does not work without it: /healthz too */
    char detail[256]; /* what was found */
    const char *mend; /* what to do; "" where all is well */
};

struct health {
    struct health_check check[HEALTH_CHECKS_MAX];
    size_t n;
    bool is_alive, is_ready;
};

struct health_parts {
    struct db *db;
    struct workers *workers;
    struct front_door *door;
    const struct policy *policy;
    const char *spool; /* folder */
    bool is_draining;
};

struct health_disk {
    int64_t free_bytes, total_bytes, free_files;
    double free_percent;
};

void health_look(const struct health_parts *parts, struct health *ret_health);
/* Of the disk that holds a folder; all 0 where it cannot be told. */
void health_look_at_disk(const char *folder, struct health_disk *ret_disk);

#ifdef __cplusplus
}
#endif
