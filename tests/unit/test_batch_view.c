/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "db/batches.h"
#include "server/batch_view.h"

static void the_estimate_follows_the_pace_and_the_limits(void)
{
    struct db_batch b = {.state = DB_BATCH_PLANNING, .moves = 1};
    assert(batch_view_left_ms(&b) == -1);
    b.state = DB_BATCH_RUNNING;
    b.items[DB_ITEM_WAITING] = 10;
    assert(batch_view_left_ms(&b) == -1);
    b.per_hour = 60;
    assert(batch_view_left_ms(&b) == INT64_C(600000));
    b.items[DB_ITEM_DONE] = b.ended_items = 2;
    b.spent_ms = 400000;
    assert(batch_view_left_ms(&b) == INT64_C(2000000));
    b.moves = 4; /* 50 s each, but one a minute at most */
    assert(batch_view_left_ms(&b) == INT64_C(600000));
    b.per_hour = 0;
    assert(batch_view_left_ms(&b) == INT64_C(500000));
    b.state = DB_BATCH_DONE;
    assert(batch_view_left_ms(&b) == 0);
}

static void a_paused_batch_says_so_until_it_ends(void)
{
    struct db_batch b = {.state = DB_BATCH_RUNNING, .paused = true};
    assert(strcmp(batch_view_state(&b), "paused") == 0);
    b.state = DB_BATCH_CANCELLED;
    assert(strcmp(batch_view_state(&b), "cancelled") == 0);
    b.items[DB_ITEM_SKIPPED] = 1;
    b.items[DB_ITEM_FETCHING] = 2;
    assert(batch_view_total(&b) == 3 && batch_view_ended(&b) == 1);
}

static void what_is_held_says_so_and_is_left_out_of_the_estimate(void)
{
    struct db_item item = {.state = DB_ITEM_CONVERTING, .is_held = true};
    struct db_batch b = {.state = DB_BATCH_RUNNING, .moves = 1, .per_hour = 60, .held = 3};
    assert(strcmp(batch_view_reason(&item), "held for review") == 0);
    item.is_held = false;
    assert(strcmp(batch_view_reason(&item), "") == 0);
    b.items[DB_ITEM_CONVERTING] = 4;
    assert(batch_view_left_ms(&b) == INT64_C(60000));
}

int main(void)
{
    the_estimate_follows_the_pace_and_the_limits();
    a_paused_batch_says_so_until_it_ends();
    what_is_held_says_so_and_is_left_out_of_the_estimate();
    return 0;
}
