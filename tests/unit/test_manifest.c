/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/model/manifest.h"

#include "tests/support/temporary.h"

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const char sound[] =
    "{\"format\": 1, \"name\": \"dgcf-mr\", \"version\": \"1.0\", \"description\": \"caf\xc3\xa9\","
    "\"content_qualification\": \"RESEARCH\","
    "\"weights\": {\"file\": \"weights.safetensors\", \"sha256\": \"" SHA "\", \"bytes\": 123456},"
    "\"network\": {\"height\": 256, \"width\": 128,"
    "\"backbone\": {\"dim\": 768, \"depth\": 12, \"heads\": 12, \"hidden\": 3072, \"ffn\": \"mlp\","
    "\"storage_tokens\": 4, \"features\": [2, 5, 8, 11]},"
    "\"generator\": {\"base_channels\": 64, \"fusion\": \"cnn\", \"levels\": [true, false, true, true],"
    "\"cnn\": true}},"
    "\"recipe\": {\"modality\": \"MR\", \"clip\": {\"kind\": \"percentile\", \"low\": 1, \"high\": 99},"
    "\"cnn_range\": [-1, 1], \"dino_range\": [0, 2], \"hu_range\": [-1024, 2000]},"
    "\"sources\": {\"backbone\": {\"file\": \"vit.pth\", \"sha256\": \"" SHA "\"},"
    "\"generator\": {\"file\": \"best_net_G.pth\", \"sha256\": \"" SHA "\"}}}";

static struct manifest sound_manifest(void)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct manifest m;
    int r = manifest_parse(&m, sound, sizeof sound - 1, &err);
    if (r < 0) {
        (void)fprintf(stderr, "%s\n", err.text);
    }
    assert(r == 0);
    return m;
}

static void every_key_of_the_identity_is_read(void)
{
    const struct manifest m = sound_manifest();
    assert(strcmp(m.name, "dgcf-mr") == 0);
    assert(strcmp(m.version, "1.0") == 0);
    assert(strcmp(m.description, "caf\xc3\xa9") == 0);
    assert(m.research_only);
    assert(strcmp(m.weights_sha256, SHA) == 0);
    assert(m.weights_bytes == 123456);
    assert(m.height == 256 && m.width == 128);
}

static void every_key_of_the_network_is_read(void)
{
    const struct manifest m = sound_manifest();
    assert(m.vit.dim == 768 && m.vit.depth == 12 && m.vit.heads == 12 && m.vit.hidden == 3072);
    assert(m.vit.ffn == VIT_FFN_MLP && m.vit.storage_tokens == 4);
    assert(m.vit.features[0] == 2 && m.vit.features[3] == 11);
    assert(m.generator.base_channels == 64 && m.generator.fusion == FUSION_CNN && m.generator.cnn);
    assert(m.generator.levels[0] && !m.generator.levels[1] && m.generator.levels[3]);
}

static void every_key_of_the_recipe_and_the_sources_is_read(void)
{
    const struct manifest m = sound_manifest();
    assert(strcmp(m.recipe.modality, "MR") == 0);
    assert(m.recipe.clip == RECIPE_CLIP_PERCENTILE);
    assert(m.recipe.clip_low > 0.99 && m.recipe.clip_high < 99.01);
    assert(m.recipe.dino_low > -0.01 && m.recipe.dino_high > 1.99 && m.recipe.hu_low < -1023.0);
    assert(strcmp(m.backbone_source.file, "vit.pth") == 0);
    assert(strcmp(m.generator_source.sha256, SHA) == 0);
}

/* The sound manifest with one piece of text in place of another. */
static struct sctd_error refusal(const char *from, const char *to)
{
    char text[8192];
    const char *at = strstr(sound, from);
    assert(at != NULL);
    const int size =
        snprintf(text, sizeof text, "%.*s%s%s", (int)(at - sound), sound, to, at + strlen(from));
    struct sctd_error err = {.code = SCTD_OK};
    struct manifest m;
    memset(&m, 0x5A, sizeof m);
    int r = manifest_parse(&m, text, (size_t)size, &err);
    if (r != SCTD_EDATA) {
        (void)fprintf(stderr, "accepted: %s -> %s\n", from, to);
    }
    assert(r == SCTD_EDATA);
    for (size_t i = 0; i < sizeof m; i++) {
        assert(((const unsigned char *)&m)[i] == 0x5A); /* untouched */
    }
    return err;
}

static const struct change {
    const char *from, *to;
    const char *named; /* what the error must speak of */
} changes[] = {
    /* unknown, missing, repeated, ill-typed */
    {"\"format\": 1,", "\"format\": 1, \"colour\": 3,", "colour"},
    {"\"format\": 1,", "", "format"},
    {"\"format\": 1,", "\"format\": 2,", "format 1"},
    {"\"format\": 1,", "\"format\": \"1\",", "format"},
    {"\"format\": 1,", "\"format\": 1, \"format\": 1,", "format"},
    {"\"heads\": 12,", "", "network.backbone: "},
    {"\"heads\": 12,", "\"heads\": 12.0,", "heads"},
    {"\"heads\": 12,", "\"heads\": true,", "heads"},
    {"\"heads\": 12,", "\"heads\": 12, \"head\": 1,", "network.backbone: "},
    {"\"heads\": 12,", "\"heads\": 4294967308,", "heads"},
    {"\"cnn\": true", "\"cnn\": 1", "network.generator: "},
    {"{\"kind\": \"percentile\", \"low\": 1, \"high\": 99}", "[1, 99]", "recipe: "},
    {"\"low\": 1,", "\"low\": null,", "recipe.clip: "},
    {"\"height\": 256, ", "", "network: "},
    {"\"file\": \"vit.pth\", ", "", "sources.backbone: "},
    {"caf\xc3\xa9", "\\u001b[2J", "description"},
    {"vit.pth", "vit\\n", "sources.backbone.file"},
    {"vit.pth", "", "sources.backbone.file"},
    {"best_net_G.pth", "a/best_net_G.pth", "sources.generator.file"},
    /* words */
    {"\"RESEARCH\"", "\"research\"", "content_qualification"},
    {"\"mlp\"", "\"moe\"", "moe"},
    {"\"fusion\": \"cnn\"", "\"fusion\": \"attn\"", "attn"},
    {"\"percentile\"", "\"quantile\"", "quantile"},
    {"\"weights.safetensors\"", "\"../weights.safetensors\"", "file"},
    {"\"modality\": \"MR\"", "\"modality\": \"PT\"", "modality"},
    {"\"modality\": \"MR\"", "\"modality\": \"MRMRMRMRMRMRMRMRMRMR\"", "modality"},
    /* bounds */
    {"\"dgcf-mr\"", "\"../dgcf\"", "name"},
    {"\"dgcf-mr\"", "\"\"", "name"},
    {"\"1.0\"", "\"-1\"", "version"},
    {"\"bytes\": 123456", "\"bytes\": -1", "weights.bytes"},
    {"\"bytes\": 123456", "\"bytes\": 99999999999999", "weights.bytes"},
    {SHA, "0123", "weights.sha256"},
    {SHA, "0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef", "weights.sha256"},
    {"\"height\": 256", "\"height\": 250", "multiples of 16"},
    {"\"height\": 256", "\"height\": 0", "network.height"},
    {"\"width\": 128", "\"width\": 4096", "network.width"},
    {"\"dim\": 768", "\"dim\": 760", "network.backbone.dim"},
    {"\"dim\": 768", "\"dim\": 100000", "network.backbone.dim"},
    {"\"depth\": 12", "\"depth\": 11", "network.backbone.features"},
    {"\"depth\": 12", "\"depth\": 65", "network.backbone.depth"},
    {"\"heads\": 12", "\"heads\": 0", "network.backbone.heads"},
    {"\"hidden\": 3072", "\"hidden\": 0", "network.backbone.hidden"},
    {"\"storage_tokens\": 4", "\"storage_tokens\": -1", "storage_tokens"},
    {"[2, 5, 8, 11]", "[2, 5, 5, 11]", "features"},
    {"[2, 5, 8, 11]", "[2, 5, 8]", "features"},
    {"[2, 5, 8, 11]", "[2, 5, 8, 11, 11]", "features"},
    {"[2, 5, 8, 11]", "[-1, 5, 8, 11]", "features"},
    {"[2, 5, 8, 11]", "[4294967298, 5, 8, 11]", "features"},
    {"\"base_channels\": 64", "\"base_channels\": 63", "base_channels"},
    {"\"base_channels\": 64", "\"base_channels\": 1024", "base_channels"},
    {"\"base_channels\": 64, \"fusion\": \"cnn\"", "\"base_channels\": 2, \"fusion\": \"se\"",
     "se"},
    {"[true, false, true, true]", "[true, false, true]", "levels"},
    {"[true, false, true, true]", "[1, 0, 1, 1]", "levels"},
    {"[true, false, true, true]", "[false, false, false, false]", "no level"},
    {"\"cnn\": true", "\"cnn\": false", "without cnn"},
    {"\"low\": 1", "\"low\": 99", "recipe.clip"},
    {"\"low\": 1", "\"low\": -1", "percentiles"},
    {"\"high\": 99", "\"high\": 100.5", "percentiles"},
    {"\"cnn_range\": [-1, 1]", "\"cnn_range\": [1, -1]", "cnn_range"},
    {"\"cnn_range\": [-1, 1]", "\"cnn_range\": [-1, 1, 2]", "cnn_range"},
    {"\"cnn_range\": [-1, 1]", "\"cnn_range\": [-1, 1e9]", "cnn_range"},
    {"\"dino_range\": [0, 2]", "\"dino_range\": [\"0\", 2]", "dino_range"},
    {"\"hu_range\": [-1024, 2000]", "\"hu_range\": [-1024, 40000]", "hu_range"},
};

static void what_is_not_as_documented_is_refused_by_name(void)
{
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        const struct sctd_error err = refusal(changes[i].from, changes[i].to);
        if (strstr(err.text, changes[i].named) == NULL) {
            (void)fprintf(stderr, "%s -> %s: %s\n", changes[i].from, changes[i].to, err.text);
        }
        assert(strstr(err.text, changes[i].named) != NULL);
    }
}

static void text_that_does_not_fit_is_refused(void)
{
    char description[1200];
    memset(description, 'x', sizeof description - 1);
    description[0] = '"';
    description[sizeof description - 2] = '"';
    description[sizeof description - 1] = '\0';
    const struct sctd_error err = refusal("\"caf\xc3\xa9\"", description);
    assert(strstr(err.text, "description") != NULL);
}

static void text_beyond_the_bound_is_not_even_parsed(void)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct manifest m;
    char *text = malloc(MANIFEST_BYTES_MAX + 1);
    assert(text != NULL);
    memset(text, ' ', MANIFEST_BYTES_MAX + 1);
    assert(manifest_parse(&m, text, MANIFEST_BYTES_MAX + 1, &err) == SCTD_EDATA);
    assert(strstr(err.text, "at most 65536") != NULL);
    assert(manifest_parse(&m, text, 0, &err) == SCTD_EDATA);
    assert(manifest_parse(&m, "[]", 2, &err) == SCTD_EDATA);
    free(text);
}

/* A path in a folder of its own, which sctd_dir_remove(folder) removes. */
static void make_folder(char folder[64], char path[SCTD_PATH_MAX], const char *name)
{
    struct sctd_error err = {.code = SCTD_OK};
    (void)snprintf(folder, 64, TEMPORARY("sctd-test-manifest"));
    const char *made = mkdtemp(folder);
    assert(made != NULL);
    int r = sctd_path_join(path, folder, name, &err);
    assert(r == 0);
}

static bool same(double a, double b)
{
    return !(a < b) && !(a > b);
}

static void what_is_written_reads_back_the_same(void)
{
    char folder[64];
    char path[SCTD_PATH_MAX];
    struct sctd_error err = {.code = SCTD_OK};
    struct manifest m = sound_manifest();
    struct manifest back;
    make_folder(folder, path, "manifest.json");
    (void)snprintf(m.description, sizeof m.description, "quote \" backslash \\ \xc3\xa9");
    m.research_only = false;
    m.recipe.clip = RECIPE_CLIP_FIXED;
    m.recipe.clip_low = 0.1;
    m.recipe.clip_high = 1234.5678901234567;
    m.vit.ffn = VIT_FFN_SWIGLU;
    m.generator.fusion = FUSION_SE;
    assert(manifest_write(&m, path, &err) == 0);
    assert(manifest_read(&back, path, &err) == 0);
    assert(strcmp(back.description, m.description) == 0 && !back.research_only);
    assert(same(back.recipe.clip_low, 0.1) && same(back.recipe.clip_high, m.recipe.clip_high));
    assert(back.vit.ffn == VIT_FFN_SWIGLU && back.generator.fusion == FUSION_SE);
    assert(back.weights_bytes == m.weights_bytes);
    sctd_dir_remove(folder);
    assert(manifest_read(&back, path, &err) == SCTD_EIO);
}

static void unsound_manifest_is_not_written(void)
{
    char folder[64];
    char path[SCTD_PATH_MAX];
    struct sctd_error err = {.code = SCTD_OK};
    struct manifest m = sound_manifest();
    make_folder(folder, path, "manifest.json");
    assert(manifest_write(&m, path, &err) == 0);
    m.height = 100;
    assert(manifest_write(&m, path, &err) == SCTD_EINVAL);
    assert(err.code == SCTD_EINVAL);
    m.height = 256;
    m.description[0] = '\xff'; /* no UTF-8 */
    m.description[1] = '\0';
    assert(manifest_write(&m, path, &err) == SCTD_EINVAL);
    assert(manifest_read(&m, path, &err) == 0); /* the old file is still there */
    assert(m.height == 256);
    sctd_dir_remove(folder);
}

static void recipe_file_is_the_recipe_object_alone(void)
{
    static const char text[] =
        "{\"modality\": \"CT\", \"clip\": {\"kind\": \"fixed\", \"low\": -1000, \"high\": 2500},"
        "\"cnn_range\": [-1, 1], \"dino_range\": [-1, 1], \"hu_range\": [-1024, 3071]}";
    char folder[64];
    char path[SCTD_PATH_MAX];
    struct sctd_error err = {.code = SCTD_OK};
    struct recipe recipe;
    make_folder(folder, path, "recipe.json");
    assert(sctd_file_replace(path, text, sizeof text - 1, &err) == 0);
    assert(recipe_read(&recipe, path, &err) == 0);
    assert(recipe.clip == RECIPE_CLIP_FIXED && recipe.hu_high > 3070.0);
    assert(sctd_file_replace(path, "{}", 2, &err) == 0);
    assert(recipe_read(&recipe, path, &err) == SCTD_EDATA);
    assert(strstr(err.text, "recipe.json: recipe: ") != NULL);
    sctd_dir_remove(folder);
}

static void published_recipes_are_sound(void)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct recipe recipe;
    assert(recipe_preset(&recipe, "mr", &err) == 0);
    assert(recipe_check(&recipe, &err) == 0);
    assert(recipe.dino_low > -0.5 && recipe.dino_high > 1.5); /* [0, 2], as published */
    assert(recipe_preset(&recipe, "cbct", &err) == 0);
    assert(recipe_check(&recipe, &err) == 0);
    assert(strcmp(recipe.modality, "CT") == 0 && recipe.dino_low < -0.5);
    assert(recipe_preset(&recipe, "MR", &err) == SCTD_EINVAL);
}

static void names_are_plain(void)
{
    static const char *const bad[] = {"",  ".x",  "-x",  "_x",       "a/b",
                                      "A", "a b", "a@1", "\xc3\xa9", "a\n"};
    char longest[MANIFEST_NAME_MAX + 1];
    memset(longest, 'a', sizeof longest - 1);
    longest[MANIFEST_NAME_MAX] = '\0';
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert(!manifest_is_name(bad[i]));
    }
    assert(!manifest_is_name(longest));
    longest[MANIFEST_NAME_MAX - 1] = '\0';
    assert(manifest_is_name(longest));
    assert(manifest_is_name("0") && manifest_is_name("a..b") && manifest_is_name("dgcf_mr-1.0"));
}

int main(void)
{
    every_key_of_the_identity_is_read();
    every_key_of_the_network_is_read();
    every_key_of_the_recipe_and_the_sources_is_read();
    what_is_not_as_documented_is_refused_by_name();
    text_that_does_not_fit_is_refused();
    text_beyond_the_bound_is_not_even_parsed();
    what_is_written_reads_back_the_same();
    unsound_manifest_is_not_written();
    recipe_file_is_the_recipe_object_alone();
    published_recipes_are_sound();
    names_are_plain();
    return 0;
}
