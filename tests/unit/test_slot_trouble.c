/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "db/db.h"
#include "server/slot_trouble.h"

static void each_failure_waits_twice_as_long_up_to_a_minute(void)
{
    static const int64_t waits_ms[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
    struct slot_trouble trouble = {.failures = 0};
    for (int i = 0; i < 8; i++) {
        const struct db_now now = {.wall_ms = 5000 + i, .lease_ms = 100 + i};
        slot_trouble_no_engine(&trouble, &now, i == 0 ? "no driver" : "no GPU");
        assert(trouble.needs_trial && trouble.failures == i + 1);
        assert(trouble.not_before_ms == now.lease_ms + waits_ms[i]);
        assert(trouble.since_ms == 5000 && trouble.last_ms == now.wall_ms);
    }
    assert(strcmp(trouble.reason, "no GPU") == 0);
    assert(slot_trouble_opened(&trouble) && !trouble.needs_trial);
    slot_trouble_end(&trouble);
    assert(trouble.failures == 0 && !trouble.needs_trial && trouble.reason[0] == '\0');
}

static void a_gpu_that_broke_is_sound_when_a_job_is_done_on_it(void)
{
    const struct db_now now = {.wall_ms = 1, .lease_ms = 2};
    struct slot_trouble trouble = {.failures = 0};
    (void)slot_trouble_broke(&trouble, &now, 7, "Xid");
    assert(!slot_trouble_opened(&trouble));
    assert(!trouble.needs_trial && trouble.failures == 1 && strcmp(trouble.reason, "Xid") == 0);
    (void)slot_trouble_broke(&trouble, &now, 7, "Xid");
    assert(trouble.failures == 2 && trouble.not_before_ms == 2002);
    slot_trouble_end(&trouble);
    assert(trouble.failures == 0 && trouble.broken_by == 0);
}

static void a_job_is_blamed_soon_only_while_it_alone_broke_the_gpu(void)
{
    const struct db_now now = {.wall_ms = 1, .lease_ms = 2};
    struct slot_trouble trouble = {.failures = 0};
    const int32_t few = slot_trouble_broke(&trouble, &now, 7, "Xid");
    assert(few == slot_trouble_broke(&trouble, &now, 7, "Xid"));
    assert(slot_trouble_broke(&trouble, &now, 8, "Xid") > few);
    assert(slot_trouble_broke(&trouble, &now, 7, "Xid") > few);
    assert(slot_trouble_broke(&trouble, &now, 7, "Xid") >
           few); /* it stays so until a job is done */
    slot_trouble_end(&trouble);
    assert(slot_trouble_broke(&trouble, &now, 8, "Xid") == few);
}

int main(void)
{
    each_failure_waits_twice_as_long_up_to_a_minute();
    a_gpu_that_broke_is_sound_when_a_job_is_done_on_it();
    a_job_is_blamed_soon_only_while_it_alone_broke_the_gpu();
    return 0;
}
