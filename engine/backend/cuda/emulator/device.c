/* SPDX-License-Identifier: Apache-2.0 */
/* What kernels.h asks the runtime about the device. */
#include <cuda_runtime_api.h>

#include "engine/backend/cuda/emulator/emulator.h"

enum { CAPABILITY_MAJOR = 9, CAPABILITY_MINOR = 0 };

static int multiprocessors = 132;

void emulator_set_multiprocessors(int n)
{
    multiprocessors = n;
}

cudaError_t cudaGetDevice(int *device)
{
    *device = 0;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attr, int device)
{
    (void)device;
    *value = attr == cudaDevAttrComputeCapabilityMajor   ? CAPABILITY_MAJOR
             : attr == cudaDevAttrComputeCapabilityMinor ? CAPABILITY_MINOR
                                                         : multiprocessors;
    return cudaSuccess;
}
