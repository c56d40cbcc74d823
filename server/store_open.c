/* SPDX-License-Identifier: Apache-2.0 */
#include "server/store_open.h"

#include <stdio.h>
#include <string.h>

#include "db/db.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "server/log.h"
#include "server/moment.h"

enum { INTERRUPTIONS_MAX = 5, BOOT_ID_SIZE = 64 };

static void read_boot_id(char text[BOOT_ID_SIZE])
{
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    text[0] = '\0';
    if (file != NULL) {
        if (fgets(text, BOOT_ID_SIZE, file) == NULL) {
            text[0] = '\0';
        }
        text[strcspn(text, "\n")] = '\0';
        (void)fclose(file);
    }
}

int store_open(struct db **ret_db, const char *state_dir, const char *node, struct sctd_error *err)
{
    char path[SCTD_PATH_MAX];
    char boot_id[BOOT_ID_SIZE];
    const struct db_options options = {.create = true, .check = DB_CHECK_QUICK};
    const struct db_now at = moment_now();
    struct db_recovered recovered = {.jobs = 0};
    read_boot_id(boot_id);
    const struct db_recovery recovery = {
        .boot_id = boot_id, .node = node, .interruptions_max = INTERRUPTIONS_MAX};
    int r = sctd_path_join(path, state_dir, "jobs.db", err);
    r = r < 0 ? r : db_open(ret_db, path, &options, err);
    r = r < 0 ? r : db_recover(*ret_db, &at, &recovery, &recovered, err);
    if (r == 0 && (recovered.jobs > 0 || recovered.deliveries > 0)) {
        LOG_WARNING("recovered", log_number("jobs", recovered.jobs),
                    log_number("deliveries", recovered.deliveries));
    }
    return r;
}
