/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/model/torch_storage.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/safetensors.h"
#include "engine/model/checkpoint_text.h"
#include "engine/model/little_endian.h"
#include "engine/model/pickle.h"
#include "engine/model/pickle_value.h"
#include "engine/model/zip_archive.h"

enum { ID_ITEMS = 5, ENTRY_NAME_MAX = 256 };

/* Where the items of a persistent id are. */
enum { ID_WORD, ID_TYPE, ID_KEY, ID_LOCATION, ID_COUNT, ID_VIEW };

static const struct storage_type {
    enum pickle_global global;
    enum tensor_dtype dtype;
} storage_types[] = {
    {PICKLE_FLOAT_STORAGE, TENSOR_F32}, {PICKLE_DOUBLE_STORAGE, TENSOR_F64},
    {PICKLE_HALF_STORAGE, TENSOR_F16},  {PICKLE_BFLOAT16_STORAGE, TENSOR_BF16},
    {PICKLE_LONG_STORAGE, TENSOR_I64},  {PICKLE_INT_STORAGE, TENSOR_I32},
    {PICKLE_SHORT_STORAGE, TENSOR_I16}, {PICKLE_CHAR_STORAGE, TENSOR_I8},
    {PICKLE_BYTE_STORAGE, TENSOR_U8},   {PICKLE_BOOL_STORAGE, TENSOR_BOOL},
};

static int read_type(enum tensor_dtype *ret_dtype, const struct pickle_value *type,
                     struct sctd_error *err)
{
    if (type->kind != PICKLE_GLOBAL) {
        return sctd_error(err, SCTD_EDATA, "torch: a storage's type is a %s",
                          pickle_kind_name(type->kind));
    }
    const enum pickle_global global = (enum pickle_global)type->u.number;
    for (size_t i = 0; i < sizeof storage_types / sizeof storage_types[0]; i++) {
        if (storage_types[i].global == global) {
            *ret_dtype = storage_types[i].dtype;
            return 0;
        }
    }
    return sctd_error(err, SCTD_EDATA, "torch: %s is no type of a storage",
                      pickle_global_name(global));
}

static int check_shape_of_id(const struct pickle_value *id, size_t n, struct sctd_error *err)
{
    if (pickle_value_is_text(&id[ID_WORD], "module")) {
        return sctd_error(err, SCTD_EDATA,
                          "torch: the file holds a whole module; save its state_dict() instead");
    }
    if (n < ID_ITEMS || n > ID_ITEMS + 1 || !pickle_value_is_text(&id[ID_WORD], "storage") ||
        id[ID_KEY].kind != PICKLE_STRING || id[ID_LOCATION].kind != PICKLE_STRING) {
        return sctd_error(err, SCTD_EDATA, "torch: a persistent id of %zu items is no storage", n);
    }
    if (n > ID_ITEMS && id[ID_VIEW].kind != PICKLE_NONE) {
        return sctd_error(err, SCTD_EDATA, "torch: storage %s is a view of another storage",
                          checkpoint_quote(id[ID_KEY].u.text, id[ID_KEY].len).text);
    }
    return 0;
}

static int read_id(struct torch_storage *ret_storage, const struct pickle_value *persistent,
                   struct sctd_error *err)
{
    const struct pickle_value *tuple = &persistent->u.node->items[0];
    const size_t n = pickle_value_count(tuple);
    const struct pickle_value *id = tuple->u.node->items;
    int r = check_shape_of_id(id, n, err);
    if (r != 0) {
        return r;
    }
    struct torch_storage storage = {.key = id[ID_KEY]};
    r = read_type(&storage.dtype, &id[ID_TYPE], err);
    if (r < 0) {
        return r;
    }
    size_t bytes = 0;
    if (id[ID_COUNT].kind != PICKLE_INT || id[ID_COUNT].u.number < 0 ||
        __builtin_mul_overflow((size_t)id[ID_COUNT].u.number, tensor_dtype_size(storage.dtype),
                               &bytes)) {
        return sctd_error(err, SCTD_EDATA, "torch: storage %s has an impossible number of values",
                          checkpoint_quote(storage.key.u.text, storage.key.len).text);
    }
    storage.count = (size_t)id[ID_COUNT].u.number;
    *ret_storage = storage;
    return 0;
}

static int compare_storages(const void *a, const void *b)
{
    const struct torch_storage *x = a;
    const struct torch_storage *y = b;
    return pickle_text_compare(&x->key, &y->key);
}

/* Drop the repetitions from a sorted list. */
static int merge(struct torch_storages *storages, struct sctd_error *err)
{
    size_t kept = 0;
    for (size_t i = 0; i < storages->n; i++) {
        const struct torch_storage *s = &storages->items[i];
        const struct torch_storage *before = kept == 0 ? NULL : &storages->items[kept - 1];
        if (before == NULL || compare_storages(before, s) != 0) {
            storages->items[kept++] = *s;
            continue;
        }
        if (before->dtype != s->dtype || before->count != s->count) {
            return sctd_error(err, SCTD_EDATA, "torch: storage %s has %zu %s values, and %zu %s",
                              checkpoint_quote(s->key.u.text, s->key.len).text, before->count,
                              tensor_dtype_name(before->dtype), s->count,
                              tensor_dtype_name(s->dtype));
        }
    }
    storages->n = kept;
    return 0;
}

int torch_storages_init(struct torch_storages *storages, struct pickle *pickle,
                        struct sctd_error *err)
{
    *storages = (struct torch_storages){0};
    const size_t n = pickle->n_persistents;
    if (n == 0) {
        return 0;
    }
    void *block = NULL;
    int r = pickle_heap_resize(&pickle->heap, &block, sizeof *storages->items, 0, n, err);
    if (r < 0) {
        return r;
    }
    storages->items = block;
    for (size_t i = 0; i < n; i++) {
        r = read_id(&storages->items[i], &pickle->persistents[i], err);
        if (r < 0) {
            return r;
        }
        storages->n++;
    }
    qsort(storages->items, n, sizeof *storages->items, compare_storages);
    return merge(storages, err);
}

void torch_storages_fini(struct torch_storages *storages)
{
    free(storages->items);
    *storages = (struct torch_storages){0};
}

static int bind_entry(struct torch_storage *s, const struct zip_archive *archive,
                      const struct pickle_value *prefix, struct sctd_error *err)
{
    static const char folder[] = "data/";
    char name[ENTRY_NAME_MAX];
    const struct checkpoint_quote key = checkpoint_quote(s->key.u.text, s->key.len);
    const size_t folder_len = sizeof folder - 1;
    if ((size_t)prefix->len + folder_len + s->key.len > sizeof name) {
        return sctd_error(err, SCTD_EDATA, "torch: the name of storage %s is too long", key.text);
    }
    memcpy(name, prefix->u.text, prefix->len);
    memcpy(name + prefix->len, folder, folder_len);
    memcpy(name + prefix->len + folder_len, s->key.u.text, s->key.len);
    const size_t name_len = prefix->len + folder_len + s->key.len;

    const struct zip_entry *entry = zip_archive_find(archive, name, name_len);
    if (entry == NULL) {
        return sctd_error(err, SCTD_EDATA, "torch: the archive has no entry for storage %s",
                          key.text);
    }
    const size_t bytes = s->count * tensor_dtype_size(s->dtype);
    if (entry->size != bytes) {
        return sctd_error(err, SCTD_EDATA,
                          "torch: storage %s: %zu %s values are %zu bytes, not %zu", key.text,
                          s->count, tensor_dtype_name(s->dtype), bytes, entry->size);
    }
    int r = zip_archive_verify(archive, entry, err);
    if (r < 0) {
        return r;
    }
    s->data = entry->data;
    s->bound = true;
    return 0;
}

int torch_storages_bind_zip(struct torch_storages *storages, const struct zip_archive *archive,
                            const struct pickle_value *prefix, struct sctd_error *err)
{
    for (size_t i = 0; i < storages->n; i++) {
        int r = bind_entry(&storages->items[i], archive, prefix, err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static struct torch_storage *find_key(const struct torch_storages *storages,
                                      const struct pickle_value *key)
{
    if (storages->n == 0) {
        return NULL;
    }
    const struct torch_storage wanted = {.key = *key};
    return bsearch(&wanted, storages->items, storages->n, sizeof wanted, compare_storages);
}

/* Read one count and its values at *at and step over them. */
static int bind_values(struct torch_storage *s, const uint8_t *bytes, size_t size, size_t *at,
                       struct sctd_error *err)
{
    const struct checkpoint_quote key = checkpoint_quote(s->key.u.text, s->key.len);
    if (s->bound) {
        return sctd_error(err, SCTD_EDATA, "torch: storage %s is listed twice", key.text);
    }
    if (size - *at < sizeof(uint64_t)) {
        return sctd_error(err, SCTD_EDATA, "torch: truncated before storage %s at offset %zu",
                          key.text, *at);
    }
    const uint64_t count = little_endian_load64(bytes + *at);
    if (count != s->count) {
        return sctd_error(err, SCTD_EDATA,
                          "torch: storage %s has %zu values, but %llu at offset %zu", key.text,
                          s->count, (unsigned long long)count, *at);
    }
    const size_t data_at = *at + sizeof(uint64_t);
    const size_t data_bytes = s->count * tensor_dtype_size(s->dtype);
    if (data_bytes > size - data_at) {
        return sctd_error(
            err, SCTD_EDATA,
            "torch: truncated in storage %s at offset %zu: %zu bytes wanted, %zu left", key.text,
            data_at, data_bytes, size - data_at);
    }
    s->data = bytes + data_at;
    s->bound = true;
    *at = data_at + data_bytes;
    return 0;
}

int torch_storages_bind_legacy(struct torch_storages *storages, const struct pickle_value *keys,
                               const uint8_t *bytes, size_t size, size_t at, struct sctd_error *err)
{
    const size_t n = keys->kind == PICKLE_LIST ? pickle_value_count(keys) : 0;
    if (n != storages->n) {
        return sctd_error(err, SCTD_EDATA, "torch: %zu storages are listed, %zu are used", n,
                          storages->n);
    }
    for (size_t i = 0; i < n; i++) {
        const struct pickle_value *key = &keys->u.node->items[i];
        struct torch_storage *s = key->kind == PICKLE_STRING ? find_key(storages, key) : NULL;
        if (s == NULL) {
            return sctd_error(err, SCTD_EDATA, "torch: storage %zu of the list is unknown", i);
        }
        int r = bind_values(s, bytes, size, &at, err);
        if (r < 0) {
            return r;
        }
    }
    if (at != size) {
        return sctd_error(err, SCTD_EDATA, "torch: %zu bytes follow the last storage at offset %zu",
                          size - at, at);
    }
    return 0;
}

const struct torch_storage *torch_storages_find(const struct torch_storages *storages,
                                                const struct pickle_value *persistent)
{
    return find_key(storages, &persistent->u.node->items[0].u.node->items[ID_KEY]);
}
