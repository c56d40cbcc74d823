/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/model/manifest.h"
#include "engine/model/quality_limits.h"

enum { FEATURES = 4, LEVELS = 4 };

static void write_weights(const struct manifest *m, struct json_writer *w)
{
    json_write_object_begin(w, "weights");
    json_write_string(w, "file", MANIFEST_WEIGHTS_FILE);
    json_write_string(w, "sha256", m->weights_sha256);
    json_write_int(w, "bytes", m->weights_bytes);
    json_write_object_end(w);
}

static void write_vit(const struct vit_config *vit, struct json_writer *w)
{
    json_write_object_begin(w, "backbone");
    json_write_int(w, "dim", vit->dim);
    json_write_int(w, "depth", vit->depth);
    json_write_int(w, "heads", vit->heads);
    json_write_int(w, "hidden", vit->hidden);
    json_write_string(w, "ffn", vit_ffn_name(vit->ffn));
    json_write_int(w, "storage_tokens", vit->storage_tokens);
    json_write_array_begin(w, "features");
    for (int i = 0; i < FEATURES; i++) {
        json_write_int(w, NULL, vit->features[i]);
    }
    json_write_array_end(w);
    json_write_object_end(w);
}

static void write_generator(const struct generator_config *generator, struct json_writer *w)
{
    json_write_object_begin(w, "generator");
    json_write_int(w, "base_channels", generator->base_channels);
    json_write_string(w, "fusion", fusion_kind_name(generator->fusion));
    json_write_array_begin(w, "levels");
    for (int i = 0; i < LEVELS; i++) {
        json_write_bool(w, NULL, generator->levels[i]);
    }
    json_write_array_end(w);
    json_write_bool(w, "cnn", generator->cnn);
    json_write_object_end(w);
}

static void write_range(struct json_writer *w, const char *key, double low, double high)
{
    json_write_array_begin(w, key);
    json_write_double(w, NULL, low);
    json_write_double(w, NULL, high);
    json_write_array_end(w);
}

static void write_recipe(const struct recipe *recipe, struct json_writer *w)
{
    json_write_object_begin(w, "recipe");
    json_write_string(w, "modality", recipe->modality);
    json_write_object_begin(w, "clip");
    json_write_string(w, "kind", recipe->clip == RECIPE_CLIP_PERCENTILE ? "percentile" : "fixed");
    json_write_double(w, "low", recipe->clip_low);
    json_write_double(w, "high", recipe->clip_high);
    json_write_object_end(w);
    write_range(w, "cnn_range", recipe->cnn_low, recipe->cnn_high);
    write_range(w, "dino_range", recipe->dino_low, recipe->dino_high);
    write_range(w, "hu_range", recipe->hu_low, recipe->hu_high);
    json_write_object_end(w);
}

static void write_source(const struct manifest_source *source, const char *key,
                         struct json_writer *w)
{
    json_write_object_begin(w, key);
    json_write_string(w, "file", source->file);
    json_write_string(w, "sha256", source->sha256);
    json_write_object_end(w);
}

void manifest_write_members(const struct manifest *manifest, struct json_writer *writer)
{
    json_write_int(writer, "format", MANIFEST_FORMAT);
    json_write_string(writer, "name", manifest->name);
    json_write_string(writer, "version", manifest->version);
    json_write_string(writer, "description", manifest->description);
    json_write_string(writer, "content_qualification",
                      manifest->research_only ? "RESEARCH" : "PRODUCT");
    write_weights(manifest, writer);
    json_write_object_begin(writer, "network");
    json_write_int(writer, "height", manifest->height);
    json_write_int(writer, "width", manifest->width);
    write_vit(&manifest->vit, writer);
    write_generator(&manifest->generator, writer);
    json_write_object_end(writer);
    write_recipe(&manifest->recipe, writer);
    json_write_object_begin(writer, "sources");
    write_source(&manifest->backbone_source, "backbone", writer);
    write_source(&manifest->generator_source, "generator", writer);
    json_write_object_end(writer);
    if (manifest->quality.is_set) {
        json_write_object_begin(writer, "quality");
        quality_limits_write_members(&manifest->quality, writer);
        json_write_object_end(writer);
    }
}

/* What could not be read again (a name that is none, text that is no UTF-8) is not written. */
static int check_readable(const struct sctd_buf *text, struct sctd_error *err)
{
    struct manifest same;
    int r = manifest_parse(&same, text->data, text->size, err);
    if (r == SCTD_EDATA) {
        err->code = SCTD_EINVAL;
        return SCTD_EINVAL;
    }
    return r;
}

int manifest_write(const struct manifest *manifest, const char *path, struct sctd_error *err)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf text = sctd_buf_make(MANIFEST_BYTES_MAX);
    struct json_writer w = json_writer_make(&text, true, err);
    json_write_object_begin(&w, NULL);
    manifest_write_members(manifest, &w);
    json_write_object_end(&w);
    int r = json_writer_finish(&w);
    if (r == 0) {
        r = sctd_buf_text(&text, "\n", err);
    }
    if (r == 0) {
        r = check_readable(&text, err);
    }
    return r < 0 ? r : sctd_file_replace(path, text.data, text.size, err);
}
