/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/model/torch_tensor.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/safetensors.h"
#include "engine/model/checkpoint_text.h"
#include "engine/model/pickle.h"
#include "engine/model/pickle_value.h"
#include "engine/model/torch_storage.h"

/* Where the arguments of _rebuild_tensor_v2 are; a seventh is a dictionary of rare properties. */
enum { ARG_STORAGE, ARG_OFFSET, ARG_SIZE, ARG_STRIDE, ARG_GRAD, ARG_HOOKS, N_ARGS };

enum { N_PARAMETER_ARGS = 3 };

int torch_walk_init(struct torch_walk *walk, const struct pickle *pickle, struct sctd_error *err)
{
    const struct pickle_value *v = &pickle->value;
    if (v->kind != PICKLE_DICT) {
        return sctd_error(err, SCTD_EDATA,
                          "torch: the file holds a %s, not a dictionary of tensors",
                          pickle_kind_name(v->kind));
    }
    *walk = (struct torch_walk){.depth = 1, .entries_left = pickle->size};
    walk->level[0].dict = v->u.node;
    return 0;
}

/* Write the name of an entry behind that of its dictionary. */
static int name_entry(struct torch_walk *walk, size_t at, const struct pickle_value *key,
                      struct sctd_error *err)
{
    char digits[24];
    const char *text = key->u.text;
    size_t len = key->len;
    if (key->kind == PICKLE_INT) {
        const int n = snprintf(digits, sizeof digits, "%" PRId64, key->u.number);
        text = digits;
        len = n < 0 ? 0 : (size_t)n;
    }
    if (len == 0 || checkpoint_text_has_control(text, len)) {
        return sctd_error(err, SCTD_EDATA, "torch: the name \"%s\" is empty or not printable",
                          checkpoint_quote(text, len).text);
    }
    if (len >= sizeof walk->name - at) {
        return sctd_error(err, SCTD_EDATA, "torch: a name is longer than %zu bytes: \"%s\"",
                          sizeof walk->name - 1, checkpoint_quote(text, len).text);
    }
    memcpy(walk->name + at, text, len);
    walk->name_len = at + len;
    walk->name[walk->name_len] = '\0';
    return 0;
}

/* Go into the dictionary that was just named. */
static int enter(struct torch_walk *walk, const struct pickle_node *dict, struct sctd_error *err)
{
    if (walk->depth == TORCH_DEPTH_MAX) {
        return sctd_error(err, SCTD_EDATA, "torch: dictionaries are nested more than %d deep",
                          TORCH_DEPTH_MAX);
    }
    if (walk->name_len + 1 >= sizeof walk->name) {
        return sctd_error(err, SCTD_EDATA, "torch: a name is longer than %zu bytes",
                          sizeof walk->name - 1);
    }
    walk->name[walk->name_len] = '.';
    walk->level[walk->depth].dict = dict;
    walk->level[walk->depth].next = 0;
    walk->level[walk->depth].name_len = walk->name_len + 1;
    walk->depth++;
    return 0;
}

int torch_walk_next(struct torch_walk *walk, const struct pickle_value **ret_object,
                    struct sctd_error *err)
{
    while (walk->depth > 0) {
        const size_t top = walk->depth - 1;
        const struct pickle_node *dict = walk->level[top].dict;
        const uint32_t i = walk->level[top].next;
        if (i >= dict->n) {
            walk->depth--;
            continue;
        }
        if (walk->entries_left-- == 0) {
            return sctd_error(err, SCTD_EDATA, "torch: dictionaries are shared too often");
        }
        walk->level[top].next = i + 2;
        const struct pickle_value *value = &dict->items[i + 1];
        if (value->kind != PICKLE_OBJECT && value->kind != PICKLE_DICT) {
            continue;
        }
        int r = name_entry(walk, walk->level[top].name_len, &dict->items[i], err);
        if (r < 0) {
            return r;
        }
        if (value->kind == PICKLE_OBJECT) {
            *ret_object = value;
            return TORCH_WALK_TENSOR;
        }
        r = enter(walk, value->u.node, err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

/* The arguments of _rebuild_tensor_v2, be it called for the tensor itself or for its parameter. */
static int find_arguments(const struct pickle_value **ret_args, const struct pickle_value *object,
                          const char *name, struct sctd_error *err)
{
    const struct checkpoint_quote q = checkpoint_quote(name, strlen(name));
    const struct pickle_value *args = &object->u.node->items[0];
    if (object->u.node->global == PICKLE_REBUILD_PARAMETER) {
        const struct pickle_value *data = args->u.node == NULL ? NULL : args->u.node->items;
        if (pickle_value_count(args) != N_PARAMETER_ARGS || data->kind != PICKLE_OBJECT ||
            data->u.node->global != PICKLE_REBUILD_TENSOR) {
            return sctd_error(err, SCTD_EDATA, "torch: tensor \"%s\" is no plain parameter",
                              q.text);
        }
        args = &data->u.node->items[0];
    }
    const size_t n = pickle_value_count(args);
    if (n != N_ARGS) {
        return sctd_error(err, SCTD_EDATA,
                          "torch: tensor \"%s\" has %zu arguments, a plain one has %d", q.text, n,
                          N_ARGS);
    }
    static const enum pickle_kind kinds[N_ARGS] = {
        [ARG_STORAGE] = PICKLE_PERSISTENT, [ARG_OFFSET] = PICKLE_INT, [ARG_SIZE] = PICKLE_TUPLE,
        [ARG_STRIDE] = PICKLE_TUPLE,       [ARG_GRAD] = PICKLE_BOOL,  [ARG_HOOKS] = PICKLE_DICT,
    };
    for (size_t i = 0; i < N_ARGS; i++) {
        if (args->u.node->items[i].kind != kinds[i]) {
            return sctd_error(err, SCTD_EDATA, "torch: tensor \"%s\": argument %zu is a %s", q.text,
                              i, pickle_kind_name(args->u.node->items[i].kind));
        }
    }
    *ret_args = args->u.node->items;
    return 0;
}

/* Read a tuple of TENSOR_MAX_DIMS integers at most, none negative. */
static int read_extents(int64_t ret_extents[TENSOR_MAX_DIMS], const struct pickle_value *tuple,
                        const char *what, const char *name, struct sctd_error *err)
{
    const struct checkpoint_quote q = checkpoint_quote(name, strlen(name));
    const size_t n = pickle_value_count(tuple);
    if (n > TENSOR_MAX_DIMS) {
        return sctd_error(err, SCTD_EDATA, "torch: tensor \"%s\" has %zu dimensions (at most %d)",
                          q.text, n, TENSOR_MAX_DIMS);
    }
    for (size_t i = 0; i < n; i++) {
        const struct pickle_value *v = &tuple->u.node->items[i];
        if (v->kind != PICKLE_INT) {
            return sctd_error(err, SCTD_EDATA, "torch: tensor \"%s\": %s %zu is a %s", q.text, what,
                              i, pickle_kind_name(v->kind));
        }
        if (v->u.number < 0) {
            return sctd_error(err, SCTD_EDATA, "torch: tensor \"%s\": %s %zu is %" PRId64, q.text,
                              what, i, v->u.number);
        }
        ret_extents[i] = v->u.number;
    }
    return 0;
}

/* The number of values; a product that overflows is refused even where another dimension is 0. */
static int count_values(size_t *ret_count, const struct tensor_view *view, struct sctd_error *err)
{
    size_t product = 1;
    bool empty = false;
    for (int32_t i = 0; i < view->n_dims; i++) {
        const size_t dim = (size_t)view->dim[i];
        empty = empty || dim == 0;
        if (__builtin_mul_overflow(product, dim == 0 ? 1 : dim, &product) ||
            product > (size_t)INT64_MAX / 8) {
            return sctd_error(err, SCTD_EDATA, "torch: the size of tensor \"%s\" overflows",
                              checkpoint_quote(view->name, strlen(view->name)).text);
        }
    }
    *ret_count = empty ? 0 : product;
    return 0;
}

static bool is_row_major(const struct tensor_view *view, const int64_t *stride, size_t count)
{
    int64_t expected = 1;
    for (int32_t i = view->n_dims; count > 0 && i-- > 0;) {
        if (view->dim[i] != 1 && stride[i] != expected) {
            return false;
        }
        expected *= view->dim[i];
    }
    return true;
}

/* The stride of a dimension of one value, or of an empty tensor, means nothing. */
static int check_stride(const struct tensor_view *view, const struct pickle_value *tuple,
                        size_t count, struct sctd_error *err)
{
    const struct checkpoint_quote q = checkpoint_quote(view->name, strlen(view->name));
    int64_t stride[TENSOR_MAX_DIMS] = {0};
    int r = read_extents(stride, tuple, "stride", view->name, err);
    if (r < 0) {
        return r;
    }
    const size_t n = pickle_value_count(tuple);
    if (n != (size_t)view->n_dims) {
        return sctd_error(err, SCTD_EDATA, "torch: tensor \"%s\" has %d dimensions and %zu strides",
                          q.text, view->n_dims, n);
    }
    if (!is_row_major(view, stride, count)) {
        return sctd_error(err, SCTD_EDATA,
                          "torch: tensor \"%s\" is a strided view; only row-major tensors without "
                          "gaps are read (save it with .contiguous())",
                          q.text);
    }
    return 0;
}

int torch_tensor_read(struct tensor_view *ret_view, const struct pickle_value *object,
                      const char *name, const struct torch_storages *storages,
                      struct sctd_error *err)
{
    const struct pickle_value *args = NULL;
    int r = find_arguments(&args, object, name, err);
    if (r < 0) {
        return r;
    }
    const struct torch_storage *storage = torch_storages_find(storages, &args[ARG_STORAGE]);
    struct tensor_view view = {.name = name,
                               .dtype = storage->dtype,
                               .n_dims = (int32_t)pickle_value_count(&args[ARG_SIZE])};
    size_t count = 0;
    r = read_extents(view.dim, &args[ARG_SIZE], "size", name, err);
    if (r == 0) {
        r = count_values(&count, &view, err);
    }
    if (r == 0) {
        r = check_stride(&view, &args[ARG_STRIDE], count, err);
    }
    if (r < 0) {
        return r;
    }
    const int64_t offset = args[ARG_OFFSET].u.number;
    if (offset < 0 || (uint64_t)offset > storage->count ||
        count > storage->count - (size_t)offset) {
        return sctd_error(err, SCTD_EDATA,
                          "torch: tensor \"%s\" has %zu values at %" PRId64 " of a storage of %zu",
                          checkpoint_quote(name, strlen(name)).text, count, offset, storage->count);
    }
    const size_t value_bytes = tensor_dtype_size(storage->dtype);
    view.data = storage->data + (size_t)offset * value_bytes;
    view.bytes = count * value_bytes;
    *ret_view = view;
    return 0;
}
