/*
 * inside.h - what the files of the stand-in of CUDA share; tests use fake_cuda.h.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cuda_runtime_api.h>

#include "tests/support/fake_cuda/fake_cuda.h" // IWYU pragma: export

/* faults.c */

enum fake_library { FAKE_CUDA, FAKE_CUDNN, FAKE_CUBLAS };

/* A call of a function that can fail: 0, or the status with which it has to. */
int fake_call(enum fake_library library, const char *function);
/* Keep a status for cudaGetLastError, and for all later calls if it lasts; returns it. */
cudaError_t fake_fail(cudaError_t status);
/* Whether the current device is lost to the process. */
bool fake_is_lost(void);
void fake_faults_reset(void);

/* devices.c */

int fake_device(void); /* the current one */
void fake_devices_reset(void);
void fake_touch_device(void); /* makes its context */

/* memory.c */

/* Whether all of it is in one block of the current device's memory. */
bool fake_is_on_device(const void *data, size_t bytes);

/* queue.c */

/* A piece of work; run gets a copy of the arguments. */
struct fake_work {
    void (*run)(const void *args);
    const void *args;
    size_t size;
    float ms;        /* that it takes */
    bool uncaptured; /* cannot be part of a CUDA graph */
};

/* Append it to a stream, or to the graph that is captured there. */
cudaError_t fake_start(cudaStream_t stream, const struct fake_work *work);

/* Run a stream, or all of the current device's, until nothing is left.  Returns what the device says. */
cudaError_t fake_drain(cudaStream_t stream);
cudaError_t fake_drain_device(void);
bool fake_is_busy(void);       /* something is left on the current device */
void fake_abandon(int device); /* what is left there never runs */

/* During a capture what waits or is global may not be called: then the capture is spoilt, and this is its error. */
cudaError_t fake_check_capture(void);
void fake_queue_reset(void);
void fake_queue_draw(uint64_t seed);

/* values.c */

/* n products added up, from the first or from the last. */
float fake_dot(const float *a, const float *b, size_t n, bool backwards);
/* What a library does to a workspace: nobody may count on what lies there. */
void fake_use_workspace(void *workspace, size_t bytes);
