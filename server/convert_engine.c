/* SPDX-License-Identifier: Apache-2.0 */
#include "server/convert_engine.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/base/error.h"
#include "engine/base/volume.h"
#include "engine/engine.h"
#include "server/convert.h"

/* The clip limits are the source's: resampling would count its own border among the voxels. */
static int find_clip(void *arg, const struct volume *source, double ret_clip[2],
                     struct sctd_error *err)
{
    struct convert_engine *e = arg;
    const int32_t *dim = source->grid.dim;
    int r = engine_find_clip(e->engine, e->clip, source->voxel,
                             (size_t)dim[0] * (size_t)dim[1] * (size_t)dim[2], err);
    if (r == 0) {
        ret_clip[0] = e->clip[0];
        ret_clip[1] = e->clip[1];
    }
    return r;
}

static int run(void *arg, struct volume *slices, const struct engine_volume_options *progress,
               struct sctd_error *err)
{
    struct convert_engine *e = arg;
    const int32_t *dim = slices->grid.dim;
    const int64_t depth_first[3] = {dim[2], dim[1], dim[0]};
    struct engine_volume_options options = *progress;
    options.clip = e->clip;
    struct engine_volume_result result = {.hu = slices->voxel};
    return engine_run_volume(e->engine, slices->voxel, depth_first, &options, &result, err);
}

int convert_engine_open(struct convert_engine *ret_engine, const char *dir,
                        const struct engine_options *options, struct sctd_error *err)
{
    struct engine *engine = NULL;
    int r = engine_open(&engine, dir, options, err);
    if (r < 0) {
        return r;
    }
    struct engine_stats stats;
    engine_take_stats(engine, &stats);
    *ret_engine = (struct convert_engine){.engine = engine};
    (void)snprintf(ret_engine->arithmetic, sizeof ret_engine->arithmetic, "%s %s",
                   engine_get_backend(engine), stats.arithmetic);
    ret_engine->network = (struct convert_network){.manifest = engine_get_manifest(engine),
                                                   .arithmetic = ret_engine->arithmetic,
                                                   .prepare = find_clip,
                                                   .run = run,
                                                   .arg = ret_engine};
    return 0;
}

void convert_engine_close(struct convert_engine *engine)
{
    engine_close(engine->engine);
    *engine = (struct convert_engine){.engine = NULL};
}
