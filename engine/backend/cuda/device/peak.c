/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/backend/cuda/device/peak.h"

#include <driver_types.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/bind.h"
#include "engine/backend/cuda/device/device.h"
#include "engine/backend/cuda/device/product.h"
#include "engine/backend/cuda/device/tuning.h"
#include "engine/backend/cuda/fault.h"
#include "engine/backend/cuda/value.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "engine/base/rng.h"

enum { PEAK_SIDE = 8192, PEAK_ROUNDS = 10 };

struct peak {
    cublasLtHandle_t handle;
    struct cuda_buf x, weight, y, workspace;
    struct product *product;
    cudaEvent_t from, to;
};

static void peak_fini(struct peak *p)
{
    product_free(p->product);
    if (p->from != NULL) {
        (void)cudaEventDestroy(p->from);
    }
    if (p->to != NULL) {
        (void)cudaEventDestroy(p->to);
    }
    if (p->handle != NULL) {
        (void)cublasLtDestroy(p->handle);
    }
    cuda_buf_free(&p->x);
    cuda_buf_free(&p->weight);
    cuda_buf_free(&p->y);
    cuda_buf_free(&p->workspace);
}

/* Noise: zeros, or one value over and over, would take less power and so run faster than the network can. */
static int fill_with_noise(const struct cuda_buf *buf, int32_t type, struct sctd_error *err)
{
    enum { VALUES = 1 << 18 };
    const size_t block = VALUES * value_size(type);
    struct sctd_rng rng = {PEAK_SIDE};
    void *noise = malloc(block);
    int r = noise == NULL ? sctd_error(err, SCTD_ENOMEM, "noise") : 0;
    for (size_t i = 0; r == 0 && i < VALUES; i++) {
        value_store(noise, type, i, 2.0F * sctd_rng_uniform(&rng) - 1.0F);
    }
    for (size_t at = 0; r == 0 && at < buf->size; at += block) {
        r = device_check(
            cudaMemcpy((unsigned char *)buf->data + at, noise, block, cudaMemcpyHostToDevice),
            "filling", err);
    }
    free(noise);
    return r;
}

_Static_assert(PEAK_SIDE *PEAK_SIDE % (1 << 18) == 0, "whole blocks of noise");

static int peak_init(struct peak *p, enum backend_precision precision, struct sctd_error *err)
{
    int32_t type = VALUE_F16;
    if (precision == BACKEND_FP32 || precision == BACKEND_TF32) {
        type = VALUE_F32;
    } else if (precision == BACKEND_BF16) {
        type = VALUE_BF16;
    }
    const size_t bytes = (size_t)PEAK_SIDE * PEAK_SIDE * value_size(type);
    const cublasStatus_t s = cublasLtCreate(&p->handle);
    if (s != CUBLAS_STATUS_SUCCESS) {
        return fault_set(err, FAULT_CUBLAS, (int)s, cublasLtGetStatusName(s), "opening cuBLAS");
    }
    int r = cuda_buf_new(&p->x, bytes, err);
    r = r < 0 ? r : cuda_buf_new(&p->weight, bytes, err);
    r = r < 0 ? r : cuda_buf_new(&p->y, bytes, err);
    r = r < 0 ? r : cuda_buf_new(&p->workspace, PRODUCT_WORKSPACE, err);
    if (r < 0) {
        return r;
    }
    const struct product_args args = {
        .x = {.data = p->x.data, .type = type, .stride = PEAK_SIDE},
        .weight = p->weight.data,
        .finish = {.y = {.data = p->y.data, .type = type, .stride = PEAK_SIDE}},
        .slices = 1,
        .h = 1,
        .w = PEAK_SIDE,
        .kernel = 1,
    };
    const struct tuning tuning = {.precision = precision};
    r = product_new(&p->product, p->handle, &tuning, &args, err);
    r = r < 0 ? r : fill_with_noise(&p->x, type, err);
    r = r < 0 ? r : fill_with_noise(&p->weight, type, err);
    r = r < 0 ? r : device_check(cudaEventCreate(&p->from), "an event", err);
    return r < 0 ? r : device_check(cudaEventCreate(&p->to), "an event", err);
}

static int time_round(struct peak *p, float *ret_ms, struct sctd_error *err)
{
    int r = device_check(cudaEventRecord(p->from, NULL), "timing", err);
    r = r < 0 ? r : product_run(p->product, p->handle, p->workspace.data, NULL, err);
    r = r < 0 ? r : device_check(cudaEventRecord(p->to, NULL), "timing", err);
    r = r < 0 ? r : device_check(cudaEventSynchronize(p->to), "timing", err);
    return r < 0 ? r : device_check(cudaEventElapsedTime(ret_ms, p->from, p->to), "timing", err);
}

int peak_measure(double *ret_gflops, enum backend_precision precision, struct sctd_error *err)
{
    sctd_auto(peak_fini) struct peak p = {.handle = NULL};
    const double gflop = 2e-9 * PEAK_SIDE * PEAK_SIDE * PEAK_SIDE;
    double best = 0.0;
    int r = peak_init(&p, precision, err);
    for (int i = 0; r == 0 && i < PEAK_ROUNDS; i++) {
        float ms = 0.0F;
        r = time_round(&p, &ms, err);
        const double rate = r == 0 && ms > 0.0F ? gflop / (double)ms * 1e3 : 0.0;
        best = rate > best ? rate : best;
    }
    if (r == 0) {
        *ret_gflops = best;
    }
    return r;
}
