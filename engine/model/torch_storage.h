/*
 * torch_storage.h - the storages a PyTorch pickle names, and where their bytes lie in the file.
 *
 * A tensor in a pickle is a view of a storage; a storage is a persistent id, the tuple ('storage',
 * type, key, location, numel) with a last None in the legacy format.  The same key may come up often,
 * always with the same type and numel.
 *
 * Thread safety: immutable once bound.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/base/safetensors.h"
#include "engine/model/pickle.h"
#include "engine/model/pickle_value.h"
#include "engine/model/zip_archive.h"

#ifdef __cplusplus
extern "C" {
#endif

struct torch_storage {
    struct pickle_value key; /* a string in the pickle */
    enum tensor_dtype dtype;
    bool bound;
    size_t count;        /* values */
    const uint8_t *data; /* borrowed from the file; may be unaligned; NULL until bound */
};

struct torch_storages {
    struct torch_storage *items; /* [n], by rising key */
    size_t n;
};

/*
 * Collect the storages that `pickle` names; their keys point into its bytes.  The memory counts
 * against the pickle's limit; torch_storages_fini frees it.
 * Errors: SCTD_EDATA (an id that is no storage, or two that disagree), SCTD_ENOMEM.
 */
SCTD_NODISCARD int torch_storages_init(struct torch_storages *storages, struct pickle *pickle,
                                       struct sctd_error *err);
void torch_storages_fini(struct torch_storages *storages); /* zeroed is a no-op */

/*
 * Bind every storage to the archive's entry PREFIXdata/KEY, whose size and CRC-32 are checked.
 * Errors: SCTD_EDATA.
 */
SCTD_NODISCARD int torch_storages_bind_zip(struct torch_storages *storages,
                                           const struct zip_archive *archive,
                                           const struct pickle_value *prefix,
                                           struct sctd_error *err);

/*
 * Bind every storage to the bytes that follow the pickles of a legacy file: for each key in `keys`,
 * a list, a 64-bit count and the values, little-endian.
 * bytes[at ... size): all that is left of the file; it must be used up.
 * Errors: SCTD_EDATA.
 */
SCTD_NODISCARD int torch_storages_bind_legacy(struct torch_storages *storages,
                                              const struct pickle_value *keys, const uint8_t *bytes,
                                              size_t size, size_t at, struct sctd_error *err);

/* The storage of a persistent id that torch_storages_init has seen. */
const struct torch_storage *torch_storages_find(const struct torch_storages *storages,
                                                const struct pickle_value *persistent);

#ifdef __cplusplus
}
#endif
