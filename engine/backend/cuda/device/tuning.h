/*
 * tuning.h - how convolutions and products choose among a library's engines: by measured time, kept in the plan cache.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <cuda_runtime_api.h>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/plan_cache.h"
#include "engine/base/error.h"

/* What all choices of a plan share; all owned by the plan. */
struct tuning {
    cudaStream_t stream;
    enum backend_precision precision;
    struct plan_cache *cache;
    bool measure;           /* candidates: only where the choice will be kept */
    void *workspace;        /* for measuring, at 256 bytes */
    size_t workspace_bytes; /* what an engine may take at most */
    double until_s;         /* sctd_now_s after which the first that works is taken */
};

/* Start what is measured on the tuning's stream.  Errors: any; it then does not count. */
typedef int tuning_run(const void *arg, const struct tuning *tuning, struct sctd_error *err);

/* Milliseconds of one run, the least of some; negative: it does not run. */
float tuning_measure(const struct tuning *tuning, tuning_run *run, const void *arg);
