/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/backend/cuda/device/product.h"

#include <library_types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/bind.h"
#include "engine/backend/cuda/body.h"
#include "engine/backend/cuda/device/tuning.h"
#include "engine/backend/cuda/fault.h"
#include "engine/backend/cuda/plan_cache.h"
#include "engine/backend/cuda/value.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "engine/base/parse.h"

_Static_assert((int)CUBLAS_STATUS_ALLOC_FAILED == (int)FAULT_CUBLAS_MEMORY &&
                   (int)CUBLAS_STATUS_NOT_SUPPORTED == (int)FAULT_CUBLAS_UNSUPPORTED,
               "fault.h has cuBLAS's numbers");

enum { MAX_TRIED = 8 }; /* of the heuristics' guesses, that are measured */

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

static int fail(cublasStatus_t status, struct sctd_error *err)
{
    return fault_set(err, FAULT_CUBLAS, (int)status, cublasLtGetStatusName(status),
                     "a matrix product");
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

static cublasStatus_t list_candidates(const struct product *p, cublasLtHandle_t handle,
                                      cublasLtMatmulHeuristicResult_t result[MAX_TRIED], int *ret_n)
{
    const uint64_t workspace = PRODUCT_WORKSPACE;
    /* Where a sum is split, its parts stay f32 and are added in one order. */
    const uint32_t reductions = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
    cublasLtMatmulPreference_t preference = NULL;
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
                                           MAX_TRIED, result, ret_n);
    }
    if (preference != NULL) {
        (void)cublasLtMatmulPreferenceDestroy(preference);
    }
    return s;
}

/* A product that is measured, and with what. */
struct trial {
    const struct product *product;
    cublasLtHandle_t handle;
};

static int run_trial(const void *arg, const struct tuning *tuning, struct sctd_error *err)
{
    const struct trial *t = arg;
    return product_run(t->product, t->handle, tuning->workspace, tuning->stream, err);
}

/* Its time with a candidate; negative: it does not run, or there is no time left to measure. */
static int measure(float *ret_ms, struct product *p, cublasLtHandle_t handle,
                   const struct tuning *tuning, const cublasLtMatmulHeuristicResult_t *candidate,
                   struct sctd_error *err)
{
    const struct trial trial = {p, handle};
    *ret_ms = -1.0F;
    p->algorithm = candidate->algo;
    return candidate->state == CUBLAS_STATUS_SUCCESS && !tuning_is_over(tuning)
               ? tuning_measure(ret_ms, tuning, run_trial, &trial, err)
               : 0;
}

/* The first of the heuristics' guesses that it says will run, or the fastest where they are measured. */
static int choose(struct product *p, cublasLtHandle_t handle, const struct tuning *tuning,
                  struct sctd_error *err)
{
    cublasLtMatmulHeuristicResult_t result[MAX_TRIED];
    float best = -1.0F;
    int chosen = -1;
    int n = 0;
    const cublasStatus_t s = list_candidates(p, handle, result, &n);
    if (s != CUBLAS_STATUS_SUCCESS) {
        return fail(s, err);
    }
    for (int i = 0; i < n; i++) {
        float ms = -1.0F;
        int r = tuning->measure ? measure(&ms, p, handle, tuning, &result[i], err) : 0;
        if (r < 0) {
            return r;
        }
        const bool is_first = chosen < 0 && result[i].state == CUBLAS_STATUS_SUCCESS;
        if (is_first || (ms >= 0.0F && (best < 0.0F || ms < best))) {
            chosen = i;
        }
        best = ms >= 0.0F && (best < 0.0F || ms < best) ? ms : best;
    }
    if (chosen < 0) {
        return fail(CUBLAS_STATUS_NOT_SUPPORTED, err);
    }
    p->algorithm = result[chosen].algo;
    return 0;
}

/* The cache's text of an algorithm: the bytes of cuBLASLt's own description of it. */
enum { ALGORITHM_TEXT = 2 * sizeof(cublasLtMatmulAlgo_t) + 1 };

static void describe_algorithm(const cublasLtMatmulAlgo_t *algorithm, char ret_text[ALGORITHM_TEXT])
{
    const unsigned char *byte = (const unsigned char *)algorithm;
    for (size_t i = 0; i < sizeof *algorithm; i++) {
        (void)snprintf(ret_text + 2 * i, 3, "%02x", byte[i]);
    }
}

/* As the cache says; false: it says nothing that this cuBLASLt can run. */
static bool take_cached(struct product *p, cublasLtHandle_t handle,
                        const struct plan_cache_entry *entry)
{
    cublasLtMatmulAlgo_t algorithm;
    cublasLtMatmulHeuristicResult_t result;
    size_t n = 0;
    if (entry == NULL || entry->choice != PLAN_PRODUCT ||
        sctd_parse_hex(&algorithm, sizeof algorithm, entry->text, &n) < 0 ||
        n != sizeof algorithm ||
        cublasLtMatmulAlgoCheck(handle, p->what, p->weight, p->x, p->y, p->y, &algorithm,
                                &result) != CUBLAS_STATUS_SUCCESS ||
        result.workspaceSize > PRODUCT_WORKSPACE) {
        return false;
    }
    p->algorithm = algorithm;
    return true;
}

enum { KEY_SIZE = 160 };

static void make_key(char ret_key[KEY_SIZE], const struct product_args *a,
                     enum backend_precision precision)
{
    const struct finish_args *f = &a->finish;
    (void)snprintf(ret_key, KEY_SIZE, "product n%lld i%d o%d x%d y%d before%d bias%d p%d",
                   (long long)a->slices * a->h * a->w, a->x.stride, f->y.stride, a->x.type,
                   f->y.type, f->before.data != NULL, f->bias != NULL, (int)precision);
}

static int keep_choice(const struct product *p, const struct tuning *tuning, const char *key,
                       struct sctd_error *err)
{
    char text[ALGORITHM_TEXT];
    describe_algorithm(&p->algorithm, text);
    return tuning_keep(tuning, key, PLAN_PRODUCT, text, err);
}

int product_new(struct product **ret_product, cublasLtHandle_t handle, const struct tuning *tuning,
                const struct product_args *args, struct sctd_error *err)
{
    char key[KEY_SIZE];
    sctd_auto(product_freep) struct product *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "product");
    }
    p->args = *args;
    make_key(key, args, tuning->precision);
    const struct plan_cache_entry *entry = NULL;
    int r = tuning_find(&entry, tuning, key, err);
    if (r < 0) {
        return r;
    }
    const cublasStatus_t s = describe(p, tuning->precision);
    if (s != CUBLAS_STATUS_SUCCESS) {
        return fail(s, err);
    }
    if (!take_cached(p, handle, entry)) {
        r = tuning_claim(tuning, err);
        r = r < 0 ? r : choose(p, handle, tuning, err);
        r = r < 0 ? r : keep_choice(p, tuning, key, err);
        if (r < 0) {
            return r;
        }
    }
    *ret_product = sctd_steal(&p);
    return 0;
}
