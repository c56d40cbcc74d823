/* cuda_backend.h - the CUDA backend's table, which module.c gives to the loader. */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "engine/backend/backend.h"
#include "engine/base/error.h"

extern const struct backend cuda_backend;

/* Whether there is a GPU that works.  Errors: SCTD_EINVAL (none), SCTD_EDEVICE. */
SCTD_NODISCARD int cuda_backend_probe(struct sctd_error *err);
