/*
 * engine_state.h - what an open engine holds, for the files of this folder alone.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/backend/backend.h"
#include "engine/engine.h"

enum { ENGINE_MAX_TAPS = 64 };

struct engine {
    struct manifest manifest;
    struct backend_plan *plan;
    int32_t height, width, batch, threads;
    struct backend_device device;
    enum backend_precision precision;
    struct graph_tensor tap[ENGINE_MAX_TAPS];
    int32_t n_taps;
    float *staging; /* taps of one batch, channels last */
    double load_ms, gflop_per_slice;
    char choice[256]; /* why this backend */
    bool is_fallback; /* as engine_is_fallback says */
};

bool engine_all_finite(const float *values, size_t n);
