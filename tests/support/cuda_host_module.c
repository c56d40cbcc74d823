/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's executor of CUDA programs as a module that the loader takes for the CUDA backend, modules that it must
 * refuse, and one whose second GPU computes wrong: MODULE_KIND says which one this is built as.
 */
#include <stddef.h>
#include <stdint.h>

#include "engine/backend/backend.h"
#include "engine/backend/load.h"
#include "engine/base/error.h"

#include "tests/support/cuda_host.h"

enum { GOOD, OTHER_ABI, OTHER_SIZES, NO_GPU, EMPTY, WRONG };

/* A GPU that computes wrong */

static struct backend wrong_backend;
/* Of the plan that was made last. */
static int32_t last_device;
static size_t last_slice;

static int wrong_compile(struct backend_plan **ret_plan, const struct graph *g,
                         const struct backend_options *options, struct sctd_error *err)
{
    int r = cuda_host_find_gpu(&last_device, &options->device, err);
    r = r < 0 ? r : cuda_host_module_backend.compile(ret_plan, g, options, err);
    if (r == 0) {
        last_slice = graph_tensor_size(g, g->y);
        (*ret_plan)->backend = &wrong_backend;
    }
    return r;
}

/* The second GPU is right for a slice alone; of several the last is off. */
static int wrong_run(struct backend_plan *plan, const struct backend_io *io, struct sctd_error *err)
{
    const float off = 0.2F;
    const int r = cuda_host_module_backend.run(plan, io, err);
    for (size_t i = 0; r == 0 && last_device == 1 && io->n > 1 && i < last_slice; i++) {
        io->y[(size_t)(io->n - 1) * last_slice + i] += off;
    }
    return r;
}

__attribute__((constructor)) static void make_wrong_backend(void)
{
    wrong_backend = cuda_host_module_backend;
    wrong_backend.compile = wrong_compile;
    wrong_backend.run = wrong_run;
}

/* The module */

static int probe(const struct backend_device *device, struct sctd_error *err)
{
    int32_t number = 0;
    return MODULE_KIND == NO_GPU ? sctd_error(err, SCTD_EINVAL, "no GPU in this module")
                                 : cuda_host_find_gpu(&number, device, err);
}

extern const struct backend_module sctd_backend_module;
__attribute__((visibility("default"))) const struct backend_module sctd_backend_module = {
    .abi = MODULE_KIND == OTHER_ABI ? BACKEND_MODULE_ABI + 1 : BACKEND_MODULE_ABI,
    .sizes = MODULE_KIND == OTHER_SIZES ? 1 : BACKEND_MODULE_SIZES,
    .backend = MODULE_KIND == EMPTY   ? NULL
               : MODULE_KIND == WRONG ? &wrong_backend
                                      : &cuda_host_module_backend,
    .probe = probe,
};
