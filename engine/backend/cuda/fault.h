/*
 * fault.h - what a status of CUDA, cuDNN or cuBLAS means for the process: numbers in, an error out.
 *
 * SCTD_ENOMEM: smaller batches may still work.  SCTD_EINVAL: asked for what the library or driver here
 * cannot do.  SCTD_EDEVICE: the context is lost (a device's error, ECC, an Xid, a fault in a kernel, or
 * anything not known better): this process must be replaced.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "engine/base/error.h" // IWYU pragma: export

#ifdef __cplusplus
extern "C" {
#endif

enum fault_library { FAULT_CUDA, FAULT_CUDNN, FAULT_CUBLAS };

/* The numbers that device/ asserts to be the libraries'. */
enum {
    FAULT_CUDA_MEMORY = 2,
    FAULT_CUDA_OLD_DRIVER = 35,
    FAULT_CUDA_LINK_LIBRARY = 34, /* the library for linking stands in the driver's place */
    FAULT_CUDA_BUSY = 46,         /* in exclusive use */
    FAULT_CUDA_NO_DEVICE = 100,
    FAULT_CUDA_NO_IMAGE = 209,
    FAULT_CUDA_ECC = 214,
    FAULT_CUDA_NOT_READY = 802,
    FAULT_CUDA_NOT_COMPATIBLE = 803,
    FAULT_CUDA_ILLEGAL_ADDRESS = 700,
    FAULT_CUDA_LAUNCH_FAILURE = 719,
    FAULT_CUDNN_UNSUPPORTED = 3000,
    FAULT_CUDNN_INTERNAL = 4000,
    FAULT_CUDNN_HOST_MEMORY = 4003,
    FAULT_CUDNN_DEVICE_MEMORY = 4004,
    FAULT_CUBLAS_MEMORY = 3,
    FAULT_CUBLAS_UNSUPPORTED = 15,
};

/* The SCTD_E* code that a status other than success means. */
enum sctd_code fault_code(enum fault_library library, int status);

/*
 * Fill *err: "WHAT: NAME (STATUS): the mend".  what: of ours, "the network's output"; name: the library's
 * text.  Returns fault_code, negative.
 */
int fault_set(struct sctd_error *err, enum fault_library library, int status, const char *name,
              const char *what);

#ifdef __cplusplus
}
#endif
