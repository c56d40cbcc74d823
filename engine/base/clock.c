/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/base/clock.h"

#include <stdint.h>
#include <time.h>

double sctd_now_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int64_t read_ms(clockid_t clock)
{
    struct timespec t;
    (void)clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t sctd_wall_ms(void)
{
    return read_ms(CLOCK_REALTIME);
}

int64_t sctd_boot_ms(void)
{
    return read_ms(CLOCK_BOOTTIME);
}
