/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/backend/cuda/device/tuning.h"

#include <driver_types.h>
#include <stdbool.h>
#include <stddef.h>

#include <cuda_runtime_api.h>

#include "engine/base/error.h"

enum { ROUNDS = 5 };

float tuning_measure(const struct tuning *tuning, tuning_run *run, const void *arg)
{
    struct sctd_error err = {.code = SCTD_OK};
    cudaEvent_t from = NULL;
    cudaEvent_t to = NULL;
    float best = -1.0F;
    bool ok = cudaEventCreate(&from) == cudaSuccess && cudaEventCreate(&to) == cudaSuccess;
    for (int i = 0; ok && i <= ROUNDS; i++) {
        float ms = 0.0F;
        ok = cudaEventRecord(from, tuning->stream) == cudaSuccess && run(arg, tuning, &err) == 0 &&
             cudaEventRecord(to, tuning->stream) == cudaSuccess &&
             cudaEventSynchronize(to) == cudaSuccess &&
             cudaEventElapsedTime(&ms, from, to) == cudaSuccess;
        /* The first run is not counted. */
        best = ok && i > 0 && (best < 0.0F || ms < best) ? ms : best;
    }
    if (from != NULL) {
        (void)cudaEventDestroy(from);
    }
    if (to != NULL) {
        (void)cudaEventDestroy(to);
    }
    if (!ok) {
        (void)cudaGetLastError(); /* so that the next launch does not find it */
    }
    return ok ? best : -1.0F;
}
