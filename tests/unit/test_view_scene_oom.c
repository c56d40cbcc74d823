/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>

#include "engine/base/error.h"
#include "server/view.h"
#include "server/view_scene.h"

#include "tests/support/torture.h"
#include "tests/support/view_series.h"

/* Memory that was not to be had is the reason why an image is not there, or an error. */
static int load(void *arg)
{
    const struct view_series *series = arg;
    struct sctd_error err = {.code = SCTD_OK};
    struct view_scene scene;
    int r = view_scene_load(&scene, &series->files, &err);
    if (r < 0) {
        assert(r == SCTD_ENOMEM);
        return r;
    }
    for (int i = 0; i < VIEW_VOLUMES; i++) {
        const struct view_image_facts *image = &scene.facts.image[i];
        assert(image->is_there == (scene.volume[i] != NULL));
        assert(image->is_there || image->reason[0] != '\0');
        r = image->is_there ? r : SCTD_ENOMEM;
    }
    view_scene_fini(&scene);
    return r;
}

int main(void)
{
    static struct view_series series;
    view_series_make(&series);
    assert(torture_run(load, &series) > 40);
    view_series_remove(&series);
    return 0;
}
