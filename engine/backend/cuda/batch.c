/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/backend/cuda/batch.h"

#include <stddef.h>
#include <stdint.h>

size_t batch_limit(const struct batch_memory *m)
{
    const size_t most = m->free_bytes - m->free_bytes / 10;
    return m->budget_bytes != 0 && m->budget_bytes < most ? m->budget_bytes : most;
}

/* Equal chunks, so that none is mostly padding. */
static int32_t target(int32_t max_batch)
{
    const int32_t chunks = (max_batch + BATCH_CHUNK - 1) / BATCH_CHUNK;
    return (max_batch + chunks - 1) / chunks;
}

int32_t batch_choose(const struct batch_memory *m, int32_t max_batch)
{
    const size_t limit = batch_limit(m);
    int32_t chunk = target(max_batch);
    while (chunk > 0) {
        const size_t each = limit > m->fixed_bytes ? limit - m->fixed_bytes : 0;
        if (m->slice_bytes <= each / (size_t)chunk) {
            return chunk;
        }
        chunk = batch_halve(chunk);
    }
    return 0;
}

int32_t batch_halve(int32_t chunk)
{
    return chunk / 2;
}
