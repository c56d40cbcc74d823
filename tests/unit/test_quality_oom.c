/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/volume.h"
#include "engine/model/manifest.h"
#include "engine/model/quality_limits.h"
#include "engine/quality.h"

#include "tests/support/made_volume.h"
#include "tests/support/torture.h"

struct look {
    struct manifest manifest;
    struct volume *source, *hu;
};

/* Everything from the source to the report and back from its text. */
static int judge(void *arg)
{
    static const double clip[2] = {0.0, 1000.0};
    const struct look *look = arg;
    struct sctd_error err = {.code = SCTD_OK};
    struct quality_report report;
    sctd_auto(quality_freep) struct quality *q = NULL;
    sctd_auto(sctd_buf_fini) struct sctd_buf text = sctd_buf_make(QUALITY_JSON_MAX);
    int r = quality_new(&q, &look->manifest, &err);
    r = r < 0 ? r : quality_take_source(q, look->source, clip, &err);
    r = r < 0 ? r : quality_take_slices(q, look->source, &err);
    r = r < 0 ? r : quality_judge(&report, q, look->hu, &err);
    r = r < 0 ? r : quality_report_write(&text, &report, &err);
    return r < 0 ? r : quality_report_read(&report, text.data, text.size, &err);
}

int main(void)
{
    static const double step[3] = {2.0, 2.0, 3.0};
    const struct volume_grid grid = made_grid(16, 16, 5, step);
    struct sctd_error err = {.code = SCTD_OK};
    struct look look = {.source = made_volume(&grid, 0.0F), .hu = made_volume(&grid, -1000.0F)};
    quality_limits_default(&look.manifest.quality);
    made_fill(look.source, &(struct made_box){{3, 3, 0}, {12, 12, 4}}, 700.0F);
    made_fill(look.hu, &(struct made_box){{3, 3, 0}, {12, 12, 4}}, 0.0F);
    assert(recipe_preset(&look.manifest.recipe, "mr", &err) == 0);
    assert(torture_run(judge, &look) > 30);
    assert(recipe_preset(&look.manifest.recipe, "cbct", &err) == 0);
    assert(torture_run(judge, &look) > 25);
    volume_free(look.source);
    volume_free(look.hu);
    return 0;
}
