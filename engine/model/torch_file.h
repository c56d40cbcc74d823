/*
 * torch_file.h - the tensors of a file written by torch.save, in the zip or in the legacy format.
 *
 * zip (since PyTorch 1.6): an archive of stored entries NAME/data.pkl, the pickle of the object, and
 * NAME/data/KEY, the bytes of each storage.  Legacy: five pickles in a row (magic number, protocol
 * version, system, object, list of storage keys), then each storage as a 64-bit count and its
 * values.  The names of nested dictionaries are joined with '.'.
 *
 * Memory: at most 128 KiB + 64 times the bytes of pickle (which are at most PICKLE_BYTES_MAX) and
 * 64 bytes for each entry of an archive; tensor data is never copied.
 *
 * Thread safety: a file is immutable once parsed and may be shared.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "engine/base/error.h"
#include "engine/base/safetensors.h"

#ifdef __cplusplus
extern "C" {
#endif

struct torch_file;

/*
 * Read the file in bytes[0 ... size), which must outlive *ret_file: the views point into it.
 * *ret_file: the caller frees it.
 * Errors: SCTD_EDATA (says what is not allowed or not sound, and where), SCTD_ENOMEM.
 */
SCTD_NODISCARD int torch_file_parse_zip(struct torch_file **ret_file, const void *bytes,
                                        size_t size, struct sctd_error *err);
SCTD_NODISCARD int torch_file_parse_legacy(struct torch_file **ret_file, const void *bytes,
                                           size_t size, struct sctd_error *err);
void torch_file_free(struct torch_file *file); /* NULL is a no-op */
static inline void torch_file_freep(struct torch_file **file)
{
    torch_file_free(*file);
}

size_t torch_file_get_count(const struct torch_file *file);
const struct tensor_view *torch_file_get(const struct torch_file *file, size_t i); /* file order */

#ifdef __cplusplus
}
#endif
