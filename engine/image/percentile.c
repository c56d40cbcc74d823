/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/percentile.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"

enum { BINS = 1 << 16, RANKS = 4 };

/* One order statistic: the `rank`-th smallest value. */
struct statistic {
    size_t rank;
    size_t rank_in_bin; /* among the values whose key has the same upper half */
    uint32_t upper;     /* the upper half of its key */
    int table;          /* which table counts the lower halves of that bin */
    double value;
};

struct search {
    size_t count[BINS];        /* of keys by upper half */
    size_t lower[RANKS][BINS]; /* of keys by lower half, one table for each bin looked into */
    uint32_t table_bin[RANKS]; /* the upper half that a table is for */
    int n_tables;
    struct statistic statistic[RANKS];
};

static void search_freep(struct search **s)
{
    free(*s);
}

/* Bits that order as the values do: negative ones are inverted, the others get the top bit. */
static uint32_t key_of(float value)
{
    uint32_t bits = 0;
    memcpy(&bits, &value, sizeof bits);
    return bits ^ ((bits >> 31) != 0 ? UINT32_MAX : UINT32_C(1) << 31);
}

static double value_of(uint32_t key)
{
    const uint32_t bits = key ^ ((key >> 31) != 0 ? UINT32_C(1) << 31 : UINT32_MAX);
    float value = 0.0F;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

/* Infinities and NaN have the largest exponent: the keys of both ends. */
static bool has_only_finite(const struct search *s)
{
    const uint32_t infinity = key_of(HUGE_VALF) >> 16;
    const uint32_t minus_infinity = key_of(-HUGE_VALF) >> 16;
    size_t n = 0;
    for (uint32_t bin = infinity; bin < BINS; bin++) {
        n += s->count[bin];
    }
    for (uint32_t bin = 0; bin <= minus_infinity; bin++) {
        n += s->count[bin];
    }
    return n == 0;
}

/* The index at which the running count passes `rank`, which becomes the rank within it. */
static uint32_t find_bin(const size_t count[BINS], size_t *rank)
{
    uint32_t bin = 0;
    while (*rank >= count[bin]) {
        *rank -= count[bin];
        bin++;
    }
    return bin;
}

static int table_for(struct search *s, uint32_t upper)
{
    for (int t = 0; t < s->n_tables; t++) {
        if (s->table_bin[t] == upper) {
            return t;
        }
    }
    s->table_bin[s->n_tables] = upper;
    return s->n_tables++;
}

static void count_uppers(struct search *s, const float *value, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        s->count[key_of(value[i]) >> 16]++;
    }
}

static void count_lower(struct search *s, uint32_t key)
{
    for (int t = 0; t < s->n_tables; t++) {
        if (key >> 16 == s->table_bin[t]) {
            s->lower[t][key & UINT16_MAX]++;
        }
    }
}

static void count_lowers(struct search *s, const float *value, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        count_lower(s, key_of(value[i]));
    }
}

static void find_statistics(struct search *s, const float *value, size_t n)
{
    for (int k = 0; k < RANKS; k++) {
        struct statistic *st = &s->statistic[k];
        st->rank_in_bin = st->rank;
        st->upper = find_bin(s->count, &st->rank_in_bin);
        st->table = table_for(s, st->upper);
    }
    count_lowers(s, value, n);
    for (int k = 0; k < RANKS; k++) {
        struct statistic *st = &s->statistic[k];
        size_t rank = st->rank_in_bin;
        st->value = value_of(st->upper << 16 | find_bin(s->lower[st->table], &rank));
    }
}

/* numpy's _lerp: from the nearer end, so that it is monotonic and exact at both. */
static double interpolate(double a, double b, double t)
{
    const double d = b - a;
    return t >= 0.5 ? b - d * (1.0 - t) : a + d * t;
}

int percentile_find(double ret_value[2], const double percent[2], const float *value, size_t n,
                    struct sctd_error *err)
{
    if (n == 0) {
        return sctd_error(err, SCTD_EINVAL, "percentiles of no values");
    }
    sctd_auto(search_freep) struct search *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "percentile counters");
    }
    double beyond[2] = {0};
    for (size_t k = 0; k < 2; k++) {
        if (!(percent[k] >= 0.0 && percent[k] <= 100.0)) {
            return sctd_error(err, SCTD_EINVAL, "percentile %g", percent[k]);
        }
        const double at = (double)(n - 1) * (percent[k] / 100.0);
        const size_t rank = (size_t)at;
        beyond[k] = at - (double)rank;
        s->statistic[2 * k].rank = rank;
        s->statistic[2 * k + 1].rank = rank + 1 < n ? rank + 1 : rank;
    }
    count_uppers(s, value, n);
    if (!has_only_finite(s)) {
        return sctd_error(err, SCTD_EDATA, "a voxel is not finite");
    }
    find_statistics(s, value, n);
    for (size_t k = 0; k < 2; k++) {
        const struct statistic *st = &s->statistic[2 * k];
        ret_value[k] = interpolate(st[0].value, st[1].value, beyond[k]);
    }
    return 0;
}
