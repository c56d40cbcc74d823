/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/rng.h"
#include "engine/base/volume.h"
#include "engine/model/manifest.h"
#include "engine/model/quality_limits.h"
#include "engine/quality.h"

#include "tests/support/made_volume.h"

enum { COLUMNS = 60, ROWS = 50, SLICES = 20 };

static struct sctd_error err;
static const double step[3] = {4.0, 4.0, 5.0};
static const double clip[2] = {0.0, 1000.0};

/* A source and an sCT that fit: a body with bone on one side and gas in its middle. */
struct pair {
    struct manifest manifest;
    struct volume *source, *hu;
};

static void pair_fini(struct pair *p)
{
    volume_free(p->source);
    volume_free(p->hu);
}

static struct pair make(const char *recipe)
{
    const struct volume_grid grid = made_grid(COLUMNS, ROWS, SLICES, step);
    const struct made_box body = {{12, 12, 0}, {47, 37, SLICES - 1}};
    const struct made_box bone = {{15, 15, 0}, {22, 34, SLICES - 1}};
    const struct made_box gas = {{35, 20, 5}, {41, 26, 14}};
    struct pair p = {.source = made_volume(&grid, 10.0F), .hu = made_volume(&grid, -1000.0F)};
    int r = recipe_preset(&p.manifest.recipe, recipe, &err);
    assert(r == 0);
    quality_limits_default(&p.manifest.quality);
    made_fill(p.hu, &body, 30.0F);
    made_fill(p.hu, &bone, 700.0F);
    made_fill(p.hu, &gas, -900.0F);
    if (strcmp(recipe, "mr") == 0) {
        made_fill(p.source, &body, 500.0F);
        made_fill(p.source, &bone, 250.0F);
        made_fill(p.source, &gas, 5.0F);
    } else {
        memcpy(p.source->voxel, p.hu->voxel, made_count(&grid) * sizeof(float));
    }
    return p;
}

static struct quality_report judge(const struct pair *p)
{
    struct quality_report report;
    sctd_auto(quality_freep) struct quality *q = NULL;
    assert(quality_new(&q, &p->manifest, &err) == 0);
    assert(quality_take_source(q, p->source, clip, &err) == 0);
    assert(quality_take_slices(q, p->source, &err) == 0);
    int r = quality_judge(&report, q, p->hu, &err);
    assert(r == 0);
    return report;
}

static const struct quality_finding *find(const struct quality_report *report,
                                          enum quality_check check, const char *what)
{
    for (size_t i = 0; i < report->n; i++) {
        const struct quality_finding *f = &report->finding[i];
        if (f->check == check && strcmp(f->what, what) == 0) {
            return f;
        }
    }
    (void)fprintf(stderr, "no %s %s is in the report\n", quality_check_name(check), what);
    abort();
}

static bool fails_only(const struct quality_report *report, enum quality_check check)
{
    bool only = report->needs_review;
    for (size_t i = 0; i < report->n; i++) {
        const struct quality_finding *f = &report->finding[i];
        const bool failed = f->verdict == QUALITY_FAILED;
        if (failed != (f->check == check)) {
            (void)fprintf(stderr, "%s %s: %s\n", quality_check_name(f->check),
                          quality_verdict_name(f->verdict), f->text);
            only = false;
        }
    }
    return only;
}

static void sound_sct_passes(const char *recipe)
{
    sctd_auto(pair_fini) struct pair p = make(recipe);
    const struct quality_report report = judge(&p);
    for (size_t i = 0; report.needs_review && i < report.n; i++) {
        (void)fprintf(stderr, "%s\n", report.finding[i].text);
    }
    assert(report.is_checked && !report.needs_review);
    assert(report.n == 6 + 4 + 5);
    for (size_t i = 0; i < report.n; i++) {
        const struct quality_finding *f = &report.finding[i];
        assert(isfinite(f->value) && f->text[0] != '\0' && f->verdict != QUALITY_FAILED);
        assert((f->verdict == QUALITY_MEASURED) ==
               (f->check == QUALITY_TISSUE || f->check == QUALITY_INTENSITY));
        assert(strcmp(f->unit, quality_check_unit(f->check)) == 0);
    }
    const double body = 36.0 * 26.0 * 20.0;
    const double bone = 8.0 * 20.0 * 20.0;
    const double gas = 7.0 * 7.0 * 10.0;
    assert(fabs(find(&report, QUALITY_TISSUE, "gas")->value - 100.0 * gas / body) < 0.3);
    assert(fabs(find(&report, QUALITY_TISSUE, "bone")->value - 100.0 * bone / body) < 0.3);
    assert(fabs(find(&report, QUALITY_OUTLINE, "")->value) <= 4.0);
}

/* Each in its own way, each found by its own check. */

static void tissue_outside_is_found(void)
{
    sctd_auto(pair_fini) struct pair p = make("cbct");
    made_fill(p.hu, &(struct made_box){{1, 1, 3}, {6, 48, 8}}, 0.0F);
    const struct quality_report report = judge(&p);
    assert(fails_only(&report, QUALITY_AIR_OUTSIDE));
    const struct quality_finding *f = find(&report, QUALITY_AIR_OUTSIDE, "");
    assert(fabs(f->z_mm - (20.0 + 3 * 5.0)) < 1e-9 && strstr(f->text, "no air") != NULL);
    assert(strstr(f->text, "; at most 2 %") != NULL);
}

static void hole_is_found(void)
{
    sctd_auto(pair_fini) struct pair p = make("mr");
    made_fill(p.hu, &(struct made_box){{25, 15, 6}, {31, 21, 13}}, -800.0F);
    const struct quality_report report = judge(&p);
    assert(fails_only(&report, QUALITY_HOLES));
    const struct quality_finding *f = find(&report, QUALITY_HOLES, "");
    assert(fabs(f->value - 5 * 5 * 6 * 80.0 / 1000.0) < 1e-9);
    assert(fabs(f->z_mm - (20.0 + 7 * 5.0)) < 1e-9);
}

static void gas_that_the_source_has_too_is_no_hole(void)
{
    sctd_auto(pair_fini) struct pair p = make("mr");
    const struct quality_report report = judge(&p);
    assert(find(&report, QUALITY_HOLES, "")->value <= 0.0);
}

static void slice_of_another_scale_is_found(void)
{
    sctd_auto(pair_fini) struct pair p = make("mr");
    made_fill(p.hu, &(struct made_box){{12, 12, 9}, {47, 37, 9}}, 30.0F + 150.0F);
    const struct quality_report report = judge(&p);
    assert(fails_only(&report, QUALITY_SLICE_JUMP));
    const double z = find(&report, QUALITY_SLICE_JUMP, "")->z_mm;
    assert(z > 20.0 + 7.5 * 5.0 && z < 20.0 + 9.5 * 5.0);
}

static void lost_slice_is_found(void)
{
    sctd_auto(pair_fini) struct pair p = make("mr");
    made_fill(p.hu, &(struct made_box){{0, 0, 9}, {59, 49, 9}}, -1000.0F);
    const struct quality_report report = judge(&p);
    assert(find(&report, QUALITY_SLICE_JUMP, "")->verdict == QUALITY_FAILED);
}

static void shifted_outline_is_found(void)
{
    sctd_auto(pair_fini) struct pair p = make("mr");
    const size_t by = 5; /* 20 mm along rows, 10 mm of which are spared */
    for (size_t row = 0; row < (size_t)ROWS * SLICES; row++) {
        float *hu = p.hu->voxel + row * COLUMNS;
        memmove(hu + by, hu, (COLUMNS - by) * sizeof *hu);
    }
    p.manifest.quality.hole_ml = 1e5;
    p.manifest.quality.air_outside_percent = 100.0;
    const struct quality_report report = judge(&p);
    assert(fails_only(&report, QUALITY_OUTLINE));
    assert(find(&report, QUALITY_OUTLINE, "")->value > 16.0);
}

static void source_that_is_cut_off_is_found(void)
{
    sctd_auto(pair_fini) struct pair p = make("cbct");
    const struct made_box more = {{48, 12, 0}, {59, 37, SLICES - 1}};
    made_fill(p.hu, &more, 30.0F);
    made_fill(p.source, &more, 30.0F);
    const struct quality_report report = judge(&p);
    assert(fails_only(&report, QUALITY_FIELD_OF_VIEW));
    const double outline = 2.0 * (48 + 26) - 4;
    assert(fabs(find(&report, QUALITY_FIELD_OF_VIEW, "")->value - 100.0 * 26 / outline) < 1e-9);
}

static void saturated_sct_is_found(void)
{
    sctd_auto(pair_fini) struct pair p = make("cbct");
    made_fill(p.hu, &(struct made_box){{15, 15, 0}, {22, 34, SLICES - 1}}, 1999.5F);
    const struct quality_report report = judge(&p);
    assert(fails_only(&report, QUALITY_SATURATION));
}

static void tissue_beyond_its_range_is_found(void)
{
    sctd_auto(pair_fini) struct pair p = make("mr");
    struct quality_limits *limits = &p.manifest.quality;
    limits->n_tissues = 1;
    limits->tissue[0] = (struct quality_tissue){"dense", 600.0, 800.0, 5.0, 20.0};
    struct quality_report report = judge(&p);
    assert(!report.needs_review && find(&report, QUALITY_TISSUE, "dense")->value > 13.0);
    limits->tissue[0].percent_high = 12.0;
    report = judge(&p);
    assert(fails_only(&report, QUALITY_TISSUE));
    limits->tissue[0].percent_high = 100.0;
    limits->tissue[0].percent_low = 20.0;
    report = judge(&p);
    assert(fails_only(&report, QUALITY_TISSUE));
}

static void intensity_that_was_never_trained_with_is_found(void)
{
    sctd_auto(pair_fini) struct pair p = make("mr");
    struct quality_limits *limits = &p.manifest.quality;
    limits->n_intensity = 1;
    limits->intensity[0] = (struct quality_percentile){50.0, 0.45, 0.55};
    struct quality_report report = judge(&p);
    assert(!report.needs_review);
    assert(fabs(find(&report, QUALITY_INTENSITY, "50")->value - 0.5) < 1e-6);
    limits->intensity[0].low = 0.51;
    report = judge(&p);
    assert(fails_only(&report, QUALITY_INTENSITY));
}

/* What is at the edge */

static void without_limits_everything_is_measured_and_nothing_judged(void)
{
    sctd_auto(pair_fini) struct pair p = make("mr");
    p.manifest.quality = (struct quality_limits){.is_set = false};
    made_fill(p.hu, &(struct made_box){{25, 15, 6}, {31, 21, 13}}, -800.0F);
    const struct quality_report report = judge(&p);
    assert(!report.is_checked && !report.needs_review && report.n == 15);
    for (size_t i = 0; i < report.n; i++) {
        assert(report.finding[i].verdict == QUALITY_MEASURED && isfinite(report.finding[i].value));
        assert(isinf(report.finding[i].high));
    }
    assert(find(&report, QUALITY_HOLES, "")->value > 9.0);
}

/* Every comparison with a NAN is false, so that no check would find it. */
static void hu_that_are_no_numbers_are_refused(void)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    const size_t plane = (size_t)COLUMNS * ROWS;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        sctd_auto(pair_fini) struct pair p = make("mr");
        struct quality_report report;
        sctd_auto(quality_freep) struct quality *q = NULL;
        assert(quality_new(&q, &p.manifest, &err) == 0);
        assert(quality_take_source(q, p.source, clip, &err) == 0);
        assert(quality_take_slices(q, p.source, &err) == 0);
        p.hu->voxel[7 * plane] = bad[i]; /* in the air */
        assert(quality_judge(&report, q, p.hu, &err) == SCTD_EDATA);
        assert(strcmp(err.text, "1 HU of the sCT are no finite numbers, the first at z 55.0 mm") ==
               0);
        p.hu->voxel[plane * SLICES - 1] = bad[i];
        p.hu->voxel[10 * plane + (size_t)25 * COLUMNS + 20] = bad[i]; /* in bone */
        assert(quality_judge(&report, q, p.hu, &err) == SCTD_EDATA);
        assert(strncmp(err.text, "3 HU", 4) == 0 && strstr(err.text, "z 55.0 mm") != NULL);
    }
}

static void hu_that_are_no_numbers_are_refused_without_a_body_too(void)
{
    sctd_auto(pair_fini) struct pair p = make("mr");
    struct quality_report report;
    sctd_auto(quality_freep) struct quality *q = NULL;
    for (size_t at = 0; at < made_count(&p.source->grid); at++) {
        p.source->voxel[at] = 0.0F;
    }
    p.hu->voxel[0] = NAN;
    assert(quality_new(&q, &p.manifest, &err) == 0);
    assert(quality_take_source(q, p.source, clip, &err) == 0);
    assert(quality_take_slices(q, p.source, &err) == 0);
    assert(quality_judge(&report, q, p.hu, &err) == SCTD_EDATA);
}

static void slices_that_do_not_jump_have_no_worst(void)
{
    sctd_auto(pair_fini) struct pair p = make("cbct");
    made_fill(p.hu, &(struct made_box){{12, 12, 0}, {47, 37, SLICES - 1}}, 30.0F);
    const struct quality_report report = judge(&p);
    const struct quality_finding *f = find(&report, QUALITY_SLICE_JUMP, "");
    assert(f->verdict == QUALITY_PASSED && !(f->value > 0.0) && isnan(f->z_mm));
    assert(strcmp(f->text, "no two neighbouring slices differ more than those around them; "
                           "at most 75 HU") == 0);
}

static void source_without_a_body_fails_every_check(void)
{
    sctd_auto(pair_fini) struct pair p = make("mr");
    for (size_t at = 0; at < made_count(&p.source->grid); at++) {
        p.source->voxel[at] = 0.0F;
    }
    p.manifest.quality.n_tissues = 1;
    p.manifest.quality.tissue[0] = (struct quality_tissue){"all", -1000.0, 1000.0, 0.0, 100.0};
    p.manifest.quality.n_intensity = 1;
    p.manifest.quality.intensity[0] = (struct quality_percentile){50.0, 0.0, 1.0};
    const struct quality_report report = judge(&p);
    assert(report.n == 8 && report.needs_review);
    for (size_t i = 0; i < report.n; i++) {
        assert(report.finding[i].verdict == QUALITY_FAILED && isnan(report.finding[i].value));
        assert(strstr(report.finding[i].text, "not measured") != NULL);
    }
}

static void sct_without_a_body_fails(void)
{
    sctd_auto(pair_fini) struct pair p = make("mr");
    for (size_t at = 0; at < made_count(&p.hu->grid); at++) {
        p.hu->voxel[at] = -1000.0F;
    }
    const struct quality_report report = judge(&p);
    const struct quality_finding *f = find(&report, QUALITY_OUTLINE, "");
    assert(f->verdict == QUALITY_FAILED && isnan(f->value) && isnan(f->z_mm));
    assert(strstr(f->text, "not measured: the sCT shows no body") != NULL);
    assert(find(&report, QUALITY_HOLES, "")->verdict == QUALITY_FAILED);
}

static void body_that_fills_the_image_is_judged(void)
{
    const struct volume_grid grid = made_grid(COLUMNS, ROWS, SLICES, step);
    sctd_auto(pair_fini) struct pair p = make("cbct");
    for (size_t at = 0; at < made_count(&grid); at++) {
        p.source->voxel[at] = 0.0F;
        p.hu->voxel[at] = 0.0F;
    }
    const struct quality_report report = judge(&p);
    assert(fails_only(&report, QUALITY_FIELD_OF_VIEW));
    assert(fabs(find(&report, QUALITY_FIELD_OF_VIEW, "")->value - 100.0) < 1e-9);
    assert(find(&report, QUALITY_AIR_OUTSIDE, "")->value <= 0.0);
}

static void jumps_of_one_slice_cannot_be_told(void)
{
    const struct volume_grid grid = made_grid(COLUMNS, ROWS, 1, step);
    sctd_auto(pair_fini) struct pair p = {.source = made_volume(&grid, -1000.0F),
                                          .hu = made_volume(&grid, -1000.0F)};
    assert(recipe_preset(&p.manifest.recipe, "cbct", &err) == 0);
    quality_limits_default(&p.manifest.quality);
    made_fill(p.source, &(struct made_box){{12, 12, 0}, {47, 37, 0}}, 0.0F);
    made_fill(p.hu, &(struct made_box){{12, 12, 0}, {47, 37, 0}}, 0.0F);
    const struct quality_report report = judge(&p);
    assert(fails_only(&report, QUALITY_SLICE_JUMP));
    assert(isnan(find(&report, QUALITY_SLICE_JUMP, "")->value));
}

/* The source as a sagittal series, tilted; its slices are still axial. */
static void source_in_another_order_has_its_own_faces(void)
{
    sctd_auto(pair_fini) struct pair p = make("cbct");
    struct volume_grid grid = made_grid(ROWS, SLICES, COLUMNS, step);
    const double tilt = 0.1;
    const double axes[3][3] = {
        {0.0, cos(tilt), -sin(tilt)}, {0.0, sin(tilt), cos(tilt)}, {1, 0, 0}};
    memcpy(grid.axis, axes, sizeof axes);
    sctd_auto(volume_freep) struct volume *sagittal = made_volume(&grid, -1000.0F);
    /* rows end at the image's head and feet, which does not count; columns at its front */
    made_fill(sagittal, &(struct made_box){{0, 0, 10}, {30, SLICES - 1, 40}}, 0.0F);
    struct quality_report report;
    sctd_auto(quality_freep) struct quality *q = NULL;
    assert(quality_new(&q, &p.manifest, &err) == 0);
    assert(quality_take_source(q, sagittal, clip, &err) == 0);
    assert(quality_take_slices(q, p.source, &err) == 0);
    assert(quality_judge(&report, q, p.hu, &err) == 0);
    const double outline = 2.0 * (31 + 31) - 4;
    const struct quality_finding *f = find(&report, QUALITY_FIELD_OF_VIEW, "");
    assert(fabs(f->value - 100.0 * 31 / outline) < 1e-9 && f->verdict == QUALITY_FAILED);
    const double middle = (ROWS - 1) / 2.0 * 4.0;
    assert(fabs(f->z_mm - (20.0 - sin(tilt) * middle)) < 1e-9); /* the first plane */
}

static void looks_come_in_their_order(void)
{
    sctd_auto(pair_fini) struct pair p = make("mr");
    struct quality_report report;
    sctd_auto(quality_freep) struct quality *q = NULL;
    assert(quality_new(&q, &p.manifest, &err) == 0);
    assert(quality_judge(&report, q, p.hu, &err) == SCTD_EINVAL);
    assert(quality_take_slices(q, p.source, &err) == SCTD_EINVAL);
    assert(quality_take_source(q, p.source, clip, &err) == 0);
    assert(quality_judge(&report, q, p.hu, &err) == SCTD_EINVAL);
    assert(quality_take_slices(q, p.source, &err) == 0);
    p.hu->grid.origin[0] += 1.0;
    assert(quality_judge(&report, q, p.hu, &err) == SCTD_EINVAL);
    p.hu->grid.origin[0] -= 1.0;
    assert(quality_judge(&report, q, p.hu, &err) == 0);
    quality_free(NULL);
}

static void count_call(void *arg)
{
    ++*(size_t *)arg;
}

static void work_says_that_it_goes_on(void)
{
    sctd_auto(pair_fini) struct pair p = make("mr");
    struct quality_report report;
    size_t n = 0;
    sctd_auto(quality_freep) struct quality *q = NULL;
    assert(quality_new(&q, &p.manifest, &err) == 0);
    quality_set_progress(q, count_call, &n);
    assert(quality_take_source(q, p.source, clip, &err) == 0 && n >= (size_t)6 * SLICES);
    n = 0;
    assert(quality_take_slices(q, p.source, &err) == 0 && n >= (size_t)5 * SLICES);
    n = 0;
    assert(quality_judge(&report, q, p.hu, &err) == 0 && n >= (size_t)14 * SLICES);
    n = 0;
    quality_set_progress(q, NULL, NULL);
    assert(quality_judge(&report, q, p.hu, &err) == 0 && n == 0);
}

static void same_input_gives_the_same_report(void)
{
    sctd_auto(pair_fini) struct pair p = make("mr");
    struct sctd_rng rng = {1};
    for (size_t at = 0; at < made_count(&p.hu->grid); at++) {
        p.hu->voxel[at] += 30.0F * sctd_rng_normal(&rng);
    }
    const struct quality_report one = judge(&p);
    const struct quality_report two = judge(&p);
    for (size_t i = 0; i < one.n; i++) {
        assert(!(one.finding[i].value < two.finding[i].value) &&
               !(one.finding[i].value > two.finding[i].value));
    }
}

int main(void)
{
    sound_sct_passes("mr");
    sound_sct_passes("cbct");
    tissue_outside_is_found();
    hole_is_found();
    gas_that_the_source_has_too_is_no_hole();
    slice_of_another_scale_is_found();
    lost_slice_is_found();
    shifted_outline_is_found();
    source_that_is_cut_off_is_found();
    saturated_sct_is_found();
    tissue_beyond_its_range_is_found();
    intensity_that_was_never_trained_with_is_found();
    without_limits_everything_is_measured_and_nothing_judged();
    hu_that_are_no_numbers_are_refused();
    hu_that_are_no_numbers_are_refused_without_a_body_too();
    slices_that_do_not_jump_have_no_worst();
    source_without_a_body_fails_every_check();
    sct_without_a_body_fails();
    body_that_fills_the_image_is_judged();
    jumps_of_one_slice_cannot_be_told();
    source_in_another_order_has_its_own_faces();
    looks_come_in_their_order();
    work_says_that_it_goes_on();
    same_input_gives_the_same_report();
    return 0;
}
