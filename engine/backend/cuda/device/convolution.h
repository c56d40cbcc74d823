/*
 * convolution.h - convolutions through cuDNN: an engine chosen for each shape, kept in the plan cache.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cuda_runtime_api.h>
#include <cudnn.h>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/bind.h"
#include "engine/backend/cuda/device/tuning.h"
#include "engine/base/error.h"

struct convolution;

/*
 * Choose how to compute `args`, whose pointers stay where they are: cuDNN with the whole epilogue, or
 * without and then a kernel of ours, or our own kernel alone: the slow one, or where it is measured to be faster
 * that for 64 channels.  Memory at y may be written.
 * Errors: SCTD_ENOMEM, SCTD_EDEVICE.
 */
SCTD_NODISCARD int convolution_new(struct convolution **ret_convolution, cudnnHandle_t handle,
                                   const struct tuning *tuning, const struct product_args *args,
                                   struct sctd_error *err);
void convolution_free(struct convolution *c); /* NULL is a no-op */

/* Bytes of workspace, and what it is to be: at 256 bytes. */
size_t convolution_get_workspace(const struct convolution *convolution);
SCTD_NODISCARD int convolution_set_workspace(struct convolution *c, void *workspace,
                                             struct sctd_error *err);

/* Whether cuDNN computes it, and with the epilogue. */
bool convolution_is_fused(const struct convolution *convolution);
bool convolution_is_plain(const struct convolution *convolution);
/* Whether it is our kernel for 64 channels. */
bool convolution_is_own(const struct convolution *convolution);

SCTD_NODISCARD int convolution_run(const struct convolution *c, cudnnHandle_t handle,
                                   cudaStream_t stream, struct sctd_error *err);

/* A convolution's shape, types and epilogue as the plan cache's key. */
enum { CONVOLUTION_KEY_SIZE = 160 };
void convolution_key(char ret_key[CONVOLUTION_KEY_SIZE], const struct product_args *args,
                     enum backend_precision precision);
