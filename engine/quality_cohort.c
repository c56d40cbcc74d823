/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/quality_cohort.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/parse.h"
#include "engine/model/quality_limits.h"
#include "engine/quality.h"

/* The limit that a check of one number has; NULL: it is a tissue's or a percentile's. */
static double *find_scalar(struct quality_limits *limits, enum quality_check check)
{
    switch (check) {
    case QUALITY_AIR_OUTSIDE:
        return &limits->air_outside_percent;
    case QUALITY_HOLES:
        return &limits->hole_ml;
    case QUALITY_SLICE_JUMP:
        return &limits->slice_jump_hu;
    case QUALITY_OUTLINE:
        return &limits->outline_mm;
    case QUALITY_FIELD_OF_VIEW:
        return &limits->field_of_view_percent;
    case QUALITY_SATURATION:
        return &limits->saturation_percent;
    case QUALITY_TISSUE:
    case QUALITY_INTENSITY:
    case QUALITY_CHECKS:
        break;
    }
    return NULL;
}

struct quality_cohort quality_cohort_make(double margin_percent, bool loose)
{
    return (struct quality_cohort){.loose = loose, .margin_percent = margin_percent};
}

static bool is_equal(double a, double b)
{
    return isnan(a) ? isnan(b) : !(a < b) && !(a > b);
}

static bool is_same(const struct quality_finding *a, const struct quality_finding *b)
{
    return a->check == b->check && strcmp(a->what, b->what) == 0 &&
           is_equal(a->hu_low, b->hu_low) && is_equal(a->hu_high, b->hu_high);
}

/* Each check of one number stands in a report once, a tissue has HU and a name, a percentile its number. */
static int check_first(const struct quality_report *report, struct sctd_error *err)
{
    size_t seen[QUALITY_CHECKS] = {0};
    for (size_t i = 0; i < report->n; i++) {
        const struct quality_finding *f = &report->finding[i];
        seen[f->check]++;
        if (f->check == QUALITY_TISSUE && (isnan(f->hu_low) || isnan(f->hu_high))) {
            return sctd_error(err, SCTD_EDATA, "tissue %s has no range of HU", f->what);
        }
    }
    for (int c = 0; c < QUALITY_TISSUE; c++) {
        if (seen[c] != 1) {
            return sctd_error(err, SCTD_EDATA, "%s was not measured once, as every report has it",
                              quality_check_name((enum quality_check)c));
        }
    }
    return 0;
}

static int check_finding(const struct quality_cohort *cohort, const struct quality_finding *f,
                         struct sctd_error *err)
{
    struct quality_limits usual;
    const double *limit = NULL;
    const char *space = f->what[0] == '\0' ? "" : " ";
    if (!isfinite(f->value)) {
        return sctd_error(err, SCTD_EDATA, "%s%s%s has no value (%s)", quality_check_name(f->check),
                          space, f->what, f->text);
    }
    quality_limits_default(&usual);
    limit = find_scalar(&usual, f->check);
    if (limit != NULL && f->value > *limit && !cohort->loose) {
        return sctd_error(err, SCTD_EDATA,
                          "%s is %.4g %s, which is beyond the default limit of %g: is that sCT "
                          "good? --loose takes it",
                          quality_check_name(f->check), f->value, f->unit, *limit);
    }
    return 0;
}

int quality_cohort_add(struct quality_cohort *cohort, const struct quality_report *report,
                       struct sctd_error *err)
{
    int r = check_first(report, err);
    if (r == 0 && cohort->n > 0 && report->n != cohort->first.n) {
        r = sctd_error(err, SCTD_EDATA, "it has %zu checks, and the first report %zu", report->n,
                       cohort->first.n);
    }
    for (size_t i = 0; r == 0 && i < report->n; i++) {
        const struct quality_finding *f = &report->finding[i];
        if (cohort->n > 0 && !is_same(f, &cohort->first.finding[i])) {
            r = sctd_error(err, SCTD_EDATA, "%s %s is not what the first report measured there",
                           quality_check_name(f->check), f->what);
        } else {
            r = check_finding(cohort, f, err);
        }
    }
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; i < report->n; i++) {
        const double value = report->finding[i].value;
        cohort->least[i] = cohort->n == 0 ? value : fmin(cohort->least[i], value);
        cohort->most[i] = cohort->n == 0 ? value : fmax(cohort->most[i], value);
    }
    if (cohort->n == 0) {
        cohort->first = *report;
    }
    cohort->n++;
    return 0;
}

/* Less than this of a step is an error of the arithmetic. */
static const double of_step = 1e-6;

static double round_down(double value, double per_unit)
{
    return floor(value * per_unit + of_step) / per_unit;
}

static double round_up(double value, double per_unit)
{
    return ceil(value * per_unit - of_step) / per_unit;
}

struct spread {
    double low, high;
};

/* What was seen, wider, within 0 and `end`. */
static struct spread widen(const struct quality_cohort *cohort, size_t i, double at_least,
                           double end)
{
    const double share = cohort->margin_percent / 100.0;
    const double per_unit = end > 1.0 ? 100.0 : 1000.0;
    const double low = cohort->least[i] - fmax(cohort->least[i] * share, at_least);
    const double high = cohort->most[i] + fmax(cohort->most[i] * share, at_least);
    return (struct spread){fmax(round_down(low, per_unit), 0.0),
                           fmin(round_up(high, per_unit), end)};
}

static int add_tissue(struct quality_limits *limits, const struct quality_cohort *cohort, size_t i,
                      struct sctd_error *err)
{
    const struct quality_finding *f = &cohort->first.finding[i];
    const struct spread spread = widen(cohort, i, QUALITY_COHORT_TISSUE, 100.0);
    if (limits->n_tissues == QUALITY_TISSUES_MAX) {
        return sctd_error(err, SCTD_EDATA, "more than %d tissues", (int)QUALITY_TISSUES_MAX);
    }
    struct quality_tissue *tissue = &limits->tissue[limits->n_tissues++];
    *tissue = (struct quality_tissue){.hu_low = f->hu_low,
                                      .hu_high = f->hu_high,
                                      .percent_low = spread.low,
                                      .percent_high = spread.high};
    (void)snprintf(tissue->name, sizeof tissue->name, "%s", f->what);
    return 0;
}

static int add_percentile(struct quality_limits *limits, const struct quality_cohort *cohort,
                          size_t i, struct sctd_error *err)
{
    const struct spread spread = widen(cohort, i, QUALITY_COHORT_INTENSITY, 1.0);
    if (limits->n_intensity == QUALITY_PERCENTILES_MAX) {
        return sctd_error(err, SCTD_EDATA, "more than %d percentiles",
                          (int)QUALITY_PERCENTILES_MAX);
    }
    struct quality_percentile *percentile = &limits->intensity[limits->n_intensity++];
    *percentile = (struct quality_percentile){.low = spread.low, .high = spread.high};
    return sctd_parse_f64(&percentile->percentile, cohort->first.finding[i].what, err);
}

int quality_cohort_find(struct quality_limits *ret_limits, const struct quality_cohort *cohort,
                        struct sctd_error *err)
{
    struct quality_limits usual;
    struct quality_limits limits = {.is_set = true};
    int r = cohort->n == 0 ? sctd_error(err, SCTD_EINVAL, "limits of no reports") : 0;
    quality_limits_default(&usual);
    for (size_t i = 0; r == 0 && i < cohort->first.n; i++) {
        const enum quality_check check = cohort->first.finding[i].check;
        double *limit = find_scalar(&limits, check);
        if (limit != NULL) {
            const double most = *find_scalar(&usual, check);
            const double wide = cohort->most[i] + most * cohort->margin_percent / 100.0;
            *limit = round_up(wide, 100.0);
            *limit = cohort->loose ? *limit : fmin(*limit, most);
        } else if (check == QUALITY_TISSUE) {
            r = add_tissue(&limits, cohort, i, err);
        } else {
            r = add_percentile(&limits, cohort, i, err);
        }
    }
    r = r < 0 ? r : quality_limits_check(&limits, err);
    if (r < 0) {
        err->code = r == SCTD_EINVAL && cohort->n > 0 ? SCTD_EDATA : err->code;
        return err->code;
    }
    *ret_limits = limits;
    return 0;
}
