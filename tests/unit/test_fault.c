/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "engine/backend/cuda/fault.h"
#include "engine/base/error.h"

/* Statuses as the libraries' headers and documents have them. */
static void statuses_mean_what_the_process_should_do(void)
{
    static const struct {
        enum fault_library library;
        int status;
        enum sctd_code code;
    } known[] = {
        {FAULT_CUDA, 2, SCTD_ENOMEM},       /* memory allocation */
        {FAULT_CUDA, 35, SCTD_EDEVICE},     /* insufficient driver */
        {FAULT_CUDA, 100, SCTD_EDEVICE},    /* no device */
        {FAULT_CUDA, 46, SCTD_EDEVICE},     /* devices unavailable */
        {FAULT_CUDA, 34, SCTD_EDEVICE},     /* the library for linking */
        {FAULT_CUDA, 209, SCTD_EDEVICE},    /* no kernel image for the device */
        {FAULT_CUDA, 802, SCTD_EDEVICE},    /* system not ready */
        {FAULT_CUDA, 803, SCTD_EDEVICE},    /* system driver mismatch */
        {FAULT_CUDA, 214, SCTD_EDEVICE},    /* ECC uncorrectable */
        {FAULT_CUDA, 700, SCTD_EDEVICE},    /* illegal address */
        {FAULT_CUDA, 716, SCTD_EDEVICE},    /* misaligned address */
        {FAULT_CUDA, 719, SCTD_EDEVICE},    /* launch failure */
        {FAULT_CUDA, 721, SCTD_EDEVICE},    /* contained error */
        {FAULT_CUDA, 999, SCTD_EDEVICE},    /* unknown, as after an Xid */
        {FAULT_CUDNN, 1001, SCTD_EDEVICE},  /* not initialized */
        {FAULT_CUDNN, 2000, SCTD_EINVAL},   /* bad parameter */
        {FAULT_CUDNN, 3000, SCTD_EINVAL},   /* not supported */
        {FAULT_CUDNN, 3007, SCTD_EINVAL},   /* architecture mismatch */
        {FAULT_CUDNN, 4000, SCTD_EDEVICE},  /* internal error */
        {FAULT_CUDNN, 4003, SCTD_ENOMEM},   /* host allocation */
        {FAULT_CUDNN, 4004, SCTD_ENOMEM},   /* device allocation */
        {FAULT_CUDNN, 5000, SCTD_EDEVICE},  /* execution failed */
        {FAULT_CUBLAS, 1, SCTD_EDEVICE},    /* not initialized */
        {FAULT_CUBLAS, 3, SCTD_ENOMEM},     /* allocation failed */
        {FAULT_CUBLAS, 7, SCTD_EINVAL},     /* invalid value */
        {FAULT_CUBLAS, 13, SCTD_EDEVICE},   /* execution failed */
        {FAULT_CUBLAS, 15, SCTD_EINVAL},    /* not supported */
        {FAULT_CUDA, 123456, SCTD_EDEVICE}, /* whatever comes */
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        struct sctd_error err = {.code = SCTD_OK};
        assert(fault_code(known[i].library, known[i].status) == known[i].code);
        assert(fault_set(&err, known[i].library, known[i].status, "theName", "the work") ==
               (int)known[i].code);
        assert(err.code == known[i].code);
        assert(strstr(err.text, "the work: ") == err.text && strstr(err.text, "theName") != NULL);
    }
}

static void a_memory_error_tells_its_mend(void)
{
    struct sctd_error err = {.code = SCTD_OK};
    assert(fault_set(&err, FAULT_CUDA, FAULT_CUDA_ECC, "cudaErrorECCUncorrectable",
                     "the network") == SCTD_EDEVICE);
    assert(strcmp(err.text,
                  "the network: CUDA 214 (cudaErrorECCUncorrectable): uncorrectable memory "
                  "error: the GPU must be reset, see its Xid in the kernel's log") == 0);
}

int main(void)
{
    statuses_mean_what_the_process_should_do();
    a_memory_error_tells_its_mend();
    return 0;
}
