/*
 * cuda_host_step.h - a step of a CUDA program run on the host, by its kernel's body.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/bind.h"
#include "engine/backend/cuda/program.h"

/*
 * Over all its items.  CONV and LINEAR are summed in f32, as cuDNN and cuBLASLt do; f32 operands are rounded to tf32
 * unless p is BACKEND_FP32.
 */
void cuda_host_run_step(enum step_kind kind, const union step_args *args, size_t items,
                        enum backend_precision p);

/* A product's operand as f32, rounded so.  The caller frees it. */
float *cuda_host_take_values(const void *data, int32_t type, size_t n, enum backend_precision p);
