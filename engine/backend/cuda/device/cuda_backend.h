/* cuda_backend.h - the CUDA backend's table, which module.c gives to the loader. */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "engine/backend/backend.h"
#include "engine/base/error.h"

extern const struct backend cuda_backend;

/* Whether the GPU works that a plan for `device` would take.  Errors: SCTD_EINVAL (none), SCTD_EDEVICE. */
SCTD_NODISCARD int cuda_backend_probe(const struct backend_device *device, struct sctd_error *err);
