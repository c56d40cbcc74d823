/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/base/volume.h"
#include "server/preview.h"

#include "tests/support/temporary.h"

enum { MARK = 77 }; /* the shade of the markers below, which no letter has */

static const struct volume_grid axial = {
    .dim = {40, 30, 10},
    .step = {1.0, 1.0, 2.0},
    .origin = {-100.0, 50.0, 7.0},
    .axis = {{1.0, 0.0, 0.0}, {0.0, 1.0, 0.0}, {0.0, 0.0, 1.0}},
};

/* Whether voxel n lies between two corners. */
static bool lies_within(const struct volume_grid *grid, int n, const double low[3],
                        const double high[3])
{
    const int row = n / grid->dim[0];
    const int index[3] = {n % grid->dim[0], row % grid->dim[1], row / grid->dim[1]};
    bool in = true;
    for (int x = 0; x < 3; x++) {
        double mm = grid->origin[x];
        for (int a = 0; a < 3; a++) {
            mm += index[a] * grid->step[a] * grid->axis[a][x];
        }
        in = in && mm > low[x] && mm < high[x];
    }
    return in;
}

/* HU -1000, but for a box of the patient: the shade MARK in the window of soft tissue. */
static struct volume *made(const struct volume_grid *grid, const double low[3],
                           const double high[3])
{
    struct sctd_error err = {0};
    struct volume *v = NULL;
    assert(volume_new(&v, grid, &err) == 0);
    for (int n = 0; n < grid->dim[0] * grid->dim[1] * grid->dim[2]; n++) {
        v->voxel[n] =
            lies_within(grid, n, low, high) ? -160.0F + 400.0F * (float)MARK / 255.0F : -1000.0F;
    }
    return v;
}

struct box {
    int left, right, top, bottom, pixels;
};

static void add(struct box *box, int x, int y)
{
    box->left = x < box->left ? x : box->left;
    box->right = x > box->right ? x : box->right;
    box->top = y < box->top ? y : box->top;
    box->bottom = y > box->bottom ? y : box->bottom;
    box->pixels++;
}

/* Where the marker's shade is within the w x h pixels at x0, y0; from there. */
static struct box find(const struct preview_image *image, int x0, int y0, int w, int h)
{
    struct box box = {.left = w, .top = h};
    for (int n = 0; n < w * h; n++) {
        const int x = n % w;
        const int y = n / w;
        if (image->pixel[(y0 + y) * image->width + x0 + x] == MARK) {
            add(&box, x, y);
        }
    }
    return box;
}

/*
 * The box is 40 x 30 x 20 mm, so that a pixel is an eighth of a millimetre: planes of 320 x 240, 320 x 160
 * and 240 x 160.  Above the second row stand half a margin, a line, and the
 * first row: the highest plane, a line and two margins.
 */
enum { TOP = 13 + 20, ROW = 240 + 20 + 52, Y0 = TOP + ROW + 20 + 26 };

static const int left_of[3] = {26, 320 + 52 + 26, 2 * (320 + 52) + 26};
static const int width_of[3] = {320, 320, 240};
static const int height_of[3] = {240, 160, 160};

/* The marker of one plane in the row of soft tissue, from the plane's corner, in millimetres. */
static void check(const struct preview_image *image, int plane, const double expected[4])
{
    const int y0 = Y0 + (240 - height_of[plane]) / 2;
    const struct box box = find(image, left_of[plane], y0, width_of[plane], height_of[plane]);
    assert(box.pixels > 0);
    const int found[4] = {box.left, box.right + 1, box.top, box.bottom + 1};
    for (int i = 0; i < 4; i++) {
        const double mm = found[i] / 8.0;
        assert(mm > expected[i] - 1.1 && mm < expected[i] + 1.1); /* a voxel's slope */
    }
}

static void check_grid(const struct volume_grid *grid)
{
    /* A bar through the middle plane, at the patient's left, in front, towards the head. */
    struct sctd_error err = {0};
    const double low[3][3] = {{-75.0, 52.0, -1e9}, {-75.0, -1e9, 18.0}, {-1e9, 52.0, 18.0}};
    const double high[3][3] = {{-65.0, 60.0, 1e9}, {-65.0, 1e9, 24.0}, {1e9, 60.0, 24.0}};
    /* from the patient's right, from the front, from the head */
    const double expected[3][4] = {
        {25.5, 35.5, 2.5, 10.5}, {25.5, 35.5, 2.0, 8.0}, {2.5, 10.5, 2.0, 8.0}};
    for (int plane = 0; plane < 3; plane++) {
        sctd_auto(preview_freep) struct preview *preview = NULL;
        sctd_auto(preview_image_fini) struct preview_image image = {0};
        sctd_auto(volume_freep) struct volume *v = made(grid, low[plane], high[plane]);
        assert(preview_new(&preview, grid, &err) == 0);
        assert(preview_take_sct(preview, v, &err) == 0);
        assert(preview_take_source(preview, v, &err) == 0);
        assert(preview_draw(&image, preview, NULL, 0, &err) == 0);
        assert(image.width == 2 * (320 + 52) + 240 + 52);
        check(&image, plane, expected[plane]);
    }
}

static void planes_stand_as_radiologists_see_them(void)
{
    check_grid(&axial);
}

static void planes_do_not_depend_on_how_the_source_is_stored(void)
{
    /* The same box, sagittal, from left to right, its columns upwards. */
    const struct volume_grid sagittal = {
        .dim = {30, 10, 40},
        .step = {1.0, 2.0, 1.0},
        .origin = {-61.0, 50.0, 7.0},
        .axis = {{0.0, 1.0, 0.0}, {0.0, 0.0, 1.0}, {-1.0, 0.0, 0.0}},
    };
    check_grid(&sagittal);
}

static void source_without_contrast_is_drawn(void)
{
    struct sctd_error err = {0};
    sctd_auto(preview_freep) struct preview *preview = NULL;
    sctd_auto(preview_image_fini) struct preview_image image = {0};
    sctd_auto(volume_freep) struct volume *v = NULL;
    assert(volume_new(&v, &axial, &err) == 0);
    assert(preview_new(&preview, &axial, &err) == 0);
    assert(preview_take_source(preview, v, &err) == 0);
    assert(preview_draw(&image, preview, NULL, 0, &err) == 0);
}

static int32_t big_endian(const unsigned char *b)
{
    return b[0] << 24 | b[1] << 16 | b[2] << 8 | b[3];
}

/* The PNG specification, 5.2 and 11.2.2: signature, header; the last chunk. */
static void check_png(const char *path, int32_t width, int32_t height)
{
    static unsigned char bytes[1 << 20];
    FILE *file = fopen(path, "rb");
    assert(file != NULL);
    const size_t n = fread(bytes, 1, sizeof bytes, file);
    assert(fclose(file) == 0 && n > 57);
    assert(memcmp(bytes, "\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16) == 0);
    assert(big_endian(bytes + 16) == width && big_endian(bytes + 20) == height);
    assert(memcmp(bytes + 24, "\x08\0\0\0\0", 5) == 0); /* eight bits of grey */
    assert(memcmp(bytes + n - 8, "IEND", 4) == 0);
}

static void picture_is_a_png_of_the_size_drawn(void)
{
    struct sctd_error err = {0};
    char path[] = TEMPORARY("sctd-preview");
    const int fd = mkstemp(path);
    assert(fd >= 0 && close(fd) == 0);
    const char *const title[1] = {"model head@1"};
    sctd_auto(preview_freep) struct preview *preview = NULL;
    sctd_auto(preview_image_fini) struct preview_image image = {0};
    assert(preview_new(&preview, &axial, &err) == 0);
    assert(preview_draw(&image, preview, title, 1, &err) == 0);
    assert(preview_write(preview, path, title, 1, &err) == 0);
    check_png(path, image.width, image.height);
    assert(unlink(path) == 0);
    assert(preview_write(preview, "/nowhere/at/all.png", title, 1, &err) == SCTD_EIO);
}

static void picture_grows_for_a_long_title_and_not_without_end(void)
{
    struct sctd_error err = {0};
    char line[200];
    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = '\0';
    const char *const title[1] = {line};
    sctd_auto(preview_freep) struct preview *preview = NULL;
    sctd_auto(preview_image_fini) struct preview_image image = {0};
    assert(preview_new(&preview, &axial, &err) == 0);
    assert(preview_draw(&image, preview, title, 1, &err) == 0);
    assert(image.width >= 80 * 12 && image.width < 90 * 12 + 320);
}

int main(void)
{
    planes_stand_as_radiologists_see_them();
    planes_do_not_depend_on_how_the_source_is_stored();
    source_without_contrast_is_drawn();
    picture_is_a_png_of_the_size_drawn();
    picture_grows_for_a_long_title_and_not_without_end();
    return 0;
}
