/* SPDX-License-Identifier: Apache-2.0 */
#include "server/slot_trouble.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "db/db.h"

enum { WAIT_MS = 1000, WAIT_MAX_MS = 60000, SHIFT_MAX = 6, BREAKS_MAX = 3, BREAKS_OF_MANY = 10 };

static void count(struct slot_trouble *trouble, const struct db_now *now, const char *reason)
{
    const int shift = trouble->failures < SHIFT_MAX ? trouble->failures : SHIFT_MAX;
    const int64_t wait_ms = (int64_t)WAIT_MS << shift;
    trouble->since_ms = trouble->failures == 0 ? now->wall_ms : trouble->since_ms;
    trouble->last_ms = now->wall_ms;
    trouble->not_before_ms = now->lease_ms + (wait_ms < WAIT_MAX_MS ? wait_ms : WAIT_MAX_MS);
    trouble->failures++;
    trouble->needs_trial = true;
    (void)snprintf(trouble->reason, sizeof trouble->reason, "%s", reason);
}

void slot_trouble_no_engine(struct slot_trouble *trouble, const struct db_now *now,
                            const char *reason)
{
    count(trouble, now, reason);
}

int32_t slot_trouble_broke(struct slot_trouble *trouble, const struct db_now *now, int64_t job_id,
                           const char *reason)
{
    count(trouble, now, reason);
    trouble->broken_by =
        trouble->broken_by == 0 || trouble->broken_by == job_id ? job_id : SLOT_SEVERAL;
    return trouble->broken_by == job_id ? BREAKS_MAX : BREAKS_OF_MANY;
}

bool slot_trouble_opened(struct slot_trouble *trouble)
{
    trouble->needs_trial = false;
    return trouble->broken_by == 0;
}

void slot_trouble_end(struct slot_trouble *trouble)
{
    *trouble = (struct slot_trouble){.failures = 0};
}
