/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's executor of CUDA programs as a module that the loader takes for the CUDA backend, and modules
 * that it must refuse: MODULE_KIND says which one this is built as.
 */
#include <stddef.h>
#include <stdint.h>

#include "engine/backend/backend.h"
#include "engine/backend/load.h"
#include "engine/base/error.h"

#include "tests/support/cuda_host.h"

enum { GOOD, OTHER_ABI, OTHER_SIZES, NO_GPU, EMPTY };

/* As if there were two GPUs. */
static int probe(int32_t device, struct sctd_error *err)
{
    enum { GPUS = 2 };
    if (device >= GPUS) {
        return sctd_error(err, SCTD_EINVAL, "cuda:%d: there are %d GPUs, from 0 on", device, GPUS);
    }
    return MODULE_KIND == NO_GPU ? sctd_error(err, SCTD_EINVAL, "no GPU in this module") : 0;
}

extern const struct backend_module sctd_backend_module;
__attribute__((visibility("default"))) const struct backend_module sctd_backend_module = {
    .abi = MODULE_KIND == OTHER_ABI ? BACKEND_MODULE_ABI + 1 : BACKEND_MODULE_ABI,
    .sizes = MODULE_KIND == OTHER_SIZES ? 1 : BACKEND_MODULE_SIZES,
    .backend = MODULE_KIND == EMPTY ? NULL : &cuda_host_module_backend,
    .probe = probe,
};
