/*
 * tuning.h - how convolutions and products choose among a library's engines: by measured time, kept in the plan cache.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <cuda_runtime_api.h>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/device/plan_file.h"
#include "engine/backend/cuda/plan_cache.h"
#include "engine/base/error.h"

/* What all choices of a plan share; all owned by the plan. */
struct tuning {
    cudaStream_t stream;
    enum backend_precision precision;
    struct plan_cache *cache; /* NULL: nothing is kept or measured */
    struct plan_file *file;   /* where it is kept */
    bool measure;             /* candidates: only where the choice will be kept */
    void *workspace;          /* for measuring, at 256 bytes */
    size_t workspace_bytes;   /* what an engine may take at most */
};

/*
 * The cache's entry of a key, NULL if there is none.  Then, if it will be measured, the file is claimed.
 * Errors: SCTD_ENOMEM.
 */
SCTD_NODISCARD int tuning_find(const struct plan_cache_entry **ret_entry,
                               const struct tuning *tuning, const char *key,
                               struct sctd_error *err);

/* Before something is chosen: claim the file if it will be measured.  Entries found before are gone.
 * Errors: SCTD_ENOMEM. */
SCTD_NODISCARD int tuning_claim(const struct tuning *tuning, struct sctd_error *err);

/* Whether so much was measured since the claim that from here on the first that works is taken. */
bool tuning_is_over(const struct tuning *tuning);

/* Start what is measured on the tuning's stream. */
typedef int tuning_run(const void *arg, const struct tuning *tuning, struct sctd_error *err);

/*
 * Milliseconds of one run, the least of some; negative: it does not run.
 * Errors: SCTD_ENOMEM (for which a smaller chunk may do), SCTD_EDEVICE.
 */
SCTD_NODISCARD int tuning_measure(float *ret_ms, const struct tuning *tuning, tuning_run *run,
                                  const void *arg, struct sctd_error *err);

/*
 * Keep a choice, in the file at once: what was measured is not lost with a process that does not end well.
 * Errors: SCTD_ENOMEM.
 */
SCTD_NODISCARD int tuning_keep(const struct tuning *tuning, const char *key,
                               enum plan_choice choice, const char *text, struct sctd_error *err);
