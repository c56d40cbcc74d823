/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/model/layout.h"
#include "engine/model/manifest.h"

static const struct vit_config vit = {
    .dim = 96,
    .depth = 12,
    .heads = 6,
    .hidden = 384,
    .ffn = VIT_FFN_MLP,
    .storage_tokens = 4,
    .features = {2, 5, 8, 11},
};

static const struct generator_config generator = {
    .base_channels = 8,
    .fusion = FUSION_CNN,
    .levels = {true, true, true, true},
    .cnn = true,
};

static struct layout *layout_of(const struct vit_config *v, const struct generator_config *g)
{
    struct sctd_error err = {0};
    struct layout *l = NULL;
    assert(layout_new(&l, v, g, vit.dim, &err) == 0);
    return l;
}

static void has(const struct layout *l, const char *name, int32_t n_dims, const int64_t dim[4])
{
    const size_t i = layout_find(l, name);
    assert(i != SIZE_MAX);
    const struct layout_entry *e = layout_get(l, i);
    assert(strcmp(e->name, name) == 0);
    assert(e->n_dims == n_dims);
    for (int32_t d = 0; d < n_dims; d++) {
        assert(e->dim[d] == dim[d]);
    }
}

/* The golden files hold 188 tensors (12 bias_mask and 1 mask_token unused) and, per fusion kind, as many
 * as below with their num_batches_tracked. */
static void counts_are_those_of_the_published_files(void)
{
    static const struct {
        enum fusion_kind fusion;
        size_t weights;
    } kinds[] = {
        {FUSION_CNN, 278 - 46},
        {FUSION_GATED, 258 - 42},
        {FUSION_SE, 222 - 34},
        {FUSION_NONE, 132},
    };
    sctd_auto(layout_freep) struct layout *backbone = layout_of(&vit, NULL);
    assert(layout_get_count(backbone) == 188 - 13);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct generator_config g = generator;
        g.fusion = kinds[i].fusion;
        sctd_auto(layout_freep) struct layout *l = layout_of(NULL, &g);
        assert(layout_get_count(l) == kinds[i].weights);
    }
}

static void shapes_follow_the_configuration(void)
{
    sctd_auto(layout_freep) struct layout *l = layout_of(&vit, &generator);
    has(l, "backbone.storage_tokens", 3, (int64_t[]){1, 4, 96, 0});
    has(l, "backbone.rope_embed.periods", 1, (int64_t[]){4, 0, 0, 0});
    has(l, "backbone.blocks.11.attn.qkv.weight", 2, (int64_t[]){288, 96, 0, 0});
    has(l, "backbone.blocks.0.mlp.fc1.bias", 1, (int64_t[]){384, 0, 0, 0});
    has(l, "generator.encoder.enc1.0.block.0.weight", 4, (int64_t[]){8, 1, 3, 3});
    has(l, "generator.encoder.enc4.1.block.0.weight", 4, (int64_t[]){64, 32, 3, 3});
    has(l, "generator.proj_f12.block.0.weight", 4, (int64_t[]){64, 96, 3, 3});
    has(l, "generator.fuse2.merge.0.weight", 4, (int64_t[]){16, 32, 1, 1});
    has(l, "generator.decoder.up1.1.block.0.weight", 4, (int64_t[]){32, 64, 3, 3});
    has(l, "generator.decoder.out.0.block.0.weight", 4, (int64_t[]){4, 8, 3, 3});
    has(l, "generator.decoder.out.1.bias", 1, (int64_t[]){1, 0, 0, 0});
    assert(layout_entry_count(layout_get(l, layout_find(l, "generator.fuse2.merge.0.weight"))) ==
           512);
}

static void squeeze_hidden_width_is_a_quarter(void)
{
    struct generator_config g = generator;
    g.fusion = FUSION_SE;
    sctd_auto(layout_freep) struct layout *l = layout_of(NULL, &g);
    has(l, "generator.fuse1.fc.1.weight", 4, (int64_t[]){2, 16, 1, 1});
    has(l, "generator.fuse4.fc.3.weight", 4, (int64_t[]){128, 16, 1, 1});
    assert(layout_find(l, "generator.fuse1.merge.0.weight") == SIZE_MAX);
}

static void gate_has_a_bias_and_an_output_projection(void)
{
    struct generator_config g = generator;
    g.fusion = FUSION_GATED;
    sctd_auto(layout_freep) struct layout *l = layout_of(NULL, &g);
    has(l, "generator.fuse3.gate.0.bias", 1, (int64_t[]){32, 0, 0, 0});
    has(l, "generator.fuse3.gate.1.running_var", 1, (int64_t[]){32, 0, 0, 0});
    has(l, "generator.fuse3.out_proj.block.0.weight", 4, (int64_t[]){32, 32, 3, 3});
}

static void unused_levels_have_no_weights(void)
{
    struct generator_config g = generator;
    g.levels[0] = false;
    g.levels[2] = false;
    sctd_auto(layout_freep) struct layout *l = layout_of(NULL, &g);
    assert(layout_find(l, "generator.proj_f3.block.0.weight") == SIZE_MAX);
    assert(layout_find(l, "generator.fuse3.proj_img.block.0.weight") == SIZE_MAX);
    has(l, "generator.proj_f6.block.0.weight", 4, (int64_t[]){16, 96, 3, 3});
}

static void generator_without_cnn_has_neither_encoder_nor_fusion(void)
{
    struct generator_config g = generator;
    g.cnn = false;
    g.fusion = FUSION_NONE;
    sctd_auto(layout_freep) struct layout *l = layout_of(NULL, &g);
    for (size_t i = 0; i < layout_get_count(l); i++) {
        assert(strstr(layout_get(l, i)->name, "encoder") == NULL);
        assert(strstr(layout_get(l, i)->name, "fuse") == NULL);
    }
    assert(layout_get_count(l) == 72);
}

static void swiglu_has_three_matrices(void)
{
    struct vit_config v = vit;
    v.ffn = VIT_FFN_SWIGLU;
    sctd_auto(layout_freep) struct layout *l = layout_of(&v, NULL);
    has(l, "backbone.blocks.5.mlp.w1.weight", 2, (int64_t[]){384, 96, 0, 0});
    has(l, "backbone.blocks.5.mlp.w3.weight", 2, (int64_t[]){96, 384, 0, 0});
    assert(layout_find(l, "backbone.blocks.5.mlp.fc1.weight") == SIZE_MAX);
}

static void backbone_without_storage_tokens_has_no_such_tensor(void)
{
    struct vit_config v = vit;
    v.storage_tokens = 0;
    sctd_auto(layout_freep) struct layout *l = layout_of(&v, NULL);
    assert(layout_find(l, "backbone.storage_tokens") == SIZE_MAX);
}

/* A ViT of the largest allowed depth and the largest kind of generator. */
static void names_are_unique_and_found(void)
{
    struct vit_config v = vit;
    v.depth = 64;
    sctd_auto(layout_freep) struct layout *l = layout_of(&v, &generator);
    for (size_t i = 0; i < layout_get_count(l); i++) {
        assert(layout_find(l, layout_get(l, i)->name) == i);
    }
    assert(layout_find(l, "") == SIZE_MAX);
    assert(layout_find(l, "backbone.zzz") == SIZE_MAX);
    assert(strcmp(layout_get(l, 0)->name, "backbone.cls_token") == 0);
}

int main(void)
{
    counts_are_those_of_the_published_files();
    shapes_follow_the_configuration();
    squeeze_hidden_width_is_a_quarter();
    gate_has_a_bias_and_an_output_projection();
    unused_levels_have_no_weights();
    generator_without_cnn_has_neither_encoder_nor_fusion();
    swiglu_has_three_matrices();
    backbone_without_storage_tokens_has_no_such_tensor();
    names_are_unique_and_found();
    return 0;
}
