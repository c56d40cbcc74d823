/*
 * torch_tensor.h - the tensors in an unpickled state_dict: find them, and turn them into views.
 *
 * Thread safety: a walk belongs to one thread.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/base/safetensors.h"
#include "engine/model/pickle.h"
#include "engine/model/pickle_value.h"
#include "engine/model/torch_storage.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { TORCH_DEPTH_MAX = 16 };

/* A walk over nested dictionaries, in file order, that keeps its own stack. */
struct torch_walk {
    struct {
        const struct pickle_node *dict;
        uint32_t next;   /* item to look at next */
        size_t name_len; /* of the dictionary's own name with its '.' */
    } level[TORCH_DEPTH_MAX];
    size_t depth;
    char name[TENSOR_NAME_MAX]; /* of the tensor last found: its keys joined with '.' */
    size_t name_len;
    size_t entries_left; /* dictionaries may be shared: what keeps the walk finite */
};

enum { TORCH_WALK_TENSOR = 1 };

/* Begin a walk over what `pickle` holds. Errors: SCTD_EDATA if that is no dictionary. */
SCTD_NODISCARD int torch_walk_init(struct torch_walk *walk, const struct pickle *pickle,
                                   struct sctd_error *err);

/*
 * Go to the next tensor: TORCH_WALK_TENSOR, with *ret_object and walk->name; 0 after the last.
 * What is neither tensor nor dictionary is passed over.
 * Errors: SCTD_EDATA (nested too deep, a name that is too long or not printable).
 */
SCTD_NODISCARD int torch_walk_next(struct torch_walk *walk, const struct pickle_value **ret_object,
                                   struct sctd_error *err);

/*
 * The view that an object (torch._utils._rebuild_tensor_v2 or _rebuild_parameter) stands for.
 * name: becomes ret_view->name and must live as long.
 * Errors: SCTD_EDATA (not row-major without gaps, beyond its storage, too many dimensions).
 */
SCTD_NODISCARD int torch_tensor_read(struct tensor_view *ret_view,
                                     const struct pickle_value *object, const char *name,
                                     const struct torch_storages *storages, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
