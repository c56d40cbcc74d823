/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/rate.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"

enum { SETS = 256, WAYS = 8, ADDRESS_SIZE = 64 };

struct bucket {
    char address[ADDRESS_SIZE]; /* "": free */
    double left;
    int64_t at_ms; /* when `left` was true */
};

/* Each address has its place in one of few sets, so that a flood of them costs neither memory nor time. */
struct rate {
    double per_s, burst;
    struct bucket bucket[SETS][WAYS];
};

int rate_new(struct rate **ret_rate, double per_s, double burst, struct sctd_error *err)
{
    struct rate *rate = calloc(1, sizeof *rate);
    if (rate == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "rates");
    }
    rate->per_s = per_s;
    rate->burst = burst;
    *ret_rate = rate;
    return 0;
}

void rate_free(struct rate *rate)
{
    free(rate);
}

/* FNV-1a. */
static size_t find_set(const char *address)
{
    uint32_t hash = 2166136261U;
    for (; *address != '\0'; address++) {
        hash = (hash ^ (unsigned char)*address) * 16777619U;
    }
    return hash % SETS;
}

/* The address's bucket, filled to now; the one that was used longest ago makes place. */
static struct bucket *find(struct rate *rate, const char *address, int64_t now_ms)
{
    struct bucket *set = rate->bucket[find_set(address)];
    struct bucket *oldest = &set[0];
    for (size_t i = 0; i < WAYS; i++) {
        if (strcmp(set[i].address, address) == 0) {
            const double passed_s = (double)(now_ms - set[i].at_ms) / 1000;
            set[i].left = fmin(rate->burst, set[i].left + fmax(passed_s, 0) * rate->per_s);
            set[i].at_ms = now_ms;
            return &set[i];
        }
        if (set[i].at_ms < oldest->at_ms) {
            oldest = &set[i];
        }
    }
    (void)snprintf(oldest->address, sizeof oldest->address, "%s", address);
    oldest->left = rate->burst;
    oldest->at_ms = now_ms;
    return oldest;
}

int64_t rate_ask(struct rate *rate, const char *address, int64_t now_ms)
{
    const struct bucket *bucket = find(rate, address, now_ms);
    return bucket->left >= 1 ? 0 : (int64_t)ceil((1 - bucket->left) * 1000 / rate->per_s);
}

int64_t rate_take(struct rate *rate, const char *address, int64_t now_ms)
{
    const int64_t wait_ms = rate_ask(rate, address, now_ms);
    if (wait_ms == 0) {
        find(rate, address, now_ms)->left -= 1;
    }
    return wait_ms;
}
