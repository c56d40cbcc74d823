/* cuda_backend.h - the CUDA backend's table, which module.c gives to the loader. */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "engine/backend/backend.h"
#include "engine/base/error.h"

extern const struct backend cuda_backend;

/* Whether there is a GPU that works, of that number or any.  Errors: SCTD_EINVAL (none), SCTD_EDEVICE. */
SCTD_NODISCARD int cuda_backend_probe(int32_t device, struct sctd_error *err);
