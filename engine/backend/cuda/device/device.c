/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/backend/cuda/device/device.h"

#include <driver_types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cuda_runtime_api.h>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/fault.h"
#include "engine/backend/cuda/share.h"
#include "engine/base/error.h"
#include "engine/base/parse.h"

enum { LEAST_MAJOR = 8, MIB = 1 << 20, MOST_DEVICES = 1024 };

_Static_assert((int)cudaErrorMemoryAllocation == (int)FAULT_CUDA_MEMORY &&
                   (int)cudaErrorInsufficientDriver == (int)FAULT_CUDA_OLD_DRIVER &&
                   (int)cudaErrorStubLibrary == (int)FAULT_CUDA_LINK_LIBRARY &&
                   (int)cudaErrorDevicesUnavailable == (int)FAULT_CUDA_BUSY &&
                   (int)cudaErrorNoKernelImageForDevice == (int)FAULT_CUDA_NO_IMAGE &&
                   (int)cudaErrorSystemNotReady == (int)FAULT_CUDA_NOT_READY &&
                   (int)cudaErrorSystemDriverMismatch == (int)FAULT_CUDA_NOT_COMPATIBLE &&
                   (int)cudaErrorNoDevice == (int)FAULT_CUDA_NO_DEVICE &&
                   (int)cudaErrorECCUncorrectable == (int)FAULT_CUDA_ECC &&
                   (int)cudaErrorIllegalAddress == (int)FAULT_CUDA_ILLEGAL_ADDRESS &&
                   (int)cudaErrorLaunchFailure == (int)FAULT_CUDA_LAUNCH_FAILURE,
               "fault.h has CUDA's numbers");

int device_check(cudaError_t status, const char *what, struct sctd_error *err)
{
    if (status == cudaSuccess) {
        return 0;
    }
    (void)cudaGetLastError(); /* an error that does not last is not found again later */
    return fault_set(err, FAULT_CUDA, (int)status, cudaGetErrorName(status), what);
}

/* NULL: not set, or empty. */
static const char *read_environment(const char *variable)
{
    const char *value = getenv(variable); // NOLINT(concurrency-mt-unsafe): nobody sets it
    return value == NULL || *value == '\0' ? NULL : value;
}

int device_read_mib(size_t *ret_bytes, const char *variable, struct sctd_error *err)
{
    const char *value = read_environment(variable);
    uint64_t mib = 0;
    if (value != NULL && sctd_parse_u64(&mib, value, INT32_MAX, err) < 0) {
        return sctd_error(err, SCTD_EINVAL, "%s=%.20s: it is a number of MiB", variable, value);
    }
    *ret_bytes = (size_t)mib * MIB;
    return 0;
}

/* Make a GPU this thread's and ask it for what is free; its context is made here. */
static int look_at(struct device *d, int index, struct sctd_error *err)
{
    struct cudaDeviceProp properties;
    int r = device_check(cudaGetDeviceProperties(&properties, index), "a GPU's properties", err);
    if (r < 0) {
        return r;
    }
    d->index = index;
    d->major = properties.major;
    d->minor = properties.minor;
    d->multiprocessors = properties.multiProcessorCount;
    (void)snprintf(d->name, sizeof d->name, "%.255s", properties.name);
    if (d->major < LEAST_MAJOR) {
        return sctd_error(err, SCTD_EINVAL,
                          "GPU %d (%.80s) has compute capability %d.%d: 8.0 is the least", index,
                          d->name, d->major, d->minor);
    }
    r = device_check(cudaSetDevice(index), "a GPU", err);
    return r < 0 ? r
                 : device_check(cudaMemGetInfo(&d->free_bytes, &d->total_bytes),
                                "a GPU's free memory", err);
}

/* Asked without a context, which takes memory on the GPU. */
static bool is_new_enough(int index)
{
    struct cudaDeviceProp properties;
    const bool told = cudaGetDeviceProperties(&properties, index) == cudaSuccess;
    (void)cudaGetLastError();
    return told && properties.major >= LEAST_MAJOR;
}

/* The one whose turn it is, or the next that works; none is touched after it. */
static int take_turn(struct device *d, int n, const struct backend_device *wanted,
                     struct sctd_error *err)
{
    bool able[MOST_DEVICES] = {false};
    int32_t order[MOST_DEVICES] = {0};
    const int most = n < MOST_DEVICES ? n : MOST_DEVICES;
    for (int i = 0; i < most; i++) {
        able[i] = is_new_enough(i);
    }
    const int32_t n_able = share_order(order, able, most, wanted->turn);
    if (n_able == 0) {
        return n == 0 ? sctd_error(err, SCTD_EINVAL, "no GPU") : look_at(d, 0, err);
    }
    int r = look_at(d, order[0], err);
    for (int32_t i = 1; i < n_able && r < 0; i++) {
        r = look_at(d, order[i], err);
    }
    d->sharers = share_count(wanted->turn, wanted->turns, n_able);
    return r;
}

/* The number of the GPU that is asked for; BACKEND_ANY_DEVICE: none is. */
static int read_number(int32_t *ret_number, int32_t wanted, int n, struct sctd_error *err)
{
    const char *variable = read_environment("SCTD_CUDA_DEVICE");
    int64_t number = wanted;
    if (wanted != BACKEND_ANY_DEVICE && (wanted < 0 || wanted >= n)) {
        return sctd_error(err, SCTD_EINVAL, "cuda:%d: there are %d GPUs, from 0 on", wanted, n);
    }
    if (wanted == BACKEND_ANY_DEVICE && variable != NULL &&
        (sctd_parse_i64(&number, variable, 0, MOST_DEVICES, err) < 0 || number >= n)) {
        return sctd_error(err, SCTD_EINVAL, "SCTD_CUDA_DEVICE=%.20s: there are %d GPUs, from 0 on",
                          variable, n);
    }
    *ret_number = (int32_t)number;
    return 0;
}

int device_open(struct device *ret_device, const struct backend_device *wanted,
                struct sctd_error *err)
{
    struct device d = {.sharers = wanted->turns < 1 ? 1 : wanted->turns};
    int32_t number = BACKEND_ANY_DEVICE;
    int n = 0;
    int r = device_check(cudaGetDeviceCount(&n), "looking for a GPU", err);
    if (r == 0) {
        r = device_check(cudaDriverGetVersion(&d.driver), "the driver's version", err);
    }
    if (r == 0) {
        r = device_check(cudaRuntimeGetVersion(&d.runtime), "CUDA's version", err);
    }
    if (r == 0) {
        r = read_number(&number, wanted->number, n, err);
    }
    if (r == 0) {
        r = number == BACKEND_ANY_DEVICE ? take_turn(&d, n, wanted, err) : look_at(&d, number, err);
    }
    if (r == 0) {
        *ret_device = d;
    }
    return r;
}

int cuda_buf_new(struct cuda_buf *ret_buf, size_t size, struct sctd_error *err)
{
    void *data = NULL;
    int r =
        device_check(cudaMalloc(&data, size), "memory of the GPU", err); // lint-allow: its wrapper
    if (r == 0) {
        *ret_buf = (struct cuda_buf){.data = data, .size = size};
    }
    return r;
}

int device_pin(void **ret_memory, size_t size, struct sctd_error *err)
{
    const cudaError_t e = cudaMallocHost(ret_memory, size);
    if (e != cudaErrorMemoryAllocation) {
        return device_check(e, "pinned memory", err);
    }
    (void)cudaGetLastError();
    return sctd_error(
        err, SCTD_ENOMEM,
        "%zu MiB of this machine's memory cannot be pinned for the GPU: lower the batch",
        size / MIB);
}

void cuda_buf_free(struct cuda_buf *buf)
{
    if (buf->data != NULL) {
        (void)cudaFree(buf->data);
    }
    *buf = (struct cuda_buf){.data = NULL};
}
