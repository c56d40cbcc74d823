/*
 * made_checkpoint.h - checkpoints that tests make up: every weight of a network, free to be changed.
 *
 * A header alone, so that every test program may use it without more sources.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/safetensors.h"
#include "engine/model/layout.h"
#include "engine/model/manifest.h"

enum { MADE_MAX = 1600 };

struct made_checkpoint {
    size_t n;
    struct tensor_view tensor[MADE_MAX];
    char name[MADE_MAX][TENSOR_NAME_MAX];
    float *value[MADE_MAX]; /* owned; tensor[i].data unless a test put its own there */
};

/* A ViT of one head of 16 and a generator of base 4, as small as they come. */
static inline struct vit_config made_vit(void)
{
    return (struct vit_config){.dim = 16,
                               .depth = 12,
                               .heads = 1,
                               .hidden = 24,
                               .ffn = VIT_FFN_MLP,
                               .storage_tokens = 4,
                               .features = {2, 5, 8, 11}};
}

static inline struct generator_config made_generator(void)
{
    return (struct generator_config){
        .base_channels = 4, .fusion = FUSION_CNN, .levels = {true, true, true, true}, .cnn = true};
}

/* Add a tensor; values that differ from tensor to tensor, in 0.25 ... 1.25. */
static inline void made_add(struct made_checkpoint *c, const char *name, int32_t n_dims,
                            const int64_t *dim)
{
    assert(c->n < MADE_MAX);
    const size_t i = c->n++;
    size_t count = 1;
    struct tensor_view *t = &c->tensor[i];
    *t = (struct tensor_view){.dtype = TENSOR_F32, .n_dims = n_dims};
    for (int32_t d = 0; d < n_dims; d++) {
        t->dim[d] = dim[d];
        count *= (size_t)dim[d];
    }
    (void)snprintf(c->name[i], sizeof c->name[i], "%s", name);
    c->value[i] = calloc(count, sizeof *c->value[i]);
    assert(c->value[i] != NULL);
    for (size_t v = 0; v < count; v++) {
        c->value[i][v] = 0.25F + (float)((v * 7919 + i * 104729) % 1000) / 1000.0F;
    }
    t->name = c->name[i];
    t->data = c->value[i];
    t->bytes = count * sizeof *c->value[i];
}

/* All weights of one part, under the names of the published code; the other part is NULL. */
static inline struct made_checkpoint *made_new(const struct vit_config *vit,
                                               const struct generator_config *generator)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct layout *layout = NULL;
    struct made_checkpoint *c = calloc(1, sizeof *c);
    assert(c != NULL);
    int r = layout_new(&layout, vit, generator, 16, &err);
    assert(r == 0);
    for (size_t i = 0; i < layout_get_count(layout); i++) {
        const struct layout_entry *e = layout_get(layout, i);
        made_add(c, strchr(e->name, '.') + 1, e->n_dims, e->dim);
    }
    layout_free(layout);
    return c;
}

static inline void made_free(struct made_checkpoint *c)
{
    for (size_t i = 0; i < c->n; i++) {
        free(c->value[i]);
    }
    free(c);
}

static inline size_t made_find(const struct made_checkpoint *c, const char *name)
{
    size_t i = 0;
    while (i < c->n && strcmp(c->name[i], name) != 0) {
        i++;
    }
    assert(i < c->n);
    return i;
}

static inline void made_remove(struct made_checkpoint *c, const char *name)
{
    const size_t i = made_find(c, name);
    const size_t last = --c->n;
    free(c->value[i]);
    if (i != last) {
        c->value[i] = c->value[last];
        c->tensor[i] = c->tensor[last];
        memcpy(c->name[i], c->name[last], sizeof c->name[i]);
        c->tensor[i].name = c->name[i];
    }
}

static inline void made_write(const struct made_checkpoint *c, const char *path)
{
    struct sctd_error err = {.code = SCTD_OK};
    int r = safetensors_write(path, c->tensor, c->n, NULL, 0, &err);
    assert(r == 0);
}
