/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/model/layout.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/model/manifest.h"

/* The most entries that a part can have: what is outside the blocks, a block's, a generator's. */
enum { VIT_ENTRIES = 8, BLOCK_ENTRIES = 16, GENERATOR_ENTRIES = 240 };

struct name_ref {
    const struct layout_entry *entry;
};

struct layout {
    size_t n;
    size_t capacity;
    struct layout_entry *entry;
    struct name_ref *by_name; /* [n], sorted by name */
};

/* A shape without unused dimensions; 0 ends it. */
struct shape {
    int64_t dim[LAYOUT_DIMS_MAX];
};

struct prefix {
    char text[LAYOUT_NAME_MAX];
};

__attribute__((format(printf, 1, 2))) static struct prefix format_prefix(const char *format, ...)
{
    struct prefix p;
    va_list ap;
    va_start(ap, format);
    const int length = vsnprintf(p.text, sizeof p.text, format, ap);
    va_end(ap);
    assert(length > 0 && (size_t)length < sizeof p.text);
    (void)length;
    return p;
}

static struct prefix join(const char *stem, const char *rest)
{
    return format_prefix("%s%s", stem, rest);
}

static void add(struct layout *l, enum layout_role role, struct shape shape, const char *prefix,
                const char *suffix)
{
    assert(l->n < l->capacity);
    struct layout_entry *e = &l->entry[l->n++];
    e->role = role;
    while (e->n_dims < LAYOUT_DIMS_MAX && shape.dim[e->n_dims] > 0) {
        e->dim[e->n_dims] = shape.dim[e->n_dims];
        e->n_dims++;
    }
    memcpy(e->name, join(prefix, suffix).text, sizeof e->name);
}

/* The Vision Transformer: rows of name, role and shape, the shape in letters. */

enum extent {
    E_NONE,
    E_ONE,
    E_DIM,
    E_DIM_3,
    E_HIDDEN,
    E_STORAGE,
    E_PERIODS,
    E_RGB,
    E_PATCH,
};

struct row {
    const char *suffix;
    enum layout_role role;
    enum extent dim[LAYOUT_DIMS_MAX];
};

static const struct row stem_rows[] = {
    {"cls_token", LAYOUT_TOKEN, {E_ONE, E_ONE, E_DIM}},
    {"storage_tokens", LAYOUT_TOKEN, {E_ONE, E_STORAGE, E_DIM}},
    {"patch_embed.proj.weight", LAYOUT_WEIGHT, {E_DIM, E_RGB, E_PATCH, E_PATCH}},
    {"patch_embed.proj.bias", LAYOUT_BIAS, {E_DIM}},
    {"rope_embed.periods", LAYOUT_PERIODS, {E_PERIODS}},
};

static const struct row attention_rows[] = {
    {"norm1.weight", LAYOUT_NORM_WEIGHT, {E_DIM}},
    {"norm1.bias", LAYOUT_NORM_BIAS, {E_DIM}},
    {"attn.qkv.weight", LAYOUT_WEIGHT, {E_DIM_3, E_DIM}},
    {"attn.qkv.bias", LAYOUT_QKV_BIAS, {E_DIM_3}},
    {"attn.proj.weight", LAYOUT_WEIGHT, {E_DIM, E_DIM}},
    {"attn.proj.bias", LAYOUT_BIAS, {E_DIM}},
    {"ls1.gamma", LAYOUT_SCALE, {E_DIM}},
    {"norm2.weight", LAYOUT_NORM_WEIGHT, {E_DIM}},
    {"norm2.bias", LAYOUT_NORM_BIAS, {E_DIM}},
};

static const struct row mlp_rows[] = {
    {"mlp.fc1.weight", LAYOUT_WEIGHT, {E_HIDDEN, E_DIM}},
    {"mlp.fc1.bias", LAYOUT_BIAS, {E_HIDDEN}},
    {"mlp.fc2.weight", LAYOUT_WEIGHT, {E_DIM, E_HIDDEN}},
    {"mlp.fc2.bias", LAYOUT_BIAS, {E_DIM}},
    {"ls2.gamma", LAYOUT_SCALE, {E_DIM}},
};

static const struct row swiglu_rows[] = {
    {"mlp.w1.weight", LAYOUT_WEIGHT, {E_HIDDEN, E_DIM}},
    {"mlp.w1.bias", LAYOUT_BIAS, {E_HIDDEN}},
    {"mlp.w2.weight", LAYOUT_WEIGHT, {E_HIDDEN, E_DIM}},
    {"mlp.w2.bias", LAYOUT_BIAS, {E_HIDDEN}},
    {"mlp.w3.weight", LAYOUT_WEIGHT, {E_DIM, E_HIDDEN}},
    {"mlp.w3.bias", LAYOUT_BIAS, {E_DIM}},
    {"ls2.gamma", LAYOUT_SCALE, {E_DIM}},
};

static const struct row head_rows[] = {
    {"norm.weight", LAYOUT_NORM_WEIGHT, {E_DIM}},
    {"norm.bias", LAYOUT_NORM_BIAS, {E_DIM}},
};

static int64_t extent_value(enum extent extent, const struct vit_config *vit)
{
    switch (extent) {
    case E_NONE:
        return 0;
    case E_ONE:
        return 1;
    case E_DIM:
        return vit->dim;
    case E_DIM_3:
        return 3 * (int64_t)vit->dim;
    case E_HIDDEN:
        return vit->hidden;
    case E_STORAGE:
        return vit->storage_tokens;
    case E_PERIODS:
        return vit->dim / vit->heads / 4;
    case E_RGB:
        return 3;
    case E_PATCH:
        return 16;
    }
    return 0;
}

static void add_rows(struct layout *l, const struct vit_config *vit, const char *prefix,
                     const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (rows[i].dim[1] == E_STORAGE && vit->storage_tokens == 0) {
            continue;
        }
        struct shape shape = {{0}};
        for (int d = 0; d < LAYOUT_DIMS_MAX; d++) {
            shape.dim[d] = extent_value(rows[i].dim[d], vit);
        }
        add(l, rows[i].role, shape, prefix, rows[i].suffix);
    }
}

#define ADD_ROWS(l, vit, prefix, rows)                                                             \
    add_rows(l, vit, prefix, rows, sizeof(rows) / sizeof(rows)[0])

static void add_vit(struct layout *l, const struct vit_config *vit)
{
    ADD_ROWS(l, vit, "backbone.", stem_rows);
    for (int32_t block = 0; block < vit->depth; block++) {
        const struct prefix p = format_prefix("backbone.blocks.%d.", block);
        ADD_ROWS(l, vit, p.text, attention_rows);
        if (vit->ffn == VIT_FFN_SWIGLU) {
            ADD_ROWS(l, vit, p.text, swiglu_rows);
        } else {
            ADD_ROWS(l, vit, p.text, mlp_rows);
        }
    }
    ADD_ROWS(l, vit, "backbone.", head_rows);
}

/* The generator: a few compounds, by the names that PyTorch gives their parts. */

static void add_batch_norm(struct layout *l, const char *prefix, int64_t c)
{
    const struct shape shape = {{c}};
    add(l, LAYOUT_NORM_WEIGHT, shape, prefix, "weight");
    add(l, LAYOUT_NORM_BIAS, shape, prefix, "bias");
    add(l, LAYOUT_MEAN, shape, prefix, "running_mean");
    add(l, LAYOUT_VARIANCE, shape, prefix, "running_var");
}

/* ConvBNGELU: a 3x3 convolution from `in` to `out` channels, BatchNorm. */
static void add_conv(struct layout *l, const char *prefix, int64_t out, int64_t in)
{
    add(l, LAYOUT_WEIGHT, (struct shape){{out, in, 3, 3}}, prefix, "block.0.weight");
    add_batch_norm(l, join(prefix, "block.1.").text, out);
}

/* ResidualBlock: twice a 3x3 convolution and BatchNorm. */
static void add_residual(struct layout *l, const char *prefix, int64_t c)
{
    const struct shape shape = {{c, c, 3, 3}};
    add(l, LAYOUT_WEIGHT, shape, prefix, "block.0.weight");
    add_batch_norm(l, join(prefix, "block.1.").text, c);
    add(l, LAYOUT_WEIGHT, shape, prefix, "block.3.weight");
    add_batch_norm(l, join(prefix, "block.4.").text, c);
}

static void add_encoder(struct layout *l, int64_t base)
{
    add_conv(l, "generator.encoder.enc1.0.", base, 1);
    add_residual(l, "generator.encoder.enc1.1.", base);
    for (int level = 2; level <= 4; level++) { /* index 0 is the pooling, without weights */
        const int64_t out = base << (level - 1);
        const struct prefix p = format_prefix("generator.encoder.enc%d.", level);
        add_conv(l, join(p.text, "1.").text, out, out / 2);
        add_residual(l, join(p.text, "2.").text, out);
    }
}

static void add_merge(struct layout *l, const char *prefix, int64_t c)
{
    add(l, LAYOUT_WEIGHT, (struct shape){{c, 2 * c, 1, 1}}, prefix, "merge.0.weight");
    add_batch_norm(l, join(prefix, "merge.1.").text, c);
    add_residual(l, join(prefix, "merge.3.").text, c);
}

static void add_gate(struct layout *l, const char *prefix, int64_t c)
{
    add(l, LAYOUT_WEIGHT, (struct shape){{c, 2 * c, 1, 1}}, prefix, "gate.0.weight");
    add(l, LAYOUT_BIAS, (struct shape){{c}}, prefix, "gate.0.bias");
    add_batch_norm(l, join(prefix, "gate.1.").text, c);
    add_conv(l, join(prefix, "out_proj.").text, c, c);
}

static void add_squeeze(struct layout *l, const char *prefix, int64_t c)
{
    add(l, LAYOUT_WEIGHT, (struct shape){{c / 4, 2 * c, 1, 1}}, prefix, "fc.1.weight");
    add(l, LAYOUT_BIAS, (struct shape){{c / 4}}, prefix, "fc.1.bias");
    add(l, LAYOUT_WEIGHT, (struct shape){{2 * c, c / 4, 1, 1}}, prefix, "fc.3.weight");
    add(l, LAYOUT_BIAS, (struct shape){{2 * c}}, prefix, "fc.3.bias");
}

static void add_fusion(struct layout *l, enum fusion_kind kind, int level, int64_t c)
{
    if (kind == FUSION_NONE) {
        return;
    }
    const struct prefix p = format_prefix("generator.fuse%d.", level);
    add_conv(l, join(p.text, "proj_dino.").text, c, c);
    add_conv(l, join(p.text, "proj_img.").text, c, c);
    if (kind == FUSION_CNN) {
        add_merge(l, p.text, c);
    } else if (kind == FUSION_GATED) {
        add_gate(l, p.text, c);
    } else {
        add_squeeze(l, p.text, c);
    }
}

static void add_decoder(struct layout *l, int64_t base)
{
    for (int up = 1; up <= 3; up++) { /* index 0 is the upsampling, without weights */
        const int64_t out = base << (3 - up);
        const struct prefix p = format_prefix("generator.decoder.up%d.", up);
        add_conv(l, join(p.text, "1.").text, out, 2 * out);
        add_residual(l, join(p.text, "2.").text, out);
    }
    add_conv(l, "generator.decoder.out.0.", base / 2, base);
    add(l, LAYOUT_WEIGHT, (struct shape){{1, base / 2, 3, 3}}, "generator.decoder.out.1.",
        "weight");
    add(l, LAYOUT_BIAS, (struct shape){{1}}, "generator.decoder.out.1.", "bias");
}

static void add_generator(struct layout *l, const struct generator_config *g, int64_t embed_dim)
{
    if (g->cnn) {
        add_encoder(l, g->base_channels);
    }
    for (int i = 0; i < 4; i++) {
        const struct prefix p = format_prefix("generator.proj_f%d.", 3 * (i + 1));
        if (g->levels[i]) {
            add_conv(l, p.text, (int64_t)g->base_channels << i, embed_dim);
        }
    }
    for (int i = 0; i < 4; i++) {
        if (g->levels[i]) {
            add_fusion(l, g->fusion, i + 1, (int64_t)g->base_channels << i);
        }
    }
    add_decoder(l, g->base_channels);
}

static int compare_names(const void *a, const void *b)
{
    const struct name_ref *x = a;
    const struct name_ref *y = b;
    return strcmp(x->entry->name, y->entry->name);
}

int layout_new(struct layout **ret_layout, const struct vit_config *vit,
               const struct generator_config *generator, int32_t embed_dim, struct sctd_error *err)
{
    sctd_auto(layout_freep) struct layout *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "table of weights");
    }
    if (vit != NULL) {
        l->capacity += VIT_ENTRIES + (size_t)vit->depth * BLOCK_ENTRIES;
    }
    if (generator != NULL) {
        l->capacity += GENERATOR_ENTRIES;
    }
    l->entry = calloc(l->capacity + 1, sizeof *l->entry);
    l->by_name = calloc(l->capacity + 1, sizeof *l->by_name);
    if (l->entry == NULL || l->by_name == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "table of weights");
    }

    if (vit != NULL) {
        add_vit(l, vit);
    }
    if (generator != NULL) {
        add_generator(l, generator, embed_dim);
    }
    for (size_t i = 0; i < l->n; i++) {
        l->by_name[i].entry = &l->entry[i];
    }
    qsort(l->by_name, l->n, sizeof *l->by_name, compare_names);
    *ret_layout = sctd_steal(&l);
    return 0;
}

void layout_free(struct layout *layout)
{
    if (layout == NULL) {
        return;
    }
    free(layout->by_name);
    free(layout->entry);
    free(layout);
}

size_t layout_get_count(const struct layout *layout)
{
    return layout->n;
}

const struct layout_entry *layout_get(const struct layout *layout, size_t i)
{
    return &layout->entry[i];
}

size_t layout_find(const struct layout *layout, const char *name)
{
    size_t low = 0;
    size_t high = layout->n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const struct layout_entry *entry = layout->by_name[middle].entry;
        const int order = strcmp(name, entry->name);
        if (order == 0) {
            return (size_t)(entry - layout->entry);
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return SIZE_MAX;
}

size_t layout_entry_count(const struct layout_entry *entry)
{
    size_t count = 1;
    for (int32_t d = 0; d < entry->n_dims; d++) {
        count *= (size_t)entry->dim[d];
    }
    return count;
}
