/* hold.h - a condition that must hold in a test, as one statement. */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef __cplusplus
extern "C" {
#endif

static inline void hold_check(bool holds, const char *condition, const char *file, int line)
{
    if (!holds) {
        (void)fprintf(stderr, "%s:%d: %s does not hold\n", file, line, condition);
        abort();
    }
}
#define HOLD(condition) hold_check((condition), #condition, __FILE__, __LINE__)

#ifdef __cplusplus
}
#endif
