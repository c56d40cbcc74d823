/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/backend/cuda/device/cuda_backend.h"
#include "engine/backend/load.h"

/* The one name that the loader looks for. */
extern const struct backend_module sctd_backend_module;
__attribute__((visibility("default"))) const struct backend_module sctd_backend_module = {
    .abi = BACKEND_MODULE_ABI,
    .sizes = BACKEND_MODULE_SIZES,
    .backend = &cuda_backend,
    .probe = cuda_backend_probe,
};
