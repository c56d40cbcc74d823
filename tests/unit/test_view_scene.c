/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/volume.h"
#include "server/view.h"
#include "server/view_scene.h"

#include "tests/support/view_series.h"

static struct sctd_error err;
static struct view_series series;

static void source_and_sct_lie_on_one_grid_as_they_are(void)
{
    struct view_scene scene;
    assert(view_scene_load(&scene, &series.files, &err) == 0);
    for (int n = 0; n < VIEW_VOXELS; n++) {
        assert(fabsf(scene.volume[VIEW_SOURCE]->voxel[n] - 10.0F * (float)n) < 0.5F);
        assert(fabsf(scene.volume[VIEW_SCT]->voxel[n] - (float)(n - 30)) < 0.5F);
    }
    assert(strcmp(scene.facts.modality, "MR") == 0 && !scene.facts.is_resampled);
    assert(!scene.facts.image[VIEW_SOURCE].is_hu && scene.facts.image[VIEW_SCT].is_hu);
    view_scene_fini(&scene);
}

/* Voxels of 1 x 2 x 3 mm: the finer of a plane's two steps is its pixel. */
static void planes_have_square_pixels_and_all_slices(void)
{
    static const struct view_plane_facts want[VIEW_PLANES] = {
        {5, 3.0, 3, 8, 1.0}, {4, 2.0, 3, 15, 1.0}, {3, 1.0, 4, 8, 2.0}};
    struct view_scene scene;
    assert(view_scene_load(&scene, &series.files, &err) == 0);
    for (int p = 0; p < VIEW_PLANES; p++) {
        const struct view_plane_facts *is = &scene.facts.plane[p];
        assert(is->slices == want[p].slices && is->width == want[p].width);
        assert(is->height == want[p].height && fabs(is->slice_mm - want[p].slice_mm) < 1e-6);
        assert(fabs(is->pixel_mm - want[p].pixel_mm) < 1e-6);
    }
    view_scene_fini(&scene);
}

static void why_one_is_not_there_is_a_fact(void)
{
    static const char *const nowhere = "/nonexistent/sctd";
    struct view_scene scene;
    struct view_files files = series.files;
    files.source = &nowhere;
    files.n_sct = 0;
    assert(view_scene_load(&scene, &files, &err) == 0);
    for (int i = 0; i < VIEW_VOLUMES; i++) {
        assert(!scene.facts.image[i].is_there && scene.facts.image[i].reason[0] != '\0');
        assert(scene.volume[i] == NULL);
    }
    files = series.files;
    files.parameters = "{}";
    assert(view_scene_load(&scene, &files, &err) == 0);
    assert(!scene.facts.image[VIEW_SOURCE].is_there && scene.facts.image[VIEW_SCT].is_there);
    assert(strstr(scene.facts.image[VIEW_SOURCE].reason, "parameters") != NULL);
    assert(scene.facts.plane[VIEW_AXIAL].slices == VIEW_DZ);
    view_scene_fini(&scene);
}

int main(void)
{
    view_series_make(&series);
    source_and_sct_lie_on_one_grid_as_they_are();
    planes_have_square_pixels_and_all_slices();
    why_one_is_not_there_is_a_fact();
    view_series_remove(&series);
    return 0;
}
