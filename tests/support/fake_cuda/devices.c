/* SPDX-License-Identifier: Apache-2.0 */
/* The devices that are there, which one is this thread's, and how all starts again. */
#undef NDEBUG
#include <assert.h>
#include <driver_types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <cudnn.h>

#include "tests/support/fake_cuda/fake_cuda.h"
#include "tests/support/fake_cuda/inside.h"

static int current;
static bool touched[FAKE_CUDA_DEVICES];

int fake_device(void)
{
    return current;
}

void fake_touch_device(void)
{
    fake_cuda_counts.contexts[current] += touched[current] ? 0 : 1;
    touched[current] = true;
}

static const struct fake_cuda_engine engines[] = {
    {.name = "fft", .note = {CUDNN_NUMERICAL_NOTE_FFT}, .n_notes = 1, .ms = 0.01F},
    {.name = "winograd",
     .note = {CUDNN_NUMERICAL_NOTE_TENSOR_CORE, CUDNN_NUMERICAL_NOTE_WINOGRAD},
     .n_notes = 2,
     .ms = 0.02F},
    {.name = "any order",
     .note = {CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC},
     .n_notes = 1,
     .ms = 0.03F},
    {.name = "cores", .note = {CUDNN_NUMERICAL_NOTE_TENSOR_CORE}, .n_notes = 1, .ms = 0.2F},
    {.name = "quick cores",
     .note = {CUDNN_NUMERICAL_NOTE_TENSOR_CORE, CUDNN_NUMERICAL_NOTE_STRICT_NAN_PROP},
     .n_notes = 2,
     .workspace = 4096,
     .ms = 0.1F,
     .backwards = true},
    {.name = "never", .refuses = true, .ms = 0.01F},
    {.name = "slow", .ms = 0.9F},
    {.name = "exact", .workspace = 8192, .ms = 0.3F, .backwards = true},
    {.name = "bare", .bare = true, .ms = 0.4F},
    {.name = "at last", .fallback = true, .ms = 2.0F},
};

static const struct fake_cuda_algorithm algorithms[] = {
    {.name = "first", .workspace = 1024, .ms = 0.3F},
    {.name = "split in fp16", .reduction = CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE, .ms = 0.01F},
    {.name = "split",
     .reduction = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE,
     .workspace = 2048,
     .ms = 0.1F,
     .backwards = true},
    {.name = "refused", .refuses = true, .ms = 0.01F},
};

void fake_cuda_draw(uint64_t seed)
{
    /* No number, a large one, and one that may pass for a value. */
    static const unsigned char garbage[] = {0xff, 0x4b, 0x3c};
    fake_cuda.seed = seed;
    fake_cuda.order = (enum fake_cuda_order)(seed % FAKE_CUDA_ORDERS);
    fake_cuda.garbage = garbage[seed / FAKE_CUDA_ORDERS % sizeof garbage];
    fake_queue_draw(seed);
}

void fake_cuda_reset(void)
{
    const char *held = fake_cuda_find_held();
    if (held != NULL) {
        (void)fprintf(stderr, "held by nobody: %s\n", held);
    }
    assert(held == NULL);
    memset(&fake_cuda_counts, 0, sizeof fake_cuda_counts);
    memset(touched, 0, sizeof touched);
    current = 0;
    fake_cuda = (struct fake_cuda_setup){
        .n_devices = 1,
        .driver = 13000,
        .runtime = 13000,
        .n_engines = sizeof engines / sizeof engines[0],
        .n_algorithms = sizeof algorithms / sizeof algorithms[0],
        .cudnn_version = CUDNN_VERSION,
        .conv64_ms = 5.0F,
    };
    for (int i = 0; i < FAKE_CUDA_DEVICES; i++) {
        fake_cuda.device[i] = (struct fake_cuda_device){.name = "Fake GPU",
                                                        .major = 9,
                                                        .minor = 0,
                                                        .multiprocessors = 4,
                                                        .total_bytes = (size_t)8 << 30};
    }
    memcpy(fake_cuda.engine, engines, sizeof engines);
    memcpy(fake_cuda.algorithm, algorithms, sizeof algorithms);
    fake_faults_reset();
    fake_queue_reset();
    fake_cuda_draw(0);
}

static cudaError_t entered(const char *function)
{
    return (cudaError_t)fake_call(FAKE_CUDA, function);
}

// NOLINTBEGIN(readability-identifier-naming): CUDA's names
cudaError_t cudaGetDeviceCount(int *count)
{
    const cudaError_t e = entered(__func__);
    if (e != cudaSuccess) {
        return e;
    }
    *count = fake_cuda.n_devices;
    return fake_cuda.n_devices == 0 ? fake_fail(cudaErrorNoDevice) : cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int *driverVersion)
{
    const cudaError_t e = entered(__func__);
    if (e == cudaSuccess) {
        *driverVersion = fake_cuda.driver;
    }
    return e;
}

cudaError_t cudaRuntimeGetVersion(int *runtimeVersion)
{
    const cudaError_t e = entered(__func__);
    if (e == cudaSuccess) {
        *runtimeVersion = fake_cuda.runtime;
    }
    return e;
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *prop, int device)
{
    const cudaError_t e = entered(__func__);
    if (e != cudaSuccess) {
        return e;
    }
    if (device < 0 || device >= fake_cuda.n_devices) {
        return fake_fail(cudaErrorInvalidDevice);
    }
    const struct fake_cuda_device *d = &fake_cuda.device[device];
    memset(prop, 0, sizeof *prop);
    (void)snprintf(prop->name, sizeof prop->name, "%s", d->name);
    prop->major = d->major;
    prop->minor = d->minor;
    prop->multiProcessorCount = d->multiprocessors;
    prop->totalGlobalMem = d->total_bytes;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device)
{
    const cudaError_t e = entered(__func__);
    if (e != cudaSuccess) {
        return e;
    }
    if (device < 0 || device >= fake_cuda.n_devices) {
        return fake_fail(cudaErrorInvalidDevice);
    }
    if (fake_cuda.device[device].busy) {
        return fake_fail(cudaErrorDevicesUnavailable);
    }
    current = device;
    fake_touch_device();
    return cudaSuccess;
}
// NOLINTEND(readability-identifier-naming)
