/* SPDX-License-Identifier: Apache-2.0 */
#include "server/health.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/statvfs.h>

#include "db/db.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "server/config.h"
#include "server/front_door.h"
#include "server/policy.h"
#include "server/slot_trouble.h"
#include "server/workers.h"

SCTD_PRINTF(5, 6) static struct health_check *add(struct health *health, const char *name, bool ok,
                                                  const char *mend, const char *format, ...)
{
    struct health_check *check = &health->check[health->n++];
    va_list args;
    *check = (struct health_check){.name = name, .ok = ok, .mend = ok ? "" : mend};
    va_start(args, format);
    (void)vsnprintf(check->detail, sizeof check->detail, format, args);
    va_end(args);
    return check;
}

void health_look_at_disk(const char *folder, struct health_disk *ret_disk)
{
    struct statvfs disk;
    *ret_disk = (struct health_disk){.free_bytes = 0};
    if (statvfs(folder, &disk) == 0) {
        ret_disk->free_bytes = (int64_t)disk.f_bavail * (int64_t)disk.f_frsize;
        ret_disk->total_bytes = (int64_t)disk.f_blocks * (int64_t)disk.f_frsize;
        ret_disk->free_files = (int64_t)disk.f_favail;
        ret_disk->free_percent = 100.0 * (double)disk.f_bavail / (double)disk.f_blocks;
    }
}

static void look_at_store(const struct health_parts *parts, struct health *health)
{
    struct db_size size = {0, 0};
    struct sctd_error err = {.code = SCTD_OK};
    const bool ok = !db_is_failed(parts->db) && db_get_size(parts->db, &size, &err) == 0;
    add(health, "job_store", ok,
        "The disk or the file system of state_dir is broken: look at the journal and at dmesg; the "
        "daemon starts anew by itself",
        "%s", ok ? "it is written and synced" : "it cannot be written")
        ->is_vital = true;
}

static void look_at_disk(const struct health_parts *parts, struct health *health)
{
    struct health_disk disk;
    struct sctd_error why = {.code = SCTD_OK};
    const bool ok = front_door_has_room(parts->door, &why);
    health_look_at_disk(parts->spool, &disk);
    if (ok) {
        add(health, "disk", true, "", "%.0f %% free", disk.free_percent);
    } else {
        add(health, "disk", false,
            "Free space on the disk of state_dir, shorten retention, or lower "
            "retention.min_free_percent; it goes on by itself",
            "nothing is accepted: %s", why.text);
    }
}

static void look_at_workers(const struct health_parts *parts, struct health *health)
{
    struct workers_count count;
    workers_get_count(parts->workers, &count);
    const bool ok = count.dying + count.broken < count.slots;
    struct workers_engine broken = {.asked = NULL};
    for (int i = 0; i < count.slots && count.broken > 0 && broken.asked == NULL; i++) {
        struct workers_engine engine;
        workers_get_engine(parts->workers, i, &engine);
        broken = engine.trouble->needs_trial ? engine : broken;
    }
    if (broken.asked != NULL) {
        add(health, "workers", ok,
            "The engine of every slot does not work: look at nvidia-smi and the kernel's log, and run "
            "\"sctd doctor\"; jobs wait, and it goes on by itself",
            "the engine of %d of %d slots does not work: %s: %.160s", count.broken, count.slots,
            broken.asked, broken.trouble->reason);
        return;
    }
    add(health, "workers", ok,
        "Every worker has died again and again: look at the journal (\"job-attempt\") and run "
        "\"sctd doctor\", which tries the models",
        "%d of %d slots work, %d wait after a death", count.busy, count.slots, count.dying);
}

static void look_at_rules(const struct health_parts *parts, struct health *health)
{
    const uint32_t n = parts->policy->config->rules_count;
    add(health, "rules", n > 0,
        "Add a rule to the configuration, and reload it: without one nothing is ever made of a "
        "series",
        n > 0 ? "%u rules" : "there are %u rules", n);
}

void health_look(const struct health_parts *parts, struct health *ret_health)
{
    *ret_health = (struct health){.is_alive = true, .is_ready = true};
    look_at_store(parts, ret_health);
    look_at_disk(parts, ret_health);
    add(ret_health, "front_door", !parts->is_draining,
        "It is ending; it is back when systemd has started it again", "%s",
        parts->is_draining ? "it takes nothing new" : "it listens");
    look_at_workers(parts, ret_health);
    look_at_rules(parts, ret_health);
    for (size_t i = 0; i < ret_health->n; i++) {
        const struct health_check *check = &ret_health->check[i];
        ret_health->is_ready = ret_health->is_ready && check->ok;
        ret_health->is_alive = ret_health->is_alive && (check->ok || !check->is_vital);
    }
}
