/* SPDX-License-Identifier: Apache-2.0 */
#include "server/view_draw.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/volume.h"
#include "engine/engine.h"
#include "server/picture.h"
#include "server/plane.h"
#include "server/view_messages.h"
#include "server/view_scene.h"

/* Of the outline: seen on every grey, and by those who see no red or no green. */
static const unsigned char amber[3] = {255, 176, 0};

struct drawing {
    const struct view_scene *scene;
    const struct plane *plane;
    int32_t slice;
    struct resize_size size;    /* of the picture */
    float *value[VIEW_VOLUMES]; /* [size], owned; NULL: not wanted */
    bool *is_on;                /* [size], owned: the outline */
    unsigned char *pixel;       /* [size, channels], owned */
    struct plane_window window;
};

static void drawing_fini(struct drawing *d)
{
    free(d->value[VIEW_SOURCE]);
    free(d->value[VIEW_SCT]);
    free(d->is_on);
    free(d->pixel);
}

static int say_no(struct view_no *ret_no, bool is_absent, const char *reason)
{
    ret_no->is_absent = is_absent;
    (void)snprintf(ret_no->reason, sizeof ret_no->reason, "%s", reason);
    return VIEW_DRAW_NO;
}

/* Which volume an image needs; the overlay both. */
static bool needs(enum view_image image, int volume)
{
    return image == VIEW_OVERLAY || (int)image == volume;
}

static int find_slice(struct drawing *d, struct view_no *ret_no, const struct view_request *request)
{
    const struct view_facts *facts = &d->scene->facts;
    for (int i = 0; i < VIEW_VOLUMES; i++) {
        if (needs((enum view_image)request->image, i) && d->scene->volume[i] == NULL) {
            return say_no(ret_no, false, facts->image[i].reason);
        }
    }
    const int32_t slices = facts->plane[request->plane].slices;
    d->slice = request->slice == VIEW_MIDDLE ? slices / 2 : request->slice;
    if (d->slice >= slices) {
        char reason[VIEW_REASON_SIZE];
        (void)snprintf(reason, sizeof reason, "slice %d: the %s slices are 0 to %d", d->slice,
                       d->plane->name, slices - 1);
        return say_no(ret_no, true, reason);
    }
    return 0;
}

/* As large as it is, or as the limits allow. */
static void find_size(struct drawing *d, const struct view_request *request)
{
    const struct view_plane_facts *facts = &d->scene->facts.plane[request->plane];
    const double width = request->max_width > 0 ? request->max_width : VIEW_SIZE_MAX;
    const double height = request->max_height > 0 ? request->max_height : VIEW_SIZE_MAX;
    const double scale = fmin(fmin(width / facts->width, height / facts->height), 1.0);
    d->size.columns = (int32_t)fmin(fmax(round(facts->width * scale), 1.0), width);
    d->size.rows = (int32_t)fmin(fmax(round(facts->height * scale), 1.0), height);
}

/* slice [rows, columns], as it is seen. */
static void cut(float *slice, const struct volume *volume, const struct plane *plane, int32_t at)
{
    const int32_t *dim = volume->grid.dim;
    const size_t stride[3] = {1, (size_t)dim[0], (size_t)dim[0] * (size_t)dim[1]};
    const int32_t rows = dim[plane->down];
    const float *from = volume->voxel + (size_t)at * stride[plane_through(plane)];
    for (int32_t row = 0; row < rows; row++) {
        const int32_t down = plane->down_sign > 0.0 ? row : rows - 1 - row;
        const float *line = from + (size_t)down * stride[plane->down];
        for (int32_t column = 0; column < dim[plane->right]; column++) {
            *slice++ = line[(size_t)column * stride[plane->right]];
        }
    }
}

static int take_values(struct drawing *d, int i, struct sctd_error *err)
{
    const struct volume *volume = d->scene->volume[i];
    const struct resize_size from = {volume->grid.dim[d->plane->down],
                                     volume->grid.dim[d->plane->right]};
    float *slice = malloc((size_t)from.rows * (size_t)from.columns * sizeof *slice);
    d->value[i] = malloc((size_t)d->size.rows * (size_t)d->size.columns * sizeof *d->value[i]);
    if (slice == NULL || d->value[i] == NULL) {
        free(slice);
        return sctd_error(err, SCTD_ENOMEM, "a slice of %d x %d", from.columns, from.rows);
    }
    cut(slice, volume, d->plane, d->slice);
    int r = scale_run(d->value[i], d->size, slice, from, err);
    free(slice);
    return r;
}

static void find_window(struct drawing *d, const struct view_request *request)
{
    const int image = request->image == VIEW_SCT ? VIEW_SCT : VIEW_SOURCE;
    const struct view_image_facts *facts = &d->scene->facts.image[image];
    const bool is_given = request->width > 0.0;
    const double centre = is_given ? request->centre : facts->centre;
    const double half = (is_given ? request->width : facts->width) * 0.5;
    d->window = (struct plane_window){centre - half, centre + half};
}

static int shade(struct drawing *d, int image, int32_t channels, struct sctd_error *err)
{
    const float *value = d->value[image];
    const size_t n = (size_t)d->size.rows * (size_t)d->size.columns;
    d->pixel = malloc(n * (size_t)channels);
    if (value == NULL || d->pixel == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "a picture of %zu pixels", n);
    }
    for (size_t i = 0; i < n; i++) {
        memset(d->pixel + i * (size_t)channels, plane_shade(value[i], &d->window),
               (size_t)channels);
    }
    return 0;
}

static int draw_outline(struct drawing *d, struct sctd_error *err)
{
    const size_t n = (size_t)d->size.rows * (size_t)d->size.columns;
    d->is_on = malloc(n * sizeof *d->is_on);
    if (d->is_on == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "an outline of %zu pixels", n);
    }
    int r = outline_find(d->is_on, d->value[VIEW_SCT], d->size, OUTLINE_BODY_HU, err);
    for (size_t i = 0; r == 0 && i < n; i++) {
        if (d->is_on[i]) {
            memcpy(d->pixel + i * sizeof amber, amber, sizeof amber);
        }
    }
    return r;
}

int view_draw(struct view_drawing *ret_drawing, struct view_no *ret_no,
              const struct view_scene *scene, const struct view_request *request,
              struct sctd_error *err)
{
    sctd_auto(drawing_fini) struct drawing d = {.scene = scene,
                                                .plane = &plane_views[request->plane]};
    const bool is_overlay = request->image == VIEW_OVERLAY;
    int r = find_slice(&d, ret_no, request);
    if (r != 0) {
        return r;
    }
    find_size(&d, request);
    find_window(&d, request);
    for (int i = 0; r == 0 && i < VIEW_VOLUMES; i++) {
        if (needs((enum view_image)request->image, i)) {
            r = take_values(&d, i, err);
        }
    }
    if (r == 0) {
        r = shade(&d, request->image == VIEW_SCT ? VIEW_SCT : VIEW_SOURCE, is_overlay ? 3 : 1, err);
    }
    if (r == 0 && is_overlay) {
        r = draw_outline(&d, err);
    }
    if (r < 0) {
        return r;
    }
    const struct picture picture = {d.size.columns, d.size.rows, is_overlay ? 3 : 1, d.pixel};
    struct view_drawing drawing = {.width = d.size.columns, .height = d.size.rows};
    r = picture_encode(&drawing.png, &drawing.size, &picture, err);
    if (r == 0) {
        *ret_drawing = drawing;
    }
    return r;
}

/* Histograms */

static void count_volume(struct view_histogram *h, int i, const struct volume *volume)
{
    const int32_t *dim = volume->grid.dim;
    const size_t n = (size_t)dim[0] * (size_t)dim[1] * (size_t)dim[2];
    const double low = h->low[i];
    const double high = h->high[i];
    const double per_value = h->bins / (high - low);
    for (size_t k = 0; k < n; k++) {
        const double value = (double)volume->voxel[k];
        if (value < low) {
            h->below[i]++;
        } else if (value > high) {
            h->above[i]++;
        } else {
            const int32_t bin = (int32_t)((value - low) * per_value);
            h->count[i][bin < h->bins ? bin : h->bins - 1]++;
        }
    }
}

void view_draw_histogram(struct view_histogram *ret_histogram, const struct view_scene *scene,
                         int32_t bins)
{
    memset(ret_histogram, 0, sizeof *ret_histogram);
    ret_histogram->bins = bins;
    for (int i = 0; i < VIEW_VOLUMES; i++) {
        const struct view_image_facts *facts = &scene->facts.image[i];
        ret_histogram->low[i] = NAN;
        ret_histogram->high[i] = NAN;
        if (scene->volume[i] != NULL) {
            ret_histogram->low[i] = facts->is_hu ? -1024.0 : facts->low;
            ret_histogram->high[i] = facts->is_hu ? 3072.0 : fmax(facts->high, facts->low + 1.0);
            count_volume(ret_histogram, i, scene->volume[i]);
        }
    }
}
