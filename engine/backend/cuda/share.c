/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/backend/cuda/share.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int32_t share_order(int32_t *ret_order, const bool *able, int32_t n, int32_t turn)
{
    int32_t n_able = 0;
    for (int32_t i = 0; i < n; i++) {
        n_able += able[i] ? 1 : 0;
    }
    int32_t place = n_able == 0 ? 0 : (n_able - turn % n_able) % n_able;
    for (int32_t i = 0; i < n; i++) {
        if (able[i]) {
            ret_order[place] = i;
            place = (place + 1) % n_able;
        }
    }
    return n_able;
}

int32_t share_count(int32_t turn, int32_t turns, int32_t n)
{
    const int32_t first = turn % n; /* the first turn that takes it */
    return turns <= first ? 1 : (turns - first + n - 1) / n;
}

size_t share_bytes(size_t total_bytes, int32_t sharers)
{
    return sharers <= 1 ? 0 : (total_bytes - total_bytes / 10) / (size_t)sharers;
}
