/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>

#include "engine/base/error.h"
#include "engine/model/layout.h"
#include "engine/model/manifest.h"

#include "tests/support/torture.h"

static int make_and_drop(void *arg)
{
    (void)arg;
    struct sctd_error err = {0};
    sctd_auto(layout_freep) struct layout *l = NULL;
    const struct vit_config vit = {
        .dim = 32, .depth = 12, .heads = 2, .hidden = 64, .features = {2, 5, 8, 11}};
    const struct generator_config generator = {
        .base_channels = 4, .levels = {true, true, true, true}, .cnn = true};
    return layout_new(&l, &vit, &generator, vit.dim, &err);
}

int main(void)
{
    assert(torture_run(make_and_drop, NULL) == 3);
    return 0;
}
