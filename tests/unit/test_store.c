/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/safetensors.h"
#include "engine/model/manifest.h"
#include "engine/model/model.h"
#include "engine/model/store.h"

#include "tests/support/made_checkpoint.h"

static char folder[] = "/tmp/sctd-test-store-XXXXXX";

/* All weights of the smallest network, under canonical names. */
static struct made_checkpoint *new_weights(void)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct layout *layout = NULL;
    const struct vit_config vit = made_vit();
    const struct generator_config generator = made_generator();
    struct made_checkpoint *c = calloc(1, sizeof *c);
    assert(c != NULL);
    assert(layout_new(&layout, &vit, &generator, vit.dim, &err) == 0);
    for (size_t i = 0; i < layout_get_count(layout); i++) {
        const struct layout_entry *e = layout_get(layout, i);
        made_add(c, e->name, e->n_dims, e->dim);
    }
    layout_free(layout);
    return c;
}

static struct manifest manifest_of(const char *name, const char *version)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct manifest m = {
        .height = 64,
        .width = 64,
        .research_only = true,
        .vit = made_vit(),
        .generator = made_generator(),
        .backbone_source = {.file = "vit"},
        .generator_source = {.file = "gen"},
    };
    (void)snprintf(m.name, sizeof m.name, "%s", name);
    (void)snprintf(m.version, sizeof m.version, "%s", version);
    memset(m.backbone_source.sha256, 'b', sizeof m.backbone_source.sha256 - 1);
    memset(m.generator_source.sha256, 'c', sizeof m.generator_source.sha256 - 1);
    assert(recipe_preset(&m.recipe, "cbct", &err) == 0);
    return m;
}

static void write_model(const char *models_dir, const char *name, const char *version)
{
    struct sctd_error err = {.code = SCTD_OK};
    char dir[SCTD_PATH_MAX];
    struct made_checkpoint *c = new_weights();
    struct manifest m = manifest_of(name, version);
    assert(store_write(dir, models_dir, &m, c->tensor, c->n, &err) == 0);
    made_free(c);
}

static const char *below(const char *name)
{
    static char path[SCTD_PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void remove_model(const char *models_dir, const char *entry)
{
    char path[SCTD_PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/%s", models_dir, entry);
    sctd_dir_remove(path);
}

static int collect(void *arg, const char *dir, const struct manifest *manifest,
                   const struct sctd_error *err)
{
    char *list = arg;
    const size_t length = strlen(list);
    assert(manifest != NULL || err->text[0] != '\0');
    (void)snprintf(list + length, 256 - length, "%s%s ", strrchr(dir, '/') + 1,
                   manifest == NULL ? "!" : "");
    return 0;
}

static int stop_at_once(void *arg, const char *dir, const struct manifest *manifest,
                        const struct sctd_error *err)
{
    (void)arg;
    (void)dir;
    (void)manifest;
    (void)err;
    return 7;
}

static void models_are_listed_by_name_then_version(void)
{
    struct sctd_error err = {.code = SCTD_OK};
    char list[256] = "";
    char dir[SCTD_PATH_MAX];
    const char *models = below("list");
    (void)snprintf(dir, sizeof dir, "%s", models);
    models = dir;
    write_model(models, "a-b", "1");
    write_model(models, "a", "2");
    write_model(models, "a", "1");
    assert(mkdir(below("list/z@1"), 0700) == 0);
    assert(mkdir(below("list/.import-abc"), 0700) == 0);
    assert(mkdir(below("list/no-version"), 0700) == 0);

    assert(model_list(models, collect, list, &err) == 0);
    assert(strcmp(list, "a@1 a@2 a-b@1 z@1! ") == 0);
    assert(model_list(models, stop_at_once, NULL, &err) == 7);
    list[0] = '\0';
    assert(model_list(below("nowhere"), collect, list, &err) == 0);
    assert(list[0] == '\0');

    static const char *const entries[] = {"a-b@1", "a@2",         "a@1",
                                          "z@1",   ".import-abc", "no-version"};
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        remove_model(models, entries[i]);
    }
    assert(rmdir(models) == 0);
}

static void name_stands_for_its_only_version(void)
{
    struct sctd_error err = {.code = SCTD_OK};
    char models[SCTD_PATH_MAX];
    char dir[SCTD_PATH_MAX];
    (void)snprintf(models, sizeof models, "%s", below("resolve"));
    assert(model_resolve(dir, models, "a", &err) == SCTD_EINVAL);
    assert(strstr(err.text, "holds none") != NULL);
    write_model(models, "a", "1");
    write_model(models, "ab", "1");
    assert(model_resolve(dir, models, "a", &err) == 0);
    assert(strcmp(dir, below("resolve/a@1")) == 0);
    assert(model_resolve(dir, models, "ab@1", &err) == 0);
    assert(model_resolve(dir, models, "c", &err) == SCTD_EINVAL);
    assert(strstr(err.text, "a@1, ab@1") != NULL);
    assert(model_resolve(dir, models, "a@", &err) == SCTD_EINVAL);
    assert(model_resolve(dir, models, "", &err) == SCTD_EINVAL);
    assert(model_resolve(dir, models, "./x", &err) == 0);
    assert(strcmp(dir, "./x") == 0);

    write_model(models, "a", "2");
    assert(model_resolve(dir, models, "a", &err) == SCTD_EINVAL);
    assert(strstr(err.text, "a@1, a@2") != NULL);
    assert(model_resolve(dir, models, "a@2", &err) == 0);
    remove_model(models, "a@1");
    remove_model(models, "a@2");
    remove_model(models, "ab@1");
    assert(rmdir(models) == 0);
}

static void written_model_opens_and_verifies(void)
{
    struct sctd_error err = {.code = SCTD_OK};
    char models[SCTD_PATH_MAX];
    struct model *model = NULL;
    (void)snprintf(models, sizeof models, "%s", below("a/b/c"));
    write_model(models, "m", "1"); /* with the folders above it */
    assert(model_open(&model, below("a/b/c/m@1"), &err) == 0);
    assert(strcmp(model_get_manifest(model)->name, "m") == 0);
    assert(model_verify(model, &err) == 0);
    assert(model_find(model, "backbone.norm.weight") != NULL);
    assert(model_find(model, "norm.weight") == NULL);
    model_drop_pages(model);
    assert(*(const float *)model_find(model, "generator.decoder.out.1.bias")->data > 0.2F);
    model_close(model);
    remove_model(models, "m@1");
    assert(rmdir(below("a/b/c")) == 0 && rmdir(below("a/b")) == 0 && rmdir(below("a")) == 0);
}

static void failed_write_leaves_nothing(void)
{
    struct sctd_error err = {.code = SCTD_OK};
    char dir[SCTD_PATH_MAX];
    char models[SCTD_PATH_MAX];
    (void)snprintf(models, sizeof models, "%s", below("failed"));
    struct made_checkpoint *c = new_weights();
    struct manifest m = manifest_of("m", "1");
    m.height = 1; /* found only when the manifest is written, after the weights */
    assert(store_write(dir, models, &m, c->tensor, c->n, &err) == SCTD_EINVAL);
    assert(rmdir(models) == 0);

    m = manifest_of("m", "1");
    assert(store_write(dir, models, &m, c->tensor, c->n, &err) == 0);
    assert(store_write(dir, models, &m, c->tensor, c->n, &err) == SCTD_EINVAL);
    assert(strstr(err.text, "choose another version") != NULL);
    made_free(c);
    remove_model(models, "m@1");
    assert(rmdir(models) == 0);
}

static int open_code(struct sctd_error *err)
{
    struct model *model = NULL;
    int r = model_open(&model, below("wrong/m@1"), err);
    if (r == 0) {
        r = model_verify(model, err);
    }
    model_close(model);
    return r;
}

/* Weights that do not fit the manifest; each is written in place of the sound ones. */
static void weights_of_another_network_are_refused(void)
{
    struct sctd_error err = {.code = SCTD_OK};
    char models[SCTD_PATH_MAX];
    char path[SCTD_PATH_MAX];
    (void)snprintf(models, sizeof models, "%s", below("wrong"));
    write_model(models, "m", "1");
    (void)snprintf(path, sizeof path, "%s", below("wrong/m@1/weights.safetensors"));

    struct made_checkpoint *c = new_weights();
    c->value[3][0] += 1.0F;
    made_write(c, path);
    assert(open_code(&err) == SCTD_EDATA);
    assert(strstr(err.text, "have SHA-256") != NULL);

    made_add(c, "surprise", 1, (int64_t[]){1});
    made_write(c, path);
    assert(open_code(&err) == SCTD_EDATA);
    assert(strstr(err.text, "surprise is not of this network") != NULL);

    made_remove(c, "surprise");
    c->tensor[made_find(c, "generator.decoder.out.1.bias")].n_dims = 0;
    made_write(c, path);
    assert(open_code(&err) == SCTD_EDATA);
    assert(strstr(err.text, "generator.decoder.out.1.bias has another shape") != NULL);

    made_remove(c, "generator.decoder.out.1.bias");
    made_write(c, path);
    assert(open_code(&err) == SCTD_EDATA);
    assert(strstr(err.text, "generator.decoder.out.1.bias is missing") != NULL);
    made_free(c);

    assert(unlink(path) == 0);
    assert(open_code(&err) == SCTD_EIO);
    remove_model(models, "m@1");
    assert(open_code(&err) == SCTD_EIO);
    assert(rmdir(models) == 0);
}

int main(void)
{
    assert(mkdtemp(folder) != NULL);
    models_are_listed_by_name_then_version();
    name_stands_for_its_only_version();
    written_model_opens_and_verifies();
    failed_write_leaves_nothing();
    weights_of_another_network_are_refused();
    assert(rmdir(folder) == 0);
    return 0;
}
