/* SPDX-License-Identifier: Apache-2.0 */
/* cuBLASLt: D = alpha op(A) B + beta C + bias, columns one after another. */
#undef NDEBUG
#include <assert.h>
#include <library_types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/value.h"

#include "tests/support/cuda_host_step.h"
#include "tests/support/fake_cuda/fake_cuda.h"
#include "tests/support/fake_cuda/inside.h"

struct cublasLtContext {
    int device;
};

/* What lies in the opaque descriptors. */
struct what {
    cublasComputeType_t compute;
    cublasOperation_t a, b;
    cublasLtEpilogue_t epilogue;
    const void *bias;
};

struct layout {
    int32_t type; /* enum value_type */
    uint64_t rows, columns;
    int64_t ld;
};

struct preference {
    uint64_t workspace;
    uint32_t reductions;
};

struct algorithm {
    uint64_t magic, number;
    uint64_t rows, columns, inner; /* that it was made for */
};

_Static_assert(sizeof(struct what) <= sizeof(cublasLtMatmulDescOpaque_t) &&
                   sizeof(struct layout) <= sizeof(cublasLtMatrixLayoutOpaque_t) &&
                   sizeof(struct preference) <= sizeof(cublasLtMatmulPreferenceOpaque_t) &&
                   sizeof(struct algorithm) <= sizeof(cublasLtMatmulAlgo_t),
               "they fit");

static const uint64_t magic = 0x6f67746c616b6166U;

static cublasStatus_t entered(const char *function)
{
    return (cublasStatus_t)fake_call(FAKE_CUBLAS, function);
}

static void *take(size_t size)
{
    void *made = calloc(1, size);
    assert(made != NULL);
    fake_cuda_counts.descriptors++;
    return made;
}

static cublasStatus_t give(void *made, const char *function)
{
    const cublasStatus_t s = entered(function);
    free(made);
    fake_cuda_counts.descriptors--;
    return s;
}

/* A product of [rows, inner] with [inner, columns]. */
struct product {
    struct what what;
    struct layout a, b, c, d;
    uint64_t rows, columns, inner;
};

/* false: the matrices do not fit each other. */
static bool describe(struct product *ret_product, cublasLtMatmulDesc_t desc,
                     const cublasLtMatrixLayout_t layout[4])
{
    struct product p = {.rows = 0};
    memcpy(&p.what, desc, sizeof p.what);
    memcpy(&p.a, layout[0], sizeof p.a);
    memcpy(&p.b, layout[1], sizeof p.b);
    memcpy(&p.c, layout[2], sizeof p.c);
    memcpy(&p.d, layout[3], sizeof p.d);
    const bool turned = p.what.a == CUBLAS_OP_T;
    p.rows = p.d.rows;
    p.columns = p.d.columns;
    p.inner = p.b.rows;
    *ret_product = p;
    return p.what.b == CUBLAS_OP_N && (turned ? p.a.columns : p.a.rows) == p.rows &&
           (turned ? p.a.rows : p.a.columns) == p.inner && p.b.columns == p.columns &&
           p.c.rows == p.rows && p.c.columns == p.columns && p.c.type == p.d.type &&
           p.a.type == p.b.type;
}

static bool is_for(const struct product *p, const struct algorithm *a)
{
    return a->magic == magic && a->number < (uint64_t)fake_cuda.n_algorithms &&
           a->rows == p->rows && a->columns == p->columns && a->inner == p->inner;
}

/* Running */

struct run {
    struct product p;
    const void *a, *b, *c;
    void *d, *workspace;
    float alpha, beta;
    uint64_t algorithm;
    size_t workspace_bytes;
    int32_t backwards;
};

static size_t values_of(const struct layout *l)
{
    return (size_t)(l->columns - 1) * (size_t)l->ld + (size_t)l->rows;
}

static float finish(const struct run *r, float sum, size_t i, size_t k)
{
    const struct product *p = &r->p;
    float v = r->alpha * sum;
    if (r->beta != 0.0F) {
        v += r->beta * value_load(r->c, p->c.type, k * (size_t)p->c.ld + i);
    }
    if (p->what.epilogue == CUBLASLT_EPILOGUE_BIAS) {
        v += value_load(p->what.bias, p->d.type, i);
    }
    return v;
}

static void run(const void *args)
{
    const struct run *r = args;
    const struct product *p = &r->p;
    const enum backend_precision precision =
        p->what.compute == CUBLAS_COMPUTE_32F_FAST_TF32 ? BACKEND_TF32 : BACKEND_FP32;
    fake_cuda_counts.algorithm_runs[r->algorithm]++;
    if (fake_cuda.idle) {
        return;
    }
    fake_use_workspace(r->workspace, r->workspace_bytes);
    float *a = cuda_host_take_values(r->a, p->a.type, values_of(&p->a), precision);
    float *b = cuda_host_take_values(r->b, p->b.type, values_of(&p->b), precision);
    for (size_t k = 0; k < p->columns; k++) {
        for (size_t i = 0; i < p->rows; i++) {
            const float sum = fake_dot(a + i * (size_t)p->a.ld, b + k * (size_t)p->b.ld, p->inner,
                                       r->backwards != 0);
            value_store(r->d, p->d.type, k * (size_t)p->d.ld + i, finish(r, sum, i, k));
        }
    }
    free(a);
    free(b);
}

static bool is_there(const void *data, const struct layout *l)
{
    return fake_is_on_device(data, values_of(l) * value_size(l->type));
}

static bool all_are_there(const struct run *r)
{
    const struct product *p = &r->p;
    return is_there(r->a, &p->a) && is_there(r->b, &p->b) && is_there(r->d, &p->d) &&
           (r->beta == 0.0F || is_there(r->c, &p->c)) &&
           (p->what.epilogue != CUBLASLT_EPILOGUE_BIAS ||
            fake_is_on_device(p->what.bias, p->rows * value_size(p->d.type))) &&
           (r->workspace_bytes == 0 || fake_is_on_device(r->workspace, r->workspace_bytes));
}

static cublasStatus_t start(struct run *r, size_t room, cudaStream_t stream)
{
    const struct fake_cuda_algorithm *a = &fake_cuda.algorithm[r->algorithm];
    r->workspace_bytes = a->workspace;
    r->backwards = a->backwards ? 1 : 0;
    if (a->fails || a->refuses) {
        return CUBLAS_STATUS_NOT_SUPPORTED;
    }
    if (a->workspace > room) {
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    if (!all_are_there(r)) {
        (void)fake_fail(cudaErrorIllegalAddress);
        return CUBLAS_STATUS_EXECUTION_FAILED;
    }
    const struct fake_work work = {.run = run, .args = r, .size = sizeof *r, .ms = a->ms};
    return fake_start(stream, &work) == cudaSuccess ? CUBLAS_STATUS_SUCCESS
                                                    : CUBLAS_STATUS_EXECUTION_FAILED;
}

// NOLINTBEGIN(readability-identifier-naming,readability-function-size): cuBLASLt's names and parameters
size_t cublasLtGetVersion(void)
{
    return CUBLAS_VERSION;
}

const char *cublasLtGetStatusName(cublasStatus_t status)
{
    switch ((int)status) {
    case CUBLAS_STATUS_EXECUTION_FAILED:
        return "CUBLAS_STATUS_EXECUTION_FAILED";
    case CUBLAS_STATUS_ALLOC_FAILED:
        return "CUBLAS_STATUS_ALLOC_FAILED";
    default:
        return "CUBLAS_STATUS_OF_THE_FAKE";
    }
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t *lightHandle)
{
    const cublasStatus_t s = entered(__func__);
    if (s == CUBLAS_STATUS_SUCCESS) {
        *lightHandle = calloc(1, sizeof **lightHandle);
        assert(*lightHandle != NULL);
        fake_cuda_counts.handles++;
    }
    return s;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t lightHandle)
{
    const cublasStatus_t s = entered(__func__);
    free(lightHandle);
    fake_cuda_counts.handles--;
    return s;
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *matmulDesc,
                                        cublasComputeType_t computeType, cudaDataType_t scaleType)
{
    const cublasStatus_t s = entered(__func__);
    if (s != CUBLAS_STATUS_SUCCESS) {
        return s;
    }
    if (scaleType != CUDA_R_32F) {
        return CUBLAS_STATUS_NOT_SUPPORTED;
    }
    const struct what what = {.compute = computeType,
                              .a = CUBLAS_OP_N,
                              .b = CUBLAS_OP_N,
                              .epilogue = CUBLASLT_EPILOGUE_DEFAULT};
    *matmulDesc = take(sizeof **matmulDesc);
    memcpy(*matmulDesc, &what, sizeof what);
    return s;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t matmulDesc)
{
    return give(matmulDesc, __func__);
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t matmulDesc,
                                              cublasLtMatmulDescAttributes_t attr, const void *buf,
                                              size_t sizeInBytes)
{
    const cublasStatus_t s = entered(__func__);
    struct what what;
    if (s != CUBLAS_STATUS_SUCCESS) {
        return s;
    }
    memcpy(&what, matmulDesc, sizeof what);
    if (attr == CUBLASLT_MATMUL_DESC_TRANSA && sizeInBytes == sizeof what.a) {
        memcpy(&what.a, buf, sizeInBytes);
    } else if (attr == CUBLASLT_MATMUL_DESC_EPILOGUE && sizeInBytes == sizeof what.epilogue) {
        memcpy(&what.epilogue, buf, sizeInBytes);
    } else if (attr == CUBLASLT_MATMUL_DESC_BIAS_POINTER && sizeInBytes == sizeof what.bias) {
        memcpy((void *)&what.bias, buf, sizeInBytes);
    } else {
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    memcpy(matmulDesc, &what, sizeof what);
    return s;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *matLayout, cudaDataType type,
                                          uint64_t rows, uint64_t cols, int64_t ld)
{
    const cublasStatus_t s = entered(__func__);
    if (s != CUBLAS_STATUS_SUCCESS) {
        return s;
    }
    if (rows == 0 || cols == 0 || ld < (int64_t)rows) {
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    struct layout l = {.type = VALUE_F32, .rows = rows, .columns = cols, .ld = ld};
    if (type == CUDA_R_16F) {
        l.type = VALUE_F16;
    } else if (type == CUDA_R_16BF) {
        l.type = VALUE_BF16;
    }
    *matLayout = take(sizeof **matLayout);
    memcpy(*matLayout, &l, sizeof l);
    return s;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t matLayout)
{
    return give(matLayout, __func__);
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *pref)
{
    const cublasStatus_t s = entered(__func__);
    if (s == CUBLAS_STATUS_SUCCESS) {
        const struct preference p = {.reductions = CUBLASLT_REDUCTION_SCHEME_MASK};
        *pref = take(sizeof **pref);
        memcpy(*pref, &p, sizeof p);
    }
    return s;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t pref)
{
    return give(pref, __func__);
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t pref,
                                                    cublasLtMatmulPreferenceAttributes_t attr,
                                                    const void *buf, size_t sizeInBytes)
{
    const cublasStatus_t s = entered(__func__);
    struct preference p;
    if (s != CUBLAS_STATUS_SUCCESS) {
        return s;
    }
    memcpy(&p, pref, sizeof p);
    if (attr == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES && sizeInBytes == sizeof p.workspace) {
        memcpy(&p.workspace, buf, sizeInBytes);
    } else if (attr == CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK &&
               sizeInBytes == sizeof p.reductions) {
        memcpy(&p.reductions, buf, sizeInBytes);
    } else {
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    memcpy(pref, &p, sizeof p);
    return s;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(
    cublasLtHandle_t lightHandle, cublasLtMatmulDesc_t operationDesc, cublasLtMatrixLayout_t Adesc,
    cublasLtMatrixLayout_t Bdesc, cublasLtMatrixLayout_t Cdesc, cublasLtMatrixLayout_t Ddesc,
    cublasLtMatmulPreference_t preference, int requestedAlgoCount,
    cublasLtMatmulHeuristicResult_t heuristicResultsArray[], int *returnAlgoCount)
{
    const cublasStatus_t s = entered(__func__);
    struct preference wanted;
    struct product p;
    (void)lightHandle;
    if (s != CUBLAS_STATUS_SUCCESS) {
        return s;
    }
    if (!describe(&p, operationDesc,
                  (const cublasLtMatrixLayout_t[]){Adesc, Bdesc, Cdesc, Ddesc})) {
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    memcpy(&wanted, preference, sizeof wanted);
    fake_cuda_counts.heuristics++;
    *returnAlgoCount = 0;
    for (int i = 0; i < fake_cuda.n_algorithms && *returnAlgoCount < requestedAlgoCount; i++) {
        const struct fake_cuda_algorithm *a = &fake_cuda.algorithm[i];
        if (a->workspace <= wanted.workspace && (a->reduction & ~wanted.reductions) == 0) {
            const struct algorithm made = {magic, (uint64_t)i, p.rows, p.columns, p.inner};
            cublasLtMatmulHeuristicResult_t *r = &heuristicResultsArray[(*returnAlgoCount)++];
            memset(r, 0, sizeof *r);
            memcpy(&r->algo, &made, sizeof made);
            r->workspaceSize = a->workspace;
            r->state = a->refuses ? CUBLAS_STATUS_NOT_SUPPORTED : CUBLAS_STATUS_SUCCESS;
        }
    }
    return *returnAlgoCount == 0 ? CUBLAS_STATUS_NOT_SUPPORTED : CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoCheck(cublasLtHandle_t lightHandle,
                                       cublasLtMatmulDesc_t operationDesc,
                                       cublasLtMatrixLayout_t Adesc, cublasLtMatrixLayout_t Bdesc,
                                       cublasLtMatrixLayout_t Cdesc, cublasLtMatrixLayout_t Ddesc,
                                       const cublasLtMatmulAlgo_t *algo,
                                       cublasLtMatmulHeuristicResult_t *result)
{
    const cublasStatus_t s = entered(__func__);
    struct algorithm a;
    struct product p;
    (void)lightHandle;
    if (s != CUBLAS_STATUS_SUCCESS) {
        return s;
    }
    memcpy(&a, algo, sizeof a);
    if (!describe(&p, operationDesc,
                  (const cublasLtMatrixLayout_t[]){Adesc, Bdesc, Cdesc, Ddesc}) ||
        !is_for(&p, &a) || fake_cuda.algorithm[a.number].refuses) {
        return CUBLAS_STATUS_NOT_SUPPORTED;
    }
    memset(result, 0, sizeof *result);
    result->algo = *algo;
    result->workspaceSize = fake_cuda.algorithm[a.number].workspace;
    result->state = CUBLAS_STATUS_SUCCESS;
    return s;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t lightHandle, cublasLtMatmulDesc_t computeDesc,
                              const void *alpha, const void *A, cublasLtMatrixLayout_t Adesc,
                              const void *B, cublasLtMatrixLayout_t Bdesc, const void *beta,
                              const void *C, cublasLtMatrixLayout_t Cdesc, void *D,
                              cublasLtMatrixLayout_t Ddesc, const cublasLtMatmulAlgo_t *algo,
                              void *workspace, size_t workspaceSizeInBytes, cudaStream_t stream)
{
    const cublasStatus_t s = entered(__func__);
    struct algorithm algorithm;
    struct run r = {.a = A, .b = B, .c = C, .d = D, .workspace = workspace};
    (void)lightHandle;
    if (s != CUBLAS_STATUS_SUCCESS) {
        return s;
    }
    memcpy(&r.alpha, alpha, sizeof r.alpha);
    memcpy(&r.beta, beta, sizeof r.beta);
    memcpy(&algorithm, algo, sizeof algorithm);
    r.algorithm = algorithm.number;
    if (!describe(&r.p, computeDesc,
                  (const cublasLtMatrixLayout_t[]){Adesc, Bdesc, Cdesc, Ddesc}) ||
        r.p.what.a != CUBLAS_OP_T || !is_for(&r.p, &algorithm)) {
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    return start(&r, workspaceSizeInBytes, stream);
}
// NOLINTEND(readability-identifier-naming,readability-function-size)
