/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/model/torch_file.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/safetensors.h"
#include "engine/model/checkpoint_text.h"
#include "engine/model/pickle.h"
#include "engine/model/pickle_value.h"
#include "engine/model/torch_storage.h"
#include "engine/model/torch_tensor.h"
#include "engine/model/zip_archive.h"

enum { LEGACY_PROTOCOL = 1001 };

/* 0x1950a86a20f9469cfc6c as LONG1 has it */
static const uint8_t legacy_magic[] = {0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19};

struct torch_file {
    struct tensor_view *views; /* [n], in file order */
    size_t n;
    char *names; /* all of them, each with its NUL */
};

/* How many tensors there are, and how long their names. */
static int measure(size_t *ret_n, size_t *ret_names_len, const struct pickle *pickle,
                   struct sctd_error *err)
{
    struct torch_walk walk;
    const struct pickle_value *object = NULL;
    size_t n = 0;
    size_t len = 0;
    int r = torch_walk_init(&walk, pickle, err);
    if (r < 0) {
        return r;
    }
    while ((r = torch_walk_next(&walk, &object, err)) == TORCH_WALK_TENSOR) {
        n++;
        len += walk.name_len + 1;
    }
    if (r < 0) {
        return r;
    }
    if (n == 0) {
        return sctd_error(err, SCTD_EDATA, "torch: the file holds no tensors");
    }
    *ret_n = n;
    *ret_names_len = len;
    return 0;
}

static int read_views(struct torch_file *file, const struct pickle *pickle,
                      const struct torch_storages *storages, struct sctd_error *err)
{
    struct torch_walk walk;
    const struct pickle_value *object = NULL;
    char *name = file->names;
    int r = torch_walk_init(&walk, pickle, err);
    if (r < 0) {
        return r;
    }
    while ((r = torch_walk_next(&walk, &object, err)) == TORCH_WALK_TENSOR) {
        memcpy(name, walk.name, walk.name_len + 1);
        int read = torch_tensor_read(&file->views[file->n], object, name, storages, err);
        if (read < 0) {
            return read;
        }
        file->n++;
        name += walk.name_len + 1;
    }
    return r;
}

static int compare_names(const void *a, const void *b)
{
    const char *const *x = (const char *const *)a;
    const char *const *y = (const char *const *)b;
    return strcmp(*x, *y);
}

/* {"a": {"b": t}, "a.b": t} comes to one name for two tensors. */
static int check_names(const struct torch_file *file, struct pickle *pickle, struct sctd_error *err)
{
    void *block = NULL;
    int r = pickle_heap_resize(&pickle->heap, &block, sizeof(const char *), 0, file->n, err);
    if (r < 0) {
        return r;
    }
    const char **names = (const char **)block;
    for (size_t i = 0; i < file->n; i++) {
        names[i] = file->views[i].name;
    }
    qsort(block, file->n, sizeof *names, compare_names);
    for (size_t i = 1; i < file->n && r == 0; i++) {
        if (strcmp(names[i - 1], names[i]) == 0) {
            r = sctd_error(err, SCTD_EDATA, "torch: two tensors come to the name \"%s\"",
                           checkpoint_quote(names[i], strlen(names[i])).text);
        }
    }
    pickle_heap_release(&pickle->heap, block, sizeof *names, file->n);
    return r;
}

/* All that is left to do once the storages are bound. */
static int new_file(struct torch_file **ret_file, struct pickle *pickle,
                    const struct torch_storages *storages, struct sctd_error *err)
{
    size_t n = 0;
    size_t names_len = 0;
    int r = measure(&n, &names_len, pickle, err);
    if (r < 0) {
        return r;
    }
    sctd_auto(torch_file_freep) struct torch_file *file = calloc(1, sizeof *file);
    if (file == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "torch: file");
    }
    void *views = NULL;
    void *names = NULL;
    r = pickle_heap_resize(&pickle->heap, &views, sizeof *file->views, 0, n, err);
    file->views = views;
    if (r == 0) {
        r = pickle_heap_resize(&pickle->heap, &names, 1, 0, names_len, err);
        file->names = names;
    }
    if (r == 0) {
        r = read_views(file, pickle, storages, err);
    }
    if (r == 0) {
        r = check_names(file, pickle, err);
    }
    if (r < 0) {
        return r;
    }
    *ret_file = sctd_steal(&file);
    return 0;
}

/* The part of an entry's name up to its first '/', which is the same in all of them. */
static size_t prefix_len(const struct zip_entry *entry)
{
    const char *slash = memchr(entry->name, '/', entry->name_len);
    return slash == NULL ? 0 : (size_t)(slash - entry->name) + 1;
}

static bool is_record(const struct zip_entry *entry, const char *name)
{
    const size_t prefix = prefix_len(entry);
    return prefix > 0 && entry->name_len - prefix == strlen(name) &&
           memcmp(entry->name + prefix, name, strlen(name)) == 0;
}

/* The one entry of that name in the archive's folder; *ret_entry is NULL if there is none. */
static int find_record(const struct zip_entry **ret_entry, const struct zip_archive *archive,
                       const char *name, struct sctd_error *err)
{
    const struct zip_entry *found = NULL;
    for (size_t i = 0; i < zip_archive_get_count(archive); i++) {
        const struct zip_entry *entry = zip_archive_get(archive, i);
        if (!is_record(entry, name)) {
            continue;
        }
        if (found != NULL) {
            return sctd_error(err, SCTD_EDATA, "torch: the archive has two entries %s", name);
        }
        int r = zip_archive_verify(archive, entry, err);
        if (r < 0) {
            return r;
        }
        found = entry;
    }
    *ret_entry = found;
    return 0;
}

static int check_byte_order(const struct zip_archive *archive, struct sctd_error *err)
{
    static const char little[] = "little";
    const struct zip_entry *entry = NULL;
    int r = find_record(&entry, archive, "byteorder", err);
    if (r < 0 || entry == NULL) {
        return r;
    }
    const size_t len = sizeof little - 1;
    if (entry->size != len || memcmp(entry->data, little, len) != 0) {
        return sctd_error(err, SCTD_EDATA, "torch: the byte order is \"%s\", only little is read",
                          checkpoint_quote((const char *)entry->data, entry->size).text);
    }
    return 0;
}

static int parse_data_pkl(struct pickle **ret_pickle, const struct zip_entry *entry,
                          const uint8_t *bytes, struct sctd_error *err)
{
    const size_t at = (size_t)(entry->data - bytes);
    sctd_auto(pickle_freep) struct pickle *pickle = NULL;
    int r = pickle_parse(&pickle, entry->data, entry->size, at, err);
    if (r < 0) {
        return r;
    }
    if (pickle->size != entry->size) {
        return sctd_error(err, SCTD_EDATA, "torch: %zu bytes follow the pickle at offset %zu",
                          entry->size - pickle->size, at + pickle->size);
    }
    *ret_pickle = sctd_steal(&pickle);
    return 0;
}

int torch_file_parse_zip(struct torch_file **ret_file, const void *bytes, size_t size,
                         struct sctd_error *err)
{
    sctd_auto(zip_archive_freep) struct zip_archive *archive = NULL;
    sctd_auto(pickle_freep) struct pickle *pickle = NULL;
    const struct zip_entry *entry = NULL;
    int r = zip_archive_parse(&archive, bytes, size, err);
    if (r == 0) {
        r = check_byte_order(archive, err);
    }
    if (r == 0) {
        r = find_record(&entry, archive, "data.pkl", err);
    }
    if (r < 0) {
        return r;
    }
    if (entry == NULL) {
        return sctd_error(err, SCTD_EDATA, "torch: the archive has no entry data.pkl");
    }
    r = parse_data_pkl(&pickle, entry, bytes, err);
    if (r < 0) {
        return r;
    }
    const struct pickle_value prefix = {
        .kind = PICKLE_STRING, .len = (uint32_t)prefix_len(entry), .u.text = entry->name};
    sctd_auto(torch_storages_fini) struct torch_storages storages = {0};
    r = torch_storages_init(&storages, pickle, err);
    if (r == 0) {
        r = torch_storages_bind_zip(&storages, archive, &prefix, err);
    }
    return r < 0 ? r : new_file(ret_file, pickle, &storages, err);
}

static bool is_magic(const struct pickle_value *v)
{
    return v->kind == PICKLE_LONG && v->len == sizeof legacy_magic &&
           memcmp(v->u.text, legacy_magic, sizeof legacy_magic) == 0;
}

static bool is_protocol(const struct pickle_value *v)
{
    return v->kind == PICKLE_INT && v->u.number == LEGACY_PROTOCOL;
}

static bool is_little_endian(const struct pickle_value *v)
{
    const struct pickle_value *little =
        v->kind == PICKLE_DICT ? pickle_dict_find(v->u.node, "little_endian") : NULL;
    return little != NULL && little->kind == PICKLE_BOOL && little->u.number == 1;
}

/* The three pickles before the object; steps over them. */
static int check_preamble(size_t *at, const uint8_t *bytes, size_t size, struct sctd_error *err)
{
    static const struct step {
        bool (*is_right)(const struct pickle_value *v);
        const char *complaint;
    } steps[] = {
        {is_magic, "no magic number of torch.save"},
        {is_protocol, "not protocol version 1001"},
        {is_little_endian, "the system that wrote it is not little-endian"},
    };
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        sctd_auto(pickle_freep) struct pickle *pickle = NULL;
        int r = pickle_parse(&pickle, bytes + *at, size - *at, *at, err);
        if (r < 0) {
            return r;
        }
        if (!steps[i].is_right(&pickle->value)) {
            return sctd_error(err, SCTD_EDATA, "torch: at offset %zu: %s", *at, steps[i].complaint);
        }
        *at += pickle->size;
    }
    return 0;
}

int torch_file_parse_legacy(struct torch_file **ret_file, const void *bytes, size_t size,
                            struct sctd_error *err)
{
    const uint8_t *p = bytes;
    size_t at = 0;
    sctd_auto(pickle_freep) struct pickle *pickle = NULL;
    sctd_auto(pickle_freep) struct pickle *keys = NULL;
    int r = check_preamble(&at, p, size, err);
    if (r == 0) {
        r = pickle_parse(&pickle, p + at, size - at, at, err);
    }
    if (r < 0) {
        return r;
    }
    at += pickle->size;
    r = pickle_parse(&keys, p + at, size - at, at, err);
    if (r < 0) {
        return r;
    }
    at += keys->size;
    sctd_auto(torch_storages_fini) struct torch_storages storages = {0};
    r = torch_storages_init(&storages, pickle, err);
    if (r == 0) {
        r = torch_storages_bind_legacy(&storages, &keys->value, p, size, at, err);
    }
    return r < 0 ? r : new_file(ret_file, pickle, &storages, err);
}

void torch_file_free(struct torch_file *file)
{
    if (file == NULL) {
        return;
    }
    free(file->views);
    free(file->names);
    free(file);
}

size_t torch_file_get_count(const struct torch_file *file)
{
    return file->n;
}

const struct tensor_view *torch_file_get(const struct torch_file *file, size_t i)
{
    return &file->views[i];
}
