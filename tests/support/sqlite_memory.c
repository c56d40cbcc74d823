/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/sqlite_memory.h"

#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>

#include <sqlite3.h>

static sqlite3_mem_methods usual;
static long countdown = -1;
static bool all_after, failed;

static bool is_due(void)
{
    if (countdown > 0) {
        countdown--;
        return false;
    }
    if (countdown < 0 || (failed && !all_after)) {
        return false;
    }
    failed = true;
    return true;
}

static void *allocate(int size)
{
    return is_due() ? NULL : usual.xMalloc(size);
}

static void *reallocate(void *p, int size)
{
    return is_due() ? NULL : usual.xRealloc(p, size);
}

void sqlite_memory_install(void)
{
    assert(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &usual) == SQLITE_OK);
    sqlite3_mem_methods ours = usual;
    ours.xMalloc = allocate;
    ours.xRealloc = reallocate;
    assert(sqlite3_config(SQLITE_CONFIG_MALLOC, &ours) == SQLITE_OK);
}

void sqlite_memory_fail(long nth, bool all)
{
    countdown = nth;
    all_after = all;
    failed = false;
}

bool sqlite_memory_has_failed(void)
{
    return failed;
}
