/*
 * kernels.h - start a kernel of ours: a step's, everything but convolutions and products, or the recipe's.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <cuda_runtime_api.h>

#include "engine/backend/cuda/bind.h"
#include "engine/backend/cuda/body_recipe.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Start the kernel of a step over all its items on `stream`.  STEP_CONV takes the slow kernel that needs no
 * library; STEP_LINEAR has none.  Errors: what the launch says.
 */
cudaError_t kernels_start(enum step_kind kind, const union step_args *args, size_t items,
                          cudaStream_t stream);

/* The convolutions from and to one channel.  Each gives what the launch says. */
cudaError_t kernels_start_first_conv(const struct first_conv_args *args, size_t items,
                                     cudaStream_t stream);
cudaError_t kernels_start_last_conv(const struct last_conv_args *args, size_t items,
                                    cudaStream_t stream);

/* The epilogue alone: args->product.finish over what lies in y. */
cudaError_t kernels_start_finish(const struct finish_args *args, size_t items, cudaStream_t stream);

/* STEP_EXPAND's, which kernels_start calls. */
cudaError_t kernels_start_expand(const struct expand_args *args, size_t items, cudaStream_t stream);

/*
 * Attention on tensor cores: fp16 or bf16, heads of 32, 64 or 128 channels.  Returns whether it is for
 * these arguments; *ret_error is then what the launch says.
 */
int kernels_start_tensor_attention(const struct attention_args *args, int32_t slices,
                                   cudaStream_t stream, cudaError_t *ret_error);

/*
 * The merge of two maps on tensor cores: all of it fp16, but what is added may be of any type.  Returns whether it
 * is for these arguments; *ret_error is then what the launch says.
 */
int kernels_start_tensor_merge(const struct merge_args *args, size_t items, cudaStream_t stream,
                               cudaError_t *ret_error);

/*
 * A convolution 3x3 of 64 channels on tensor cores with all its epilogue, for compute capability 9.0: fp16, at most 128
 * outputs, no `before`, no activation or GELU.  The first says whether it is for these arguments and the current device.
 * The other as well; *ret_error is then what the launch says.
 */
int kernels_have_conv64(const struct product_args *args);
int kernels_start_conv64(const struct product_args *args, cudaStream_t stream,
                         cudaError_t *ret_error);

/* The recipe's (body_recipe.h).  Each gives what the launch says. */
cudaError_t kernels_start_count(const struct recipe_count_args *args, size_t values,
                                int multiprocessors, cudaStream_t stream);
cudaError_t kernels_start_in(const struct recipe_in_args *args, size_t items, cudaStream_t stream);
cudaError_t kernels_start_out(const struct recipe_out_args *args, size_t items,
                              cudaStream_t stream);
/* *ret_bad, on the device, becomes 1 if one of the values is not finite, and stays as it is otherwise. */
cudaError_t kernels_start_finite(const float *value, size_t values, uint32_t *ret_bad,
                                 cudaStream_t stream);

#ifdef __cplusplus
}
#endif
