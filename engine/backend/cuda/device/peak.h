/*
 * peak.h - how fast this GPU multiplies matrices: what a network's rate is compared with.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "engine/backend/backend.h"
#include "engine/base/error.h"

/*
 * The rate of a large product of 8192 by 8192 by 8192 in a precision, GFLOP/s, the best of some.
 * Errors: SCTD_ENOMEM, SCTD_EINVAL, SCTD_EDEVICE.
 */
SCTD_NODISCARD int peak_measure(double *ret_gflops, enum backend_precision precision,
                                struct sctd_error *err);
