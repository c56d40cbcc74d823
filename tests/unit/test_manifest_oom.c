/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/model/manifest.h"

#include "tests/support/made_checkpoint.h"
#include "tests/support/temporary.h"
#include "tests/support/torture.h"

static int write_and_read(void *arg)
{
    const char *path = arg;
    struct sctd_error err = {.code = SCTD_OK};
    struct manifest m = {
        .name = "m",
        .version = "1",
        .weights_bytes = 1000,
        .height = 64,
        .width = 64,
        .vit = made_vit(),
        .generator = made_generator(),
        .backbone_source = {.file = "vit"},
        .generator_source = {.file = "gen"},
    };
    memset(m.weights_sha256, 'a', sizeof m.weights_sha256 - 1);
    memset(m.backbone_source.sha256, 'b', sizeof m.backbone_source.sha256 - 1);
    memset(m.generator_source.sha256, 'c', sizeof m.generator_source.sha256 - 1);
    int r = recipe_preset(&m.recipe, "mr", &err);
    assert(r == 0);
    r = manifest_write(&m, path, &err);
    return r == 0 ? manifest_read(&m, path, &err) : r;
}

int main(void)
{
    char folder[] = TEMPORARY("sctd-test-manifest-oom");
    char path[64];
    assert(mkdtemp(folder) != NULL);
    (void)snprintf(path, sizeof path, "%s/manifest.json", folder);
    assert(torture_run(write_and_read, path) > 3);
    sctd_dir_remove(folder);
    return 0;
}
