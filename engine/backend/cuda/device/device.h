/*
 * device.h - the GPU a plan runs on, its memory, and what its errors mean.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <cuda_runtime_api.h>

#include "engine/backend/backend.h"
#include "engine/base/error.h"

enum { DEVICE_NAME_SIZE = 256 };

struct device {
    int index;
    char name[DEVICE_NAME_SIZE];
    int major, minor, multiprocessors;
    int driver, runtime; /* as CUDA counts versions: 13000 */
    size_t total_bytes, free_bytes;
    int32_t sharers; /* plans of its `turns` that take it, with this one */
};

/*
 * Make a GPU this thread's: `wanted` by its number; with BACKEND_ANY_DEVICE that of $SCTD_CUDA_DEVICE, else one of
 * compute capability 8.0 or later by its turn, or the next that works.  No other is touched.
 * Errors: SCTD_EINVAL (no driver, no GPU, none that is new enough, no such number), SCTD_EDEVICE.
 */
SCTD_NODISCARD int device_open(struct device *ret_device, const struct backend_device *wanted,
                               struct sctd_error *err);

/* 0, or the error that a status other than cudaSuccess means. */
int device_check(cudaError_t status, const char *what, struct sctd_error *err);

/* Memory of the device, at 256 bytes; released by cuda_buf_free. */
struct cuda_buf {
    void *data;
    size_t size;
};

/* Errors: SCTD_ENOMEM, SCTD_EDEVICE. */
SCTD_NODISCARD int cuda_buf_new(struct cuda_buf *ret_buf, size_t size, struct sctd_error *err);
void cuda_buf_free(struct cuda_buf *buf);

/* Pinned memory of the host, which the caller frees with cudaFreeHost.  Errors: SCTD_ENOMEM, SCTD_EDEVICE. */
SCTD_NODISCARD int
device_pin(void **ret_memory, size_t size,
           struct sctd_error *err); /* leaves it empty; an empty one is a no-op */

/* A number of mebibytes from an environment variable; 0: it is not set.  Errors: SCTD_EINVAL. */
SCTD_NODISCARD int device_read_mib(size_t *ret_bytes, const char *variable, struct sctd_error *err);
