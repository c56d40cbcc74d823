/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <png.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/volume.h"
#include "server/view.h"
#include "server/view_draw.h"
#include "server/view_messages.h"
#include "server/view_scene.h"

enum { DX = 5, DY = 4, DZ = 3, PIXELS_MAX = 64 };

static struct sctd_error err;

/* Voxel (x, y, z) has 100 z + 10 y + x; one of each plane is as its pictures are, since the steps are equal. */
static struct view_scene make_scene(bool has_sct)
{
    const struct volume_grid grid = {
        .dim = {DX, DY, DZ},
        .step = {2.0, 2.0, 2.0},
        .axis = {{1.0, 0.0, 0.0}, {0.0, 1.0, 0.0}, {0.0, 0.0, 1.0}},
    };
    struct view_scene scene = {.facts = {.modality = "MR"}};
    for (int i = 0; i < (has_sct ? VIEW_VOLUMES : 1); i++) {
        assert(volume_new(&scene.volume[i], &grid, &err) == 0);
        for (int n = 0; n < DX * DY * DZ; n++) {
            const int z = n / (DX * DY);
            const int y = n / DX % DY;
            scene.volume[i]->voxel[n] = (float)(100 * z + 10 * y + n % DX);
        }
        scene.facts.image[i] = (struct view_image_facts){
            .is_there = true, .low = 0, .high = 234, .centre = 127.5, .width = 255};
    }
    scene.facts.plane[VIEW_AXIAL] = (struct view_plane_facts){DZ, 2.0, DX, DY, 2.0};
    scene.facts.plane[VIEW_CORONAL] = (struct view_plane_facts){DY, 2.0, DX, DZ, 2.0};
    scene.facts.plane[VIEW_SAGITTAL] = (struct view_plane_facts){DX, 2.0, DY, DZ, 2.0};
    return scene;
}

/* pixel [height, width, channels], decoded by libpng. */
static void draw(unsigned char *pixel, const struct view_scene *scene,
                 const struct view_request *request, bool is_grey)
{
    struct view_drawing drawing = {.png = NULL};
    struct view_no no;
    png_image png = {.version = PNG_IMAGE_VERSION};
    assert(view_draw(&drawing, &no, scene, request, &err) == 0);
    assert(png_image_begin_read_from_memory(&png, drawing.png, drawing.size) != 0);
    assert(png.format == (is_grey ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB));
    assert((int32_t)png.width == drawing.width && (int32_t)png.height == drawing.height);
    assert(PNG_IMAGE_SIZE(png) <= PIXELS_MAX);
    assert(png_image_finish_read(&png, NULL, pixel, 0, NULL) != 0);
    free(drawing.png);
}

/* The first rows and the last of middle slices, by hand. */
static void each_plane_is_seen_from_its_side(void)
{
    static const struct {
        int32_t plane; /* enum view_plane */
        int32_t slice;
        unsigned char first[2], last; /* the first row's first two pixels, the last pixel */
    } cases[] = {
        {VIEW_AXIAL, 1, {100, 101}, 134},   /* right to left, front to back */
        {VIEW_CORONAL, 2, {220, 221}, 24},  /* right to left, head to feet */
        {VIEW_SAGITTAL, 3, {203, 213}, 33}, /* front to back, head to feet */
        {VIEW_AXIAL, VIEW_MIDDLE, {100, 101}, 134},
    };
    struct view_scene scene = make_scene(false);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct view_plane_facts *facts = &scene.facts.plane[cases[i].plane];
        unsigned char pixel[PIXELS_MAX];
        const struct view_request request = {.plane = cases[i].plane, .slice = cases[i].slice};
        draw(pixel, &scene, &request, true);
        assert(memcmp(pixel, cases[i].first, 2) == 0);
        assert(pixel[facts->width * facts->height - 1] == cases[i].last);
    }
    view_scene_fini(&scene);
}

static void a_window_is_linear_between_its_ends(void)
{
    struct view_scene scene = make_scene(false);
    unsigned char pixel[PIXELS_MAX];
    const struct view_request request = {.plane = VIEW_AXIAL, .centre = 12.0, .width = 20.0};
    draw(pixel, &scene, &request, true); /* black at 2, white at 22 */
    static const unsigned char row[DX] = {0, 0, 0, 13, 26};
    assert(memcmp(pixel, row, DX) == 0 && pixel[DX] == 102 && pixel[(2 * DX) + 2] == 255);
    view_scene_fini(&scene);
}

static void what_is_missing_is_said(void)
{
    struct view_scene scene = make_scene(false);
    struct view_drawing drawing = {.png = NULL};
    struct view_no no = {.is_absent = true};
    struct view_request request = {.image = VIEW_OVERLAY};
    (void)strcpy(scene.facts.image[VIEW_SCT].reason, "not yet");
    assert(view_draw(&drawing, &no, &scene, &request, &err) == VIEW_DRAW_NO);
    assert(!no.is_absent && strcmp(no.reason, "not yet") == 0);
    request = (struct view_request){.plane = VIEW_CORONAL, .slice = DY};
    assert(view_draw(&drawing, &no, &scene, &request, &err) == VIEW_DRAW_NO);
    assert(no.is_absent && strcmp(no.reason, "slice 4: the coronal slices are 0 to 3") == 0);
    assert(drawing.png == NULL);
    view_scene_fini(&scene);
}

static void an_outline_lies_on_the_source(void)
{
    static const unsigned char amber[3] = {255, 176, 0};
    struct view_scene scene = make_scene(true);
    unsigned char pixel[PIXELS_MAX];
    const struct view_request request = {.image = VIEW_OVERLAY, .plane = VIEW_AXIAL, .slice = 0};
    for (int n = 0; n < DX * DY; n++) { /* a body of 3 x 2 voxels in air */
        const bool is_body = n % DX >= 1 && n % DX <= 3 && (n / DX == 1 || n / DX == 2);
        scene.volume[VIEW_SCT]->voxel[n] = is_body ? 0.0F : -1000.0F;
    }
    draw(pixel, &scene, &request, false);
    for (int n = 0; n < DX * DY; n++) {
        const bool is_body = n % DX >= 1 && n % DX <= 3 && (n / DX == 1 || n / DX == 2);
        const unsigned char grey = (unsigned char)(10 * (n / DX) + n % DX);
        const unsigned char source[3] = {grey, grey, grey};
        assert(memcmp(pixel + (ptrdiff_t)3 * n, is_body ? amber : source, 3) == 0);
    }
    view_scene_fini(&scene);
}

static void a_histogram_counts_each_voxel_once(void)
{
    static struct view_histogram h;
    struct view_scene scene = make_scene(false);
    view_draw_histogram(&h, &scene, 3); /* 0 to 234: bins of 78 */
    assert(h.bins == 3 && h.count[0][0] == 20 && h.count[0][1] == 20 && h.count[0][2] == 20);
    assert(h.below[0] == 0 && h.above[0] == 0 && isnan(h.low[1]) && h.count[1][0] == 0);
    scene.facts.image[0].is_hu = true;
    scene.volume[0]->voxel[0] = -1024.5F;
    scene.volume[0]->voxel[1] = 3072.0F;
    scene.volume[0]->voxel[2] = 3072.5F;
    view_draw_histogram(&h, &scene, 2);
    assert(h.below[0] == 1 && h.above[0] == 1 && h.count[0][0] == 57 && h.count[0][1] == 1);
    view_scene_fini(&scene);
}

int main(void)
{
    each_plane_is_seen_from_its_side();
    a_window_is_linear_between_its_ends();
    what_is_missing_is_said();
    an_outline_lies_on_the_source();
    a_histogram_counts_each_voxel_once();
    return 0;
}
