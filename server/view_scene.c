/* SPDX-License-Identifier: Apache-2.0 */
#include "server/view_scene.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "dicom/series.h"
#include "engine/base/error.h"
#include "engine/base/utf8.h"
#include "engine/base/volume.h"
#include "engine/engine.h"
#include "server/convert.h"
#include "server/parameters.h"
#include "server/plane.h"
#include "server/view_messages.h"

/* An order of axes exists up to here; beyond, a plane shown as axial would be nearer to another one. */
#define TILT_MAX 45.0
#define AIR      (-1024.0F)
/* Two grids are one if no corner is farther off than this. */
#define SAME_MM 0.01

/* One volume on its way into the scene. */
struct reading {
    enum view_image image;
    const char *const *path;
    size_t n;
    struct dicom_scan *scan;
    struct dicom_series *series;
    struct volume *volume;
};

static void reading_fini(struct reading *reading)
{
    volume_free(reading->volume);
    dicom_series_free(reading->series);
    dicom_scan_free(reading->scan);
}

void view_scene_fini(struct view_scene *scene)
{
    for (int i = 0; i < VIEW_VOLUMES; i++) {
        volume_free(scene->volume[i]);
        scene->volume[i] = NULL;
    }
}

static size_t count_voxels(const struct volume_grid *grid)
{
    return (size_t)grid->dim[0] * (size_t)grid->dim[1] * (size_t)grid->dim[2];
}

/* Reading */

/* Returns 0, or DICOM_SERIES_REFUSED with the reason in the scene's facts. */
static int assemble(struct reading *reading, const struct dicom_series_options *options,
                    char reason[VIEW_REASON_SIZE], struct sctd_error *err)
{
    struct dicom_refusal refusal;
    int r = dicom_scan_paths(&reading->scan, reading->path, reading->n, err);
    if (r < 0) {
        return r;
    }
    const size_t n_series = dicom_scan_get_series_count(reading->scan);
    const size_t skipped = dicom_scan_get_skipped(reading->scan);
    if (n_series != 1 || skipped != 0) {
        (void)snprintf(reason, VIEW_REASON_SIZE,
                       "of %zu files %zu are readable, in %zu series instead of one", reading->n,
                       reading->n - skipped, n_series);
        return DICOM_SERIES_REFUSED;
    }
    r = dicom_series_assemble(&reading->series, reading->scan, 0, options, &refusal, err);
    if (r == DICOM_SERIES_REFUSED) {
        (void)snprintf(reason, VIEW_REASON_SIZE, "%s: %.200s", dicom_refusal_name(refusal.code),
                       refusal.text);
    } else if (r == 0) {
        reading->volume = dicom_series_take_volume(reading->series);
    }
    return r;
}

/* Why it is not there goes into the facts.  Returns 0 or DICOM_SERIES_REFUSED.  */
static int read_volume(struct reading *reading, struct view_scene *scene,
                       const struct dicom_series_options *options)
{
    char *reason = scene->facts.image[reading->image].reason;
    struct sctd_error err = {.code = SCTD_OK};
    if (reading->n == 0) {
        (void)snprintf(reason, VIEW_REASON_SIZE, "there are no files of it");
        return DICOM_SERIES_REFUSED;
    }
    int r = assemble(reading, options, reason, &err);
    if (r < 0) {
        (void)snprintf(reason, VIEW_REASON_SIZE, "%s", err.text);
    }
    utf8_clean(reason); /* a character may have been cut in two */
    return r == 0 ? 0 : DICOM_SERIES_REFUSED;
}

static int read_source(struct reading *reading, struct view_scene *scene, const char *text)
{
    struct parameters parameters = {.n_select = 0};
    struct dicom_selector selector[PARAMETERS_SELECT_MAX];
    struct convert_options of_job = {.n_selectors = 0};
    struct sctd_error err = {.code = SCTD_OK};
    int r = text[0] == '\0' ? 0 : parameters_read(&parameters, text, &err);
    if (r == 0) {
        r = parameters_to_options(&of_job, selector, &parameters, &err);
    }
    if (r < 0) {
        (void)snprintf(scene->facts.image[VIEW_SOURCE].reason, VIEW_REASON_SIZE, "%s", err.text);
        utf8_clean(scene->facts.image[VIEW_SOURCE].reason);
        return DICOM_SERIES_REFUSED;
    }
    const struct dicom_series_options options = {
        .selector = of_job.selector,
        .n_selectors = of_job.n_selectors,
        .spacing_tolerance = of_job.spacing_tolerance,
        .min_slices = 1,
    };
    r = read_volume(reading, scene, &options);
    if (r == 0) {
        (void)snprintf(scene->facts.modality, sizeof scene->facts.modality, "%s",
                       dicom_series_get_modality(reading->series));
    }
    return r;
}

static int read_sct(struct reading *reading, struct view_scene *scene)
{
    const struct dicom_series_options options = {
        .modality = "CT", .min_slices = 1, .own_objects = true};
    return read_volume(reading, scene, &options);
}

/* The grid */

static float find_lowest(const struct volume *volume)
{
    const size_t n = count_voxels(&volume->grid);
    float lowest = volume->voxel[0];
    for (size_t i = 1; i < n; i++) {
        lowest = fminf(lowest, volume->voxel[i]);
    }
    return lowest;
}

/* The first volume's own order of axes decides the grid of the scene. */
static int place_first(struct view_scene *scene, struct orient_plan *ret_plan,
                       struct reading *reading, struct sctd_error *err)
{
    int r = orient_plan_make(ret_plan, &reading->volume->grid, TILT_MAX, err);
    if (r == 0) {
        r = orient_to_network(&reading->volume, ret_plan, find_lowest(reading->volume), err);
    }
    if (r == 0) {
        scene->facts.tilt_degrees = ret_plan->tilt_degrees;
        scene->facts.is_resampled = ret_plan->resampled;
        scene->volume[reading->image] = sctd_steal(&reading->volume);
    }
    return r;
}

static int resample(struct volume **volume, const struct volume_grid *grid, struct sctd_error *err)
{
    sctd_auto(volume_freep) struct volume *placed = NULL;
    int r = volume_new(&placed, grid, err);
    r = r < 0 ? r : resample_run(placed->voxel, grid, *volume, AIR, err);
    if (r == 0) {
        volume_free(*volume);
        *volume = sctd_steal(&placed);
    }
    return r;
}

static int place_second(struct view_scene *scene, const struct orient_plan *plan,
                        struct reading *reading, struct sctd_error *err)
{
    struct orient_plan own;
    int r = orient_plan_make(&own, &reading->volume->grid, TILT_MAX, err);
    if (r == 0) {
        r = grid_is_same(&own.network, &plan->network, SAME_MM)
                ? orient_to_network(&reading->volume, &own, AIR, err)
                : resample(&reading->volume, &plan->network, err);
    }
    if (r == 0) {
        scene->volume[reading->image] = sctd_steal(&reading->volume);
    }
    return r;
}

/* Facts */

static void describe_planes(struct view_facts *facts, const struct volume_grid *grid)
{
    for (int p = 0; p < VIEW_PLANES; p++) {
        const struct plane *plane = &plane_views[p];
        const double across = grid->step[plane->right];
        const double down = grid->step[plane->down];
        const double pixel_mm = fmin(across, down);
        const double columns = round(grid->dim[plane->right] * across / pixel_mm);
        const double rows = round(grid->dim[plane->down] * down / pixel_mm);
        facts->plane[p] = (struct view_plane_facts){
            .slices = grid->dim[plane_through(plane)],
            .slice_mm = grid->step[plane_through(plane)],
            .width = (int32_t)fmin(columns, INT32_MAX),
            .height = (int32_t)fmin(rows, INT32_MAX),
            .pixel_mm = pixel_mm,
        };
    }
}

static int describe_image(struct view_image_facts *facts, const struct volume *volume, bool is_hu,
                          struct sctd_error *err)
{
    static const double ends[2] = {0.0, 100.0};
    static const double tails[2] = {1.0, 99.0};
    const size_t n = count_voxels(&volume->grid);
    double range[2];
    double window[2] = {-160.0, 240.0};
    int r = percentile_find(range, ends, volume->voxel, n, err);
    if (r == 0 && !is_hu) {
        r = percentile_find(window, tails, volume->voxel, n, err);
    }
    if (r < 0) {
        return r;
    }
    const double least = 1e-6 * fmax(1.0, fabs(window[0])); /* of a volume without contrast */
    *facts = (struct view_image_facts){
        .is_there = true,
        .is_hu = is_hu,
        .low = range[0],
        .high = range[1],
        .centre = (window[0] + window[1]) * 0.5,
        .width = fmax(window[1] - window[0], least),
    };
    return 0;
}

static int describe(struct view_scene *scene, struct sctd_error *err)
{
    int r = 0;
    for (int i = 0; r == 0 && i < VIEW_VOLUMES; i++) {
        const bool is_hu = i == VIEW_SCT || strcmp(scene->facts.modality, "CT") == 0;
        if (scene->volume[i] != NULL) {
            describe_planes(&scene->facts, &scene->volume[i]->grid);
            r = describe_image(&scene->facts.image[i], scene->volume[i], is_hu, err);
        }
    }
    return r;
}

int view_scene_load(struct view_scene *ret_scene, const struct view_files *files,
                    struct sctd_error *err)
{
    sctd_auto(view_scene_fini) struct view_scene scene = {.facts = {.modality = ""}};
    struct orient_plan plan;
    bool has_grid = false;
    int r = 0;
    for (int i = 0; r == 0 && i < VIEW_VOLUMES; i++) {
        const bool is_source = i == VIEW_SOURCE;
        sctd_auto(reading_fini) struct reading reading = {
            .image = (enum view_image)i,
            .path = is_source ? files->source : files->sct,
            .n = is_source ? files->n_source : files->n_sct,
        };
        const int found = is_source ? read_source(&reading, &scene, files->parameters)
                                    : read_sct(&reading, &scene);
        if (found == 0) {
            r = has_grid ? place_second(&scene, &plan, &reading, err)
                         : place_first(&scene, &plan, &reading, err);
            has_grid = true;
        }
    }
    r = r < 0 ? r : describe(&scene, err);
    if (r == 0) {
        *ret_scene = scene;
        memset((void *)scene.volume, 0, sizeof scene.volume);
    }
    return r;
}
