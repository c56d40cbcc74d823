/* moment.h - now, as the job store wants it. */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "db/db.h"
#include "engine/base/clock.h"

static inline struct db_now moment_now(void)
{
    const struct db_now now = {.wall_ms = sctd_wall_ms(), .lease_ms = sctd_boot_ms()};
    return now;
}
