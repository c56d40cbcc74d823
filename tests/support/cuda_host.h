/*
 * cuda_host.h - the CUDA backend's programs run on the host: its steps, weights, places and kernels' bodies
 * without its device.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "engine/backend/backend.h"
#include "engine/base/error.h"

/* A backend like any other, called "cuda-host".  Sums of products are f32, as the device's are. */
extern const struct backend cuda_host_backend;
/* The same under the name "cuda", on one of two GPUs of 1 GiB that are made up. */
extern const struct backend cuda_host_module_backend;

/* The number of the one that a plan for `wanted` takes.  Errors: SCTD_EINVAL (there is none of that number). */
SCTD_NODISCARD int cuda_host_find_gpu(int32_t *ret_number, const struct backend_device *wanted,
                                      struct sctd_error *err);
