/* SPDX-License-Identifier: Apache-2.0 */
/* DINOv3 checkpoints: Meta's and Hugging Face's names, and what the shapes tell. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/safetensors.h"
#include "engine/model/checkpoint.h"
#include "engine/model/import.h"
#include "engine/model/manifest.h"

enum { HEAD_WIDTH = 64, STORAGE_TOKENS = 4, BLOCKS_MAX = 64 };

/* What training scripts wrap a backbone in. */
static const char *const wrappers[] = {"teacher.", "model.", "backbone.", "dinov3_vit.", "module."};

/* What a checkpoint holds besides the backbone, or unused by it: beginnings of names. */
static const char *const ignored[] = {
    "ibot", "dino_head", "local_cls_norm.", "mask_token", "embeddings.mask_token",
};

/* How many blocks a published DINOv3 has, and which of them the generator reads. */
static const struct known_depth {
    int32_t depth;
    int32_t features[4];
} known_depths[] = {
    {12, {2, 5, 8, 11}},
    {24, {4, 11, 17, 23}},
    {40, {9, 19, 29, 39}},
};

struct renaming {
    const char *from;
    const char *to;
    const char *to_swiglu; /* where it differs; or NULL */
    enum import_part part;
};

/* transformers, convert_dinov3_vit_to_hf.py, read backwards. */
static const struct renaming stem_renamings[] = {
    {"embeddings.cls_token", "cls_token", NULL, IMPORT_WHOLE},
    {"embeddings.register_tokens", "storage_tokens", NULL, IMPORT_WHOLE},
    {"embeddings.patch_embeddings.weight", "patch_embed.proj.weight", NULL, IMPORT_WHOLE},
    {"embeddings.patch_embeddings.bias", "patch_embed.proj.bias", NULL, IMPORT_WHOLE},
};

/* Behind "layer.N.", which becomes "blocks.N.". */
static const struct renaming layer_renamings[] = {
    {"attention.q_proj.weight", "attn.qkv.weight", NULL, IMPORT_Q},
    {"attention.k_proj.weight", "attn.qkv.weight", NULL, IMPORT_K},
    {"attention.v_proj.weight", "attn.qkv.weight", NULL, IMPORT_V},
    {"attention.q_proj.bias", "attn.qkv.bias", NULL, IMPORT_Q},
    {"attention.v_proj.bias", "attn.qkv.bias", NULL, IMPORT_V},
    {"attention.o_proj.weight", "attn.proj.weight", NULL, IMPORT_WHOLE},
    {"attention.o_proj.bias", "attn.proj.bias", NULL, IMPORT_WHOLE},
    {"layer_scale1.lambda1", "ls1.gamma", NULL, IMPORT_WHOLE},
    {"layer_scale2.lambda1", "ls2.gamma", NULL, IMPORT_WHOLE},
    {"mlp.gate_proj.weight", "mlp.w1.weight", NULL, IMPORT_WHOLE},
    {"mlp.gate_proj.bias", "mlp.w1.bias", NULL, IMPORT_WHOLE},
    {"mlp.up_proj.weight", "mlp.fc1.weight", "mlp.w2.weight", IMPORT_WHOLE},
    {"mlp.up_proj.bias", "mlp.fc1.bias", "mlp.w2.bias", IMPORT_WHOLE},
    {"mlp.down_proj.weight", "mlp.fc2.weight", "mlp.w3.weight", IMPORT_WHOLE},
    {"mlp.down_proj.bias", "mlp.fc2.bias", "mlp.w3.bias", IMPORT_WHOLE},
};

static bool begins_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static const char *strip_wrappers(const char *name)
{
    for (size_t i = 0; i < sizeof wrappers / sizeof wrappers[0];) {
        if (begins_with(name, wrappers[i])) {
            name += strlen(wrappers[i]);
            i = 0; /* they nest in any order */
        } else {
            i++;
        }
    }
    return name;
}

/* "layer.N.REST" with one `word` for "layer": N and REST; false if it is not so. */
static bool split_block(const char *name, const char *word, int32_t *ret_block,
                        const char **ret_rest)
{
    if (!begins_with(name, word)) {
        return false;
    }
    const char *at = name + strlen(word);
    const char *digits = at;
    int32_t block = 0;
    for (; *at >= '0' && *at <= '9' && block < BLOCKS_MAX; at++) {
        block = 10 * block + (*at - '0');
    }
    const bool plain = at > digits && (digits[0] != '0' || at == digits + 1);
    if (!plain || *at != '.' || block >= BLOCKS_MAX) {
        return false;
    }
    *ret_block = block;
    *ret_rest = at + 1;
    return true;
}

static const struct renaming *find_renaming(const struct renaming *table, size_t n,
                                            const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(table[i].from, name) == 0) {
            return &table[i];
        }
    }
    return NULL;
}

static void set_name(struct import_name *ret_name, const char *block, const char *rest)
{
    (void)snprintf(ret_name->text, sizeof ret_name->text, "backbone.%s%s", block, rest);
}

static bool translate(const struct import_source *source, const char *name,
                      struct import_name *ret_name)
{
    static const char mask[] = ".attn.qkv.bias_mask";
    name = strip_wrappers(name);
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++) {
        if (begins_with(name, ignored[i])) {
            return false;
        }
    }

    const struct renaming *found =
        find_renaming(stem_renamings, sizeof stem_renamings / sizeof stem_renamings[0], name);
    char block_text[32] = "";
    const char *rest = name;
    int32_t block = 0;
    if (found == NULL && split_block(name, "layer.", &block, &rest)) {
        (void)snprintf(block_text, sizeof block_text, "blocks.%d.", block);
        found = find_renaming(layer_renamings, sizeof layer_renamings / sizeof layer_renamings[0],
                              rest);
    }
    if (found != NULL) {
        rest = source->swiglu && found->to_swiglu != NULL ? found->to_swiglu : found->to;
    }
    ret_name->part = found == NULL ? IMPORT_WHOLE : found->part;
    set_name(ret_name, block_text, rest);

    const size_t length = strlen(ret_name->text);
    if (length > sizeof mask && strcmp(ret_name->text + length + 1 - sizeof mask, mask) == 0) {
        ret_name->text[length - strlen("_mask")] = '\0';
        ret_name->part = IMPORT_MASK;
    }
    return true;
}

enum fact { FACT_DIM, FACT_HIDDEN, FACT_PERIODS, FACT_STORAGE_TOKENS, FACTS };

/* What the names and shapes tell; 0 where nothing did. */
struct facts {
    int64_t told[FACTS];
    int32_t depth;
};

/* Where a number is told: dimension `at` of a tensor of n_dims that is so named in either naming. */
struct told_by {
    const char *name;
    int32_t n_dims;
    int32_t at;
    enum fact fact;
};

static const struct told_by stem_tellers[] = {
    {"patch_embed.proj.weight", 4, 0, FACT_DIM},
    {"embeddings.patch_embeddings.weight", 4, 0, FACT_DIM},
    {"cls_token", 3, 2, FACT_DIM},
    {"embeddings.cls_token", 3, 2, FACT_DIM},
    {"norm.weight", 1, 0, FACT_DIM},
    {"storage_tokens", 3, 1, FACT_STORAGE_TOKENS},
    {"embeddings.register_tokens", 3, 1, FACT_STORAGE_TOKENS},
    {"rope_embed.periods", 1, 0, FACT_PERIODS},
};

static const struct told_by block_tellers[] = {
    {"mlp.fc1.weight", 2, 0, FACT_HIDDEN},
    {"mlp.w1.weight", 2, 0, FACT_HIDDEN},
    {"mlp.up_proj.weight", 2, 0, FACT_HIDDEN},
    {"mlp.gate_proj.weight", 2, 0, FACT_HIDDEN},
};

static void hear(struct facts *facts, const struct told_by *table, size_t n, const char *name,
                 const struct tensor_view *t)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(table[i].name, name) != 0 || t->n_dims != table[i].n_dims) {
            continue;
        }
        int64_t *fact = &facts->told[table[i].fact];
        *fact = *fact == 0 ? t->dim[table[i].at] : *fact;
    }
}

static void gather_facts(struct import_source *source, struct facts *facts)
{
    for (size_t i = 0; i < checkpoint_get_count(source->checkpoint); i++) {
        const struct tensor_view *t = checkpoint_get(source->checkpoint, i);
        const char *name = strip_wrappers(t->name);
        int32_t block = 0;
        const char *rest = name;
        if (split_block(name, "blocks.", &block, &rest) ||
            split_block(name, "layer.", &block, &rest)) {
            facts->depth = block + 1 > facts->depth ? block + 1 : facts->depth;
            hear(facts, block_tellers, sizeof block_tellers / sizeof block_tellers[0], rest, t);
            source->swiglu = source->swiglu || begins_with(rest, "mlp.w1.") ||
                             begins_with(rest, "mlp.gate_proj.");
        } else {
            hear(facts, stem_tellers, sizeof stem_tellers / sizeof stem_tellers[0], name, t);
        }
    }
}

/*
 * Heads are as wide as four times the RoPE periods; without periods 64, but 128 in ViT-7B, the one
 * published backbone of 40 blocks (DINOv3, arXiv:2508.10104, table 2).
 */
static int tell_heads(int32_t *ret_heads, const struct facts *facts, int32_t asked,
                      struct sctd_error *err)
{
    if (facts->told[FACT_PERIODS] > 0) {
        const int64_t heads = facts->told[FACT_DIM] / (4 * facts->told[FACT_PERIODS]);
        if (facts->told[FACT_DIM] % (4 * facts->told[FACT_PERIODS]) != 0) {
            return sctd_error(
                err, SCTD_EDATA, "backbone: %lld RoPE periods do not fit its width of %lld",
                (long long)facts->told[FACT_PERIODS], (long long)facts->told[FACT_DIM]);
        }
        if (asked != 0 && asked != heads) {
            return sctd_error(
                err, SCTD_EINVAL,
                "%d heads asked for, but the backbone's RoPE periods tell %lld: leave "
                "--heads out",
                asked, (long long)heads);
        }
        *ret_heads = (int32_t)heads;
        return 0;
    }
    if (asked != 0) {
        *ret_heads = asked;
        return 0;
    }
    const int64_t width = facts->depth == 40 ? 2 * (int64_t)HEAD_WIDTH : HEAD_WIDTH;
    if (facts->told[FACT_DIM] % width != 0) {
        return sctd_error(
            err, SCTD_EINVAL,
            "backbone: the file has no RoPE periods and its width of %lld is not a "
            "multiple of %lld, so that the number of heads is not told: give --heads N",
            (long long)facts->told[FACT_DIM], (long long)width);
    }
    *ret_heads = (int32_t)(facts->told[FACT_DIM] / width);
    return 0;
}

static int tell_features(int32_t ret_features[4], int32_t depth, struct sctd_error *err)
{
    for (size_t i = 0; i < sizeof known_depths / sizeof known_depths[0]; i++) {
        if (known_depths[i].depth == depth) {
            memcpy(ret_features, known_depths[i].features, sizeof known_depths[i].features);
            return 0;
        }
    }
    return sctd_error(
        err, SCTD_EDATA,
        "backbone: it has %d blocks; which of them the generator reads is known for 12, "
        "24 and 40",
        depth);
}

/* A value that a damaged file tells may be anything; vit_config_check refuses what is cut here. */
static int32_t cut(int64_t value)
{
    return value > INT32_MAX / 8 ? INT32_MAX / 8 : (int32_t)value;
}

int import_backbone_read(struct import_source *ret_source, struct vit_config *ret_vit,
                         const struct checkpoint *checkpoint, int32_t heads, struct sctd_error *err)
{
    struct import_source source = {
        .checkpoint = checkpoint, .label = "backbone", .translate = translate};
    struct facts facts = {0};
    gather_facts(&source, &facts);
    if (facts.told[FACT_DIM] <= 0 || facts.depth == 0) {
        return sctd_error(err, SCTD_EDATA,
                          "backbone: no patch_embed.proj.weight and blocks, or Hugging Face's "
                          "embeddings and layers: this is no DINOv3 checkpoint");
    }

    struct vit_config vit = {
        .dim = cut(facts.told[FACT_DIM]),
        .depth = facts.depth,
        .hidden = facts.told[FACT_HIDDEN] > 0 ? cut(facts.told[FACT_HIDDEN])
                                              : 4 * cut(facts.told[FACT_DIM]),
        .ffn = source.swiglu ? VIT_FFN_SWIGLU : VIT_FFN_MLP,
        .storage_tokens = facts.told[FACT_STORAGE_TOKENS] > 0 ? cut(facts.told[FACT_STORAGE_TOKENS])
                                                              : STORAGE_TOKENS,
    };
    int r = tell_features(vit.features, vit.depth, err);
    if (r == 0) {
        r = tell_heads(&vit.heads, &facts, heads, err);
    }
    if (r == 0) {
        r = vit_config_check(&vit, err);
    }
    if (r < 0) {
        return r;
    }
    *ret_source = source;
    *ret_vit = vit;
    return 0;
}
