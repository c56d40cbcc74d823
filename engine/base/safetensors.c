/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/base/safetensors.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/utf8.h"

enum { PREFIX = 8, MAX_HEADER = 100000000 };

static const char metadata_key[] = "__metadata__";

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
    return sctd_error(err, SCTD_EDATA, "safetensors: %.60s has dtype %.40s, which is not supported",
                      name, text);
}

static int read_shape(struct tensor_view *t, const struct json *j, const struct json_node *array,
                      struct sctd_error *err)
{
    if (array->count > TENSOR_MAX_DIMS) {
        return sctd_error(err, SCTD_EDATA,
                          "safetensors: %.60s has %" PRIu32 " dimensions, more than %d", t->name,
                          array->count, TENSOR_MAX_DIMS);
    }
    size_t bytes = tensor_dtype_size(t->dtype);
    for (const struct json_node *n = json_first(j, array); n != NULL; n = json_next(j, n)) {
        if (n->type != JSON_INT || n->integer < 0) {
            return sctd_error(err, SCTD_EDATA, "safetensors: %.60s has a bad shape", t->name);
        }
        t->dim[t->n_dims++] = n->integer;
    }
    bool empty = false;
    for (int32_t i = 0; i < t->n_dims; i++) {
        empty = empty || t->dim[i] == 0;
    }
    for (int32_t i = 0; !empty && i < t->n_dims; i++) {
        if (__builtin_mul_overflow(bytes, (size_t)t->dim[i], &bytes)) {
            return sctd_error(err, SCTD_EDATA, "safetensors: the size of %.60s overflows", t->name);
        }
    }
    t->bytes = empty ? 0 : bytes;
    return 0;
}

static int read_range(struct tensor_view *t, const struct safetensors *f,
                      const struct json_node *array, struct sctd_error *err)
{
    const struct json_node *begin = json_first(f->header, array);
    const struct json_node *end = begin == NULL ? NULL : json_next(f->header, begin);
    if (array->count != 2 || begin == NULL || end == NULL || begin->type != JSON_INT ||
        end->type != JSON_INT || begin->integer < 0 || end->integer < begin->integer ||
        (uint64_t)end->integer > f->data_size) {
        return sctd_error(err, SCTD_EDATA, "safetensors: %.60s has data_offsets outside the file",
                          t->name);
    }
    const size_t size = (size_t)(end->integer - begin->integer);
    if (size != t->bytes) {
        return sctd_error(err, SCTD_EDATA,
                          "safetensors: %.60s has %zu bytes of data where its shape needs %zu",
                          t->name, size, t->bytes);
    }
    t->data = f->data + begin->integer;
    return 0;
}

struct entry {
    const char *dtype;
    const struct json_node *shape, *data_offsets;
};

/* Nothing is allocated for a tensor before this. */
static int get_entry(struct entry *ret_entry, const struct json *j, const struct json_node *node,
                     struct sctd_error *err)
{
    static const char *const keys[] = {"dtype", "shape", "data_offsets"};
    const size_t size = strlen(node->key);
    if (size == 0 || size >= TENSOR_NAME_MAX) {
        return sctd_error(err, SCTD_EDATA, "safetensors: a name of %zu bytes (1 to %d are read)",
                          size, TENSOR_NAME_MAX - 1);
    }
    if (node->type != JSON_OBJECT) {
        return sctd_error(err, SCTD_EDATA, "safetensors: %.60s is not an object", node->key);
    }
    int r = json_check_keys(j, node, keys, sizeof keys / sizeof *keys, err);
    r = r < 0 ? r : json_get_string(&ret_entry->dtype, j, node, "dtype", err);
    r = r < 0 ? r : json_get_array(&ret_entry->shape, j, node, "shape", err);
    r = r < 0 ? r : json_get_array(&ret_entry->data_offsets, j, node, "data_offsets", err);
    if (r < 0) {
        sctd_error_prefix(err, "safetensors: %.60s", node->key);
    }
    return r;
}

static int read_tensor(struct tensor_view *t, const struct safetensors *f,
                       const struct json_node *node, struct sctd_error *err)
{
    struct entry e = {NULL, NULL, NULL};
    t->name = node->key;
    int r = get_entry(&e, f->header, node, err);
    r = r < 0 ? r : read_dtype(&t->dtype, e.dtype, t->name, err);
    r = r < 0 ? r : read_shape(t, f->header, e.shape, err);
    return r < 0 ? r : read_range(t, f, e.data_offsets, err);
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
    size_t at = 0;
    for (size_t i = 0; i < f->count; i++) {
        const struct tensor_view *t = &f->tensor[i];
        const size_t begin = (size_t)((const unsigned char *)t->data - f->data);
        if (begin != at) {
            return sctd_error(err, SCTD_EDATA, "safetensors: %.60s %s", t->name,
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

static bool is_metadata(const struct json_node *node)
{
    return strcmp(node->key, metadata_key) == 0;
}

static int check_entries(struct safetensors *f, struct sctd_error *err)
{
    const struct json_node *root = json_get_root(f->header);
    for (const struct json_node *m = json_first(f->header, root); m != NULL;
         m = json_next(f->header, m)) {
        struct entry e = {NULL, NULL, NULL};
        int r = is_metadata(m) ? check_metadata(f, m, err) : get_entry(&e, f->header, m, err);
        if (r < 0) {
            return r;
        }
        f->count += is_metadata(m) ? 0 : 1;
    }
    return 0;
}

static int read_tensors(struct safetensors *f, struct sctd_error *err)
{
    const struct json_node *root = json_get_root(f->header);
    f->tensor = calloc(f->count + 1, sizeof *f->tensor);
    f->sorted = (const struct tensor_view **)calloc(f->count + 1, sizeof *f->sorted);
    if (f->tensor == NULL || f->sorted == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "safetensors: %zu tensors", f->count);
    }
    size_t n = 0;
    for (const struct json_node *m = json_first(f->header, root); m != NULL;
         m = json_next(f->header, m)) {
        int r = is_metadata(m) ? 0 : read_tensor(&f->tensor[n++], f, m, err);
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
    if (r < 0) {
        sctd_error_prefix(err, "safetensors");
        return r;
    }
    r = check_entries(f, err);
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
        const char *slash = strrchr(path, '/');
        sctd_error_prefix(err, "%.60s", slash == NULL ? path : slash + 1);
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
    size_t low = 0;
    size_t high = file->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = strcmp(name, file->sorted[middle]->name);
        if (order == 0) {
            return file->sorted[middle];
        }
        if (order > 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

const char *safetensors_get_metadata(const struct safetensors *file, const char *key)
{
    const struct json_node *all =
        json_find(file->header, json_get_root(file->header), metadata_key);
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

/* Append the indices of the tensors whose values have `size` bytes; the new length. */
static size_t order_size(size_t *order, size_t at, const struct tensor_view *tensors, size_t n,
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
        at = order_size(order, at, tensors, n, size);
    }
}

static bool is_utf8(const char *text)
{
    size_t left = strlen(text);
    while (left > 0) {
        const size_t n = utf8_length(text, left);
        if (n == 0) {
            return false;
        }
        text += n;
        left -= n;
    }
    return true;
}

static int check_tensor(const struct tensor_view *t, struct sctd_error *err)
{
    const size_t size = strlen(t->name);
    if (size == 0 || size >= TENSOR_NAME_MAX || strcmp(t->name, metadata_key) == 0 ||
        !is_utf8(t->name)) {
        return sctd_error(err, SCTD_EINVAL, "safetensors: \"%.60s\" cannot be a tensor's name",
                          t->name);
    }
    if (t->bytes != tensor_view_count(t) * tensor_dtype_size(t->dtype)) {
        return sctd_error(err, SCTD_EINVAL, "safetensors: %.60s has %zu bytes, not as its shape",
                          t->name, t->bytes);
    }
    return 0;
}

static int check_tensors(const struct tensor_view *tensors, size_t n, struct sctd_error *err)
{
    const struct tensor_view **sorted = (const struct tensor_view **)calloc(n + 1, sizeof *sorted);
    int r = 0;
    if (sorted == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "safetensors");
    }
    for (size_t i = 0; r == 0 && i < n; i++) {
        sorted[i] = &tensors[i];
        r = check_tensor(&tensors[i], err);
    }
    if (r == 0) {
        qsort((void *)sorted, n, sizeof *sorted, compare_names);
    }
    for (size_t i = 1; r == 0 && i < n; i++) {
        if (strcmp(sorted[i - 1]->name, sorted[i]->name) == 0) {
            r = sctd_error(err, SCTD_EINVAL, "safetensors: %.60s is there twice", sorted[i]->name);
        }
    }
    free((void *)sorted);
    return r;
}

static int check_metadata_texts(const struct safetensors_metadata *metadata, size_t n,
                                struct sctd_error *err)
{
    for (size_t i = 0; i < n; i++) {
        bool good = is_utf8(metadata[i].key) && is_utf8(metadata[i].value);
        for (size_t k = 0; good && k < i; k++) {
            good = strcmp(metadata[k].key, metadata[i].key) != 0;
        }
        if (!good) {
            return sctd_error(err, SCTD_EINVAL,
                              "safetensors: metadata %.60s is there twice or no UTF-8",
                              metadata[i].key);
        }
    }
    return 0;
}

static void write_entry(struct json_writer *w, const struct tensor_view *t, size_t begin)
{
    json_write_object_begin(w, t->name);
    json_write_string(w, "dtype", tensor_dtype_name(t->dtype));
    json_write_array_begin(w, "shape");
    for (int32_t d = 0; d < t->n_dims; d++) {
        json_write_int(w, NULL, t->dim[d]);
    }
    json_write_array_end(w);
    json_write_array_begin(w, "data_offsets");
    json_write_int(w, NULL, (int64_t)begin);
    json_write_int(w, NULL, (int64_t)(begin + t->bytes));
    json_write_array_end(w);
    json_write_object_end(w);
}

static void write_metadata(struct json_writer *w, const struct safetensors_metadata *metadata,
                           size_t n)
{
    if (n == 0) {
        return;
    }
    json_write_object_begin(w, metadata_key);
    for (size_t i = 0; i < n; i++) {
        json_write_string(w, metadata[i].key, metadata[i].value);
    }
    json_write_object_end(w);
}

/* Blanks make it a multiple of 8, so that the data is aligned. */
static int end_header(struct sctd_buf *buf, struct json_writer *w, struct sctd_error *err)
{
    json_write_object_end(w);
    int r = json_writer_finish(w);
    while (r == 0 && buf->size % 8 != 0) {
        r = sctd_buf_append(buf, " ", 1, err);
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
    int r = check_tensors(tensors, n, err);
    r = r < 0 ? r : check_metadata_texts(metadata, n_metadata, err);
    if (r < 0) {
        return r;
    }
    size_t *order = calloc(n + 1, sizeof *order);
    if (order == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "safetensors");
    }
    order_tensors(order, tensors, n);

    struct sctd_buf header = sctd_buf_make(MAX_HEADER);
    struct sctd_file file = {.fd = -1};
    struct json_writer w = json_writer_make(&header, false, err);
    size_t at = 0;
    json_write_object_begin(&w, NULL);
    write_metadata(&w, metadata, n_metadata);
    for (size_t i = 0; i < n; i++) {
        write_entry(&w, &tensors[order[i]], at);
        at += tensors[order[i]].bytes;
    }
    r = end_header(&header, &w, err);
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
