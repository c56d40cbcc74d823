/* sqlite_memory.h - make SQLite's own allocations fail, which ld --wrap cannot reach in its library. */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

void sqlite_memory_install(void); /* before SQLite is used */
/* From the nth allocation from now (0: the next) one fails, or that one and all after it; -1: none. */
void sqlite_memory_fail(long nth, bool all);
bool sqlite_memory_has_failed(void); /* since sqlite_memory_fail */
