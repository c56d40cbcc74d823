/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/base/error.h"
#include "server/http/rate.h"

#include "tests/support/hold.h"

int main(void)
{
    struct rate *rate = NULL;
    struct sctd_error err = {0};
    HOLD(rate_new(&rate, 2, 3, &err) == 0); /* two a second, three at once */
    HOLD(rate_take(rate, "a", 1000) == 0 && rate_take(rate, "a", 1000) == 0);
    HOLD(rate_ask(rate, "a", 1000) == 0 && rate_take(rate, "a", 1000) == 0);
    HOLD(rate_ask(rate, "a", 1000) == 500 && rate_take(rate, "a", 1000) == 500);
    HOLD(rate_take(rate, "b", 1000) == 0); /* another address has its own */
    HOLD(rate_take(rate, "a", 1499) > 0 && rate_take(rate, "a", 1500) == 0);
    HOLD(rate_take(rate, "a", 1500) == 500);
    /* However long it waits, it is never more than three; a clock that steps back gives nothing. */
    HOLD(rate_take(rate, "a", 900) > 0);
    for (int i = 0; i < 3; i++) {
        HOLD(rate_take(rate, "a", 1000000) == 0);
    }
    HOLD(rate_take(rate, "a", 1000000) == 500);
    /* A flood of addresses costs one that is used all the time nothing but its place among many. */
    for (int i = 0; i < 100000; i++) {
        char address[32];
        (void)snprintf(address, sizeof address, "10.%d.%d.%d", i >> 16, (i >> 8) & 255, i & 255);
        HOLD(rate_take(rate, address, 1000001) == 0);
    }
    rate_free(rate);
    return 0;
}
