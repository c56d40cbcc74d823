/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "server/exposition.h"

static void samples_are_written_as_the_format_wants_them(void)
{
    struct sctd_buf buf = sctd_buf_make(1 << 16);
    struct sctd_error err = {0};
    struct exposition e = exposition_make(&buf, &err);
    exposition_family(&e, "a_total", "counter", "Help.");
    exposition_value(&e, 3);
    exposition_labelled(&e, "x", "q\"b\\s\nn", 0.1);
    const struct exposition_label one = {"one", "1"};
    const struct exposition_label two = {"two", "2"};
    exposition_sample(&e, one, two, INFINITY);
    exposition_value(&e, NAN);
    assert(exposition_finish(&e) == 0);
    assert(strcmp(buf.data, "# HELP a_total Help.\n# TYPE a_total counter\na_total 3\n"
                            "a_total{x=\"q\\\"b\\\\s\\nn\"} 0.10000000000000001\n"
                            "a_total{one=\"1\",two=\"2\"} +Inf\na_total NaN\n") == 0);
    sctd_buf_fini(&buf);
}

static void buckets_are_cumulative(void)
{
    struct sctd_buf buf = sctd_buf_make(1 << 16);
    struct sctd_error err = {0};
    struct exposition e = exposition_make(&buf, &err);
    struct exposition_histogram h = {.sum = 0};
    const struct exposition_label stage = {"stage", "write"};
    exposition_observe(&h, 0.05); /* a bound belongs to its bucket */
    exposition_observe(&h, 0.06);
    exposition_observe(&h, 4000);
    exposition_observe(&h, NAN);
    exposition_family(&e, "t_seconds", "histogram", "Help.");
    exposition_write_histogram(&e, stage, &h);
    assert(exposition_finish(&e) == 0);
    assert(strstr(buf.data, "t_seconds_bucket{stage=\"write\",le=\"0.05\"} 1\n") != NULL);
    assert(strstr(buf.data, "t_seconds_bucket{stage=\"write\",le=\"0.1\"} 2\n") != NULL);
    assert(strstr(buf.data, "t_seconds_bucket{stage=\"write\",le=\"3600\"} 2\n") != NULL);
    assert(strstr(buf.data, "t_seconds_bucket{stage=\"write\",le=\"+Inf\"} 3\n") != NULL);
    assert(strstr(buf.data, "t_seconds_count{stage=\"write\"} 3\n") != NULL);
    assert(strstr(buf.data, "t_seconds_sum{stage=\"write\"} 4000.11") != NULL);
    sctd_buf_fini(&buf);
}

static void a_full_buffer_is_told(void)
{
    struct sctd_buf buf = sctd_buf_make(10);
    struct sctd_error err = {0};
    struct exposition e = exposition_make(&buf, &err);
    exposition_family(&e, "a", "gauge", "Help.");
    exposition_value(&e, 1);
    assert(exposition_finish(&e) == SCTD_EINVAL);
    sctd_buf_fini(&buf);
}

int main(void)
{
    samples_are_written_as_the_format_wants_them();
    buckets_are_cumulative();
    a_full_buffer_is_told();
    return 0;
}
