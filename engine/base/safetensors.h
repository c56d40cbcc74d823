/*
 * safetensors.h - read and write the safetensors format: named arrays in one file.
 *
 * Layout (format description of the safetensors project, version 0.4): an unsigned 64-bit length N,
 * N bytes of JSON {"name": {"dtype", "shape", "data_offsets": [begin, end]}, "__metadata__": {...}},
 * then the bytes that the offsets count from.  Read strictly: the ranges must cover the data without
 * hole or overlap, names may not repeat, shape and range must agree, and nothing is allocated beyond
 * a small multiple of the header's size.  A header has at most 100 million bytes.
 *
 * Thread safety: an open file is immutable and may be shared.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

enum tensor_dtype {
    TENSOR_F32,
    TENSOR_F64,
    TENSOR_F16,
    TENSOR_BF16,
    TENSOR_I64,
    TENSOR_I32,
    TENSOR_I16,
    TENSOR_I8,
    TENSOR_U8,
    TENSOR_BOOL,
};

enum { TENSOR_MAX_DIMS = 8, TENSOR_NAME_MAX = 256 };

/* A named array in memory that someone else owns; row-major, little-endian, without gaps. */
struct tensor_view {
    const char *name;
    enum tensor_dtype dtype;
    int32_t n_dims; /* 0 is a scalar */
    int64_t dim[TENSOR_MAX_DIMS];
    const void *data; /* may be unaligned */
    size_t bytes;
};

/* "F32", ... as in the format; never NULL. */
const char *tensor_dtype_name(enum tensor_dtype dtype);
size_t tensor_dtype_size(enum tensor_dtype dtype);

/* The number of values; checked when the view was made, so it does not overflow. */
size_t tensor_view_count(const struct tensor_view *t);

struct safetensors;

/*
 * Map the file at `path` and check it whole.
 * *ret_file: the caller closes it (safetensors_close); views and metadata live as long as it does.
 * Errors: SCTD_EIO (cannot be read), SCTD_EDATA (not a sound safetensors file; says what and where),
 * SCTD_ENOMEM.
 */
SCTD_NODISCARD int safetensors_open(struct safetensors **ret_file, const char *path,
                                    struct sctd_error *err);
/* The same over bytes in memory, which must outlive the object. */
SCTD_NODISCARD int safetensors_parse(struct safetensors **ret_file, const void *bytes, size_t size,
                                     struct sctd_error *err);
void safetensors_close(struct safetensors *file); /* NULL is a no-op */
static inline void safetensors_closep(struct safetensors **file)
{
    safetensors_close(*file);
}

size_t safetensors_get_count(const struct safetensors *file);
const struct tensor_view *safetensors_get(const struct safetensors *file,
                                          size_t i); /* file order */
/* By name; NULL if there is none. */
const struct tensor_view *safetensors_find(const struct safetensors *file, const char *name);
/* A value of __metadata__ by key; NULL if there is none. */
const char *safetensors_get_metadata(const struct safetensors *file, const char *key);

/*
 * Tell the kernel that the pages under t's data are not needed soon, so that a process that has
 * copied the values does not count them as its own.  No-op on safetensors_parse.
 */
void safetensors_drop_pages(const struct safetensors *file, const struct tensor_view *t);

struct safetensors_metadata {
    const char *key;
    const char *value;
};

/*
 * Write a file of `n` tensors at `path`: to a temporary name in the same folder, fsync, rename, fsync
 * of the folder, so that a crash leaves the old file or the new one.  Tensor data is placed by
 * falling alignment of dtype, then in the given order; the same input makes the same bytes.
 * Errors: SCTD_EINVAL (a name twice, too long, no UTF-8 or "__metadata__"; bytes that do not fit the
 * shape), SCTD_EIO, SCTD_ENOMEM.
 */
SCTD_NODISCARD int safetensors_write(const char *path, const struct tensor_view *tensors, size_t n,
                                     const struct safetensors_metadata *metadata, size_t n_metadata,
                                     struct sctd_error *err);

#ifdef __cplusplus
}
#endif
