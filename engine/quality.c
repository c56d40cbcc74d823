/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/quality.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/beat.h"
#include "engine/base/error.h"
#include "engine/base/volume.h"
#include "engine/image/body_margin.h"
#include "engine/image/body_mask.h"
#include "engine/image/field_of_view.h"
#include "engine/image/grid.h"
#include "engine/image/hole.h"
#include "engine/image/outline.h"
#include "engine/image/outline_distance.h"
#include "engine/image/percentile.h"
#include "engine/image/slice_jump.h"
#include "engine/image/source_body.h"
#include "engine/model/manifest.h"
#include "engine/model/quality_limits.h"

enum { AXIAL = 2 };

/* How far around the source's body air is not asked for, and how near to its outline no void is looked for. */
static const struct body_margin margin = {.beyond_mm = 10.0, .deep_mm = 5.0};
static const double grid_within_mm = 1e-3;

/* What is measured where the manifest says nothing. */
static const struct quality_tissue standard_tissue[] = {
    {.name = "gas", .hu_low = -32767.0, .hu_high = -250.0},
    {.name = "fat", .hu_low = -150.0, .hu_high = -30.0},
    {.name = "soft", .hu_low = -250.0, .hu_high = 250.0},
    {.name = "bone", .hu_low = 250.0, .hu_high = 32767.0},
};
static const double standard_percentile[] = {5.0, 25.0, 50.0, 75.0, 95.0};

enum {
    STANDARD_TISSUES = sizeof standard_tissue / sizeof standard_tissue[0],
    STANDARD_PERCENTILES = sizeof standard_percentile / sizeof standard_percentile[0]
};

struct quality {
    const struct manifest *manifest; /* borrowed */
    bool has_source, has_slices;
    double clip[2];
    bool source_has_body;
    struct field_of_view field_of_view;
    double field_of_view_z_mm;
    struct volume_grid grid; /* of the slices */
    bool has_body;
    uint8_t *flags; /* [voxels] of the slices, as source_body.h says; owned */
    size_t n_percentiles;
    double percentile[QUALITY_PERCENTILES_MAX]; /* which */
    double intensity[QUALITY_PERCENTILES_MAX];  /* where they are */
    struct sctd_beat beat;
};

static size_t count_voxels(const struct volume_grid *grid)
{
    return (size_t)grid->dim[0] * (size_t)grid->dim[1] * (size_t)grid->dim[2];
}

/* Of the middle of plane k across an axis. */
static double find_z(const struct volume_grid *grid, int axis, int32_t k)
{
    double mm[3];
    double index[3];
    for (int a = 0; a < 3; a++) {
        index[a] = (grid->dim[a] - 1) / 2.0;
    }
    index[axis] = (double)k;
    grid_find_position(mm, grid, index);
    return mm[2];
}

/* NULL: a CT. */
static const double *find_clip(const struct quality *quality)
{
    return strcmp(quality->manifest->recipe.modality, "CT") == 0 ? NULL : quality->clip;
}

int quality_new(struct quality **ret_quality, const struct manifest *manifest,
                struct sctd_error *err)
{
    struct quality *quality = calloc(1, sizeof *quality);
    if (quality == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "the checks of an sCT");
    }
    const struct quality_limits *limits = &manifest->quality;
    quality->manifest = manifest;
    if (limits->n_intensity == 0) {
        quality->n_percentiles = STANDARD_PERCENTILES;
        memcpy(quality->percentile, standard_percentile, sizeof standard_percentile);
    }
    for (size_t i = 0; i < limits->n_intensity; i++) {
        quality->percentile[quality->n_percentiles++] = limits->intensity[i].percentile;
    }
    *ret_quality = quality;
    return 0;
}

void quality_free(struct quality *quality)
{
    if (quality != NULL) {
        free(quality->flags);
        free(quality);
    }
}

void quality_set_progress(struct quality *quality, quality_progress_fn on_progress, void *arg)
{
    quality->beat = (struct sctd_beat){on_progress, arg};
}

int quality_take_source(struct quality *quality, const struct volume *source, const double clip[2],
                        struct sctd_error *err)
{
    const int axis = field_of_view_find_axis(&source->grid);
    uint8_t *flags = malloc(count_voxels(&source->grid) + 1);
    if (flags == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "the checks of a source");
    }
    memcpy(quality->clip, clip, sizeof quality->clip);
    const int r = source_body_find(flags, source, find_clip(quality), axis, &quality->beat, err);
    if (r >= 0) {
        quality->has_source = true;
        quality->source_has_body = r == 0;
        quality->field_of_view = field_of_view_find(flags, source->grid.dim, axis, &quality->beat);
        quality->field_of_view_z_mm = find_z(&source->grid, axis, quality->field_of_view.plane);
    }
    free(flags);
    return r < 0 ? r : 0;
}

/* to: the body's voxels in slice k, 0 at the lower clip limit and 1 at the upper.  Returns how many. */
static size_t scale_slice(float *to, const struct quality *quality, const struct volume *slices,
                          int32_t k)
{
    const size_t plane = (size_t)slices->grid.dim[0] * (size_t)slices->grid.dim[1];
    const double range = quality->clip[1] - quality->clip[0];
    size_t n = 0;
    for (size_t at = (size_t)k * plane; at < (size_t)(k + 1) * plane; at++) {
        if ((quality->flags[at] & SOURCE_BODY_INSIDE) != 0) {
            const double scaled = ((double)slices->voxel[at] - quality->clip[0]) / range;
            to[n++] = (float)(scaled > 0.0 ? fmin(scaled, 1.0) : 0.0);
        }
    }
    return n;
}

/* Where the percentiles of the body are. */
static int find_intensity(struct quality *quality, const struct volume *slices,
                          struct sctd_error *err)
{
    const size_t n = count_voxels(&slices->grid);
    size_t n_body = 0;
    for (size_t at = 0; at < n; at++) {
        n_body += quality->flags[at] & SOURCE_BODY_INSIDE;
    }
    sctd_beat_tell(&quality->beat);
    float *x = malloc((n_body + 1) * sizeof *x);
    if (x == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "the intensities of a body");
    }
    size_t to = 0;
    for (int32_t k = 0; k < slices->grid.dim[2]; k++) {
        to += scale_slice(x + to, quality, slices, k);
        sctd_beat_tell(&quality->beat);
    }
    int r = 0;
    for (size_t i = 0; r == 0 && i < quality->n_percentiles; i += 2) {
        const bool is_last = i + 1 == quality->n_percentiles;
        const double percent[2] = {quality->percentile[i],
                                   quality->percentile[i + (is_last ? 0 : 1)]};
        double found[2] = {0};
        r = percentile_find(found, percent, x, n_body, err);
        sctd_beat_tell(&quality->beat);
        quality->intensity[i] = found[0];
        if (!is_last) {
            quality->intensity[i + 1] = found[1];
        }
    }
    free(x);
    return r;
}

int quality_take_slices(struct quality *quality, const struct volume *slices,
                        struct sctd_error *err)
{
    if (!quality->has_source) {
        return sctd_error(err, SCTD_EINVAL, "the source was not looked at before its slices");
    }
    uint8_t *flags = malloc(count_voxels(&slices->grid) + 1);
    if (flags == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "the checks of %d slices", slices->grid.dim[2]);
    }
    free(quality->flags);
    quality->flags = flags;
    quality->has_slices = false;
    quality->grid = slices->grid;
    int r = source_body_find(flags, slices, find_clip(quality), AXIAL, &quality->beat, err);
    if (r < 0) {
        return r;
    }
    quality->has_body = r == 0;
    r = quality->has_body ? find_intensity(quality, slices, err) : 0;
    quality->has_slices = r == 0;
    return r;
}

/* The judgement */

struct judgement {
    const struct quality *quality;
    const struct volume *hu;
    struct quality_report *report;
};

/* A finding, of which value, z_mm and text are still to be said. */
static struct quality_finding *add(const struct judgement *j, enum quality_check check,
                                   const char *what, double low, double high)
{
    struct quality_finding *f = &j->report->finding[j->report->n++];
    *f = (struct quality_finding){
        .check = check,
        .verdict = QUALITY_MEASURED,
        .value = (double)NAN,
        .low = low,
        .high = high,
        .unit = quality_check_unit(check),
        .z_mm = (double)NAN,
        .hu_low = (double)NAN,
        .hu_high = (double)NAN,
    };
    (void)snprintf(f->what, sizeof f->what, "%s", what);
    return f;
}

static struct quality_finding *add_scalar(const struct judgement *j, enum quality_check check,
                                          double high)
{
    const bool is_limited = j->quality->manifest->quality.is_set;
    return add(j, check, "", -(double)INFINITY, is_limited ? high : (double)INFINITY);
}

SCTD_PRINTF(3, 4) static void decide(const struct judgement *j, struct quality_finding *f,
                                     const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(f->text, sizeof f->text, format, arguments);
    va_end(arguments);
    const size_t used = n < 0 ? 0 : strlen(f->text);
    const char *unit = f->check == QUALITY_INTENSITY ? "" : f->unit;
    const char *space = *unit == '\0' ? "" : " ";
    char *end = f->text + used;
    const size_t room = sizeof f->text - used;
    if (isfinite(f->low)) {
        (void)snprintf(end, room, "; %g to %g%s%s is expected", f->low, f->high, space, unit);
    } else if (isfinite(f->high)) {
        (void)snprintf(end, room, "; at most %g%s%s", f->high, space, unit);
    }
    if (isfinite(f->high)) {
        const bool is_kept = f->value >= f->low && f->value <= f->high; /* NAN: it is not */
        f->verdict = is_kept ? QUALITY_PASSED : QUALITY_FAILED;
    }
    j->report->needs_review |= f->verdict == QUALITY_FAILED;
}

static const char no_body[] = "not measured: the source shows no body";

static int32_t find_worst(const size_t *count, int32_t n)
{
    int32_t worst = 0;
    for (int32_t k = 1; k < n; k++) {
        worst = count[k] > count[worst] ? k : worst;
    }
    return worst;
}

/* What of all slices is counted at once; [slices] each. */
struct counts {
    size_t *not_air, *saturated;
    size_t beyond, body;
    size_t tissue[QUALITY_TISSUES_MAX];
};

static void counts_fini(struct counts *c)
{
    free(c->not_air);
    free(c->saturated);
}

static size_t sum(const size_t *count, int32_t n)
{
    size_t all = 0;
    for (int32_t k = 0; k < n; k++) {
        all += count[k];
    }
    return all;
}

static size_t find_tissues(const struct quality *quality, const struct quality_tissue **ret_tissue)
{
    const struct quality_limits *limits = &quality->manifest->quality;
    *ret_tissue = limits->n_tissues > 0 ? limits->tissue : standard_tissue;
    return limits->n_tissues > 0 ? limits->n_tissues : STANDARD_TISSUES;
}

static void count_body(struct counts *c, const struct judgement *j, int32_t k, double hu)
{
    const struct recipe *recipe = &j->quality->manifest->recipe;
    const struct quality_tissue *tissue = NULL;
    const size_t n = find_tissues(j->quality, &tissue);
    c->body++;
    if (fabs(hu - recipe->hu_low) <= 1.0 || fabs(hu - recipe->hu_high) <= 1.0) {
        c->saturated[k]++;
    }
    for (size_t i = 0; i < n; i++) {
        c->tissue[i] += hu >= tissue[i].hu_low && hu <= tissue[i].hu_high ? 1 : 0;
    }
}

/* margins: as body_margin.h says. */
static void count_voxel(struct counts *c, const struct judgement *j, const uint8_t *margins,
                        int32_t k, size_t at)
{
    if ((j->quality->flags[at] & SOURCE_BODY_INSIDE) != 0) {
        count_body(c, j, k, (double)j->hu->voxel[at]);
    } else if ((margins[at] & BODY_MARGIN_BEYOND) != 0) {
        c->beyond++;
        c->not_air[k] += j->hu->voxel[at] >= OUTLINE_BODY_HU ? 1 : 0;
    }
}

static void count(struct counts *c, const struct judgement *j, const uint8_t *margins)
{
    const struct volume_grid *grid = &j->hu->grid;
    const size_t plane = (size_t)grid->dim[0] * (size_t)grid->dim[1];
    for (int32_t k = 0; k < grid->dim[2]; k++) {
        for (size_t at = (size_t)k * plane; at < (size_t)(k + 1) * plane; at++) {
            count_voxel(c, j, margins, k, at);
        }
        sctd_beat_tell(&j->quality->beat);
    }
}

static double percent_of(size_t n, size_t all)
{
    return all == 0 ? 0.0 : 100.0 * (double)n / (double)all;
}

static void judge_air_outside(const struct judgement *j, const struct counts *c)
{
    const struct volume_grid *grid = &j->hu->grid;
    struct quality_finding *f =
        add_scalar(j, QUALITY_AIR_OUTSIDE, j->quality->manifest->quality.air_outside_percent);
    f->value = percent_of(sum(c->not_air, grid->dim[2]), c->beyond);
    if (!(f->value > 0.0)) {
        decide(j, f, "air is all there is more than 10 mm outside the body");
        return;
    }
    f->z_mm = find_z(grid, AXIAL, find_worst(c->not_air, grid->dim[2]));
    decide(j, f,
           "%.3g %% of what lies more than 10 mm outside the body is no air (most at z %.1f mm)",
           f->value, f->z_mm);
}

static void judge_saturation(const struct judgement *j, const struct counts *c)
{
    const struct volume_grid *grid = &j->hu->grid;
    const struct recipe *recipe = &j->quality->manifest->recipe;
    struct quality_finding *f =
        add_scalar(j, QUALITY_SATURATION, j->quality->manifest->quality.saturation_percent);
    f->value = percent_of(sum(c->saturated, grid->dim[2]), c->body);
    if (f->value > 0.0) {
        f->z_mm = find_z(grid, AXIAL, find_worst(c->saturated, grid->dim[2]));
    }
    decide(j, f, "%.3g %% of the body is at an end of what the network can say, %g or %g HU",
           f->value, recipe->hu_low, recipe->hu_high);
}

static void judge_tissues(const struct judgement *j, const struct counts *c)
{
    const struct quality_tissue *tissue = NULL;
    const size_t n = find_tissues(j->quality, &tissue);
    const bool is_limited = j->quality->manifest->quality.n_tissues > 0;
    for (size_t i = 0; i < n; i++) {
        struct quality_finding *f = add(j, QUALITY_TISSUE, tissue[i].name,
                                        is_limited ? tissue[i].percent_low : -(double)INFINITY,
                                        is_limited ? tissue[i].percent_high : (double)INFINITY);
        f->hu_low = tissue[i].hu_low;
        f->hu_high = tissue[i].hu_high;
        if (c == NULL) {
            decide(j, f, "%s", no_body);
            continue;
        }
        f->value = percent_of(c->tissue[i], c->body);
        decide(j, f, "%.3g %% of the body is %s (%g to %g HU)", f->value, tissue[i].name,
               tissue[i].hu_low, tissue[i].hu_high);
    }
}

static int judge_hole(const struct judgement *j, uint8_t *margins, struct sctd_error *err)
{
    const size_t n = count_voxels(&j->hu->grid);
    struct quality_finding *f = add_scalar(j, QUALITY_HOLES, j->quality->manifest->quality.hole_ml);
    struct hole hole;
    for (size_t at = 0; at < n; at++) {
        const bool is_deep = (margins[at] & BODY_MARGIN_DEEP) != 0;
        margins[at] = is_deep && (j->quality->flags[at] & SOURCE_BODY_TISSUE) != 0 ? 1 : 0;
    }
    sctd_beat_tell(&j->quality->beat);
    int r = hole_find(&hole, j->hu, margins, &j->quality->beat, err);
    if (r < 0) {
        return r;
    }
    f->value = hole.ml;
    if (!(hole.ml > 0.0)) {
        decide(j, f, "there is no void where the source has tissue");
        return 0;
    }
    f->z_mm = find_z(&j->hu->grid, AXIAL, hole.slice);
    decide(j, f, "the largest void where the source has tissue has %.3g ml, at z %.1f mm", f->value,
           f->z_mm);
    return 0;
}

static int judge_slice_jump(const struct judgement *j, struct sctd_error *err)
{
    struct quality_finding *f =
        add_scalar(j, QUALITY_SLICE_JUMP, j->quality->manifest->quality.slice_jump_hu);
    struct slice_jump jump;
    int r = slice_jump_find(&jump, j->hu, j->quality->flags, &j->quality->beat, err);
    if (r < 0) {
        return r;
    }
    if (r == SLICE_JUMP_NONE) {
        decide(j, f, "not measured: too few slices show enough of the body");
        return 0;
    }
    f->value = fmax(jump.hu, 0.0);
    if (!(f->value > 0.0)) {
        decide(j, f, "no two neighbouring slices differ more than those around them");
        return 0;
    }
    f->z_mm = find_z(&j->hu->grid, AXIAL, jump.slice);
    decide(j, f,
           "two neighbouring slices differ by %.3g HU more than those around them, at z %.1f mm",
           f->value, f->z_mm);
    return 0;
}

/* synthetic: the sCT's body, which may be empty. */
static int judge_outline(const struct judgement *j, const uint8_t *synthetic,
                         struct sctd_error *err)
{
    struct quality_finding *f =
        add_scalar(j, QUALITY_OUTLINE, j->quality->manifest->quality.outline_mm);
    struct outline_distance distance;
    int r = outline_distance_find(&distance, j->quality->flags, synthetic, &j->hu->grid,
                                  &j->quality->beat, err);
    if (r < 0) {
        return r;
    }
    if (r == OUTLINE_DISTANCE_NONE) {
        decide(j, f, "not measured: the sCT shows no body");
        return 0;
    }
    f->value = distance.hd95_mm;
    f->z_mm = find_z(&j->hu->grid, AXIAL, distance.worst_slice);
    decide(j, f, "the sCT's outline is up to %.3g mm from the source's (95 %%, worst at z %.1f mm)",
           f->value, f->z_mm);
    return 0;
}

static void judge_field_of_view(const struct judgement *j)
{
    const struct quality *q = j->quality;
    struct quality_finding *f =
        add_scalar(j, QUALITY_FIELD_OF_VIEW, q->manifest->quality.field_of_view_percent);
    if (!q->source_has_body) {
        decide(j, f, "%s", no_body);
        return;
    }
    f->value = q->field_of_view.percent;
    if (!(f->value > 0.0)) {
        decide(j, f, "the source's images cut off nothing of the outline");
        return;
    }
    f->z_mm = q->field_of_view_z_mm;
    decide(j, f, "the source's images cut off %.3g %% of the outline (most at z %.1f mm)", f->value,
           f->z_mm);
}

static void judge_intensity(const struct judgement *j)
{
    const struct quality *q = j->quality;
    const struct quality_limits *limits = &q->manifest->quality;
    for (size_t i = 0; i < q->n_percentiles; i++) {
        char what[QUALITY_NAME_SIZE];
        const bool is_limited = limits->n_intensity > 0;
        (void)snprintf(what, sizeof what, "%g", q->percentile[i]);
        struct quality_finding *f = add(j, QUALITY_INTENSITY, what,
                                        is_limited ? limits->intensity[i].low : -(double)INFINITY,
                                        is_limited ? limits->intensity[i].high : (double)INFINITY);
        if (!q->has_body) {
            decide(j, f, "%s", no_body);
            continue;
        }
        f->value = q->intensity[i];
        decide(j, f, "percentile %s of the source's body lies at %.3g of the clipped range", what,
               f->value);
    }
}

static void judge_nothing(const struct judgement *j)
{
    const struct quality_limits *limits = &j->quality->manifest->quality;
    const struct {
        enum quality_check check;
        double high;
    } checks[] = {
        {QUALITY_AIR_OUTSIDE, limits->air_outside_percent}, {QUALITY_HOLES, limits->hole_ml},
        {QUALITY_SLICE_JUMP, limits->slice_jump_hu},        {QUALITY_OUTLINE, limits->outline_mm},
        {QUALITY_SATURATION, limits->saturation_percent},
    };
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        decide(j, add_scalar(j, checks[i].check, checks[i].high), "%s", no_body);
    }
    judge_tissues(j, NULL);
}

/* What needs the source's body in the slices. */
static int judge_body(const struct judgement *j, struct sctd_error *err)
{
    const struct volume_grid *grid = &j->hu->grid;
    const struct sctd_beat *beat = &j->quality->beat;
    sctd_auto(counts_fini) struct counts c = {
        .not_air = calloc((size_t)grid->dim[2], sizeof(size_t)),
        .saturated = calloc((size_t)grid->dim[2], sizeof(size_t)),
    };
    uint8_t *mask = malloc(count_voxels(grid) + 1);
    int r = c.not_air == NULL || c.saturated == NULL || mask == NULL
                ? sctd_error(err, SCTD_ENOMEM, "the checks of %zu voxels", count_voxels(grid))
                : body_margin_find(mask, j->quality->flags, grid, &margin, beat, err);
    if (r == 0) {
        count(&c, j, mask);
        judge_air_outside(j, &c);
        r = judge_hole(j, mask, err);
    }
    r = r < 0 ? r : judge_slice_jump(j, err);
    r = r < 0 ? r : body_mask_find_above(mask, j->hu, OUTLINE_BODY_HU, AXIAL, beat, err);
    r = r < 0 ? r : judge_outline(j, mask, err);
    if (r == 0) {
        judge_saturation(j, &c);
        judge_tissues(j, &c);
    }
    free(mask);
    return r;
}

/* A comparison with what is no number is false: every count would pass it by. */
static int check_finite(const struct judgement *j, struct sctd_error *err)
{
    const struct volume_grid *grid = &j->hu->grid;
    const size_t plane = (size_t)grid->dim[0] * (size_t)grid->dim[1];
    size_t n = 0;
    int32_t first = 0;
    for (int32_t k = 0; k < grid->dim[2]; k++) {
        const float *hu = j->hu->voxel + (size_t)k * plane;
        const size_t before = n;
        for (size_t i = 0; i < plane; i++) {
            n += isfinite(hu[i]) ? 0 : 1;
        }
        first = before == 0 && n > 0 ? k : first;
        sctd_beat_tell(&j->quality->beat);
    }
    return n == 0 ? 0
                  : sctd_error(err, SCTD_EDATA,
                               "%zu HU of the sCT are no finite numbers, the first at z %.1f mm", n,
                               find_z(grid, AXIAL, first));
}

int quality_judge(struct quality_report *ret_report, const struct quality *quality,
                  const struct volume *hu, struct sctd_error *err)
{
    if (!quality->has_source || !quality->has_slices) {
        return sctd_error(err, SCTD_EINVAL, "an sCT was made of slices that were not looked at");
    }
    if (!grid_is_same(&quality->grid, &hu->grid, grid_within_mm)) {
        return sctd_error(err, SCTD_EINVAL, "the sCT lies on another grid than its slices");
    }
    struct quality_report report = {.is_checked = quality->manifest->quality.is_set};
    const struct judgement j = {.quality = quality, .hu = hu, .report = &report};
    int r = check_finite(&j, err);
    if (r == 0 && quality->has_body) {
        r = judge_body(&j, err);
    } else if (r == 0) {
        judge_nothing(&j);
    }
    if (r == 0) {
        judge_field_of_view(&j);
        judge_intensity(&j);
        *ret_report = report;
    }
    return r;
}
