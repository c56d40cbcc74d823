/* SPDX-License-Identifier: Apache-2.0 */
/* cuDNN's descriptors: attributes go in, are checked when a descriptor is made final, and come out. */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cuda_runtime_api.h>
#include <cudnn.h>

#include "engine/backend/cuda/value.h"

#include "tests/support/fake_cuda/cudnn_graph.h"
#include "tests/support/fake_cuda/fake_cuda.h"
#include "tests/support/fake_cuda/inside.h"

struct attribute {
    struct attribute *next;
    cudnnBackendAttributeName_t name;
    cudnnBackendAttributeType_t type;
    int64_t n;
    unsigned char value[];
};

struct operation {
    int32_t mode; /* pointwise; CONVOLUTION: the convolution */
    int32_t has_b;
    struct cudnn_tensor x, b, y; /* b: the weights, too */
    int64_t pad[2];
};

enum { CONVOLUTION = -1 };

struct descriptor {
    cudnnBackendDescriptorType_t type;
    bool final;
    struct attribute *attributes;
    struct cudnn_tensor tensor;
    int64_t pad[2];
    int32_t mode;
    struct operation operation;
    struct cudnn_graph graph; /* of a graph, a config or a plan */
    cudnnBackendHeurMode_t heuristic;
    int engine;
    struct cudnn_pack pack;
};

static size_t size_of(cudnnBackendAttributeType_t type)
{
    switch ((int)type) {
    case CUDNN_TYPE_BOOLEAN:
        return sizeof(bool);
    case CUDNN_TYPE_CHAR:
        return 1;
    case CUDNN_TYPE_INT64:
    case CUDNN_TYPE_VOID_PTR:
    case CUDNN_TYPE_HANDLE:
    case CUDNN_TYPE_BACKEND_DESCRIPTOR:
        return 8;
    default:
        return sizeof(int);
    }
}

static const struct attribute *find(const struct descriptor *d, cudnnBackendAttributeName_t name)
{
    const struct attribute *a = d->attributes;
    while (a != NULL && a->name != name) {
        a = a->next;
    }
    return a;
}

/* Whether there are just n of that type, which are then copied. */
static bool read(const struct descriptor *d, cudnnBackendAttributeName_t name,
                 cudnnBackendAttributeType_t type, int64_t n, void *ret_values)
{
    const struct attribute *a = find(d, name);
    if (a == NULL || a->type != type || a->n != n) {
        return false;
    }
    memcpy(ret_values, a->value, (size_t)n * size_of(type));
    return true;
}

/* The descriptor that an attribute names, if it is final and of a type; NULL: it is not. */
static const struct descriptor *read_descriptor(const struct descriptor *d,
                                                cudnnBackendAttributeName_t name,
                                                cudnnBackendDescriptorType_t type)
{
    struct descriptor *named = NULL;
    if (!read(d, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, (void *)&named) || named == NULL ||
        named->type != type || !named->final) {
        return NULL;
    }
    return named;
}

static bool read_tensor(const struct descriptor *d, cudnnBackendAttributeName_t name,
                        struct cudnn_tensor *ret_tensor)
{
    const struct descriptor *t = read_descriptor(d, name, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    if (t != NULL) {
        *ret_tensor = t->tensor;
    }
    return t != NULL;
}

/* Making them final */

static cudnnStatus_t finish_tensor(struct descriptor *d)
{
    struct cudnn_tensor *t = &d->tensor;
    cudnnDataType_t type = CUDNN_DATA_DOUBLE;
    bool is_virtual = false;
    if (!read(d, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type) ||
        !read(d, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, t->dim) ||
        !read(d, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, t->stride) ||
        !read(d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &t->uid) ||
        !read(d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &t->alignment)) {
        return CUDNN_STATUS_BAD_PARAM;
    }
    (void)read(d, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &is_virtual);
    t->is_virtual = is_virtual ? 1 : 0;
    for (int i = 0; i < 4; i++) {
        if (t->dim[i] < 1 || t->stride[i] < 1) {
            return CUDNN_STATUS_BAD_PARAM_OUT_OF_BOUND;
        }
    }
    if (type == CUDNN_DATA_FLOAT) {
        t->type = VALUE_F32;
    } else if (type == CUDNN_DATA_HALF) {
        t->type = VALUE_F16;
    } else if (type == CUDNN_DATA_BFLOAT16) {
        t->type = VALUE_BF16;
    } else {
        return CUDNN_STATUS_NOT_SUPPORTED_DATA_TYPE;
    }
    return t->stride[1] == 1 ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_NOT_SUPPORTED_LAYOUT;
}

static cudnnStatus_t finish_convolution(struct descriptor *d)
{
    cudnnDataType_t compute = CUDNN_DATA_DOUBLE;
    cudnnConvolutionMode_t mode = CUDNN_CONVOLUTION;
    int64_t dims = 0;
    int64_t dilation[2];
    int64_t stride[2];
    int64_t after[2];
    if (!read(d, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &compute) ||
        !read(d, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode) ||
        !read(d, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &dims) ||
        !read(d, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, dilation) ||
        !read(d, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, stride) ||
        !read(d, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, d->pad) ||
        !read(d, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, after)) {
        return CUDNN_STATUS_BAD_PARAM;
    }
    const bool plain = dilation[0] == 1 && dilation[1] == 1 && stride[0] == 1 && stride[1] == 1 &&
                       after[0] == d->pad[0] && after[1] == d->pad[1];
    return compute == CUDNN_DATA_FLOAT && mode == CUDNN_CROSS_CORRELATION && dims == 2 && plain
               ? CUDNN_STATUS_SUCCESS
               : CUDNN_STATUS_NOT_SUPPORTED;
}

static cudnnStatus_t finish_pointwise(struct descriptor *d)
{
    cudnnDataType_t compute = CUDNN_DATA_DOUBLE;
    cudnnPointwiseMode_t mode = CUDNN_POINTWISE_MOD;
    if (!read(d, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode) ||
        !read(d, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &compute)) {
        return CUDNN_STATUS_BAD_PARAM;
    }
    d->mode = (int32_t)mode;
    return compute == CUDNN_DATA_FLOAT ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_NOT_SUPPORTED;
}

static cudnnStatus_t finish_convolution_operation(struct descriptor *d)
{
    struct operation *o = &d->operation;
    float alpha = 0.0F;
    float beta = 1.0F;
    const struct descriptor *c =
        read_descriptor(d, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
                        CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    if (c == NULL || !read_tensor(d, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, &o->x) ||
        !read_tensor(d, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, &o->b) ||
        !read_tensor(d, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, &o->y) ||
        !read(d, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_TYPE_FLOAT, 1, &alpha) ||
        !read(d, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CUDNN_TYPE_FLOAT, 1, &beta)) {
        return CUDNN_STATUS_BAD_PARAM;
    }
    o->mode = CONVOLUTION;
    memcpy(o->pad, c->pad, sizeof o->pad);
    bool fits = o->x.dim[0] == o->y.dim[0] && o->x.dim[1] == o->b.dim[1] &&
                o->y.dim[1] == o->b.dim[0] && o->x.type == o->b.type;
    for (int i = 0; i < 2; i++) {
        fits = fits && o->y.dim[2 + i] == o->x.dim[2 + i] + 2 * o->pad[i] - o->b.dim[2 + i] + 1;
    }
    if (!fits) {
        return CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH;
    }
    return alpha >= 1.0F && alpha <= 1.0F && beta >= 0.0F && beta <= 0.0F
               ? CUDNN_STATUS_SUCCESS
               : CUDNN_STATUS_NOT_SUPPORTED;
}

static bool is_like(const struct cudnn_tensor *a, const struct cudnn_tensor *b)
{
    return memcmp(a->dim, b->dim, sizeof a->dim) == 0;
}

static cudnnStatus_t finish_pointwise_operation(struct descriptor *d)
{
    struct operation *o = &d->operation;
    const struct descriptor *p = read_descriptor(d, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR,
                                                 CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    if (p == NULL || !read_tensor(d, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, &o->x) ||
        !read_tensor(d, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, &o->y)) {
        return CUDNN_STATUS_BAD_PARAM;
    }
    o->mode = p->mode;
    o->has_b = read_tensor(d, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, &o->b) ? 1 : 0;
    bool fits = is_like(&o->x, &o->y) && (o->mode == CUDNN_POINTWISE_ADD) == (o->has_b == 1);
    for (int i = 0; fits && o->has_b == 1 && i < 4; i++) {
        fits = o->b.dim[i] == o->y.dim[i] || o->b.dim[i] == 1;
    }
    return fits ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH;
}

/* Each operation goes on with what the one before has made; only what comes last is in memory. */
static cudnnStatus_t chain(struct cudnn_graph *g, const struct operation *const op[], int64_t n)
{
    if (op[0]->mode != CONVOLUTION) {
        return CUDNN_STATUS_NOT_SUPPORTED_GRAPH_PATTERN;
    }
    *g = (struct cudnn_graph){.x = op[0]->x, .w = op[0]->b, .y = op[0]->y, .n_stages = n - 1};
    memcpy(g->pad, op[0]->pad, sizeof g->pad);
    for (int64_t i = 1; i < n; i++) {
        const struct operation *o = op[i];
        if (o->mode == CONVOLUTION || o->x.uid != op[i - 1]->y.uid) {
            return CUDNN_STATUS_NOT_SUPPORTED_GRAPH_PATTERN;
        }
        g->stage[i - 1] = (struct cudnn_stage){o->mode, o->has_b, o->b, o->y};
    }
    for (int64_t i = 0; i < n; i++) {
        if ((op[i]->y.is_virtual == 1) != (i + 1 < n)) {
            return CUDNN_STATUS_NOT_SUPPORTED_GRAPH_PATTERN;
        }
    }
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t finish_graph(struct descriptor *d)
{
    const struct attribute *a = find(d, CUDNN_ATTR_OPERATIONGRAPH_OPS);
    struct descriptor *named[CUDNN_STAGES + 1] = {NULL};
    const struct operation *op[CUDNN_STAGES + 1] = {NULL};
    if (a == NULL || a->type != CUDNN_TYPE_BACKEND_DESCRIPTOR || a->n < 1 ||
        a->n > CUDNN_STAGES + 1) {
        return CUDNN_STATUS_BAD_PARAM;
    }
    memcpy((void *)named, a->value, (size_t)a->n * sizeof named[0]);
    for (int64_t i = 0; i < a->n; i++) {
        if (named[i] == NULL || !named[i]->final) {
            return CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED;
        }
        op[i] = &named[i]->operation;
    }
    if (fake_cuda.refuse_graphs || (fake_cuda.refuse_fused && a->n > 1)) {
        return CUDNN_STATUS_NOT_SUPPORTED_GRAPH_PATTERN;
    }
    return chain(&d->graph, op, a->n);
}

static cudnnStatus_t finish_heuristics(struct descriptor *d)
{
    const struct descriptor *g = read_descriptor(d, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH,
                                                 CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    if (g == NULL || !read(d, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &d->heuristic)) {
        return CUDNN_STATUS_BAD_PARAM;
    }
    d->graph = g->graph;
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t finish_plan(struct descriptor *d)
{
    const struct attribute *text = find(d, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION);
    const struct descriptor *config = read_descriptor(d, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG,
                                                      CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    cudnnStatus_t s = CUDNN_STATUS_BAD_PARAM;
    if (config != NULL) {
        d->graph = config->graph;
        d->engine = config->engine;
        s = CUDNN_STATUS_SUCCESS;
    } else if (text != NULL) {
        s = cudnn_understand((const char *)text->value, text->n, &d->engine, &d->graph);
    }
    s = s == CUDNN_STATUS_SUCCESS ? cudnn_check_engine(d->engine, &d->graph) : s;
    if (s == CUDNN_STATUS_SUCCESS) {
        fake_cuda_counts.plans++;
        fake_cuda_counts.plans_of_text += config == NULL ? 1 : 0;
    }
    return s;
}

static cudnnStatus_t finish_pack(struct descriptor *d)
{
    struct cudnn_pack *p = &d->pack;
    const struct attribute *uids = find(d, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
    p->n = uids == NULL ? 0 : uids->n;
    return p->n >= 1 && p->n <= CUDNN_OPERANDS &&
                   read(d, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, p->n, p->uid) &&
                   read(d, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, p->n,
                        (void *)p->pointer) &&
                   read(d, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1,
                        (void *)&p->workspace)
               ? CUDNN_STATUS_SUCCESS
               : CUDNN_STATUS_BAD_PARAM;
}

static cudnnStatus_t finish(struct descriptor *d)
{
    switch ((int)d->type) {
    case CUDNN_BACKEND_TENSOR_DESCRIPTOR:
        return finish_tensor(d);
    case CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR:
        return finish_convolution(d);
    case CUDNN_BACKEND_POINTWISE_DESCRIPTOR:
        return finish_pointwise(d);
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR:
        return finish_convolution_operation(d);
    case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR:
        return finish_pointwise_operation(d);
    case CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR:
        return finish_graph(d);
    case CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR:
        return finish_heuristics(d);
    case CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR:
        return finish_plan(d);
    case CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR:
        return finish_pack(d);
    default:
        return CUDNN_STATUS_NOT_SUPPORTED;
    }
}

/* Getting */

/* Into configs that the caller has made. */
static cudnnStatus_t get_configs(const struct descriptor *d, int64_t most, int64_t *ret_n,
                                 struct descriptor *const *config)
{
    int engine[FAKE_CUDA_ENGINES];
    fake_cuda_counts.heuristics++;
    *ret_n = cudnn_list_engines(&d->graph, d->heuristic, most, engine);
    for (int64_t i = 0; i < *ret_n; i++) {
        config[i]->graph = d->graph;
        config[i]->engine = engine[i];
        config[i]->final = true;
    }
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t get_notes(const struct descriptor *d, int64_t most, int64_t *ret_n,
                               cudnnBackendNumericalNote_t note[])
{
    const struct fake_cuda_engine *e = &fake_cuda.engine[d->engine];
    *ret_n = e->n_notes < most ? e->n_notes : most;
    for (int64_t i = 0; i < *ret_n; i++) {
        note[i] = (cudnnBackendNumericalNote_t)e->note[i];
    }
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t get_text(const struct descriptor *d, int64_t most, int64_t *ret_n, char *text)
{
    if (fake_cuda.no_text) {
        return CUDNN_STATUS_NOT_SUPPORTED;
    }
    char *whole = cudnn_describe(d->engine, &d->graph);
    *ret_n = (int64_t)strlen(whole) + (fake_cuda.text_counts_nul ? 1 : 0);
    if (text != NULL) {
        *ret_n = *ret_n < most ? *ret_n : most;
        memcpy(text, whole, (size_t)*ret_n);
    }
    free(whole);
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t get(const struct descriptor *d, cudnnBackendAttributeName_t name, int64_t most,
                         int64_t *ret_n, void *values)
{
    switch ((int)name) {
    case CUDNN_ATTR_ENGINEHEUR_RESULTS:
        return get_configs(d, most, ret_n, (struct descriptor *const *)values);
    case CUDNN_ATTR_ENGINECFG_ENGINE: {
        struct descriptor *engine = *(struct descriptor *const *)values;
        engine->engine = d->engine;
        engine->final = true;
        *ret_n = 1;
        return CUDNN_STATUS_SUCCESS;
    }
    case CUDNN_ATTR_ENGINE_NUMERICAL_NOTE:
        return get_notes(d, most, ret_n, values);
    case CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE: {
        const int64_t bytes = (int64_t)fake_cuda.engine[d->engine].workspace;
        memcpy(values, &bytes, sizeof bytes);
        *ret_n = 1;
        return CUDNN_STATUS_SUCCESS;
    }
    case CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION:
        return get_text(d, most, ret_n, values);
    default:
        return CUDNN_STATUS_NOT_SUPPORTED;
    }
}

/* cuDNN's functions */

static cudnnStatus_t entered(const char *function)
{
    return (cudnnStatus_t)fake_call(FAKE_CUDNN, function);
}

// NOLINTBEGIN(readability-identifier-naming): cuDNN's names
size_t cudnnGetVersion(void)
{
    return fake_cuda.cudnn_version;
}

const char *cudnnGetErrorString(cudnnStatus_t status)
{
    switch ((int)status) {
    case CUDNN_STATUS_EXECUTION_FAILED:
        return "CUDNN_STATUS_EXECUTION_FAILED";
    case CUDNN_STATUS_INTERNAL_ERROR:
        return "CUDNN_STATUS_INTERNAL_ERROR";
    case CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED:
        return "CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED";
    default:
        return "CUDNN_STATUS_OF_THE_FAKE";
    }
}

cudnnStatus_t cudnnCreate(cudnnHandle_t *handle)
{
    const cudnnStatus_t s = entered(__func__);
    if (s == CUDNN_STATUS_SUCCESS) {
        *handle = calloc(1, sizeof **handle);
        assert(*handle != NULL);
        fake_cuda_counts.handles++;
    }
    return s;
}

cudnnStatus_t cudnnDestroy(cudnnHandle_t handle)
{
    const cudnnStatus_t s = entered(__func__);
    free(handle);
    fake_cuda_counts.handles--;
    return s;
}

cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t streamId)
{
    const cudnnStatus_t s = entered(__func__);
    if (s == CUDNN_STATUS_SUCCESS) {
        handle->stream = streamId;
    }
    return s;
}

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t descriptorType,
                                           cudnnBackendDescriptor_t *descriptor)
{
    const cudnnStatus_t s = entered(__func__);
    if (s != CUDNN_STATUS_SUCCESS) {
        return s;
    }
    struct descriptor *d = calloc(1, sizeof *d);
    assert(d != NULL);
    d->type = descriptorType;
    fake_cuda_counts.descriptors++;
    *descriptor = d;
    return s;
}

cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t descriptor)
{
    const cudnnStatus_t s = entered(__func__);
    struct descriptor *d = descriptor;
    while (d->attributes != NULL) {
        struct attribute *a = d->attributes;
        d->attributes = a->next;
        free(a);
    }
    free(d);
    fake_cuda_counts.descriptors--;
    return s;
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor,
                                       cudnnBackendAttributeName_t attributeName,
                                       cudnnBackendAttributeType_t attributeType,
                                       int64_t elementCount, const void *arrayOfElements)
{
    const cudnnStatus_t s = entered(__func__);
    struct descriptor *d = descriptor;
    if (s != CUDNN_STATUS_SUCCESS) {
        return s;
    }
    if (d->final || elementCount < 0 || arrayOfElements == NULL) {
        return CUDNN_STATUS_BAD_PARAM;
    }
    const size_t bytes = (size_t)elementCount * size_of(attributeType);
    struct attribute *a = malloc(sizeof *a + bytes);
    assert(a != NULL);
    *a = (struct attribute){d->attributes, attributeName, attributeType, elementCount};
    memcpy(a->value, arrayOfElements, bytes);
    d->attributes = a;
    return s;
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t descriptor)
{
    cudnnStatus_t s = entered(__func__);
    struct descriptor *d = descriptor;
    if (s == CUDNN_STATUS_SUCCESS) {
        s = d->final ? CUDNN_STATUS_BAD_PARAM : finish(d);
        d->final = s == CUDNN_STATUS_SUCCESS;
    }
    return s;
}

// NOLINTNEXTLINE(misc-misplaced-const): as cuDNN has it
cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t const descriptor,
                                       cudnnBackendAttributeName_t attributeName,
                                       cudnnBackendAttributeType_t attributeType,
                                       int64_t requestedElementCount, int64_t *elementCount,
                                       void *arrayOfElements)
{
    const cudnnStatus_t s = entered(__func__);
    const struct descriptor *d = descriptor;
    (void)attributeType;
    if (s != CUDNN_STATUS_SUCCESS) {
        return s;
    }
    return d->final ? get(d, attributeName, requestedElementCount, elementCount, arrayOfElements)
                    : CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED;
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t executionPlan,
                                  cudnnBackendDescriptor_t variantPack)
{
    const cudnnStatus_t s = entered(__func__);
    const struct descriptor *plan = executionPlan;
    const struct descriptor *pack = variantPack;
    if (s != CUDNN_STATUS_SUCCESS) {
        return s;
    }
    if (plan == NULL || pack == NULL || !plan->final || !pack->final) {
        return CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED;
    }
    return cudnn_execute(handle->stream, plan->engine, &plan->graph, &pack->pack);
}
// NOLINTEND(readability-identifier-naming)
