/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/backend/cuda/device/tuning.h"

#include <driver_types.h>
#include <stdbool.h>
#include <stddef.h>

#include <cuda_runtime_api.h>

#include "engine/backend/cuda/device/device.h"
#include "engine/backend/cuda/device/plan_file.h"
#include "engine/backend/cuda/plan_cache.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"

enum { ROUNDS = 5, MOST_SECONDS = 60 };

int tuning_claim(const struct tuning *tuning, struct sctd_error *err)
{
    return tuning->measure ? plan_file_claim(tuning->file, tuning->cache, err) : 0;
}

int tuning_find(const struct plan_cache_entry **ret_entry, const struct tuning *tuning,
                const char *key, struct sctd_error *err)
{
    const struct plan_cache_entry *entry =
        tuning->cache == NULL ? NULL : plan_cache_find(tuning->cache, key);
    if (entry == NULL && tuning->measure) {
        int r = tuning_claim(tuning, err);
        if (r < 0) {
            return r;
        }
        entry = plan_cache_find(tuning->cache, key);
    }
    *ret_entry = entry;
    return 0;
}

bool tuning_is_over(const struct tuning *tuning)
{
    return sctd_now_s() > tuning->file->claimed_s + MOST_SECONDS;
}

/* Whether what did not run says something about the device rather than about itself. */
static int judge(const struct tuning *tuning, struct sctd_error *why, struct sctd_error *err)
{
    (void)cudaGetLastError(); /* so that the next launch does not find it */
    const cudaError_t lost = cudaStreamSynchronize(tuning->stream);
    if (lost != cudaSuccess) {
        return device_check(lost, "choosing engines", err);
    }
    if (why->code == SCTD_ENOMEM) {
        *err = *why;
        return SCTD_ENOMEM;
    }
    return 0;
}

int tuning_measure(float *ret_ms, const struct tuning *tuning, tuning_run *run, const void *arg,
                   struct sctd_error *err)
{
    struct sctd_error why = {.code = SCTD_OK};
    cudaEvent_t from = NULL;
    cudaEvent_t to = NULL;
    float best = -1.0F;
    bool ok = cudaEventCreate(&from) == cudaSuccess && cudaEventCreate(&to) == cudaSuccess;
    for (int i = 0; ok && i <= ROUNDS; i++) {
        float ms = 0.0F;
        ok = cudaEventRecord(from, tuning->stream) == cudaSuccess && run(arg, tuning, &why) == 0 &&
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
    *ret_ms = ok ? best : -1.0F;
    return ok ? 0 : judge(tuning, &why, err);
}

int tuning_keep(const struct tuning *tuning, const char *key, enum plan_choice choice,
                const char *text, struct sctd_error *err)
{
    if (tuning->cache == NULL) {
        return 0;
    }
    const int r = plan_cache_put(tuning->cache, key, choice, text, err);
    if (r == 0) {
        plan_file_write(tuning->cache, tuning->file);
    }
    return r == SCTD_EINVAL ? 0 : r; /* too much for a cache: the next start looks again */
}
