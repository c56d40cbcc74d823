/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/percentile.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"

enum { BINS = PERCENTILE_BINS, RANKS = PERCENTILE_TABLES };

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

/* Values in memory. */
struct values {
    const float *value;
    size_t n;
};

static int count_uppers(void *arg, size_t count[PERCENTILE_BINS], struct sctd_error *err)
{
    const struct values *v = arg;
    (void)err;
    for (size_t i = 0; i < v->n; i++) {
        count[key_of(v->value[i]) >> 16]++;
    }
    return 0;
}

static void count_lower(uint32_t key, const uint32_t *upper, int n_tables,
                        size_t (*count)[PERCENTILE_BINS])
{
    for (int t = 0; t < n_tables; t++) {
        if (key >> 16 == upper[t]) {
            count[t][key & UINT16_MAX]++;
        }
    }
}

static int count_lowers(void *arg, const uint32_t *upper, int n_tables,
                        size_t (*count)[PERCENTILE_BINS], struct sctd_error *err)
{
    const struct values *v = arg;
    (void)err;
    for (size_t i = 0; i < v->n; i++) {
        count_lower(key_of(v->value[i]), upper, n_tables, count);
    }
    return 0;
}

static bool adds_up(const size_t count[BINS], size_t n)
{
    size_t sum = 0;
    for (uint32_t bin = 0; bin < BINS; bin++) {
        sum += count[bin];
    }
    return sum == n;
}

static int refuse_counts(struct sctd_error *err)
{
    return sctd_error(err, SCTD_EDEVICE, "the counts of a volume's values do not add up");
}

static int find_statistics(struct search *s, const struct percentile_counter *counter,
                           struct sctd_error *err)
{
    for (int k = 0; k < RANKS; k++) {
        struct statistic *st = &s->statistic[k];
        st->rank_in_bin = st->rank;
        st->upper = find_bin(s->count, &st->rank_in_bin);
        st->table = table_for(s, st->upper);
    }
    int r = counter->lowers(counter->arg, s->table_bin, s->n_tables, s->lower, err);
    for (int t = 0; r == 0 && t < s->n_tables; t++) {
        r = adds_up(s->lower[t], s->count[s->table_bin[t]]) ? 0 : refuse_counts(err);
    }
    for (int k = 0; r == 0 && k < RANKS; k++) {
        struct statistic *st = &s->statistic[k];
        size_t rank = st->rank_in_bin;
        st->value = value_of(st->upper << 16 | find_bin(s->lower[st->table], &rank));
    }
    return r;
}

/* numpy's _lerp: from the nearer end, so that it is monotonic and exact at both. */
static double interpolate(double a, double b, double t)
{
    const double d = b - a;
    return t >= 0.5 ? b - d * (1.0 - t) : a + d * t;
}

int percentile_find_counted(double ret_value[2], const double percent[2], size_t n,
                            const struct percentile_counter *counter, struct sctd_error *err)
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
    int r = counter->uppers(counter->arg, s->count, err);
    if (r == 0 && !adds_up(s->count, n)) {
        r = refuse_counts(err);
    }
    if (r == 0 && !has_only_finite(s)) {
        r = sctd_error(err, SCTD_EDATA, "a voxel is not finite");
    }
    r = r < 0 ? r : find_statistics(s, counter, err);
    if (r < 0) {
        return r;
    }
    for (size_t k = 0; k < 2; k++) {
        const struct statistic *st = &s->statistic[2 * k];
        ret_value[k] = interpolate(st[0].value, st[1].value, beyond[k]);
    }
    return 0;
}

int percentile_find(double ret_value[2], const double percent[2], const float *value, size_t n,
                    struct sctd_error *err)
{
    struct values values = {.value = value, .n = n};
    const struct percentile_counter counter = {
        .uppers = count_uppers, .lowers = count_lowers, .arg = &values};
    return percentile_find_counted(ret_value, percent, n, &counter, err);
}
