/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints of the DGCF generator (arXiv:2511.12098): its names, and what the shapes tell. */
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

enum { LEVELS = 4 };

static bool begins_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/* torch.nn.DataParallel's. */
static const char *strip_module(const char *name)
{
    while (begins_with(name, "module.")) {
        name += strlen("module.");
    }
    return name;
}

/* The level 0 ... 3 and the rest of "fuse1.REST" ... "fuse4.REST"; -1 if it is not so. */
static int fusion_level(const char *name, const char **ret_rest)
{
    const size_t stem = strlen("fuse");
    if (!begins_with(name, "fuse") || name[stem] < '1' || name[stem] > '4' ||
        name[stem + 1] != '.') {
        return -1;
    }
    *ret_rest = name + stem + 2;
    return name[stem] - '1';
}

static int projection_level(const char *name)
{
    static const char *const names[LEVELS] = {"proj_f3.", "proj_f6.", "proj_f9.", "proj_f12."};
    for (int i = 0; i < LEVELS; i++) {
        if (begins_with(name, names[i])) {
            return i;
        }
    }
    return -1;
}

static bool translate(const struct import_source *source, const char *name,
                      struct import_name *ret_name)
{
    static const char counter[] = ".num_batches_tracked";
    name = strip_module(name);
    const size_t length = strlen(name);
    if (length > sizeof counter && strcmp(name + length + 1 - sizeof counter, counter) == 0) {
        return false;
    }
    const char *rest = NULL;
    if (fusion_level(name, &rest) >= 0) {
        const bool projection = begins_with(rest, "proj_dino.") || begins_with(rest, "proj_img.");
        if (source->drop_fusion == IMPORT_DROP_FUSION ||
            (source->drop_fusion == IMPORT_DROP_PROJECTIONS && projection)) {
            return false;
        }
    }
    ret_name->part = IMPORT_WHOLE;
    (void)snprintf(ret_name->text, sizeof ret_name->text, "generator.%s", name);
    return true;
}

/* What the names and shapes tell; 0 where nothing did. */
struct facts {
    int64_t base;
    int64_t embed_dim;
    bool cnn;
    bool levels[LEVELS];
    bool kinds[FUSION_NONE];
};

/* Tensors that every generator, or most, have: a dimension of theirs is the base channels. */
static const struct base_teller {
    const char *name;
    int32_t at;
} base_tellers[] = {
    {"decoder.out.0.block.0.weight", 1},
    {"decoder.up3.1.block.0.weight", 0},
    {"encoder.enc1.0.block.0.weight", 0},
    {"proj_f3.block.0.weight", 0},
};

static void hear_fusion(struct facts *facts, int level, const char *rest)
{
    static const char *const marks[FUSION_NONE] = {
        [FUSION_CNN] = "merge.", [FUSION_GATED] = "gate.", [FUSION_SE] = "fc."};
    facts->levels[level] = true;
    for (int kind = 0; kind < FUSION_NONE; kind++) {
        facts->kinds[kind] = facts->kinds[kind] || begins_with(rest, marks[kind]);
    }
}

static void hear(struct facts *facts, const struct tensor_view *t)
{
    const char *name = strip_module(t->name);
    const char *rest = NULL;
    const int fused = fusion_level(name, &rest);
    const int projected = projection_level(name);
    facts->cnn = facts->cnn || begins_with(name, "encoder.");
    if (fused >= 0) {
        hear_fusion(facts, fused, rest);
    }
    if (projected >= 0) {
        facts->levels[projected] = true;
    }
    if (t->n_dims != 4) {
        return;
    }
    if (projected >= 0 && facts->embed_dim == 0) {
        facts->embed_dim = t->dim[1];
    }
    for (size_t i = 0; i < sizeof base_tellers / sizeof base_tellers[0]; i++) {
        if (facts->base == 0 && strcmp(name, base_tellers[i].name) == 0) {
            facts->base = t->dim[base_tellers[i].at];
        }
    }
}

static enum fusion_kind tell_fusion(const struct facts *facts)
{
    int kind = 0;
    while (kind < FUSION_NONE && !facts->kinds[kind]) {
        kind++;
    }
    return (enum fusion_kind)kind;
}

/*
 * A generator without CNN encoder fuses nothing, whatever fusion layers its file carries, and needs
 * all four levels.  The fusion "none" adds: its projections are in the file but unused.
 */
static void tell_structure(struct generator_config *generator, struct import_source *source,
                           const struct facts *facts)
{
    memcpy(generator->levels, facts->levels, sizeof generator->levels);
    generator->cnn = facts->cnn;
    if (!facts->cnn) {
        for (int i = 0; i < LEVELS; i++) {
            generator->levels[i] = true;
        }
        generator->fusion = FUSION_NONE;
        source->drop_fusion = IMPORT_DROP_FUSION;
    } else if (generator->fusion == FUSION_NONE) {
        source->drop_fusion = IMPORT_DROP_PROJECTIONS;
    }
}

int import_generator_read(struct import_source *ret_source, struct generator_config *ret_generator,
                          const struct checkpoint *checkpoint,
                          const struct import_generator_options *options, struct sctd_error *err)
{
    struct import_source source = {
        .checkpoint = checkpoint, .label = "generator", .translate = translate};
    struct facts facts = {0};
    for (size_t i = 0; i < checkpoint_get_count(checkpoint); i++) {
        hear(&facts, checkpoint_get(checkpoint, i));
    }
    if (facts.base <= 0) {
        return sctd_error(err, SCTD_EDATA,
                          "generator: no decoder.out.0.block.0.weight: this is no checkpoint of a "
                          "DGCF generator");
    }
    if (facts.embed_dim > 0 && facts.embed_dim != options->embed_dim) {
        return sctd_error(err, SCTD_EDATA,
                          "generator: it was trained for a backbone of width %lld, this backbone's "
                          "is %d",
                          (long long)facts.embed_dim, options->embed_dim);
    }

    struct generator_config generator = {
        .base_channels = facts.base > INT32_MAX ? INT32_MAX : (int32_t)facts.base,
        .fusion = tell_fusion(&facts),
    };
    if (options->fusion != NULL && !fusion_kind_find(&generator.fusion, options->fusion)) {
        return sctd_error(err, SCTD_EINVAL,
                          "fusion \"%.32s\" is not known: use cnn, gated, se or none",
                          options->fusion);
    }
    tell_structure(&generator, &source, &facts);
    int r = generator_config_check(&generator, err);
    if (r < 0) {
        return r;
    }
    *ret_source = source;
    *ret_generator = generator;
    return 0;
}
