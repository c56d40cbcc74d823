/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/volume.h"
#include "engine/engine.h"
#include "server/convert.h"
#include "server/convert_engine.h"

#include "tests/support/temporary.h"

enum { COLUMNS = 24, ROWS = 20, SLICES = 5, VOXELS = COLUMNS * ROWS * SLICES };

static const struct volume_grid grid = {
    .dim = {COLUMNS, ROWS, SLICES},
    .step = {1.0, 1.0, 1.0},
    .axis = {{1.0, 0.0, 0.0}, {0.0, 1.0, 0.0}, {0.0, 0.0, 1.0}},
};

static bool same_bytes(const void *a, const void *b, size_t size)
{
    return memcmp(a, b, size) == 0;
}

static struct volume *made(void)
{
    struct sctd_error err = {0};
    struct volume *v = NULL;
    assert(volume_new(&v, &grid, &err) == 0);
    for (int i = 0; i < VOXELS; i++) {
        v->voxel[i] = (float)(i * 7919 % 1000);
    }
    return v;
}

static void prepare(struct convert_engine *e, const struct volume *source)
{
    struct sctd_error err = {0};
    double clip[2] = {0.0, 0.0};
    assert(e->network.prepare(e->network.arg, source, clip, &err) == 0);
    assert(clip[0] < clip[1] && same_bytes(clip, e->clip, sizeof clip));
}

static void slices_become_what_the_engine_makes_of_the_volume(const char *dir)
{
    struct sctd_error err = {0};
    const struct engine_options options = {.backend = "ref", .height = 16, .width = 32};
    const struct engine_volume_options none = {0};
    struct convert_engine e;
    assert(convert_engine_open(&e, dir, &options, &err) == 0);
    assert(strcmp(e.network.manifest->name, "synthetic-tiny") == 0);
    assert(strncmp(e.network.arithmetic, "ref ", 4) == 0);

    sctd_auto(volume_freep) struct volume *source = made();
    sctd_auto(volume_freep) struct volume *slices = made();
    static float expected[VOXELS];
    const int64_t dims[3] = {SLICES, ROWS, COLUMNS};
    struct engine_volume_result result = {.hu = expected};
    assert(engine_run_volume(e.engine, source->voxel, dims, NULL, &result, &err) == 0);
    prepare(&e, source);
    assert(e.network.run(e.network.arg, slices, &none, &err) == 0);
    assert(same_bytes(slices->voxel, expected, sizeof expected));

    /* the clip limits are those of the source, not of what was made of it */
    memcpy(slices->voxel, source->voxel, sizeof expected);
    memset(slices->voxel, 0, sizeof expected / SLICES * 2);
    assert(e.network.run(e.network.arg, slices, &none, &err) == 0);
    const size_t last = VOXELS - VOXELS / SLICES;
    assert(same_bytes(slices->voxel + last, expected + last, sizeof expected / SLICES));
    convert_engine_close(&e);
    convert_engine_close(&e);
}

static void source_without_contrast_is_refused(const char *dir)
{
    struct sctd_error err = {0};
    const struct engine_options options = {.backend = "ref", .height = 16, .width = 32};
    struct convert_engine e;
    double clip[2];
    sctd_auto(volume_freep) struct volume *source = NULL;
    assert(volume_new(&source, &grid, &err) == 0);
    assert(convert_engine_open(&e, dir, &options, &err) == 0);
    assert(e.network.prepare(e.network.arg, source, clip, &err) == SCTD_EDATA);
    convert_engine_close(&e);
}

static void missing_model_is_an_error(void)
{
    struct sctd_error err = {0};
    const struct engine_options options = {.backend = "ref"};
    struct convert_engine e;
    assert(convert_engine_open(&e, "/nowhere/at/all", &options, &err) == SCTD_EIO);
}

int main(void)
{
    struct sctd_error err = {0};
    char dir[] = TEMPORARY("sctd-test");
    assert(mkdtemp(dir) != NULL);
    assert(engine_write_synthetic(dir, "tiny", 5, &err) == 0);
    slices_become_what_the_engine_makes_of_the_volume(dir);
    source_without_contrast_is_refused(dir);
    missing_model_is_an_error();
    sctd_dir_remove(dir);
    return 0;
}
