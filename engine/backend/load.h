/*
 * load.h - a backend that is a shared object of its own, loaded at run time: libsctd-cuda.so.
 *
 * Its only symbol is `sctd_backend_module`.  It is opened by its path alone and never searched for by the
 * system's rules: $SCTD_CUDA_LIBRARY if that is set, else lib/libsctd-cuda.so in one of the folders above
 * the program, or lib/sctd/libsctd-cuda.so there (as installed).
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h> // IWYU pragma: export

#include "engine/backend/backend.h" // IWYU pragma: export
#include "engine/base/error.h"      // IWYU pragma: export

#ifdef __cplusplus
extern "C" {
#endif

/* Raised by every change of backend.h or graph.h; the sizes are there in case that is forgotten. */
enum { BACKEND_MODULE_ABI = 6 };
#define BACKEND_MODULE_SIZES                                                                       \
    (uint32_t)(sizeof(struct backend_options) + 8 * sizeof(struct backend_io) +                    \
               64 * sizeof(struct backend_stats) + 512 * sizeof(struct graph_op) +                 \
               4096 * sizeof(struct graph_tensor) + 32768 * sizeof(struct backend) +               \
               (1 << 18) * (sizeof(struct backend_volume) + sizeof(struct backend_volumes)))

struct backend_module {
    uint32_t abi;   /* BACKEND_MODULE_ABI */
    uint32_t sizes; /* BACKEND_MODULE_SIZES */
    const struct backend *backend;
    /* Whether it can be used on this machine, with the GPU that a plan for `device` would take; no other
     * is touched.  Errors: SCTD_EINVAL, SCTD_EDEVICE, saying why not. */
    int (*probe)(const struct backend_device *device, struct sctd_error *err);
};

/*
 * The CUDA backend, once it is loaded and its probe of `device` has passed; it stays loaded.
 * Errors: SCTD_EINVAL (no such file, a library it needs is missing, made for another sctd, no driver, no
 * GPU), SCTD_EDEVICE (there is a GPU, and it does not work).
 * Thread safety: any.
 */
SCTD_NODISCARD int backend_load_cuda(const struct backend **ret_backend,
                                     const struct backend_device *device, struct sctd_error *err);

/*
 * Whether there is a library for GPUs and a driver for it, so that a GPU is meant to be used: $SCTD_CUDA_LIBRARY is set, or
 * the library lies beside the program and libcuda.so.1 can be loaded.
 */
bool backend_expects_cuda(void);

/* The same from a file. */
SCTD_NODISCARD int backend_load_file(const struct backend **ret_backend, const char *path,
                                     const struct backend_device *device, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
