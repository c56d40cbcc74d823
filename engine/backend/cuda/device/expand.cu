/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/backend/cuda/body_expand.h"
#include "engine/backend/cuda/device/item_kernel.cuh"
#include "engine/backend/cuda/device/kernels.h"
#include "engine/backend/cuda/device/launch.cuh"

namespace
{

enum { THREADS = ITEM_THREADS, ANY = -1 };

/* The same body for all; what is known when compiled need not be asked for each value. */
template <int Z, int Y, int FACTOR>
__global__ void __launch_bounds__(THREADS, 2) expand_kernel(const expand_args a, size_t items)
{
    const size_t item = (size_t)blockIdx.x * THREADS + threadIdx.x;
    expand_args known = a;
    known.factor = FACTOR;
    if (Z != ANY) {
        known.z.type = Z;
        known.finish.y.type = Y;
    }
    if (item < items) {
        expand_body(&known, item);
    }
}

template <int Z, int Y> cudaError_t start(const expand_args *a, size_t items, cudaStream_t stream)
{
    const unsigned blocks = blocks_for(items, THREADS);
    switch (a->factor) {
    case 2:
        return launch(expand_kernel<Z, Y, 2>, blocks, THREADS, stream, *a, items);
    case 4:
        return launch(expand_kernel<Z, Y, 4>, blocks, THREADS, stream, *a, items);
    case 8:
        return launch(expand_kernel<Z, Y, 8>, blocks, THREADS, stream, *a, items);
    case 16:
        return launch(expand_kernel<Z, Y, 16>, blocks, THREADS, stream, *a, items);
    default:
        return cudaErrorInvalidValue; /* graph.h has no other */
    }
}

} // namespace

cudaError_t kernels_start_expand(const expand_args *args, size_t items, cudaStream_t stream)
{
    const int32_t z = args->z.type;
    const int32_t y = args->finish.y.type;
    if (z == VALUE_F16 && y == VALUE_F16) {
        return start<VALUE_F16, VALUE_F16>(args, items, stream);
    }
    if (z == VALUE_F32 && y == VALUE_F16) {
        return start<VALUE_F32, VALUE_F16>(args, items, stream);
    }
    if (z == VALUE_F32 && y == VALUE_F32) {
        return start<VALUE_F32, VALUE_F32>(args, items, stream);
    }
    return start<ANY, ANY>(args, items, stream);
}
