/* SPDX-License-Identifier: Apache-2.0 */
#include "server/limits.h"

#include <stdint.h>
#include <stdio.h>
#include <sys/statvfs.h>

#include "server/config.h"
#include "server/receive_messages.h"

enum {
    IDLE_MS = 60000, /* docs/architecture.md */
    WINDOW_MS = 30000,
    MIN_WINDOW_BYTES = 30000,
    SERIES_ROOM_PERCENT = 5, /* of a small disk */
};
#define INSTANCE_MAX_BYTES (INT64_C(2) << 30)
#define SERIES_ROOM_BYTES  (INT64_C(1) << 30) /* for the largest study, where the disk is large */

static int64_t disk_bytes(const char *path, int64_t *ret_files)
{
    struct statvfs disk;
    if (statvfs(path, &disk) != 0) {
        *ret_files = 0;
        return 0;
    }
    *ret_files = (int64_t)disk.f_files;
    return (int64_t)disk.f_blocks * (int64_t)disk.f_frsize;
}

struct receive_serve limits_serve(const char *spool, const struct config_retention *retention)
{
    int64_t files = 0;
    const int64_t bytes = disk_bytes(spool, &files);
    struct receive_serve serve = {.reserve_bytes = bytes / 100 * retention->min_free_percent,
                                  .reserve_files = files / 100 * retention->min_free_percent,
                                  .max_instance_bytes = INSTANCE_MAX_BYTES,
                                  .idle_ms = IDLE_MS,
                                  .window_ms = WINDOW_MS,
                                  .min_window_bytes = MIN_WINDOW_BYTES};
    (void)snprintf(serve.spool, sizeof serve.spool, "%s", spool);
    return serve;
}

int64_t limits_series_room(const char *spool)
{
    int64_t files = 0;
    const int64_t room = disk_bytes(spool, &files) / 100 * SERIES_ROOM_PERCENT;
    return room < SERIES_ROOM_BYTES ? room : SERIES_ROOM_BYTES;
}
