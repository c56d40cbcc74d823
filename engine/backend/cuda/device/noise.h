/*
 * noise.h - memory full of numbers, where no real ones are at hand.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <cuda_runtime_api.h>

#include "engine/backend/cuda/device/device.h"
#include "engine/base/error.h"

/*
 * Fill the buffer, in the stream's order, with numbers of both signs: as fp16 of 1 to 2, as bf16 and f32 of 2^-7 to 2.
 * The same ones each time.  Errors: SCTD_EDEVICE, SCTD_ENOMEM.
 */
SCTD_NODISCARD int noise_fill(const struct cuda_buf *buf, cudaStream_t stream,
                              struct sctd_error *err);
