/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/safetensors.h"
#include "engine/model/manifest.h"
#include "engine/model/model.h"

#include "tests/support/made_checkpoint.h"
#include "tests/support/temporary.h"

static char folder[] = TEMPORARY("sctd-test-import");
static char backbone_path[64], generator_path[64], models_dir[64];

static struct model_import_options options_of(const char *version)
{
    return (struct model_import_options){.backbone = backbone_path,
                                         .generator = generator_path,
                                         .recipe = "mr",
                                         .name = "m",
                                         .version = version,
                                         .models_dir = models_dir};
}

static struct made_checkpoint *new_backbone(void)
{
    const struct vit_config vit = made_vit();
    return made_new(&vit, NULL);
}

static struct made_checkpoint *new_generator(void)
{
    const struct generator_config generator = made_generator();
    return made_new(NULL, &generator);
}

/* For a backbone of another width than 16. */
static struct made_checkpoint *new_generator_for(int64_t width)
{
    struct made_checkpoint *c = new_generator();
    for (int k = 3; k <= 12; k += 3) {
        char name[64];
        (void)snprintf(name, sizeof name, "proj_f%d.block.0.weight", k);
        const int64_t dim[] = {c->tensor[made_find(c, name)].dim[0], width, 3, 3};
        made_remove(c, name);
        made_add(c, name, 4, dim);
    }
    return c;
}

static void write_and_free(struct made_checkpoint *c, const char *path)
{
    made_write(c, path);
    made_free(c);
}

/* What a failed import says: the lines, behind the summary and a line feed. */
static void refused(const struct model_import_options *o, int code, char text[4096])
{
    struct sctd_error err = {.code = SCTD_OK};
    struct sctd_buf problems = sctd_buf_make(1 << 20);
    char dir[SCTD_PATH_MAX] = "untouched";
    assert(model_import(dir, o, &problems, &err) == code);
    assert(strcmp(dir, "untouched") == 0);
    (void)snprintf(text, 4096, "%s\n%s", err.text, sctd_buf_get_text(&problems));
    sctd_buf_fini(&problems);
}

static struct model *imported(const struct model_import_options *o)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct sctd_buf problems = sctd_buf_make(1 << 20);
    struct model *model = NULL;
    char dir[SCTD_PATH_MAX];
    int r = model_import(dir, o, &problems, &err);
    if (r < 0) {
        (void)fprintf(stderr, "%s\n%s", err.text, sctd_buf_get_text(&problems));
    }
    assert(r == 0);
    assert(problems.size == 0);
    assert(model_open(&model, dir, &err) == 0);
    assert(model_verify(model, &err) == 0);
    sctd_dir_remove(dir); /* the mapping outlives it */
    return model;
}

static float value_of(const struct model *model, const char *name, size_t i)
{
    const struct tensor_view *t = model_find(model, name);
    assert(t != NULL);
    assert(i < tensor_view_count(t));
    float value = 0.0F;
    memcpy(&value, (const char *)t->data + i * sizeof value, sizeof value);
    return value;
}

static bool same(float a, float b)
{
    uint32_t bits[2];
    memcpy(&bits[0], &a, sizeof a);
    memcpy(&bits[1], &b, sizeof b);
    return bits[0] == bits[1];
}

static void key_third_of_the_bias_becomes_zero(void)
{
    write_and_free(new_backbone(), backbone_path);
    const struct model_import_options o = options_of("1");
    sctd_auto(model_closep) struct model *model = imported(&o);
    for (size_t i = 0; i < 48; i++) {
        const float value = value_of(model, "backbone.blocks.4.attn.qkv.bias", i);
        assert(i / 16 == 1 ? same(value, 0.0F) : value > 0.2F);
    }
}

static void bias_is_multiplied_by_its_mask(void)
{
    static float mask[48];
    struct made_checkpoint *c = new_backbone();
    for (int i = 0; i < 48; i++) {
        mask[i] = i < 32 ? 1.0F : 0.0F;
    }
    made_add(c, "blocks.4.attn.qkv.bias_mask", 1, (int64_t[]){48});
    c->tensor[c->n - 1].data = mask;
    write_and_free(c, backbone_path);
    const struct model_import_options o = options_of("1");
    sctd_auto(model_closep) struct model *model = imported(&o);
    assert(value_of(model, "backbone.blocks.4.attn.qkv.bias", 0) > 0.2F);
    assert(same(value_of(model, "backbone.blocks.4.attn.qkv.bias", 40), 0.0F));
    assert(value_of(model, "backbone.blocks.5.attn.qkv.bias", 40) > 0.2F);
}

static void mask_that_was_never_set_is_refused(void)
{
    static float mask[48];
    char text[4096];
    struct made_checkpoint *c = new_backbone();
    mask[17] = NAN;
    made_add(c, "blocks.4.attn.qkv.bias_mask", 1, (int64_t[]){48});
    c->tensor[c->n - 1].data = mask;
    write_and_free(c, backbone_path);
    const struct model_import_options o = options_of("1");
    refused(&o, SCTD_EDATA, text);
    assert(strstr(text, "blocks.4.attn.qkv.bias_mask is nan") != NULL);
}

/* The table of Meta's released files (DINOv3, rope_embed.periods, bf16). */
static void missing_periods_are_those_of_the_released_files(void)
{
    static const float periods[16] = {1.0F,    1.3359375F, 1.78125F, 2.375F,   3.15625F, 4.21875F,
                                      5.625F,  7.5F,       10.0F,    13.3125F, 17.75F,   23.75F,
                                      31.625F, 42.25F,     56.25F,   75.0F};
    struct vit_config vit = made_vit();
    vit.dim = 64;
    struct made_checkpoint *c = made_new(&vit, NULL);
    made_remove(c, "rope_embed.periods");
    write_and_free(c, backbone_path);
    write_and_free(new_generator_for(64), generator_path);
    const struct model_import_options o = options_of("1");
    sctd_auto(model_closep) struct model *model = imported(&o);
    assert(model_get_manifest(model)->vit.heads == 1);
    for (size_t i = 0; i < 16; i++) {
        assert(same(value_of(model, "backbone.rope_embed.periods", i), periods[i]));
    }
    write_and_free(new_generator(), generator_path);
}

static void heads_of_unusual_width_must_be_given(void)
{
    char text[4096];
    struct made_checkpoint *c = new_backbone();
    made_remove(c, "rope_embed.periods");
    write_and_free(c, backbone_path);
    struct model_import_options o = options_of("1");
    refused(&o, SCTD_EINVAL, text);
    assert(strstr(text, "no RoPE periods and its width of 16 is not a multiple of 64") != NULL);
    o.heads = 2;
    sctd_auto(model_closep) struct model *model = imported(&o);
    assert(model_get_manifest(model)->vit.heads == 2);
    assert(same(value_of(model, "backbone.rope_embed.periods", 1), 10.0F));
}

/* As ViT-7B, which has no periods in Hugging Face's file, but of width 128. */
static void heads_of_forty_blocks_are_128_wide(void)
{
    char text[4096];
    struct vit_config vit = made_vit();
    vit.dim = 128;
    vit.depth = 40;
    vit.hidden = 8;
    struct made_checkpoint *c = made_new(&vit, NULL);
    made_remove(c, "rope_embed.periods");
    write_and_free(c, backbone_path);
    struct model_import_options o = options_of("1");
    refused(&o, SCTD_EDATA, text);
    assert(strstr(text, "width 16, this backbone's is 128") != NULL);
    o.heads = 3;
    refused(&o, SCTD_EDATA, text);
    assert(strstr(text, "not a multiple of 4 x 3 heads") != NULL);

    write_and_free(new_generator_for(128), generator_path);
    o = options_of("1");
    sctd_auto(model_closep) struct model *model = imported(&o);
    assert(model_get_manifest(model)->vit.heads == 1);
    assert(model_get_manifest(model)->vit.features[2] == 29);
    write_and_free(new_generator(), generator_path);
}

static void depths_that_were_never_published_are_refused(void)
{
    char text[4096];
    struct vit_config vit = made_vit();
    vit.depth = 13;
    write_and_free(made_new(&vit, NULL), backbone_path);
    const struct model_import_options o = options_of("1");
    refused(&o, SCTD_EDATA, text);
    assert(strstr(text, "13 blocks") != NULL);
    assert(strstr(text, "12, 24 and 40") != NULL);
}

/* Zeros, subnormals, the ends of the range and others, of both signs. */
static const uint16_t half[16] = {0x0000, 0x8000, 0x0001, 0x8001, 0x03FF, 0x0400, 0x3C00, 0xBC00,
                                  0x7BFF, 0xFBFF, 0x3555, 0x3C01, 0x2000, 0x0200, 0x4248, 0xC248};
static const float half_values[16] = {
    0.0F,     -0.0F,     0x1p-24F,    -0x1p-24F,  0x3FFp-24F, 0x1p-14F, 1.0F,      -1.0F,
    65504.0F, -65504.0F, 0x1.554p-2F, 0x401p-10F, 0x1p-7F,    0x1p-15F, 3.140625F, -3.140625F};

static void half_precision_is_converted_exactly(void)
{
    struct made_checkpoint *c = new_backbone();
    struct tensor_view *t = &c->tensor[made_find(c, "norm.bias")];
    t->dtype = TENSOR_F16;
    t->data = half;
    t->bytes = sizeof half;
    write_and_free(c, backbone_path);
    const struct model_import_options o = options_of("1");
    sctd_auto(model_closep) struct model *model = imported(&o);
    for (size_t i = 0; i < 16; i++) {
        assert(same(value_of(model, "backbone.norm.bias", i), half_values[i]));
    }
}

static void doubles_and_bf16_are_converted(void)
{
    static const double wide[16] = {0.1, 1e-50, -2.5, 16777217.0};
    static const uint16_t brief[16] = {0x3F80, 0xC020, 0x0001};
    struct made_checkpoint *c = new_backbone();
    struct tensor_view *t = &c->tensor[made_find(c, "norm.bias")];
    t->dtype = TENSOR_F64;
    t->data = wide;
    t->bytes = sizeof wide;
    t = &c->tensor[made_find(c, "norm.weight")];
    t->dtype = TENSOR_BF16;
    t->data = brief;
    t->bytes = sizeof brief;
    write_and_free(c, backbone_path);
    const struct model_import_options o = options_of("1");
    sctd_auto(model_closep) struct model *model = imported(&o);
    assert(same(value_of(model, "backbone.norm.bias", 0), 0.1F));
    assert(same(value_of(model, "backbone.norm.bias", 1), 0.0F));
    assert(same(value_of(model, "backbone.norm.bias", 3), 16777216.0F));
    assert(same(value_of(model, "backbone.norm.weight", 1), -2.5F));
    assert(same(value_of(model, "backbone.norm.weight", 2), 0x1p-133F));
}

static void double_beyond_f32_is_refused(void)
{
    static const double wide[16] = {1e300};
    char text[4096];
    struct made_checkpoint *c = new_backbone();
    struct tensor_view *t = &c->tensor[made_find(c, "norm.bias")];
    t->dtype = TENSOR_F64;
    t->data = wide;
    t->bytes = sizeof wide;
    write_and_free(c, backbone_path);
    const struct model_import_options o = options_of("1");
    refused(&o, SCTD_EDATA, text);
    assert(strstr(text, "value 0 of norm.bias is inf, which is not finite") != NULL);
}

static void integers_are_no_weights(void)
{
    static const int32_t whole[16];
    char text[4096];
    struct made_checkpoint *c = new_backbone();
    struct tensor_view *t = &c->tensor[made_find(c, "norm.bias")];
    t->dtype = TENSOR_I32;
    t->data = whole;
    t->bytes = sizeof whole;
    write_and_free(c, backbone_path);
    const struct model_import_options o = options_of("1");
    refused(&o, SCTD_EDATA, text);
    assert(strstr(text, "backbone: wrong type: norm.bias is I32") != NULL);
    assert(strstr(text, "0 missing, 0 extra, 1 wrongly shaped") != NULL);
}

static void bias_that_some_blocks_lack_is_missing(void)
{
    char text[4096];
    struct made_checkpoint *c = new_backbone();
    made_remove(c, "blocks.6.attn.proj.bias");
    made_remove(c, "blocks.7.attn.qkv.bias");
    write_and_free(c, backbone_path);
    const struct model_import_options o = options_of("1");
    refused(&o, SCTD_EDATA, text);
    assert(strstr(text, "backbone: missing: blocks.6.attn.proj.bias [16]\n") != NULL);
    assert(strstr(text, "backbone: missing: blocks.7.attn.qkv.bias [48]\n") != NULL);
}

static void bias_that_no_block_has_is_zero(void)
{
    struct made_checkpoint *c = new_backbone();
    for (int n = 0; n < 12; n++) {
        char name[64];
        (void)snprintf(name, sizeof name, "blocks.%d.attn.proj.bias", n);
        made_remove(c, name);
    }
    write_and_free(c, backbone_path);
    const struct model_import_options o = options_of("1");
    sctd_auto(model_closep) struct model *model = imported(&o);
    assert(same(value_of(model, "backbone.blocks.11.attn.proj.bias", 15), 0.0F));
}

static void thirds_must_all_be_there(void)
{
    char text[4096];
    struct made_checkpoint *c = new_backbone();
    made_remove(c, "blocks.2.attn.qkv.weight");
    made_add(c, "layer.2.attention.q_proj.weight", 2, (int64_t[]){16, 16});
    made_add(c, "layer.2.attention.v_proj.weight", 2, (int64_t[]){16, 8});
    made_add(c, "layer.3.attention.q_proj.weight", 2, (int64_t[]){16, 16});
    write_and_free(c, backbone_path);
    const struct model_import_options o = options_of("1");
    refused(&o, SCTD_EDATA, text);
    assert(strstr(text, "1 missing, 1 extra, 1 wrongly shaped") != NULL);
    assert(strstr(text, "missing: blocks.2.attn.qkv.weight (key) [16, 16]\n") != NULL);
    assert(strstr(text, "layer.2.attention.v_proj.weight is [16, 8], expected [16, 16]") != NULL);
    assert(strstr(text, "extra: layer.3.attention.q_proj.weight: there is another") != NULL);
}

static void negative_variance_is_refused(void)
{
    char text[4096];
    struct made_checkpoint *c = new_generator();
    c->value[made_find(c, "fuse3.merge.1.running_var")][5] = -1e-6F;
    write_and_free(new_backbone(), backbone_path);
    write_and_free(c, generator_path);
    const struct model_import_options o = options_of("1");
    refused(&o, SCTD_EDATA, text);
    assert(strstr(text, "value 5 of fuse3.merge.1.running_var is -1e-06, which is a negative") !=
           NULL);
    write_and_free(new_generator(), generator_path);
}

static void controls_in_names_do_not_reach_the_report(void)
{
    char text[4096];
    struct made_checkpoint *c = new_backbone();
    made_add(c, "\x1b[2Jsurprise", 1, (int64_t[]){1});
    write_and_free(c, backbone_path);
    const struct model_import_options o = options_of("1");
    refused(&o, SCTD_EDATA, text);
    assert(strchr(text, '\x1b') == NULL);
    assert(strstr(text, "surprise") != NULL);
}

static void options_out_of_range_are_refused(void)
{
    char text[4096];
    char longest[MANIFEST_TEXT_MAX + 1];
    write_and_free(new_backbone(), backbone_path);
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    struct model_import_options o = options_of("1");
    o.height = 24;
    refused(&o, SCTD_EINVAL, text);
    o = options_of("1");
    o.width = 4096;
    refused(&o, SCTD_EINVAL, text);
    o = options_of("1");
    o.heads = -1;
    refused(&o, SCTD_EINVAL, text);
    o = options_of("1");
    o.heads = 2;
    refused(&o, SCTD_EINVAL, text);
    assert(strstr(text, "the backbone's RoPE periods tell 1") != NULL);
    o = options_of("1");
    o.description = longest;
    refused(&o, SCTD_EINVAL, text);
    o.description = "\xff";
    refused(&o, SCTD_EINVAL, text);
    assert(strstr(text, "the description is not UTF-8") != NULL);
    o = options_of("1");
    o.fusion = "attn";
    refused(&o, SCTD_EINVAL, text);
    o = options_of("UPPER");
    refused(&o, SCTD_EINVAL, text);
    o = options_of("1");
    o.recipe = "ct";
    refused(&o, SCTD_EINVAL, text);
}

static void existing_model_is_not_replaced(void)
{
    char text[4096];
    char dir[128];
    (void)snprintf(dir, sizeof dir, "%s/m@taken", models_dir);
    assert(mkdir(dir, 0700) == 0);
    const struct model_import_options o = options_of("taken");
    refused(&o, SCTD_EINVAL, text);
    assert(strstr(text, "m@taken is there already") != NULL);
    sctd_dir_remove(dir);
}

int main(void)
{
    assert(mkdtemp(folder) != NULL);
    (void)snprintf(backbone_path, sizeof backbone_path, "%s/vit", folder);
    (void)snprintf(generator_path, sizeof generator_path, "%s/gen", folder);
    (void)snprintf(models_dir, sizeof models_dir, "%s/models", folder);
    write_and_free(new_generator(), generator_path);

    key_third_of_the_bias_becomes_zero();
    bias_is_multiplied_by_its_mask();
    mask_that_was_never_set_is_refused();
    missing_periods_are_those_of_the_released_files();
    heads_of_unusual_width_must_be_given();
    heads_of_forty_blocks_are_128_wide();
    depths_that_were_never_published_are_refused();
    half_precision_is_converted_exactly();
    doubles_and_bf16_are_converted();
    double_beyond_f32_is_refused();
    integers_are_no_weights();
    bias_that_some_blocks_lack_is_missing();
    bias_that_no_block_has_is_zero();
    thirds_must_all_be_there();
    negative_variance_is_refused();
    controls_in_names_do_not_reach_the_report();
    options_out_of_range_are_refused();
    existing_model_is_not_replaced();

    sctd_dir_remove(models_dir);
    sctd_dir_remove(folder);
    return 0;
}
