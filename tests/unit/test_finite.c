/* SPDX-License-Identifier: Apache-2.0 */
/* Whether values are finite is looked for in blocks: no place of any block, the last one's rest included, is left out. */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stddef.h>

#include "engine/engine_state.h"

enum { MOST = 3000 };

static float value[MOST];

static void check_places(size_t n)
{
    static const float odd[] = {NAN, INFINITY, -INFINITY};
    assert(engine_all_finite(value, n));
    for (size_t at = 0; at < n; at++) {
        const float kept = value[at];
        value[at] = odd[at % 3];
        assert(!engine_all_finite(value, n));
        value[at] = kept;
    }
}

int main(void)
{
    static const size_t sizes[] = {1, 7, 1023, 1024, 1025, 2048, MOST};
    for (size_t i = 0; i < MOST; i++) {
        value[i] = i % 2 == 0 ? 3.402823466e+38F : -1e-45F;
    }
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        check_places(sizes[i]);
    }
    /* What lies behind does not count. */
    value[7] = NAN;
    assert(engine_all_finite(value, 7) && engine_all_finite(value, 0));
    return 0;
}
