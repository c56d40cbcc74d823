/*
 * product.h - matrix products through cuBLASLt: y = x w' + bias + before.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include "engine/backend/cuda/bind.h"
#include "engine/backend/cuda/device/tuning.h"
#include "engine/base/error.h"

enum { PRODUCT_WORKSPACE = 32 * 1024 * 1024 };

struct product;

/*
 * Choose an algorithm for `args`, whose pointers stay where they are: that of the plan cache, else the fastest of
 * some, or the first of cuBLASLt's guesses where they are not to be measured.  Memory at y may be written.
 * tuning: its cache may be NULL.  Errors: SCTD_EINVAL, SCTD_ENOMEM, SCTD_EDEVICE.
 */
SCTD_NODISCARD int product_new(struct product **ret_product, cublasLtHandle_t handle,
                               const struct tuning *tuning, const struct product_args *args,
                               struct sctd_error *err);
void product_free(struct product *p); /* NULL is a no-op */

/* workspace: PRODUCT_WORKSPACE bytes at 256. */
SCTD_NODISCARD int product_run(const struct product *p, cublasLtHandle_t handle, void *workspace,
                               cudaStream_t stream, struct sctd_error *err);
