/* SPDX-License-Identifier: Apache-2.0 */
/* What files become is tested by tests/integration/convert_*.py. */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
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

static void assert_flags_decide(const struct sctd_buf *before)
{
    options.grid = CONVERT_GRID_AXIAL;
    assert(differs(before));
    options.grid = CONVERT_GRID_SOURCE;
    options.sct.enhanced = true;
    assert(differs(before));
    options.sct.enhanced = false;
    manifest.research_only = false;
    assert(differs(before));
    manifest.research_only = true;
    manifest.recipe.clip = RECIPE_CLIP_FIXED;
    assert(differs(before));
    manifest.recipe.clip = RECIPE_CLIP_PERCENTILE;
}

static void assert_texts_decide(const struct sctd_buf *before)
{
    const char **const texts[] = {&network.arithmetic, &options.sct.series_description};
    for (size_t i = 0; i < 2; i++) {
        const char *old = *texts[i];
        *texts[i] = "-";
        assert(differs(before));
        *texts[i] = old;
    }
    options.sct.series_description = "";
    assert(differs(before));
    options.sct.series_description = NULL;
    char *const letters[] = {manifest.name, manifest.version, manifest.recipe.modality};
    for (size_t i = 0; i < 3; i++) {
        letters[i][0]++;
        assert(differs(before));
        letters[i][0]--;
    }
}

static void assert_numbers_decide(const struct sctd_buf *before)
{
    struct recipe *r = &manifest.recipe;
    double *const numbers[] = {&r->clip_low, &r->clip_high, &r->cnn_low, &r->cnn_high,
                               &r->dino_low, &r->dino_high, &r->hu_low,  &r->hu_high};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        const double old = *numbers[i];
        *numbers[i] = old + 1e-12; /* every digit counts */
        assert(differs(before));
        *numbers[i] = old;
    }
    int32_t *const whole[] = {&manifest.height, &manifest.width, &options.sct.series_number_offset,
                              &options.sct.rescale_intercept};
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        ++*whole[i];
        assert(differs(before));
        --*whole[i];
    }
}

static void whatever_changes_the_objects_changes_the_work(void)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf before = described();
    assert_flags_decide(&before);
    assert_texts_decide(&before);
    assert_numbers_decide(&before);
    assert(!differs(&before));
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
