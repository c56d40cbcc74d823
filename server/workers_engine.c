/* SPDX-License-Identifier: Apache-2.0 */
#include "server/workers_engine.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "db/db.h"
#include "engine/base/clock.h"
#include "engine/base/utf8.h"
#include "server/log.h"
#include "server/moment.h"
#include "server/slot_trouble.h"
#include "server/worker_messages.h"
#include "server/workers_slot.h"

static void log_trouble(const struct slot *slot)
{
    const struct slot_trouble *trouble = &slot->trouble;
    LOG_WARNING("engine-trouble", log_number("slot", slot->number),
                log_text("backend", slot->backend), log_number("failures", trouble->failures),
                log_number("again_ms", trouble->not_before_ms - sctd_boot_ms()),
                log_text("reason", trouble->reason));
}

static void end_trouble(struct slot *slot)
{
    if (slot->trouble.failures > 0) {
        LOG_INFO("engine-well", log_number("slot", slot->number),
                 log_text("backend", slot->backend),
                 log_number("failures", slot->trouble.failures));
    }
    slot_trouble_end(&slot->trouble);
}

void workers_engine_judge(struct slot *slot, const struct worker_end *end)
{
    const struct db_now at = moment_now();
    slot->breaks_max = 0;
    if (end->outcome == WORKER_DONE) {
        end_trouble(slot);
    } else if (end->outcome == WORKER_NO_ENGINE) {
        slot_trouble_no_engine(&slot->trouble, &at, end->reason);
        log_trouble(slot);
    } else if (end->outcome == WORKER_BROKEN) {
        slot->breaks_max = slot_trouble_broke(&slot->trouble, &at, slot->job.id, end->reason);
        log_trouble(slot);
    }
}

void workers_engine_end_trial(struct slot *slot, bool is_opened, const char *reason)
{
    const struct db_now at = moment_now();
    slot->is_trying = false;
    if (!is_opened) {
        slot_trouble_no_engine(&slot->trouble, &at, reason);
        log_trouble(slot);
    } else if (slot_trouble_opened(&slot->trouble)) {
        end_trouble(slot);
    }
}

/* What it runs on */

enum { LOOK_MS = 20000, LOOK_SHIFT_MAX = 5 };

void workers_engine_opened(struct slot *slot, const struct worker_engine *engine)
{
    slot->engine = *engine;
    LOG(engine->is_fallback || engine->remark[0] != '\0' ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
        "worker-engine", log_number("slot", slot->number), log_text("asked", slot->backend),
        log_text("backend", engine->backend), log_text("device", engine->device),
        log_number("device_mib", engine->device_mib), log_text("arithmetic", engine->arithmetic),
        log_text("reason", engine->reason), log_text("remark", engine->remark));
    slot->look_ms = 0;
    if (!engine->is_fallback) {
        slot->looks = 0;
        return;
    }
    slot->look_ms = sctd_boot_ms() + ((int64_t)LOOK_MS << slot->looks);
    slot->looks += slot->looks < LOOK_SHIFT_MAX ? 1 : 0;
}

void workers_engine_forget(struct slot *slot)
{
    slot->engine = (struct worker_engine){.backend = ""};
}

bool workers_engine_describe(const struct slot *slot, char *ret_text)
{
    const struct worker_engine *engine = &slot->engine;
    const bool is_gpu = engine->device[0] != '\0';
    if (engine->backend[0] == '\0') {
        return false;
    }
    (void)snprintf(ret_text, DB_ENGINE_SIZE, "%s%s%s%s, %.70s", engine->backend, is_gpu ? " (" : "",
                   engine->device, is_gpu ? ")" : "", engine->arithmetic);
    utf8_clean(ret_text); /* it may have been cut within a character */
    return true;
}

/* Opening */

bool workers_engine_is_opening(const struct slot *slot)
{
    return strcmp(slot->stage.stage, WORKER_LOADS) == 0;
}

void workers_engine_note_stage(struct slot *slot, const struct worker_stage *stage)
{
    const int64_t now_ms = sctd_boot_ms();
    const bool was_opening = workers_engine_is_opening(slot);
    slot->stage = *stage;
    const bool is_opening = workers_engine_is_opening(slot);
    if (is_opening && !was_opening) {
        slot->open_from_ms = now_ms;
        workers_engine_forget(slot);
    } else if (was_opening && !is_opening) {
        slot->deadline_ms += now_ms - slot->open_from_ms;
    }
}

int64_t workers_engine_rest_ms(const struct slot *slot)
{
    enum { SECOND_MS = 1000 };
    const int64_t until_ms =
        workers_engine_is_opening(slot)
            ? slot->open_from_ms + (int64_t)slot->all->options.workers.load_s * SECOND_MS
            : slot->deadline_ms;
    return until_ms - sctd_boot_ms();
}

bool workers_engine_was_late(struct slot *slot, int status, char *ret_reason)
{
    const struct db_now at = moment_now();
    if (status != SIGKILL || !workers_engine_is_opening(slot) || workers_engine_rest_ms(slot) > 0) {
        return false;
    }
    (void)snprintf(ret_reason, WORKER_REASON_SIZE,
                   "the engine was not open after %d s (workers: load_s)",
                   slot->all->options.workers.load_s);
    if (!slot->is_trying) { /* the end of a trial counts by itself */
        slot_trouble_no_engine(&slot->trouble, &at, ret_reason);
        log_trouble(slot);
    }
    return true;
}
