/* SPDX-License-Identifier: Apache-2.0 */
#include "server/evaluate/slices.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/volume.h"
#include "engine/engine.h"
#include "server/evaluate/case.h"
#include "server/picture.h"
#include "server/plane.h"

enum { PICTURE_ROWS = 240, CHANNELS = 3, SHARES = 50 };
#define FULL_HU 300.0F

static const struct plane_window soft_window = {-160.0, 240.0};

/* Of the voxels first ... first + n - 1; NAN: none is in the body. */
static double find_slice_mae(const struct evaluate_slices *slices, size_t first, size_t n)
{
    double sum = 0.0;
    size_t body = 0;
    for (size_t at = first; at < first + n; at++) {
        if (slices->mask[at] != 0) {
            sum +=
                fabs((double)slices->synthetic->voxel[at] - (double)slices->reference->voxel[at]);
            body++;
        }
    }
    return body > 0 ? sum / (double)body : (double)NAN;
}

int evaluate_slices_measure(struct evaluate_case *c, const struct evaluate_slices *slices,
                            struct sctd_error *err)
{
    const size_t plane = (size_t)c->dim[0] * (size_t)c->dim[1];
    double *mae = malloc((size_t)c->dim[2] * sizeof *mae);
    if (mae == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "errors of %d slices", c->dim[2]);
    }
    for (int32_t k = 0; k < c->dim[2]; k++) {
        mae[k] = find_slice_mae(slices, (size_t)k * plane, plane);
    }
    free(c->slice_mae);
    c->slice_mae = mae;
    return 0;
}

/* The worst slice that is not near one of those that are drawn; -1: there is none. */
static int32_t find_worst(const struct evaluate_case *c)
{
    int32_t worst = -1;
    for (int32_t k = 0; k < c->dim[2]; k++) {
        bool is_near = isnan(c->slice_mae[k]);
        for (size_t i = 0; i < c->n_pictures; i++) {
            const int32_t away = abs(k - c->picture[i].slice);
            is_near = is_near || away <= c->dim[2] / SHARES;
        }
        if (!is_near && (worst < 0 || c->slice_mae[k] > c->slice_mae[worst])) {
            worst = k;
        }
    }
    return worst;
}

static unsigned char fade(float share)
{
    return (unsigned char)lroundf(255.0F * fminf(fmaxf(1.0F - share, 0.0F), 1.0F));
}

static void colour(unsigned char *pixel, float difference)
{
    const float share = difference / FULL_HU;
    pixel[0] = fade(-share);
    pixel[1] = fade(fabsf(share));
    pixel[2] = fade(share);
}

struct drawing {
    struct resize_size from, to;
    float *reference, *synthetic; /* [to.rows, to.columns] */
    unsigned char *pixel;         /* [to.rows, 3 to.columns, CHANNELS] */
};

static void drawing_fini(struct drawing *d)
{
    free(d->reference);
    free(d->synthetic);
    free(d->pixel);
}

static int drawing_init(struct drawing *d, const struct evaluate_case *c, struct sctd_error *err)
{
    const double pixel_mm = c->dim[1] * c->step[1] / PICTURE_ROWS;
    d->from = (struct resize_size){c->dim[1], c->dim[0]};
    d->to = (struct resize_size){
        PICTURE_ROWS,
        (int32_t)fmin(fmax(round(c->dim[0] * c->step[0] / pixel_mm), 1.0), 4.0 * PICTURE_ROWS)};
    const size_t n = (size_t)d->to.rows * (size_t)d->to.columns;
    d->reference = malloc(n * sizeof(float));
    d->synthetic = malloc(n * sizeof(float));
    d->pixel = malloc(3 * n * CHANNELS);
    if (d->reference == NULL || d->synthetic == NULL || d->pixel == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "a picture of %zu pixels", n);
    }
    return 0;
}

static void paint(struct drawing *d)
{
    const size_t columns = (size_t)d->to.columns;
    for (size_t row = 0; row < (size_t)d->to.rows; row++) {
        unsigned char *line = d->pixel + row * 3 * columns * CHANNELS;
        for (size_t i = 0; i < columns; i++) {
            const float a = d->reference[row * columns + i];
            const float b = d->synthetic[row * columns + i];
            memset(line + i * CHANNELS, plane_shade(a, &soft_window), CHANNELS);
            memset(line + (columns + i) * CHANNELS, plane_shade(b, &soft_window), CHANNELS);
            colour(line + (2 * columns + i) * CHANNELS, b - a);
        }
    }
}

static int draw_slice(struct evaluate_case *c, struct drawing *d,
                      const struct evaluate_slices *slices, int32_t k, struct sctd_error *err)
{
    const size_t at = (size_t)k * (size_t)c->dim[0] * (size_t)c->dim[1];
    struct evaluate_picture *picture = &c->picture[c->n_pictures];
    int r = scale_run(d->reference, d->to, slices->reference->voxel + at, d->from, err);
    r = r < 0 ? r : scale_run(d->synthetic, d->to, slices->synthetic->voxel + at, d->from, err);
    if (r < 0) {
        return r;
    }
    paint(d);
    const struct picture image = {
        .width = 3 * d->to.columns, .height = d->to.rows, .channels = CHANNELS, .pixel = d->pixel};
    r = picture_encode(&picture->png, &picture->size, &image, err);
    if (r == 0) {
        picture->slice = k;
        c->n_pictures++;
    }
    return r;
}

int evaluate_slices_draw(struct evaluate_case *c, const struct evaluate_slices *slices,
                         struct sctd_error *err)
{
    sctd_auto(drawing_fini) struct drawing d = {.pixel = NULL};
    int r = drawing_init(&d, c, err);
    while (r == 0 && c->n_pictures < EVALUATE_WORST) {
        const int32_t worst = find_worst(c);
        if (worst < 0) {
            break;
        }
        r = draw_slice(c, &d, slices, worst, err);
    }
    return r;
}

/* Where a map does not reach is background. */
static int take_labels(uint16_t **ret_label, const struct volume *map, size_t n,
                       struct sctd_error *err)
{
    uint16_t *label = malloc(n * sizeof *label);
    if (label == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "labels of %zu voxels", n);
    }
    for (size_t i = 0; i < n; i++) {
        const float value = isnan(map->voxel[i]) ? 0.0F : map->voxel[i];
        if (!(value >= 0.0F && value <= (float)LABEL_METRICS_MAX) ||
            fabsf(value - truncf(value)) > 0.0F) {
            free(label);
            return sctd_error(err, SCTD_EDATA, "%g is no label: whole numbers from 0 to %d are",
                              (double)value, LABEL_METRICS_MAX);
        }
        label[i] = (uint16_t)value;
    }
    *ret_label = label;
    return 0;
}

int evaluate_slices_labels(struct evaluate_case *c, const struct volume *reference,
                           const struct volume *synthetic, struct sctd_error *err)
{
    const struct volume_grid *grid = &reference->grid;
    const size_t n = (size_t)grid->dim[0] * (size_t)grid->dim[1] * (size_t)grid->dim[2];
    uint16_t *a = NULL;
    uint16_t *b = NULL;
    int r = take_labels(&a, reference, n, err);
    r = r < 0 ? r : take_labels(&b, synthetic, n, err);
    if (r == 0) {
        const struct label_maps maps = {.reference = a,
                                        .synthetic = b,
                                        .dim = {grid->dim[0], grid->dim[1], grid->dim[2]},
                                        .step = {grid->step[0], grid->step[1], grid->step[2]}};
        r = label_metrics_find(&c->label, &c->n_labels, &maps, err);
    }
    free(a);
    free(b);
    return r;
}
