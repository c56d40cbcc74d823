/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that are made to fail, devices that are lost, and what is counted. */
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

struct fake_cuda_setup fake_cuda;
struct fake_cuda_counts fake_cuda_counts;

static cudaError_t lost[FAKE_CUDA_DEVICES]; /* cudaSuccess: it is not */
static cudaError_t last_error;

/* Those after which the context is of no use any more. */
static bool lasts(int status)
{
    return status == (int)cudaErrorECCUncorrectable ||
           (status >= (int)cudaErrorIllegalAddress && status <= (int)cudaErrorLaunchFailure);
}

cudaError_t fake_fail(cudaError_t status)
{
    last_error = status;
    if (lasts((int)status)) {
        lost[fake_device()] = status;
        fake_abandon(fake_device());
    }
    return status;
}

bool fake_is_lost(void)
{
    return lost[fake_device()] != cudaSuccess;
}

static int lost_status(enum fake_library library)
{
    if (library == FAKE_CUDA) {
        last_error = lost[fake_device()];
        return (int)last_error;
    }
    return library == FAKE_CUDNN ? (int)CUDNN_STATUS_EXECUTION_FAILED
                                 : (int)CUBLAS_STATUS_EXECUTION_FAILED;
}

static int fire(enum fake_library library)
{
    const struct fake_cuda_fault *f = &fake_cuda.fault;
    fake_cuda_counts.fired = true;
    if (library == FAKE_CUDA || lasts(f->cuda)) {
        (void)fake_fail((cudaError_t)f->cuda);
    }
    if (library == FAKE_CUDA) {
        return f->cuda;
    }
    return library == FAKE_CUDNN ? f->cudnn : f->cublas;
}

int fake_call(enum fake_library library, const char *function)
{
    struct fake_cuda_fault *f = &fake_cuda.fault;
    fake_cuda_counts.calls++;
    if (fake_is_lost()) {
        return lost_status(library);
    }
    if (f->nth < 0 || (f->function != NULL && strcmp(f->function, function) != 0)) {
        return 0;
    }
    return f->nth-- == 0 ? fire(library) : 0;
}

void fake_faults_reset(void)
{
    memset(lost, 0, sizeof lost);
    last_error = cudaSuccess;
    fake_cuda.fault = (struct fake_cuda_fault){.nth = FAKE_CUDA_NEVER};
    fake_cuda.nth_work = FAKE_CUDA_NEVER;
}

const char *fake_cuda_find_held(void)
{
    static char text[256];
    const struct fake_cuda_counts *c = &fake_cuda_counts;
    size_t bytes = 0;
    for (int i = 0; i < FAKE_CUDA_DEVICES; i++) {
        bytes += c->device_bytes[i];
    }
    (void)snprintf(text, sizeof text,
                   "%ld blocks of %zu bytes, %ld pinned, %ld streams, %ld events, %ld graphs, %ld "
                   "graph execs, %ld handles, %ld descriptors",
                   c->device_blocks, bytes, c->pinned_blocks, c->streams, c->events, c->graphs,
                   c->graph_execs, c->handles, c->descriptors);
    const long held = c->device_blocks + c->pinned_blocks + c->streams + c->events + c->graphs +
                      c->graph_execs + c->handles + c->descriptors;
    return held == 0 && bytes == 0 ? NULL : text;
}

// NOLINTBEGIN(readability-identifier-naming): CUDA's names
cudaError_t cudaGetLastError(void)
{
    const cudaError_t e = fake_is_lost() ? lost[fake_device()] : last_error;
    last_error = cudaSuccess;
    return e;
}

const char *cudaGetErrorName(cudaError_t error)
{
    static const struct {
        cudaError_t error;
        const char *name;
    } names[] = {
        {cudaErrorInvalidValue, "cudaErrorInvalidValue"},
        {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation"},
        {cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver"},
        {cudaErrorDevicesUnavailable, "cudaErrorDevicesUnavailable"},
        {cudaErrorNoDevice, "cudaErrorNoDevice"},
        {cudaErrorECCUncorrectable, "cudaErrorECCUncorrectable"},
        {cudaErrorIllegalAddress, "cudaErrorIllegalAddress"},
        {cudaErrorLaunchFailure, "cudaErrorLaunchFailure"},
        {cudaErrorNotSupported, "cudaErrorNotSupported"},
        {cudaErrorUnknown, "cudaErrorUnknown"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (names[i].error == error) {
            return names[i].name;
        }
    }
    return "cudaErrorOfTheFake";
}
// NOLINTEND(readability-identifier-naming)
