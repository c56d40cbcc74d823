/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <time.h>

#include "engine/base/clock.h"

static void clock_counts_seconds_and_never_goes_back(void)
{
    const double first = sctd_now_s();
    const struct timespec rest = {.tv_nsec = 20000000};
    assert(nanosleep(&rest, NULL) == 0);
    const double second = sctd_now_s();
    assert(second - first >= 0.019 && second - first < 60.0);
    assert(sctd_now_s() >= second);
}

int main(void)
{
    clock_counts_seconds_and_never_goes_back();
    return 0;
}
