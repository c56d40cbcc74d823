/* SPDX-License-Identifier: Apache-2.0 */
/* What files become is tested by tests/integration/convert_*.py. */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/engine.h"
#include "server/convert.h"

static struct manifest manifest = {
    .name = "head",
    .version = "1",
    .research_only = true,
    .height = 256,
    .width = 256,
    .recipe = {.modality = "MR",
               .clip = RECIPE_CLIP_PERCENTILE,
               .clip_low = 1.0,
               .clip_high = 99.0,
               .cnn_low = -1.0,
               .cnn_high = 1.0,
               .dino_high = 2.0,
               .hu_low = -1024.0,
               .hu_high = 2000.0},
};
static struct convert_network network = {.manifest = &manifest, .arithmetic = "cpu fp32"};
static struct convert_options options;

static struct sctd_buf described(void)
{
    struct sctd_error err = {0};
    struct sctd_buf buf = sctd_buf_make(16384);
    assert(convert_describe(&buf, &network, &options, &err) == 0);
    return buf;
}

/* Whether the work is another one than before a change. */
static bool differs(const struct sctd_buf *before)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf now = described();
    return strcmp(before->data, now.data) != 0;
}

#define ASSERT_DECIDES(field, value)                                                               \
    do {                                                                                           \
        __typeof__(field) old_ = field;                                                            \
        field = value;                                                                             \
        assert(differs(&before));                                                                  \
        field = old_;                                                                              \
        assert(!differs(&before));                                                                 \
    } while (0)

static void whatever_changes_the_objects_changes_the_work(void)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf before = described();
    ASSERT_DECIDES(network.arithmetic, "cpu bf16 amx");
    ASSERT_DECIDES(options.grid, CONVERT_GRID_AXIAL);
    ASSERT_DECIDES(options.sct.rescale_intercept, -1024);
    ASSERT_DECIDES(options.sct.enhanced, true);
    ASSERT_DECIDES(options.sct.series_number_offset, 5);
    ASSERT_DECIDES(options.sct.series_description, "-");
    ASSERT_DECIDES(options.sct.series_description, "");
    ASSERT_DECIDES(manifest.height, 128);
    ASSERT_DECIDES(manifest.width, 128);
    ASSERT_DECIDES(manifest.research_only, false);
    ASSERT_DECIDES(manifest.name[0], 'l');
    ASSERT_DECIDES(manifest.version[0], '2');
    ASSERT_DECIDES(manifest.recipe.modality[0], 'C');
    ASSERT_DECIDES(manifest.recipe.clip, RECIPE_CLIP_FIXED);
    ASSERT_DECIDES(manifest.recipe.clip_low, 1.0000000000000002);
    ASSERT_DECIDES(manifest.recipe.clip_high, 98.0);
    ASSERT_DECIDES(manifest.recipe.cnn_low, 0.0);
    ASSERT_DECIDES(manifest.recipe.cnn_high, 2.0);
    ASSERT_DECIDES(manifest.recipe.dino_low, -1.0);
    ASSERT_DECIDES(manifest.recipe.dino_high, 1.0);
    ASSERT_DECIDES(manifest.recipe.hu_low, -1000.0);
    ASSERT_DECIDES(manifest.recipe.hu_high, 1999.0);
}

static void what_only_picks_or_refuses_does_not(void)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf before = described();
    options.spacing_tolerance = 0.05;
    options.min_slices = 30;
    options.n_selectors = 1;
    assert(!differs(&before));
}

int main(void)
{
    whatever_changes_the_objects_changes_the_work();
    what_only_picks_or_refuses_does_not();
    return 0;
}
