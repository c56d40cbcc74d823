/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/backend/cuda/share.h"

enum { GPUS = 4 };

static void each_turn_begins_with_the_next_gpu(void)
{
    static const bool able[GPUS] = {true, true, true, true};
    static const int32_t expected[5][GPUS] = {
        {0, 1, 2, 3}, {1, 2, 3, 0}, {2, 3, 0, 1}, {3, 0, 1, 2}, {0, 1, 2, 3}};
    for (int32_t turn = 0; turn < 5; turn++) {
        int32_t order[GPUS];
        assert(share_order(order, able, GPUS, turn) == GPUS);
        assert(memcmp(order, expected[turn], sizeof order) == 0);
    }
}

static void what_is_not_able_has_no_turn(void)
{
    static const bool able[GPUS] = {false, true, false, true};
    static const int32_t expected[3][2] = {{1, 3}, {3, 1}, {1, 3}};
    for (int32_t turn = 0; turn < 3; turn++) {
        int32_t order[GPUS];
        assert(share_order(order, able, GPUS, turn) == 2);
        assert(memcmp(order, expected[turn], sizeof expected[turn]) == 0);
    }
}

static void without_a_gpu_there_is_no_order(void)
{
    static const bool able[GPUS] = {false};
    int32_t order[GPUS] = {-7};
    assert(share_order(order, able, GPUS, 3) == 0 && order[0] == -7);
    assert(share_order(order, able, 0, 0) == 0);
}

/* Counted one by one. */
static int32_t count_one_by_one(int32_t turn, int32_t turns, int32_t n)
{
    int32_t sharers = 0;
    for (int32_t other = 0; other < turns; other++) {
        sharers += other % n == turn % n ? 1 : 0;
    }
    return sharers;
}

static void check_counts(int32_t turns, int32_t n)
{
    for (int32_t turn = 0; turn < turns; turn++) {
        assert(share_count(turn, turns, n) == count_one_by_one(turn, turns, n));
    }
}

static void sharers_are_those_that_come_to_the_same(void)
{
    for (int32_t turns = 1; turns <= 9; turns++) {
        check_counts(turns, 1);
        check_counts(turns, 2);
        check_counts(turns, 3);
        check_counts(turns, GPUS);
    }
    assert(share_count(0, 0, 1) == 1 && share_count(0, 0, GPUS) == 1);
}

static void sharers_together_leave_a_tenth(void)
{
    const size_t total = (size_t)80 << 30;
    assert(share_bytes(total, 0) == 0 && share_bytes(total, 1) == 0);
    for (int32_t sharers = 2; sharers <= 8; sharers++) {
        const size_t all = share_bytes(total, sharers) * (size_t)sharers;
        assert(all <= total - total / 10 && all + 8 > total - total / 10);
    }
}

int main(void)
{
    each_turn_begins_with_the_next_gpu();
    what_is_not_able_has_no_turn();
    without_a_gpu_there_is_no_order();
    sharers_are_those_that_come_to_the_same();
    sharers_together_leave_a_tenth();
    return 0;
}
