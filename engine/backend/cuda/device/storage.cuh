/*
 * storage.cuh - kernels for maps of one storage: arguments whose types the compiler knows, and the choice.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "engine/backend/cuda/body.h"
#include "engine/backend/cuda/body_vit.h"

/* Beside enum value_type: maps of several, whose types are looked up as values are read. */
enum { ANY_STORAGE = -1 };

/* What items are counted in; 64-bit divisions are slow. */
template <int STORAGE> struct storage_items {
    using index = uint32_t;
};

template <> struct storage_items<ANY_STORAGE> {
    using index = size_t;
};

/* Do `f` to each map of a kernel's arguments. */

template <typename F>
__host__ __device__ __forceinline__ void storage_each(finish_args *a, const F &f)
{
    f(&a->x);
    f(&a->before);
    f(&a->add[0]);
    f(&a->add[1]);
    f(&a->y);
}

template <typename F>
__host__ __device__ __forceinline__ void storage_each(rope_args *a, const F &f)
{
    f(&a->x);
}

template <typename F>
__host__ __device__ __forceinline__ void storage_each(join_args *a, const F &f)
{
    f(&a->x[0]);
    f(&a->x[1]);
    f(&a->x[2]);
    f(&a->y);
}

template <typename A, typename F>
__host__ __device__ __forceinline__ void storage_each(A *a, const F &f)
{
    f(&a->x);
    f(&a->y);
}

struct storage_setter {
    int32_t type;
    __host__ __device__ __forceinline__ void operator()(operand *map) const
    {
        map->type = type;
    }
};

struct storage_finder {
    int32_t *first; /* ANY_STORAGE before there is one */
    bool *same;
    __host__ __device__ __forceinline__ void operator()(const operand *map) const
    {
        if (map->data != NULL) {
            *same = *same && (*first == ANY_STORAGE || *first == map->type);
            *first = map->type;
        }
    }
};

/* In a kernel: let the compiler know the maps' type. */
template <int STORAGE, typename A> __device__ __forceinline__ void storage_fix(A *a)
{
    if (STORAGE != ANY_STORAGE) {
        storage_each(a, storage_setter{STORAGE});
    }
}

/* The type of all maps, or ANY_STORAGE if they differ or the items need more than 32 bits. */
template <typename A> int storage_of(A a, size_t items)
{
    int32_t first = ANY_STORAGE;
    bool same = items <= UINT32_MAX;
    storage_each(&a, storage_finder{&first, &same});
    return same ? first : (int)ANY_STORAGE;
}
