/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/base/safetensors.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/attr.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/json.h"

enum { PREFIX = 8, MAX_HEADER = 100000000 };

struct safetensors {
    struct sctd_map map; /* empty after safetensors_parse */
    struct json *header; /* owns the names */
    const unsigned char *data;
    size_t data_size;
    struct tensor_view *tensor;        /* [count], in file order */
    const struct tensor_view **sorted; /* [count], by name */
    size_t count;
};

static const struct {
    const char *name;
    size_t size;
} dtypes[] = {
    [TENSOR_F32] = {"F32", 4},   [TENSOR_F64] = {"F64", 8}, [TENSOR_F16] = {"F16", 2},
    [TENSOR_BF16] = {"BF16", 2}, [TENSOR_I64] = {"I64", 8}, [TENSOR_I32] = {"I32", 4},
    [TENSOR_I16] = {"I16", 2},   [TENSOR_I8] = {"I8", 1},   [TENSOR_U8] = {"U8", 1},
    [TENSOR_BOOL] = {"BOOL", 1},
};

const char *tensor_dtype_name(enum tensor_dtype dtype)
{
    return dtypes[dtype].name;
}

size_t tensor_dtype_size(enum tensor_dtype dtype)
{
    return dtypes[dtype].size;
}

size_t tensor_view_count(const struct tensor_view *t)
{
    size_t n = 1;
    for (int32_t i = 0; i < t->n_dims; i++) {
        n *= (size_t)t->dim[i];
    }
    return n;
}

/* A name from a file, fit for a message: short, without control characters. */
static const char *shown(char to[64], const char *name)
{
    size_t i = 0;
    for (; i < 60 && name[i] != '\0'; i++) {
        const unsigned char c = (unsigned char)name[i];
        to[i] = (char)(c < 0x20 || c == 0x7f ? '?' : c);
    }
    to[i] = '\0';
    return to;
}

/* Reading */

static int read_dtype(enum tensor_dtype *ret_dtype, const char *text, const char *name,
                      struct sctd_error *err)
{
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        if (strcmp(text, dtypes[i].name) == 0) {
            *ret_dtype = (enum tensor_dtype)i;
            return 0;
        }
    }
    char to[64];
    char of[64];
    return sctd_error(err, SCTD_EDATA, "safetensors: %s has dtype %s, which is not supported",
                      shown(to, name), shown(of, text));
}

static int read_shape(struct tensor_view *t, const struct json *j, const struct json_node *array,
                      struct sctd_error *err)
{
    char to[64];
    if (array->count > TENSOR_MAX_DIMS) {
        return sctd_error(err, SCTD_EDATA, "safetensors: %s has %zu dimensions, more than %d",
                          shown(to, t->name), array->count, TENSOR_MAX_DIMS);
    }
    size_t bytes = tensor_dtype_size(t->dtype);
    for (const struct json_node *n = json_first(j, array); n != NULL; n = json_next(j, n)) {
        if (n->type != JSON_INT || n->integer < 0) {
            return sctd_error(err, SCTD_EDATA, "safetensors: %s has a bad shape",
                              shown(to, t->name));
        }
        t->dim[t->n_dims++] = n->integer;
    }
    bool empty = false;
    for (int32_t i = 0; i < t->n_dims; i++) {
        empty = empty || t->dim[i] == 0;
    }
    for (int32_t i = 0; !empty && i < t->n_dims; i++) {
        if (__builtin_mul_overflow(bytes, (size_t)t->dim[i], &bytes)) {
            return sctd_error(err, SCTD_EDATA, "safetensors: the size of %s overflows",
                              shown(to, t->name));
        }
    }
    t->bytes = empty ? 0 : bytes;
    return 0;
}

static int read_range(struct tensor_view *t, const struct safetensors *f,
                      const struct json_node *array, struct sctd_error *err)
{
    char to[64];
    const struct json_node *begin = json_first(f->header, array);
    const struct json_node *end = begin == NULL ? NULL : json_next(f->header, begin);
    if (array->count != 2 || begin == NULL || end == NULL || begin->type != JSON_INT ||
        end->type != JSON_INT || begin->integer < 0 || end->integer < begin->integer ||
        (uint64_t)end->integer > f->data_size) {
        return sctd_error(err, SCTD_EDATA, "safetensors: %s has data_offsets outside the file",
                          shown(to, t->name));
    }
    const size_t size = (size_t)(end->integer - begin->integer);
    if (size != t->bytes) {
        return sctd_error(err, SCTD_EDATA,
                          "safetensors: %s has %zu bytes of data where its shape needs %zu",
                          shown(to, t->name), size, t->bytes);
    }
    t->data = f->data + begin->integer;
    return 0;
}

static int read_tensor(struct tensor_view *t, const struct safetensors *f,
                       const struct json_node *node, struct sctd_error *err)
{
    static const char *const keys[] = {"dtype", "shape", "data_offsets"};
    char to[64];
    t->name = node->key;
    if (strlen(t->name) >= TENSOR_NAME_MAX || *t->name == '\0') {
        return sctd_error(err, SCTD_EDATA, "safetensors: a name of %zu bytes (1 to %d are read)",
                          strlen(t->name), TENSOR_NAME_MAX - 1);
    }
    if (node->type != JSON_OBJECT) {
        return sctd_error(err, SCTD_EDATA, "safetensors: %s is not an object", shown(to, t->name));
    }
    const char *dtype = NULL;
    const struct json_node *shape = NULL;
    const struct json_node *range = NULL;
    int r = json_check_keys(f->header, node, keys, 3, err);
    r = r < 0 ? r : json_get_string(&dtype, f->header, node, "dtype", err);
    r = r < 0 ? r : json_get_array(&shape, f->header, node, "shape", err);
    r = r < 0 ? r : json_get_array(&range, f->header, node, "data_offsets", err);
    r = r < 0 ? r : read_dtype(&t->dtype, dtype, t->name, err);
    r = r < 0 ? r : read_shape(t, f->header, shape, err);
    return r < 0 ? r : read_range(t, f, range, err);
}

static int check_metadata(const struct safetensors *f, const struct json_node *node,
                          struct sctd_error *err)
{
    if (node->type != JSON_OBJECT) {
        return sctd_error(err, SCTD_EDATA, "safetensors: __metadata__ is not an object");
    }
    for (const struct json_node *m = json_first(f->header, node); m != NULL;
         m = json_next(f->header, m)) {
        if (m->type != JSON_STRING) {
            return sctd_error(err, SCTD_EDATA, "safetensors: __metadata__ holds more than texts");
        }
    }
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    const struct tensor_view *const *left = (const struct tensor_view *const *)a;
    const struct tensor_view *const *right = (const struct tensor_view *const *)b;
    return strcmp((*left)->name, (*right)->name);
}

static int compare_places(const void *a, const void *b)
{
    const struct tensor_view *left = a;
    const struct tensor_view *right = b;
    if (left->data != right->data) {
        return (const char *)left->data < (const char *)right->data ? -1 : 1;
    }
    return left->bytes == right->bytes ? strcmp(left->name, right->name)
                                       : (left->bytes < right->bytes ? -1 : 1);
}

/* The tensors, sorted by place, must cover the data without hole or overlap. */
static int check_cover(const struct safetensors *f, struct sctd_error *err)
{
    char to[64];
    size_t at = 0;
    for (size_t i = 0; i < f->count; i++) {
        const struct tensor_view *t = &f->tensor[i];
        const size_t begin = (size_t)((const unsigned char *)t->data - f->data);
        if (begin != at) {
            return sctd_error(err, SCTD_EDATA, "safetensors: %s %s", shown(to, t->name),
                              begin > at ? "stands after a hole" : "overlaps another tensor");
        }
        at += t->bytes;
    }
    if (at != f->data_size) {
        return sctd_error(err, SCTD_EDATA, "safetensors: %zu bytes belong to no tensor",
                          f->data_size - at);
    }
    return 0;
}

static int read_tensors(struct safetensors *f, struct sctd_error *err)
{
    const struct json_node *root = json_get_root(f->header);
    f->tensor = calloc(root->count + 1, sizeof *f->tensor);
    f->sorted = (const struct tensor_view **)calloc(root->count + 1, sizeof *f->sorted);
    if (f->tensor == NULL || f->sorted == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "safetensors: %zu tensors", root->count);
    }
    for (const struct json_node *m = json_first(f->header, root); m != NULL;
         m = json_next(f->header, m)) {
        int r = 0;
        if (strcmp(m->key, "__metadata__") == 0) {
            r = check_metadata(f, m, err);
        } else {
            r = read_tensor(&f->tensor[f->count++], f, m, err);
        }
        if (r < 0) {
            return r;
        }
    }
    qsort(f->tensor, f->count, sizeof *f->tensor, compare_places);
    for (size_t i = 0; i < f->count; i++) {
        f->sorted[i] = &f->tensor[i];
    }
    qsort((void *)f->sorted, f->count, sizeof *f->sorted, compare_names);
    return check_cover(f, err);
}

static int read_file(struct safetensors *f, const void *bytes, size_t size, struct sctd_error *err)
{
    const unsigned char *p = bytes;
    uint64_t header = 0;
    if (size < PREFIX) {
        return sctd_error(err, SCTD_EDATA, "safetensors: %zu bytes are no file", size);
    }
    for (size_t i = 0; i < PREFIX; i++) {
        header |= (uint64_t)p[i] << (8 * i);
    }
    if (header > size - PREFIX || header > MAX_HEADER || header < 2) {
        return sctd_error(err, SCTD_EDATA, "safetensors: a header of %llu bytes in a file of %zu",
                          (unsigned long long)header, size);
    }
    if (p[PREFIX] != '{') {
        return sctd_error(err, SCTD_EDATA, "safetensors: the header does not begin with '{'");
    }
    f->data = p + PREFIX + header;
    f->data_size = size - PREFIX - (size_t)header;
    int r = json_parse(&f->header, (const char *)p + PREFIX, (size_t)header, err);
    return r < 0 ? r : read_tensors(f, err);
}

static int open_bytes(struct safetensors **ret_file, const struct sctd_map *map, const void *bytes,
                      size_t size, struct sctd_error *err)
{
    sctd_auto(safetensors_closep) struct safetensors *f = calloc(1, sizeof *f);
    if (f == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "safetensors");
    }
    int r = read_file(f, bytes, size, err);
    if (r < 0) {
        return r;
    }
    if (map != NULL) {
        f->map = *map;
    }
    *ret_file = sctd_steal(&f);
    return 0;
}

int safetensors_open(struct safetensors **ret_file, const char *path, struct sctd_error *err)
{
    struct sctd_map map = {0};
    int r = sctd_map_open(&map, path, err);
    if (r < 0) {
        return r;
    }
    r = open_bytes(ret_file, &map, map.data, map.size, err);
    if (r < 0) {
        sctd_map_close(&map);
    }
    return r;
}

int safetensors_parse(struct safetensors **ret_file, const void *bytes, size_t size,
                      struct sctd_error *err)
{
    return open_bytes(ret_file, NULL, bytes, size, err);
}

void safetensors_close(struct safetensors *file)
{
    if (file != NULL) {
        sctd_map_close(&file->map);
        json_free(file->header);
        free(file->tensor);
        free((void *)file->sorted);
        free(file);
    }
}

size_t safetensors_get_count(const struct safetensors *file)
{
    return file->count;
}

const struct tensor_view *safetensors_get(const struct safetensors *file, size_t i)
{
    return &file->tensor[i];
}

const struct tensor_view *safetensors_find(const struct safetensors *file, const char *name)
{
    const struct tensor_view key = {.name = name};
    const struct tensor_view *at = &key;
    const struct tensor_view *const *found = (const struct tensor_view *const *)bsearch(
        (const void *)&at, (const void *)file->sorted, file->count, sizeof *file->sorted,
        compare_names);
    return found == NULL ? NULL : *found;
}

const char *safetensors_get_metadata(const struct safetensors *file, const char *key)
{
    const struct json_node *all =
        json_find(file->header, json_get_root(file->header), "__metadata__");
    const struct json_node *node = all == NULL ? NULL : json_find(file->header, all, key);
    return node == NULL ? NULL : node->string;
}

void safetensors_drop_pages(const struct safetensors *file, const struct tensor_view *t)
{
    if (file->map.data != NULL && t->bytes > 0) {
        const unsigned char *start = file->map.data;
        sctd_map_drop(&file->map, (size_t)((const unsigned char *)t->data - start), t->bytes);
    }
}

/* Writing */

/* Append the indices of the tensors whose elements have `size` bytes. */
static size_t order_of_size(size_t *order, size_t at, const struct tensor_view *tensors, size_t n,
                            size_t size)
{
    for (size_t i = 0; i < n; i++) {
        if (tensor_dtype_size(tensors[i].dtype) == size) {
            order[at++] = i;
        }
    }
    return at;
}

/* Indices of the tensors in the order in which they are written. */
static void order_tensors(size_t *order, const struct tensor_view *tensors, size_t n)
{
    size_t at = 0;
    for (size_t size = 8; size > 0; size /= 2) {
        at = order_of_size(order, at, tensors, n, size);
    }
}

static int check_names(const struct tensor_view *tensors, size_t n, struct sctd_error *err)
{
    const struct tensor_view **sorted = (const struct tensor_view **)calloc(n + 1, sizeof *sorted);
    char to[64];
    int r = 0;
    if (sorted == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "safetensors");
    }
    for (size_t i = 0; i < n; i++) {
        sorted[i] = &tensors[i];
        const size_t length = strlen(tensors[i].name);
        if (length == 0 || length >= TENSOR_NAME_MAX ||
            strcmp(tensors[i].name, "__metadata__") == 0) {
            r = sctd_error(err, SCTD_EINVAL, "safetensors: \"%s\" cannot be a tensor's name",
                           shown(to, tensors[i].name));
        }
    }
    qsort((void *)sorted, n, sizeof *sorted, compare_names);
    for (size_t i = 1; r == 0 && i < n; i++) {
        if (strcmp(sorted[i - 1]->name, sorted[i]->name) == 0) {
            r = sctd_error(err, SCTD_EINVAL, "safetensors: %s is there twice",
                           shown(to, sorted[i]->name));
        }
    }
    free((void *)sorted);
    return r;
}

static int make_header(struct json_writer *w, const struct tensor_view *tensors,
                       const size_t *order, size_t n, const struct safetensors_metadata *metadata,
                       size_t n_metadata)
{
    size_t at = 0;
    json_write_object_begin(w, NULL);
    if (n_metadata > 0) {
        json_write_object_begin(w, "__metadata__");
        for (size_t i = 0; i < n_metadata; i++) {
            json_write_string(w, metadata[i].key, metadata[i].value);
        }
        json_write_object_end(w);
    }
    for (size_t i = 0; i < n; i++) {
        const struct tensor_view *t = &tensors[order[i]];
        json_write_object_begin(w, t->name);
        json_write_string(w, "dtype", tensor_dtype_name(t->dtype));
        json_write_array_begin(w, "shape");
        for (int32_t d = 0; d < t->n_dims; d++) {
            json_write_int(w, NULL, t->dim[d]);
        }
        json_write_array_end(w);
        json_write_array_begin(w, "data_offsets");
        json_write_int(w, NULL, (int64_t)at);
        at += t->bytes;
        json_write_int(w, NULL, (int64_t)at);
        json_write_array_end(w);
        json_write_object_end(w);
    }
    json_write_object_end(w);
    int r = json_writer_finish(w);
    while (r == 0 && w->buf->size % 8 != 0) {
        r = sctd_buf_append(w->buf, " ", 1, w->err);
    }
    return r;
}

static int write_all(struct sctd_file *file, const struct sctd_buf *header,
                     const struct tensor_view *tensors, const size_t *order, size_t n,
                     struct sctd_error *err)
{
    unsigned char prefix[PREFIX];
    for (size_t i = 0; i < PREFIX; i++) {
        prefix[i] = (unsigned char)((uint64_t)header->size >> (8 * i));
    }
    int r = sctd_file_write(file, prefix, PREFIX, err);
    r = r < 0 ? r : sctd_file_write(file, header->data, header->size, err);
    for (size_t i = 0; r == 0 && i < n; i++) {
        r = sctd_file_write(file, tensors[order[i]].data, tensors[order[i]].bytes, err);
    }
    return r;
}

int safetensors_write(const char *path, const struct tensor_view *tensors, size_t n,
                      const struct safetensors_metadata *metadata, size_t n_metadata,
                      struct sctd_error *err)
{
    struct sctd_buf header = sctd_buf_make(MAX_HEADER);
    struct sctd_file file = {.fd = -1};
    size_t *order = calloc(n + 1, sizeof *order);
    if (order == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "safetensors");
    }
    struct json_writer w = json_writer_make(&header, false, err);
    order_tensors(order, tensors, n);
    int r = check_names(tensors, n, err);
    r = r < 0 ? r : make_header(&w, tensors, order, n, metadata, n_metadata);
    r = r < 0 ? r : sctd_file_create(&file, path, err);
    if (r == 0) {
        r = write_all(&file, &header, tensors, order, n, err);
        r = r < 0 ? r : sctd_file_commit(&file, err);
    }
    sctd_file_abort(&file);
    sctd_buf_fini(&header);
    free(order);
    return r;
}
