/*
 * cuda_host.h - the CUDA backend's programs run on the host: its steps, weights, places and kernels' bodies
 * without its device.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "engine/backend/backend.h"

/* A backend like any other, called "cuda-host".  Sums of products are f32, as the device's are. */
extern const struct backend cuda_host_backend;
/* The same under the name "cuda". */
extern const struct backend cuda_host_module_backend;
