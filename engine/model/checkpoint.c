/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/model/checkpoint.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/safetensors.h"
#include "engine/model/checkpoint_text.h"
#include "engine/model/torch_file.h"

enum { TAR_MAGIC_AT = 257 };

struct checkpoint {
    struct sctd_map map;
    struct safetensors *safetensors; /* one of these two is there */
    struct torch_file *torch_file;
    const char *format;
};

static int parse_safetensors(struct checkpoint *c, struct sctd_error *err)
{
    return safetensors_parse(&c->safetensors, c->map.data, c->map.size, err);
}

static int parse_zip(struct checkpoint *c, struct sctd_error *err)
{
    return torch_file_parse_zip(&c->torch_file, c->map.data, c->map.size, err);
}

static int parse_legacy(struct checkpoint *c, struct sctd_error *err)
{
    return torch_file_parse_legacy(&c->torch_file, c->map.data, c->map.size, err);
}

/* What a file begins with. parse: NULL for what operators mistake for a checkpoint. */
static const struct format {
    const char *name;
    const char *magic;
    size_t at, len;
    int (*parse)(struct checkpoint *c, struct sctd_error *err);
} formats[] = {
    {"pytorch-zip", "PK\003\004", 0, 4, parse_zip},
    {"pytorch-legacy", "\x80\x02\x8a\x0a", 0, 4, parse_legacy},
    {"safetensors", "{", 8, 1, parse_safetensors}, /* the JSON after its length */
    {"a Git LFS pointer; fetch the file itself (git lfs pull)", "version https://git-lfs", 0, 23,
     NULL},
    {"a web page, not what was to be downloaded", "<", 0, 1, NULL},
    {"compressed with gzip; unpack it first", "\x1f\x8b", 0, 2, NULL},
    {"a tar archive, perhaps of PyTorch before 0.1.10; save it again with a newer one", "ustar",
     TAR_MAGIC_AT, 5, NULL},
    {"an HDF5 file", "\x89HDF", 0, 4, NULL},
    {"a GGUF file", "GGUF", 0, 4, NULL},
};

static const struct format *find_format(const struct sctd_map *map)
{
    const char *bytes = map->data;
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        const struct format *f = &formats[i];
        if (map->size >= f->at + f->len && memcmp(bytes + f->at, f->magic, f->len) == 0) {
            return f;
        }
    }
    return NULL;
}

static int refuse_unknown(const struct sctd_map *map, struct sctd_error *err)
{
    uint8_t first[8] = {0};
    if (map->size == 0) {
        return sctd_error(err, SCTD_EDATA, "the file is empty");
    }
    memcpy(first, map->data, map->size < sizeof first ? map->size : sizeof first);
    return sctd_error(err, SCTD_EDATA,
                      "neither safetensors nor a file of torch.save (it begins with "
                      "%02x %02x %02x %02x %02x %02x %02x %02x)",
                      first[0], first[1], first[2], first[3], first[4], first[5], first[6],
                      first[7]);
}

static int parse(struct checkpoint *c, struct sctd_error *err)
{
    const struct format *format = find_format(&c->map);
    if (format == NULL) {
        return refuse_unknown(&c->map, err);
    }
    if (format->parse == NULL) {
        return sctd_error(err, SCTD_EDATA, "this is %s", format->name);
    }
    c->format = format->name;
    return format->parse(c, err);
}

/* An import reads two files; the error says which one it is about. */
static void name_file(struct sctd_error *err, const char *path)
{
    if (err == NULL) {
        return;
    }
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    char text[sizeof err->text];
    memcpy(text, err->text, sizeof text);
    const int n = snprintf(err->text, sizeof err->text, "%s: %s",
                           checkpoint_quote(name, strlen(name)).text, text);
    if (n < 0) {
        memcpy(err->text, text, sizeof text);
    }
}

int checkpoint_open(struct checkpoint **ret_checkpoint, const char *path, struct sctd_error *err)
{
    sctd_auto(checkpoint_closep) struct checkpoint *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "checkpoint");
    }
    int r = sctd_map_open(&c->map, path, err);
    if (r < 0) {
        return r;
    }
    r = parse(c, err);
    if (r < 0) {
        name_file(err, path);
        return r;
    }
    *ret_checkpoint = sctd_steal(&c);
    return 0;
}

void checkpoint_close(struct checkpoint *checkpoint)
{
    if (checkpoint == NULL) {
        return;
    }
    safetensors_close(checkpoint->safetensors);
    torch_file_free(checkpoint->torch_file);
    sctd_map_close(&checkpoint->map);
    free(checkpoint);
}

size_t checkpoint_get_count(const struct checkpoint *checkpoint)
{
    if (checkpoint->torch_file != NULL) {
        return torch_file_get_count(checkpoint->torch_file);
    }
    return safetensors_get_count(checkpoint->safetensors);
}

const struct tensor_view *checkpoint_get(const struct checkpoint *checkpoint, size_t i)
{
    if (checkpoint->torch_file != NULL) {
        return torch_file_get(checkpoint->torch_file, i);
    }
    return safetensors_get(checkpoint->safetensors, i);
}

const char *checkpoint_get_format(const struct checkpoint *checkpoint)
{
    return checkpoint->format;
}
