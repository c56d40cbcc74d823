/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>

#include "engine/backend/cuda/batch.h"

static const size_t mib = 1 << 20;

static void a_call_is_cut_into_equal_chunks(void)
{
    const struct batch_memory m = {.free_bytes = 80000 * mib, .slice_bytes = 50 * mib};
    assert(batch_choose(&m, 1) == 1);
    assert(batch_choose(&m, 4) == 4);
    assert(batch_choose(&m, 32) == 32);
    assert(batch_choose(&m, 33) == 17); /* 17 and 16 rather than 32 and 1 */
    assert(batch_choose(&m, 64) == 32);
    assert(batch_choose(&m, 65) == 22);
    assert(batch_choose(&m, 1024) == 32);
}

static void a_chunk_fits_what_is_free(void)
{
    struct batch_memory m = {
        .free_bytes = 1000 * mib, .fixed_bytes = 100 * mib, .slice_bytes = 50 * mib};
    assert(batch_limit(&m) == 900 * mib);
    assert(batch_choose(&m, 64) == 16); /* 100 + 16 * 50 = 900 */
    m.slice_bytes = 50 * mib + 1;
    assert(batch_choose(&m, 64) == 8);
    m.slice_bytes = 800 * mib;
    assert(batch_choose(&m, 64) == 1);
    m.slice_bytes = 800 * mib + 1;
    assert(batch_choose(&m, 64) == 0);
    m.fixed_bytes = 2000 * mib;
    m.slice_bytes = 1;
    assert(batch_choose(&m, 1) == 0);
}

static void a_budget_lowers_the_limit_and_never_raises_it(void)
{
    struct batch_memory m = {
        .free_bytes = 1000 * mib, .budget_bytes = 500 * mib, .slice_bytes = 100 * mib};
    assert(batch_limit(&m) == 500 * mib);
    assert(batch_choose(&m, 16) == 4);
    m.budget_bytes = 5000 * mib;
    assert(batch_limit(&m) == 900 * mib);
}

static void halving_ends(void)
{
    int n = 0;
    for (int chunk = 13; chunk > 0; chunk = batch_halve(chunk)) {
        n++;
    }
    assert(n == 4); /* 13, 6, 3, 1 */
}

int main(void)
{
    a_call_is_cut_into_equal_chunks();
    a_chunk_fits_what_is_free();
    a_budget_lowers_the_limit_and_never_raises_it();
    halving_ends();
    return 0;
}
