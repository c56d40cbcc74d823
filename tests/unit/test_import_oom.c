/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/safetensors.h"
#include "engine/model/manifest.h"
#include "engine/model/model.h"

#include "tests/support/made_checkpoint.h"
#include "tests/support/temporary.h"
#include "tests/support/torture.h"

/* Periods to be made up and doubles to be converted: both allocate. */
static void write_backbone(const char *path)
{
    const struct vit_config vit = made_vit();
    static const double wide[16];
    struct made_checkpoint *c = made_new(&vit, NULL);
    made_remove(c, "rope_embed.periods");
    c->tensor[made_find(c, "norm.bias")].dtype = TENSOR_F64;
    c->tensor[made_find(c, "norm.bias")].data = wide;
    c->tensor[made_find(c, "norm.bias")].bytes = sizeof wide;
    made_write(c, path);
    made_free(c);
}

static int import_and_drop(void *arg)
{
    const struct model_import_options *o = arg;
    struct sctd_error err = {.code = SCTD_OK};
    sctd_auto(sctd_buf_fini) struct sctd_buf problems = sctd_buf_make(1 << 20);
    char dir[SCTD_PATH_MAX];
    int r = model_import(dir, o, &problems, &err);
    if (r == 0) {
        sctd_dir_remove(dir);
    }
    return r;
}

static int open_and_close(void *arg)
{
    struct sctd_error err = {.code = SCTD_OK};
    sctd_auto(model_closep) struct model *model = NULL;
    return model_open(&model, arg, &err);
}

/* The report of a broken checkpoint is the one thing that a sound import does not allocate. */
static int refuse(void *arg)
{
    const struct model_import_options *o = arg;
    struct sctd_error err = {.code = SCTD_OK};
    sctd_auto(sctd_buf_fini) struct sctd_buf problems = sctd_buf_make(1 << 20);
    char dir[SCTD_PATH_MAX];
    int r = model_import(dir, o, &problems, &err);
    return r == SCTD_EDATA ? 0 : r;
}

int main(void)
{
    char folder[] = TEMPORARY("sctd-test-import-oom");
    char backbone[64];
    char generator[64];
    char models_dir[64];
    assert(mkdtemp(folder) != NULL);
    (void)snprintf(backbone, sizeof backbone, "%s/vit", folder);
    (void)snprintf(generator, sizeof generator, "%s/gen", folder);
    (void)snprintf(models_dir, sizeof models_dir, "%s/models", folder);
    write_backbone(backbone);
    const struct generator_config config = made_generator();
    struct made_checkpoint *c = made_new(NULL, &config);
    made_write(c, generator);

    struct model_import_options options = {.backbone = backbone,
                                           .generator = generator,
                                           .recipe = "cbct",
                                           .name = "m",
                                           .version = "1",
                                           .heads = 1,
                                           .models_dir = models_dir};
    assert(torture_run(import_and_drop, &options) > 20);

    struct sctd_error err = {.code = SCTD_OK};
    struct sctd_buf problems = sctd_buf_make(1 << 20);
    char dir[SCTD_PATH_MAX];
    assert(model_import(dir, &options, &problems, &err) == 0);
    assert(torture_run(open_and_close, dir) > 5);
    sctd_dir_remove(dir);

    made_remove(c, "decoder.out.1.bias");
    made_write(c, generator);
    made_free(c);
    assert(torture_run(refuse, &options) > 5);

    sctd_dir_remove(models_dir);
    sctd_dir_remove(folder);
    return 0;
}
