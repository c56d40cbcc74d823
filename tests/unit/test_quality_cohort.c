/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/model/quality_limits.h"
#include "engine/quality.h"
#include "engine/quality_cohort.h"

static struct sctd_error err;

static void add(struct quality_report *report, enum quality_check check, const char *what,
                double value)
{
    struct quality_finding *f = &report->finding[report->n++];
    *f = (struct quality_finding){.check = check,
                                  .verdict = QUALITY_MEASURED,
                                  .value = value,
                                  .low = -(double)INFINITY,
                                  .high = (double)INFINITY,
                                  .unit = quality_check_unit(check),
                                  .hu_low = (double)NAN,
                                  .hu_high = (double)NAN,
                                  .z_mm = (double)NAN};
    (void)snprintf(f->what, sizeof f->what, "%s", what);
    if (check == QUALITY_TISSUE) {
        f->hu_low = 250.0;
        f->hu_high = 2000.0;
    }
}

static struct quality_report make(double outline, double bone, double median)
{
    struct quality_report report = {.n = 0};
    add(&report, QUALITY_AIR_OUTSIDE, "", 0.0);
    add(&report, QUALITY_HOLES, "", 0.123);
    add(&report, QUALITY_SLICE_JUMP, "", 20.0);
    add(&report, QUALITY_OUTLINE, "", outline);
    add(&report, QUALITY_SATURATION, "", 0.0);
    add(&report, QUALITY_TISSUE, "bone", bone);
    add(&report, QUALITY_FIELD_OF_VIEW, "", 1.0);
    add(&report, QUALITY_INTENSITY, "50", median);
    return report;
}

static bool is_near(double a, double b)
{
    return fabs(a - b) < 1e-9;
}

static void must_hold_ranges(const struct quality_limits *q)
{
    assert(q->n_tissues == 1 && strcmp(q->tissue[0].name, "bone") == 0);
    assert(is_near(q->tissue[0].hu_low, 250.0) && is_near(q->tissue[0].hu_high, 2000.0));
    assert(is_near(q->tissue[0].percent_low, 4.0) && is_near(q->tissue[0].percent_high, 9.6));
    assert(q->n_intensity == 1 && is_near(q->intensity[0].percentile, 50.0));
    assert(is_near(q->intensity[0].low, 0.32) && is_near(q->intensity[0].high, 0.6));
}

static void limits_cover_the_cohort_with_the_margin(void)
{
    struct quality_cohort cohort = quality_cohort_make(20.0, false);
    const struct quality_report reports[] = {make(3.0, 5.0, 0.5), make(4.001, 8.0, 0.4),
                                             make(2.0, 6.0, 0.45)};
    struct quality_limits q;
    struct quality_limits usual;
    quality_limits_default(&usual);
    for (size_t i = 0; i < 3; i++) {
        assert(quality_cohort_add(&cohort, &reports[i], &err) == 0);
    }
    assert(quality_cohort_find(&q, &cohort, &err) == 0);
    assert(q.is_set && is_near(q.air_outside_percent, 0.2 * usual.air_outside_percent));
    assert(is_near(q.hole_ml, 0.13 + 0.2 * usual.hole_ml)); /* rounded up */
    assert(is_near(q.outline_mm, 4.01 + 0.2 * usual.outline_mm));
    assert(is_near(q.field_of_view_percent, 1.0 + 0.2 * usual.field_of_view_percent));
    must_hold_ranges(&q);
    assert(quality_limits_check(&q, &err) == 0);
}

static void ranges_are_widened_a_little_at_least_and_end_where_shares_end(void)
{
    struct quality_cohort cohort = quality_cohort_make(0.0, false);
    const struct quality_report low = make(3.0, 0.0, 0.99);
    struct quality_limits q;
    assert(quality_cohort_add(&cohort, &low, &err) == 0);
    assert(quality_cohort_find(&q, &cohort, &err) == 0);
    assert(is_near(q.tissue[0].percent_low, 0.0) && is_near(q.tissue[0].percent_high, 0.5));
    assert(is_near(q.intensity[0].low, 0.97) && is_near(q.intensity[0].high, 1.0));
    assert(is_near(q.outline_mm, 3.0));
}

static void default_limits_are_not_passed_unless_asked_for(void)
{
    const struct quality_report far = make(15.1, 5.0, 0.5);
    const struct quality_report near = make(14.9, 5.0, 0.5);
    struct quality_cohort cohort = quality_cohort_make(25.0, false);
    struct quality_cohort loose = quality_cohort_make(25.0, true);
    struct quality_limits q;
    assert(quality_cohort_add(&cohort, &far, &err) == SCTD_EDATA);
    assert(strstr(err.text, "outline is 15.1 mm") != NULL && cohort.n == 0);
    assert(quality_cohort_add(&cohort, &near, &err) == 0);
    assert(quality_cohort_find(&q, &cohort, &err) == 0 && is_near(q.outline_mm, 15.0));
    assert(quality_cohort_add(&loose, &far, &err) == 0);
    assert(quality_cohort_find(&q, &loose, &err) == 0 && is_near(q.outline_mm, 18.85));
}

static void must_refuse(const struct quality_report *other, const char *reason)
{
    struct quality_cohort cohort = quality_cohort_make(25.0, false);
    const struct quality_report sound = make(3.0, 5.0, 0.5);
    int r = quality_cohort_add(&cohort, &sound, &err);
    assert(r == 0);
    r = quality_cohort_add(&cohort, other, &err);
    assert(r == SCTD_EDATA && strstr(err.text, reason) != NULL && cohort.n == 1);
}

static void reports_that_do_not_belong_are_refused(void)
{
    const struct quality_report sound = make(3.0, 5.0, 0.5);
    struct quality_report other = sound;
    other.finding[3].value = (double)NAN;
    must_refuse(&other, "outline has no value");
    other = sound;
    other.finding[5].hu_low = 200.0;
    must_refuse(&other, "bone is not what the first");
    other = sound;
    (void)snprintf(other.finding[7].what, sizeof other.finding[7].what, "75");
    must_refuse(&other, "intensity 75");
    other = sound;
    other.n--;
    must_refuse(&other, "7 checks");
    other = sound;
    other.finding[4].check = QUALITY_HOLES;
    must_refuse(&other, "holes");
    other = sound;
    other.finding[5].hu_high = (double)NAN;
    must_refuse(&other, "no range of HU");
}

static void no_reports_give_no_limits(void)
{
    const struct quality_cohort cohort = quality_cohort_make(25.0, false);
    struct quality_limits q;
    assert(quality_cohort_find(&q, &cohort, &err) == SCTD_EINVAL);
}

static void percentile_that_is_no_number_is_refused(void)
{
    struct quality_cohort cohort = quality_cohort_make(25.0, false);
    struct quality_report report = make(3.0, 5.0, 0.5);
    struct quality_limits q;
    (void)snprintf(report.finding[7].what, sizeof report.finding[7].what, "half");
    assert(quality_cohort_add(&cohort, &report, &err) == 0);
    assert(quality_cohort_find(&q, &cohort, &err) == SCTD_EDATA && err.code == SCTD_EDATA);
}

int main(void)
{
    limits_cover_the_cohort_with_the_margin();
    ranges_are_widened_a_little_at_least_and_end_where_shares_end();
    default_limits_are_not_passed_unless_asked_for();
    reports_that_do_not_belong_are_refused();
    no_reports_give_no_limits();
    percentile_that_is_no_number_is_refused();
    return 0;
}
