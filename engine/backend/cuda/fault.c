/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/backend/cuda/fault.h"

#include <stddef.h>

#include "engine/base/error.h"

/* Statuses first ... last of a library; the first row that fits counts. */
struct fault {
    enum fault_library library;
    int first, last;
    enum sctd_code code;
    const char *mend;
};

static const char lost[] = "the GPU is lost to this process, which must be replaced";

static const struct fault faults[] = {
    {FAULT_CUDA, FAULT_CUDA_MEMORY, FAULT_CUDA_MEMORY, SCTD_ENOMEM,
     "the GPU's memory is full: lower the batch, or SCTD_CUDA_MEMORY_MIB of others on it"},
    {FAULT_CUDA, FAULT_CUDA_OLD_DRIVER, FAULT_CUDA_OLD_DRIVER, SCTD_EDEVICE,
     "no NVIDIA driver, or one older than this CUDA"},
    {FAULT_CUDA, FAULT_CUDA_LINK_LIBRARY, FAULT_CUDA_LINK_LIBRARY, SCTD_EDEVICE,
     "libcuda.so.1 is not the driver's: take the one that CUDA links with out of LD_LIBRARY_PATH"},
    {FAULT_CUDA, FAULT_CUDA_BUSY, FAULT_CUDA_BUSY, SCTD_EDEVICE,
     "another process has the GPU for itself: see nvidia-smi's compute mode"},
    {FAULT_CUDA, FAULT_CUDA_NO_IMAGE, FAULT_CUDA_NO_IMAGE, SCTD_EDEVICE,
     "this build has no code for this GPU"},
    {FAULT_CUDA, FAULT_CUDA_NOT_READY, FAULT_CUDA_NOT_READY, SCTD_EDEVICE,
     "the GPU is not ready: where GPUs are joined by NVSwitch, nvidia-fabricmanager must run"},
    {FAULT_CUDA, FAULT_CUDA_NOT_COMPATIBLE, FAULT_CUDA_NOT_COMPATIBLE, SCTD_EDEVICE,
     "the driver and its libraries are of two versions: restart after the update"},
    {FAULT_CUDA, FAULT_CUDA_NO_DEVICE, FAULT_CUDA_NO_DEVICE, SCTD_EDEVICE,
     "no GPU is visible: see nvidia-smi and CUDA_VISIBLE_DEVICES"},
    {FAULT_CUDA, FAULT_CUDA_ECC, FAULT_CUDA_ECC, SCTD_EDEVICE,
     "uncorrectable memory error: the GPU must be reset, see its Xid in the kernel's log"},
    {FAULT_CUDA, FAULT_CUDA_ILLEGAL_ADDRESS, FAULT_CUDA_LAUNCH_FAILURE, SCTD_EDEVICE, lost},
    {FAULT_CUDNN, FAULT_CUDNN_UNSUPPORTED, FAULT_CUDNN_UNSUPPORTED + 999, SCTD_EINVAL,
     "not supported by this cuDNN on this GPU"},
    {FAULT_CUDNN, FAULT_CUDNN_HOST_MEMORY, FAULT_CUDNN_DEVICE_MEMORY, SCTD_ENOMEM,
     "memory is full: lower the batch"},
    {FAULT_CUDNN, 2000, 2999, SCTD_EINVAL, "not what this cuDNN takes"},
    {FAULT_CUBLAS, FAULT_CUBLAS_MEMORY, FAULT_CUBLAS_MEMORY, SCTD_ENOMEM,
     "memory is full: lower the batch"},
    {FAULT_CUBLAS, 7, 8, SCTD_EINVAL, "not what this cuBLAS takes"},
    {FAULT_CUBLAS, FAULT_CUBLAS_UNSUPPORTED, FAULT_CUBLAS_UNSUPPORTED, SCTD_EINVAL,
     "not supported by this cuBLAS on this GPU"},
};

static const struct fault *find_fault(enum fault_library library, int status)
{
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        const struct fault *f = &faults[i];
        if (f->library == library && status >= f->first && status <= f->last) {
            return f;
        }
    }
    return NULL;
}

enum sctd_code fault_code(enum fault_library library, int status)
{
    const struct fault *f = find_fault(library, status);
    return f == NULL ? SCTD_EDEVICE : f->code;
}

int fault_set(struct sctd_error *err, enum fault_library library, int status, const char *name,
              const char *what)
{
    static const char *const names[] = {
        [FAULT_CUDA] = "CUDA", [FAULT_CUDNN] = "cuDNN", [FAULT_CUBLAS] = "cuBLAS"};
    const struct fault *f = find_fault(library, status);
    const enum sctd_code code = f == NULL ? SCTD_EDEVICE : f->code;
    sctd_error_set(err, code, __FILE__, __LINE__, "%.60s: %s %d (%.60s): %s", what, names[library],
                   status, name, f == NULL ? lost : f->mend);
    return (int)code;
}
