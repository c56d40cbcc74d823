/* SPDX-License-Identifier: Apache-2.0 */
#include "server/preview.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/volume.h"
#include "engine/engine.h"
#include "server/font.h"
#include "server/picture.h"
#include "server/plane.h"

enum {
    LONGEST = 320,  /* pixels of the longest side of the source */
    MARGIN = 26,    /* around a plane, for its letters */
    SCALE = 2,      /* of the letters */
    TITLE_MAX = 80, /* letters of a line that the picture grows for */
    LINE = 20,      /* from one line of text to the next */
    GREY = 150,
};

struct preview {
    struct volume_grid plane[PLANES];
    float *source[PLANES], *sct[PLANES]; /* [rows, columns] of the plane; NaN: outside */
};

/* Cutting */

/* The box along the patient's axes that holds the grid, to the faces of its voxels. */
static void find_box(double low[3], double high[3], const struct volume_grid *grid)
{
    for (int x = 0; x < 3; x++) {
        double middle = grid->origin[x];
        double half = 0.0;
        for (int a = 0; a < 3; a++) {
            const double step = grid->step[a] * grid->axis[a][x];
            middle += step * (grid->dim[a] - 1) * 0.5;
            half += fabs(step) * grid->dim[a] * 0.5;
        }
        low[x] = middle - half;
        high[x] = middle + half;
    }
}

static void make_plane(struct volume_grid *ret_grid, const struct plane *view, const double low[3],
                       const double high[3], double pixel_mm)
{
    struct volume_grid grid = {.step = {pixel_mm, pixel_mm, pixel_mm}};
    const int along[2] = {view->right, view->down};
    for (int x = 0; x < 3; x++) {
        grid.origin[x] = (low[x] + high[x]) * 0.5;
    }
    for (int a = 0; a < 2; a++) {
        const int x = along[a];
        const double sign = a == 0 ? 1.0 : view->down_sign;
        const double pixels = ceil((high[x] - low[x]) / pixel_mm - 1e-6);
        grid.dim[a] = (int32_t)fmin(fmax(pixels, 1.0), LONGEST);
        grid.axis[a][x] = sign;
        grid.origin[x] -= sign * pixel_mm * (grid.dim[a] - 1) * 0.5;
    }
    grid.dim[2] = 1;
    grid.axis[2][plane_through(view)] = 1.0;
    *ret_grid = grid;
}

static size_t count_pixels(const struct volume_grid *plane)
{
    return (size_t)plane->dim[0] * (size_t)plane->dim[1];
}

int preview_new(struct preview **ret_preview, const struct volume_grid *source,
                struct sctd_error *err)
{
    sctd_auto(preview_freep) struct preview *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "preview");
    }
    double low[3];
    double high[3];
    find_box(low, high, source);
    const double longest = fmax(fmax(high[0] - low[0], high[1] - low[1]), high[2] - low[2]);
    for (int v = 0; v < PLANES; v++) {
        make_plane(&p->plane[v], &plane_views[v], low, high, longest / LONGEST);
        const size_t n = count_pixels(&p->plane[v]);
        p->source[v] = malloc(n * sizeof(float));
        p->sct[v] = malloc(n * sizeof(float));
        if (p->source[v] == NULL || p->sct[v] == NULL) {
            return sctd_error(err, SCTD_ENOMEM, "preview of %zu pixels", n);
        }
        for (size_t i = 0; i < n; i++) {
            p->source[v][i] = NAN;
            p->sct[v][i] = NAN;
        }
    }
    *ret_preview = sctd_steal(&p);
    return 0;
}

void preview_free(struct preview *preview)
{
    if (preview == NULL) {
        return;
    }
    for (int v = 0; v < PLANES; v++) {
        free(preview->source[v]);
        free(preview->sct[v]);
    }
    free(preview);
}

static int cut(float *const to[PLANES], const struct preview *preview, const struct volume *volume,
               struct sctd_error *err)
{
    int r = 0;
    for (int v = 0; r == 0 && v < PLANES; v++) {
        r = resample_run(to[v], &preview->plane[v], volume, NAN, err);
    }
    return r;
}

int preview_take_source(struct preview *preview, const struct volume *source,
                        struct sctd_error *err)
{
    return cut(preview->source, preview, source, err);
}

int preview_take_sct(struct preview *preview, const struct volume *sct, struct sctd_error *err)
{
    return cut(preview->sct, preview, sct, err);
}

/* Drawing */

void preview_image_fini(struct preview_image *image)
{
    free(image->pixel);
    *image = (struct preview_image){0};
}

static void draw_dot(struct preview_image *image, int32_t x, int32_t y, unsigned char value)
{
    if (x >= 0 && x < image->width && y >= 0 && y < image->height) {
        image->pixel[(size_t)y * (size_t)image->width + (size_t)x] = value;
    }
}

static void draw_letter(struct preview_image *image, int32_t x, int32_t y, char letter,
                        unsigned char value)
{
    enum { WIDTH = FONT_WIDTH * SCALE, HEIGHT = FONT_HEIGHT * SCALE };
    for (int32_t i = 0; i < WIDTH * HEIGHT; i++) {
        const int32_t column = i % WIDTH;
        const int32_t row = i / WIDTH;
        if (font_has_dot(letter, column / SCALE, row / SCALE)) {
            draw_dot(image, x + column, y + row, value);
        }
    }
}

static void draw_text(struct preview_image *image, int32_t x, int32_t y, const char *text,
                      unsigned char value)
{
    for (int32_t i = 0; text[i] != '\0' && i < image->width; i++) {
        draw_letter(image, x + i * FONT_ADVANCE * SCALE, y, text[i], value);
    }
}

struct place {
    int32_t x, y;
};

static void draw_plane(struct preview_image *image, struct place at,
                       const struct volume_grid *plane, const float *value,
                       const struct plane_window *window)
{
    for (int32_t row = 0; row < plane->dim[1]; row++) {
        for (int32_t column = 0; column < plane->dim[0]; column++) {
            draw_dot(image, at.x + column, at.y + row, plane_shade(*value++, window));
        }
    }
}

/* Letters outside the plane, in the middle of its edges. */
static void draw_letters(struct preview_image *image, struct place at,
                         const struct volume_grid *plane, const struct plane *view)
{
    const int32_t w = FONT_WIDTH * SCALE;
    const int32_t h = FONT_HEIGHT * SCALE;
    const int32_t gap = (MARGIN - h) / 2;
    const int32_t x = at.x + (plane->dim[0] - w) / 2;
    const int32_t y = at.y + (plane->dim[1] - h) / 2;
    draw_letter(image, at.x - gap - w, y, view->left, PLANE_WHITE);
    draw_letter(image, at.x + plane->dim[0] + gap, y, view->end, PLANE_WHITE);
    draw_letter(image, x, at.y - gap - h, view->top, PLANE_WHITE);
    draw_letter(image, x, at.y + plane->dim[1] + gap, view->bottom, PLANE_WHITE);
}

/* The 1st and the 99th percentile of what the planes show of the source. */
static int find_window(struct plane_window *ret_window, const struct preview *preview,
                       struct sctd_error *err)
{
    size_t n = 0;
    for (int v = 0; v < PLANES; v++) {
        n += count_pixels(&preview->plane[v]);
    }
    float *shown = malloc(n * sizeof *shown);
    if (shown == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "preview of %zu pixels", n);
    }
    n = 0;
    for (int v = 0; v < PLANES; v++) {
        for (size_t i = 0; i < count_pixels(&preview->plane[v]); i++) {
            shown[n] = preview->source[v][i];
            n += isfinite(shown[n]) ? 1 : 0;
        }
    }
    double found[2] = {0.0, 1.0};
    const double percent[2] = {1.0, 99.0};
    int r = n == 0 ? 0 : percentile_find(found, percent, shown, n, err);
    free(shown);
    if (r == 0) {
        *ret_window = (struct plane_window){found[0], fmax(found[1], found[0] + 1e-6)};
    }
    return r;
}

/* Where the planes stand: one column for each, as wide as it; rows as high as the highest. */
struct layout {
    int32_t x[PLANES], width, top, row_height, height;
};

static void lay_out(struct layout *ret_layout, const struct preview *preview,
                    const char *const *title, size_t n)
{
    struct layout l = {.top = MARGIN / 2 + (int32_t)n * LINE};
    for (int v = 0; v < PLANES; v++) {
        const int32_t *dim = preview->plane[v].dim;
        const int32_t name = (int32_t)strlen(plane_views[v].name) * FONT_ADVANCE * SCALE;
        l.x[v] = l.width + MARGIN;
        l.width += (dim[0] > name ? dim[0] : name) + 2 * MARGIN;
        l.row_height = dim[1] > l.row_height ? dim[1] : l.row_height;
    }
    for (size_t i = 0; i < n; i++) {
        const int32_t length = (int32_t)strnlen(title[i], TITLE_MAX);
        const int32_t width = length * FONT_ADVANCE * SCALE + MARGIN;
        l.width = width > l.width ? width : l.width;
    }
    l.row_height += LINE + 2 * MARGIN;
    l.height = l.top + LINE + PLANES * l.row_height;
    *ret_layout = l;
}

static void draw_row(struct preview_image *image, const struct preview *preview,
                     const struct layout *l, int32_t y, float *const value[PLANES],
                     const struct plane_window *window)
{
    for (int v = 0; v < PLANES; v++) {
        const struct volume_grid *plane = &preview->plane[v];
        const int32_t room = l->row_height - LINE - 2 * MARGIN - plane->dim[1];
        const struct place at = {l->x[v], y + LINE + MARGIN + room / 2};
        draw_plane(image, at, plane, value[v], window);
        draw_letters(image, at, plane, &plane_views[v]);
    }
}

int preview_draw(struct preview_image *ret_image, const struct preview *preview,
                 const char *const *title, size_t n, struct sctd_error *err)
{
    static const char *const names[3] = {"source, percentiles 1 to 99",
                                         "sCT, soft tissue: centre 40, width 400 HU",
                                         "sCT, bone: centre 500, width 2000 HU"};
    struct plane_window windows[3] = {{0.0, 1.0}, {-160.0, 240.0}, {-500.0, 1500.0}};
    int r = find_window(&windows[0], preview, err);
    if (r < 0) {
        return r;
    }
    struct layout l;
    lay_out(&l, preview, title, n);
    sctd_auto(preview_image_fini) struct preview_image image = {.width = l.width,
                                                                .height = l.height};
    image.pixel = calloc((size_t)l.width * (size_t)l.height, 1);
    if (image.pixel == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "preview of %d x %d", l.width, l.height);
    }
    for (size_t i = 0; i < n; i++) {
        draw_text(&image, MARGIN / 2, MARGIN / 2 + (int32_t)i * LINE, title[i], PLANE_WHITE);
    }
    for (int v = 0; v < PLANES; v++) {
        draw_text(&image, l.x[v], l.top + LINE / 4, plane_views[v].name, GREY);
    }
    for (int row = 0; row < 3; row++) {
        const int32_t y = l.top + LINE + row * l.row_height;
        draw_text(&image, MARGIN / 2, y + LINE / 4, names[row], GREY);
        draw_row(&image, preview, &l, y, row == 0 ? preview->source : preview->sct, &windows[row]);
    }
    *ret_image = image;
    image = (struct preview_image){0};
    return 0;
}

/* Writing */

int preview_write(const struct preview *preview, const char *path, const char *const *title,
                  size_t n, struct sctd_error *err)
{
    sctd_auto(preview_image_fini) struct preview_image image = {0};
    unsigned char *bytes = NULL;
    size_t size = 0;
    int r = preview_draw(&image, preview, title, n, err);
    if (r == 0) {
        const struct picture picture = {image.width, image.height, 1, image.pixel};
        r = picture_encode(&bytes, &size, &picture, err);
    }
    if (r == 0) {
        r = sctd_file_replace(path, bytes, size, err);
    }
    free(bytes);
    return r;
}
