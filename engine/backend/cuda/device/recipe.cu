/* SPDX-License-Identifier: Apache-2.0 */
/* Built without contraction (-fmad=false), so that the bits are those of engine/image. */
#include "engine/backend/cuda/body_recipe.h"
#include "engine/backend/cuda/device/item_kernel.cuh"
#include "engine/backend/cuda/device/kernels.h"
#include "engine/backend/cuda/device/launch.cuh"

namespace
{

enum { THREADS = ITEM_THREADS, COUNT_BLOCKS_PER_SM = 8 };

/*
 * One addition for all lanes of a warp that meet in a bin: half of an image may be one value.  Whole warps stay
 * in the loop, since they count together.
 */
__global__ void __launch_bounds__(THREADS) count_kernel(const recipe_count_args a, size_t values)
{
    const size_t step = (size_t)gridDim.x * THREADS;
    for (size_t first = (size_t)blockIdx.x * THREADS; first < values; first += step) {
        const size_t item = first + threadIdx.x;
        const int32_t bin = item < values ? recipe_bin(&a, item) : RECIPE_NO_BIN;
        const unsigned same = __match_any_sync(0xffffffffU, bin);
        if (bin != RECIPE_NO_BIN && (threadIdx.x & 31U) == (unsigned)__ffs((int)same) - 1U) {
            atomicAdd(&a.count[bin], (uint32_t)__popc(same));
        }
    }
}

ITEM_KERNEL(in_kernel, recipe_in_args, recipe_in_body)
ITEM_KERNEL(out_kernel, recipe_out_args, recipe_out_body)

/* All that find something write the same. */
__global__ void __launch_bounds__(THREADS)
    finite_kernel(const float *value, size_t values, uint32_t *ret_bad)
{
    const size_t item = (size_t)blockIdx.x * THREADS + threadIdx.x;
    if (item < values && recipe_is_finite(value[item]) == 0) {
        (void)atomicExch(ret_bad, 1U);
    }
}

} // namespace

cudaError_t kernels_start_count(const recipe_count_args *args, size_t values, int multiprocessors,
                                cudaStream_t stream)
{
    const unsigned most = (unsigned)multiprocessors * COUNT_BLOCKS_PER_SM;
    const unsigned blocks = blocks_for(values, THREADS) < most ? blocks_for(values, THREADS) : most;
    return launch(count_kernel, blocks, THREADS, stream, *args, values);
}

cudaError_t kernels_start_in(const recipe_in_args *args, size_t items, cudaStream_t stream)
{
    return launch(in_kernel, blocks_for(items, THREADS), THREADS, stream, *args, items);
}

cudaError_t kernels_start_out(const recipe_out_args *args, size_t items, cudaStream_t stream)
{
    return launch(out_kernel, blocks_for(items, THREADS), THREADS, stream, *args, items);
}

cudaError_t kernels_start_finite(const float *value, size_t values, uint32_t *ret_bad,
                                 cudaStream_t stream)
{
    return launch(finite_kernel, blocks_for(values, THREADS), THREADS, stream, value, values,
                  ret_bad);
}
