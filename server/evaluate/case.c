/* SPDX-License-Identifier: Apache-2.0 */
#include "server/evaluate/case.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/volume.h"
#include "engine/engine.h"
#include "server/evaluate/input.h"
#include "server/evaluate/slices.h"

/* Two grids are one if no corner is farther off than this. */
#define SAME_MM 0.01
#define AIR     (-1024.0F)

enum { SOFT_SHARE = 100 };

void evaluate_case_fini(struct evaluate_case *c)
{
    free(c->label);
    free(c->slice_mae);
    for (size_t i = 0; i < c->n_pictures; i++) {
        free(c->picture[i].png);
    }
    c->label = NULL;
    c->slice_mae = NULL;
    c->n_pictures = 0;
}

/* A case on its way. */
struct run {
    const struct evaluate_files *files;
    const struct evaluate_options *options;
    struct evaluate_input reference, synthetic;
    uint8_t *mask, *regions; /* [n] */
    size_t n;
    struct evaluate_case c;
};

static void run_fini(struct run *run)
{
    evaluate_input_fini(&run->reference);
    evaluate_input_fini(&run->synthetic);
    free(run->mask);
    free(run->regions);
    evaluate_case_fini(&run->c);
}

/* Whether the two belong together */

static int check_identity(const struct run *run, struct sctd_error *err)
{
    const struct evaluate_input *a = &run->reference;
    const struct evaluate_input *b = &run->synthetic;
    if (!a->is_dicom || !b->is_dicom) {
        return 0;
    }
    if ((run->options->force & EVALUATE_FORCE_PATIENT) == 0 &&
        memcmp(a->patient.digest, b->patient.digest, sizeof a->patient.digest) != 0) {
        return sctd_error(err, SCTD_EDATA,
                          "reference and synthetic have different Patient IDs (0010,0020): give "
                          "images of one patient, or --force patient");
    }
    if ((run->options->force & EVALUATE_FORCE_FRAME) == 0 &&
        strcmp(a->frame_of_reference, b->frame_of_reference) != 0) {
        return sctd_error(err, SCTD_EDATA,
                          "reference and synthetic have different Frame of Reference UIDs "
                          "(0020,0052), so that their positions need not agree: register the "
                          "reference first, or --force frame if it is");
    }
    return 0;
}

/* HU have air far below 0, nothing far below air, and soft tissue about 0, whatever padding stands around it. */
static int check_units(const struct evaluate_input *input, const char *which,
                       struct sctd_error *err)
{
    const int32_t *dim = input->volume->grid.dim;
    const size_t n = (size_t)dim[0] * (size_t)dim[1] * (size_t)dim[2];
    const double ends[2] = {0.0, 100.0};
    double range[2];
    int r = percentile_find(range, ends, input->volume->voxel, n, err);
    if (r < 0) {
        return r;
    }
    if (range[0] > -200.0 || range[0] < -9000.0 || range[1] < 0.0) {
        return sctd_error(err, SCTD_EDATA,
                          "the %s's values go from %g to %g and are no HU, which reach from air "
                          "(-1000) to tissue (0) and above: rescale them, or --force units",
                          which, range[0], range[1]);
    }
    size_t soft = 0;
    for (size_t i = 0; i < n; i++) {
        soft += fabsf(input->volume->voxel[i]) <= REGIONS_SOFT_HIGH ? 1 : 0;
    }
    if (soft < n / SOFT_SHARE) {
        return sctd_error(
            err, SCTD_EDATA,
            "of the %s's values %.2g %% are from -250 to 250, where soft tissue is in "
            "HU: rescale them, or --force units",
            which, 100.0 * (double)soft / (double)n);
    }
    return 0;
}

/* One grid for all */

/* NAN where the image does not reach. */
static int bring_onto(struct volume **volume, const struct volume_grid *grid, bool nearest,
                      struct sctd_error *err)
{
    sctd_auto(volume_freep) struct volume *placed = NULL;
    int r = volume_new(&placed, grid, err);
    if (r == 0) {
        r = nearest ? resample_run_nearest(placed->voxel, grid, *volume, NAN, err)
                    : resample_run(placed->voxel, grid, *volume, NAN, err);
    }
    if (r == 0) {
        volume_free(*volume);
        *volume = sctd_steal(&placed);
    }
    return r;
}

static int find_mask(struct run *run, struct sctd_error *err)
{
    const struct volume_grid *grid = &run->reference.volume->grid;
    if (run->files->mask == NULL) {
        return body_mask_find(run->mask, run->reference.volume, err);
    }
    sctd_auto(evaluate_input_fini) struct evaluate_input mask = {.volume = NULL};
    int r = evaluate_input_read(&mask, run->files->mask, EVALUATE_INPUT_LABELS, err);
    if (r == 0 && !grid_is_same(&mask.volume->grid, grid, SAME_MM)) {
        r = bring_onto(&mask.volume, grid, true, err);
    }
    size_t body = 0;
    for (size_t i = 0; r == 0 && i < run->n; i++) {
        run->mask[i] = mask.volume->voxel[i] > 0.0F ? 1 : 0;
        body += run->mask[i];
    }
    if (r == 0 && body == 0) {
        r = sctd_error(err, SCTD_EDATA, "%.100s: the mask has no voxel in the reference",
                       run->files->mask);
    }
    run->c.mask_given = true;
    return r;
}

/* Voxels that the synthetic image does not reach leave every region. */
static int find_regions(struct run *run, struct sctd_error *err)
{
    float *synthetic = run->synthetic.volume->voxel;
    size_t body = 0;
    size_t missing = 0;
    regions_mark(run->regions, run->reference.volume->voxel, run->mask, run->n);
    for (size_t i = 0; i < run->n; i++) {
        body += run->mask[i];
        if (isnan(synthetic[i])) {
            missing += run->mask[i];
            run->regions[i] = 0;
            run->mask[i] = 0;
            synthetic[i] = AIR;
        }
    }
    if (missing == body) {
        return sctd_error(err, SCTD_EDATA,
                          "the synthetic image does not overlap the body in the reference: they "
                          "lie in different places");
    }
    const double *step = run->c.step;
    run->c.missing_percent = 100.0 * (double)missing / (double)body;
    run->c.body_litres = (double)body * step[0] * step[1] * step[2] * 1e-6;
    return 0;
}

static int prepare(struct run *run, struct sctd_error *err)
{
    int r = evaluate_input_read(&run->reference, run->files->reference, EVALUATE_INPUT_CT, err);
    r = r < 0 ? r
              : evaluate_input_read(&run->synthetic, run->files->synthetic, EVALUATE_INPUT_CT, err);
    r = r < 0 ? r : check_identity(run, err);
    if (r == 0 && (run->options->force & EVALUATE_FORCE_UNITS) == 0) {
        r = check_units(&run->reference, "reference", err);
        r = r < 0 ? r : check_units(&run->synthetic, "synthetic", err);
    }
    if (r < 0) {
        return r;
    }
    const struct volume_grid *grid = &run->reference.volume->grid;
    memcpy(run->c.dim, grid->dim, sizeof run->c.dim);
    memcpy(run->c.step, grid->step, sizeof run->c.step);
    run->n = (size_t)grid->dim[0] * (size_t)grid->dim[1] * (size_t)grid->dim[2];
    run->mask = malloc(run->n);
    run->regions = malloc(run->n);
    if (run->mask == NULL || run->regions == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "regions of %zu voxels", run->n);
    }
    run->c.resampled = !grid_is_same(&run->synthetic.volume->grid, grid, SAME_MM);
    r = run->c.resampled ? bring_onto(&run->synthetic.volume, grid, false, err) : 0;
    r = r < 0 ? r : find_mask(run, err);
    return r < 0 ? r : find_regions(run, err);
}

/* Measuring */

static int measure_labels(struct run *run, struct sctd_error *err)
{
    if (run->files->reference_labels == NULL) {
        return 0;
    }
    sctd_auto(evaluate_input_fini) struct evaluate_input a = {.volume = NULL};
    sctd_auto(evaluate_input_fini) struct evaluate_input b = {.volume = NULL};
    int r = evaluate_input_read(&a, run->files->reference_labels, EVALUATE_INPUT_LABELS, err);
    r = r < 0 ? r
              : evaluate_input_read(&b, run->files->synthetic_labels, EVALUATE_INPUT_LABELS, err);
    if (r == 0 && !grid_is_same(&a.volume->grid, &b.volume->grid, SAME_MM)) {
        r = bring_onto(&b.volume, &a.volume->grid, true, err);
    }
    return r < 0 ? r : evaluate_slices_labels(&run->c, a.volume, b.volume, err);
}

static int measure_histograms(struct run *run, struct sctd_error *err)
{
    struct hu_histogram *pair = malloc(2 * sizeof *pair);
    if (pair == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "histograms");
    }
    for (int region = 0; region < REGIONS; region++) {
        hu_histogram_fill(&pair[0], run->reference.volume->voxel, run->regions, run->n,
                          (enum region)region);
        hu_histogram_fill(&pair[1], run->synthetic.volume->voxel, run->regions, run->n,
                          (enum region)region);
        run->c.histogram_distance[region] = hu_histogram_distance(&pair[0], &pair[1]);
        if (region == REGION_BODY) {
            memcpy(run->c.histogram, pair, sizeof run->c.histogram);
        }
    }
    free(pair);
    return 0;
}

static int measure(struct run *run, struct sctd_error *err)
{
    const struct volume *reference = run->reference.volume;
    const struct volume *synthetic = run->synthetic.volume;
    const struct range range = {IMAGE_METRICS_HU_LOW, IMAGE_METRICS_HU_HIGH};
    image_metrics_find(run->c.image, reference->voxel, synthetic->voxel, run->regions, run->n,
                       range);
    const struct ssim_images images = {
        .reference = reference->voxel,
        .synthetic = synthetic->voxel,
        .regions = run->regions,
        .dim = {run->c.dim[0], run->c.dim[1], run->c.dim[2]},
        .range = range,
    };
    int r = ssim_find(&run->c.ssim, &images, err);
    r = r < 0 ? r : measure_histograms(run, err);
    r = r < 0 ? r : wepl_find(&run->c.wepl, reference, synthetic, run->mask, err);
    r = r < 0 ? r : measure_labels(run, err);
    run->c.mldp = (double)NAN;
    if (r == 0 && run->options->mldp != NULL) {
        const int64_t dim[3] = {run->c.dim[2], run->c.dim[1], run->c.dim[0]};
        r = mldp_find(&run->c.mldp, run->options->mldp, reference->voxel, synthetic->voxel, dim,
                      err);
    }
    const struct evaluate_slices slices = {reference, synthetic, run->mask};
    r = r < 0 ? r : evaluate_slices_measure(&run->c, &slices, err);
    if (r == 0 && run->options->pictures) {
        r = evaluate_slices_draw(&run->c, &slices, err);
    }
    return r;
}

int evaluate_case_run(struct evaluate_case *ret_case, const char *name,
                      const struct evaluate_files *files, const struct evaluate_options *options,
                      struct sctd_error *err)
{
    const double start_s = sctd_now_s();
    struct run *run = calloc(1, sizeof *run);
    if (run == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "a case");
    }
    run->files = files;
    run->options = options;
    (void)snprintf(run->c.name, sizeof run->c.name, "%s", name);
    int r = prepare(run, err);
    r = r < 0 ? r : measure(run, err);
    if (r == 0) {
        run->c.seconds = sctd_now_s() - start_s;
        *ret_case = run->c;
        run->c.label = NULL;
        run->c.slice_mae = NULL;
        run->c.n_pictures = 0;
    }
    run_fini(run);
    free(run);
    return r;
}
