/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/safetensors.h"
#include "engine/model/layout.h"
#include "engine/model/manifest.h"
#include "engine/model/model.h"
#include "engine/model/store.h"

#include "tests/support/made_checkpoint.h"
#include "tests/support/temporary.h"

static char folder[] = TEMPORARY("sctd-test-store");

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

/* A models directory of its own with these models, "NAME VERSION" each. */
static void make_models(char ret_dir[SCTD_PATH_MAX], const char *name,
                        const char *const models[][2], size_t n)
{
    (void)snprintf(ret_dir, SCTD_PATH_MAX, "%s", below(name));
    for (size_t i = 0; i < n; i++) {
        write_model(ret_dir, models[i][0], models[i][1]);
    }
}

static void remove_models(const char *models_dir, const char *const entries[], size_t n)
{
    for (size_t i = 0; i < n; i++) {
        remove_model(models_dir, entries[i]);
    }
    int r = rmdir(models_dir);
    assert(r == 0);
}

static void models_are_listed_by_name_then_version(void)
{
    static const char *const models[][2] = {{"a-b", "1"}, {"a", "2"}, {"a", "1"}};
    static const char *const others[] = {"z@1", ".import-abc", "no-version"};
    static const char *const all[] = {"a-b@1", "a@2", "a@1", "z@1", ".import-abc", "no-version"};
    struct sctd_error err = {.code = SCTD_OK};
    char list[256] = "";
    char dir[SCTD_PATH_MAX];
    make_models(dir, "list", models, 3);
    for (size_t i = 0; i < 3; i++) {
        char path[SCTD_PATH_MAX];
        int r = sctd_path_join(path, dir, others[i], &err);
        assert(r == 0 && mkdir(path, 0700) == 0);
    }

    assert(model_list(dir, collect, list, &err) == 0);
    assert(strcmp(list, "a@1 a@2 a-b@1 z@1! ") == 0);
    assert(model_list(dir, stop_at_once, NULL, &err) == 7);
    remove_models(dir, all, 6);
}

static void models_directory_that_is_not_there_is_empty(void)
{
    struct sctd_error err = {.code = SCTD_OK};
    char list[256] = "";
    char dir[SCTD_PATH_MAX];
    assert(model_list(below("nowhere"), collect, list, &err) == 0);
    assert(list[0] == '\0');
    assert(model_resolve(dir, below("nowhere"), "a", &err) == SCTD_EINVAL);
    assert(strstr(err.text, "holds none") != NULL);
}

static void name_stands_for_its_only_version(void)
{
    static const char *const models[][2] = {{"a", "1"}, {"ab", "1"}};
    static const char *const all[] = {"a@1", "ab@1"};
    struct sctd_error err = {.code = SCTD_OK};
    char models_dir[SCTD_PATH_MAX];
    char dir[SCTD_PATH_MAX];
    make_models(models_dir, "resolve", models, 2);
    assert(model_resolve(dir, models_dir, "a", &err) == 0);
    assert(strcmp(dir, below("resolve/a@1")) == 0);
    assert(model_resolve(dir, models_dir, "ab@1", &err) == 0);
    assert(model_resolve(dir, models_dir, "./x", &err) == 0);
    assert(strcmp(dir, "./x") == 0);
    remove_models(models_dir, all, 2);
}

static void unknown_and_ambiguous_names_say_what_there_is(void)
{
    static const char *const models[][2] = {{"a", "1"}, {"a", "2"}, {"b", "1"}};
    static const char *const all[] = {"a@1", "a@2", "b@1"};
    static const char *const unknown[] = {"c", "a@", "a@3", "", "A"};
    struct sctd_error err = {.code = SCTD_OK};
    char models_dir[SCTD_PATH_MAX];
    char dir[SCTD_PATH_MAX] = "untouched";
    make_models(models_dir, "resolve", models, 3);
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        assert(model_resolve(dir, models_dir, unknown[i], &err) == SCTD_EINVAL);
        assert(strstr(err.text, "there are a@1, a@2, b@1") != NULL);
    }
    assert(model_resolve(dir, models_dir, "a", &err) == SCTD_EINVAL);
    assert(strstr(err.text, "say which of a@1, a@2") != NULL);
    assert(strcmp(dir, "untouched") == 0);
    remove_models(models_dir, all, 3);
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

/* Replace the sound weights of wrong/m@1 by c's; the code and text of the refusal. */
static int open_with(const struct made_checkpoint *c, struct sctd_error *err)
{
    char path[SCTD_PATH_MAX];
    struct model *model = NULL;
    (void)snprintf(path, sizeof path, "%s", below("wrong/m@1/weights.safetensors"));
    made_write(c, path);
    int r = model_open(&model, below("wrong/m@1"), err);
    if (r == 0) {
        r = model_verify(model, err);
    }
    model_close(model);
    return r;
}

static void weights_of_another_network_are_refused(void)
{
    static const char bias[] = "generator.decoder.out.1.bias";
    struct sctd_error err = {.code = SCTD_OK};
    struct made_checkpoint *c = new_weights();
    assert(open_with(c, &err) == 0);
    c->value[made_find(c, bias)][0] += 1.0F;
    assert(open_with(c, &err) == SCTD_EDATA);
    assert(strstr(err.text, "have SHA-256") != NULL);

    made_add(c, "surprise", 1, (int64_t[]){1});
    assert(open_with(c, &err) == SCTD_EDATA);
    assert(strstr(err.text, "surprise is not of this network") != NULL);

    made_remove(c, "surprise");
    c->tensor[made_find(c, bias)].n_dims = 0;
    assert(open_with(c, &err) == SCTD_EDATA);
    assert(strstr(err.text, "decoder.out.1.bias has another shape") != NULL);

    made_remove(c, bias);
    assert(open_with(c, &err) == SCTD_EDATA);
    assert(strstr(err.text, "decoder.out.1.bias is missing") != NULL);
    made_free(c);
}

static void missing_files_are_named(void)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct model *model = NULL;
    int r = unlink(below("wrong/m@1/weights.safetensors"));
    assert(r == 0);
    assert(model_open(&model, below("wrong/m@1"), &err) == SCTD_EIO);
    assert(strstr(err.text, "weights.safetensors") != NULL);
    r = unlink(below("wrong/m@1/manifest.json"));
    assert(r == 0);
    assert(model_open(&model, below("wrong/m@1"), &err) == SCTD_EIO);
    assert(strstr(err.text, "manifest.json") != NULL);
}

int main(void)
{
    assert(mkdtemp(folder) != NULL);
    models_are_listed_by_name_then_version();
    models_directory_that_is_not_there_is_empty();
    name_stands_for_its_only_version();
    unknown_and_ambiguous_names_say_what_there_is();
    written_model_opens_and_verifies();
    failed_write_leaves_nothing();

    static const char *const model[][2] = {{"m", "1"}};
    static const char *const entry[] = {"m@1"};
    char models_dir[SCTD_PATH_MAX];
    make_models(models_dir, "wrong", model, 1);
    weights_of_another_network_are_refused();
    missing_files_are_named();
    remove_models(models_dir, entry, 1);
    assert(rmdir(folder) == 0);
    return 0;
}
