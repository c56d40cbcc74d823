/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/backend/cuda/device/product.h"

#include <library_types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/bind.h"
#include "engine/backend/cuda/body.h"
#include "engine/backend/cuda/device/device.h"
#include "engine/backend/cuda/fault.h"
#include "engine/backend/cuda/value.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "engine/base/rng.h"

_Static_assert((int)CUBLAS_STATUS_ALLOC_FAILED == (int)FAULT_CUBLAS_MEMORY &&
                   (int)CUBLAS_STATUS_NOT_SUPPORTED == (int)FAULT_CUBLAS_UNSUPPORTED,
               "fault.h has cuBLAS's numbers");

struct product {
    struct product_args args;
    cublasLtMatmulDesc_t what;
    cublasLtMatrixLayout_t weight, x, y;
    cublasLtMatmulAlgo_t algorithm;
};

void product_free(struct product *p)
{
    if (p == NULL) {
        return;
    }
    if (p->what != NULL) {
        (void)cublasLtMatmulDescDestroy(p->what);
    }
    if (p->weight != NULL) {
        (void)cublasLtMatrixLayoutDestroy(p->weight);
    }
    if (p->x != NULL) {
        (void)cublasLtMatrixLayoutDestroy(p->x);
    }
    if (p->y != NULL) {
        (void)cublasLtMatrixLayoutDestroy(p->y);
    }
    free(p);
}

static void product_freep(struct product **p)
{
    product_free(*p);
}

static cudaDataType_t data_type(int32_t type)
{
    if (type == VALUE_F16) {
        return CUDA_R_16F;
    }
    return type == VALUE_BF16 ? CUDA_R_16BF : CUDA_R_32F;
}

/*
 * cuBLASLt's matrices have their columns one after another, so that our rows are its columns: y' [outputs,
 * pixels] = w'' [outputs, inputs] x' [inputs, pixels], where w lies as [inputs, outputs] and is transposed.
 * The bias goes with the rows of y', the outputs.
 */
static cublasStatus_t describe(struct product *p, enum backend_precision precision)
{
    const struct product_args *a = &p->args;
    const uint64_t pixels = (uint64_t)a->slices * (uint64_t)a->h * (uint64_t)a->w;
    const uint64_t inputs = (uint64_t)a->x.stride;
    const uint64_t outputs = (uint64_t)a->finish.y.stride;
    /* What bf16 keeps in f32 is multiplied in tf32, as its convolutions are. */
    const bool tf32 = a->x.type == VALUE_F32 && precision != BACKEND_FP32;
    const cublasComputeType_t compute = tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    const cublasOperation_t transposed = CUBLAS_OP_T;
    const cublasLtEpilogue_t epilogue =
        a->finish.bias != NULL ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
    cublasStatus_t s = cublasLtMatmulDescCreate(&p->what, compute, CUDA_R_32F);
    if (s == CUBLAS_STATUS_SUCCESS) {
        s = cublasLtMatmulDescSetAttribute(p->what, CUBLASLT_MATMUL_DESC_TRANSA, &transposed,
                                           sizeof transposed);
    }
    if (s == CUBLAS_STATUS_SUCCESS) {
        s = cublasLtMatmulDescSetAttribute(p->what, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue,
                                           sizeof epilogue);
    }
    if (s == CUBLAS_STATUS_SUCCESS && a->finish.bias != NULL) {
        s = cublasLtMatmulDescSetAttribute(p->what, CUBLASLT_MATMUL_DESC_BIAS_POINTER,
                                           (const void *)&a->finish.bias, sizeof a->finish.bias);
    }
    if (s == CUBLAS_STATUS_SUCCESS) {
        s = cublasLtMatrixLayoutCreate(&p->weight, data_type(a->x.type), inputs, outputs,
                                       (int64_t)inputs);
    }
    if (s == CUBLAS_STATUS_SUCCESS) {
        s = cublasLtMatrixLayoutCreate(&p->x, data_type(a->x.type), inputs, pixels,
                                       (int64_t)inputs);
    }
    if (s == CUBLAS_STATUS_SUCCESS) {
        s = cublasLtMatrixLayoutCreate(&p->y, data_type(a->finish.y.type), outputs, pixels,
                                       (int64_t)outputs);
    }
    return s;
}

static cublasStatus_t choose(struct product *p, cublasLtHandle_t handle)
{
    const uint64_t workspace = PRODUCT_WORKSPACE;
    /* Where a sum is split, its parts stay f32 and are added in one order. */
    const uint32_t reductions = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
    cublasLtMatmulPreference_t preference = NULL;
    cublasLtMatmulHeuristicResult_t result;
    int n = 0;
    cublasStatus_t s = cublasLtMatmulPreferenceCreate(&preference);
    if (s == CUBLAS_STATUS_SUCCESS) {
        s = cublasLtMatmulPreferenceSetAttribute(
            preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace);
    }
    if (s == CUBLAS_STATUS_SUCCESS) {
        s = cublasLtMatmulPreferenceSetAttribute(
            preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &reductions, sizeof reductions);
    }
    if (s == CUBLAS_STATUS_SUCCESS) {
        s = cublasLtMatmulAlgoGetHeuristic(handle, p->what, p->weight, p->x, p->y, p->y, preference,
                                           1, &result, &n);
    }
    if (preference != NULL) {
        (void)cublasLtMatmulPreferenceDestroy(preference);
    }
    if (s == CUBLAS_STATUS_SUCCESS) {
        s = n == 0 ? CUBLAS_STATUS_NOT_SUPPORTED : result.state;
    }
    if (s == CUBLAS_STATUS_SUCCESS) {
        p->algorithm = result.algo;
    }
    return s;
}

static int fail(cublasStatus_t status, struct sctd_error *err)
{
    return fault_set(err, FAULT_CUBLAS, (int)status, cublasLtGetStatusName(status),
                     "a matrix product");
}

int product_new(struct product **ret_product, cublasLtHandle_t handle,
                const struct product_args *args, enum backend_precision precision,
                struct sctd_error *err)
{
    sctd_auto(product_freep) struct product *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "product");
    }
    p->args = *args;
    cublasStatus_t s = describe(p, precision);
    if (s == CUBLAS_STATUS_SUCCESS) {
        s = choose(p, handle);
    }
    if (s != CUBLAS_STATUS_SUCCESS) {
        return fail(s, err);
    }
    *ret_product = sctd_steal(&p);
    return 0;
}

int product_run(const struct product *p, cublasLtHandle_t handle, void *workspace,
                cudaStream_t stream, struct sctd_error *err)
{
    const struct finish_args *f = &p->args.finish;
    const float one = 1.0F;
    const float beta = f->before.data != NULL ? 1.0F : 0.0F;
    const void *before = f->before.data != NULL ? f->before.data : f->y.data;
    const cublasStatus_t s = cublasLtMatmul(
        handle, p->what, &one, p->args.weight, p->weight, p->args.x.data, p->x, &beta, before, p->y,
        f->y.data, p->y, &p->algorithm, workspace, PRODUCT_WORKSPACE, stream);
    return s == CUBLAS_STATUS_SUCCESS ? 0 : fail(s, err);
}

/* The peak */

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
        return fail(s, err);
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
    r = product_new(&p->product, p->handle, &args, precision, err);
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

int product_measure_peak(double *ret_gflops, enum backend_precision precision,
                         struct sctd_error *err)
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
