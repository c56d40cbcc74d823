/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/backend/cuda/device/conv_graph.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cudnn.h>

#include "engine/backend/cuda/bind.h"
#include "engine/backend/cuda/body.h"
#include "engine/backend/cuda/fault.h"
#include "engine/backend/cuda/value.h"
#include "engine/base/error.h"

_Static_assert((int)CUDNN_STATUS_NOT_SUPPORTED == (int)FAULT_CUDNN_UNSUPPORTED &&
                   (int)CUDNN_STATUS_INTERNAL_ERROR == (int)FAULT_CUDNN_INTERNAL &&
                   (int)CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED ==
                       (int)FAULT_CUDNN_HOST_MEMORY &&
                   (int)CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED ==
                       (int)FAULT_CUDNN_DEVICE_MEMORY,
               "fault.h has cuDNN's numbers");

enum { UID_VIRTUAL = 100, ALIGNMENT = 16 };

int conv_graph_fault(cudnnStatus_t status, const char *what, struct sctd_error *err)
{
    return fault_set(err, FAULT_CUDNN, (int)status, cudnnGetErrorString(status), what);
}

void conv_graph_fini(struct conv_graph *g)
{
    for (int32_t i = g->n_owned - 1; i >= 0; i--) {
        (void)cudnnBackendDestroyDescriptor(g->owned[i]);
    }
    g->n_owned = 0;
}

/* A graph in the making; the first failure sticks, and later calls then do nothing. */
struct maker {
    struct conv_graph *g;
    const struct product_args *args;
    cudnnBackendDescriptor_t op[8];
    int64_t n_ops;
    int64_t next_virtual;
    cudnnStatus_t status;
};

static cudnnBackendDescriptor_t make(struct maker *m, cudnnBackendDescriptorType_t type)
{
    cudnnBackendDescriptor_t d = NULL;
    if (m->status != CUDNN_STATUS_SUCCESS) {
        return NULL;
    }
    if (m->g->n_owned == CONV_GRAPH_OWNED) {
        m->status = CUDNN_STATUS_INTERNAL_ERROR;
        return NULL;
    }
    m->status = cudnnBackendCreateDescriptor(type, &d);
    if (m->status == CUDNN_STATUS_SUCCESS) {
        m->g->owned[m->g->n_owned++] = d;
    }
    return d;
}

static void set(struct maker *m, cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name,
                cudnnBackendAttributeType_t type, int64_t n, const void *values)
{
    if (m->status == CUDNN_STATUS_SUCCESS) {
        m->status = cudnnBackendSetAttribute(d, name, type, n, values);
    }
}

static void set_descriptor(struct maker *m, cudnnBackendDescriptor_t d,
                           cudnnBackendAttributeName_t name, cudnnBackendDescriptor_t value)
{
    set(m, d, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, (const void *)&value);
}

static void finalize(struct maker *m, cudnnBackendDescriptor_t d)
{
    if (m->status == CUDNN_STATUS_SUCCESS) {
        m->status = cudnnBackendFinalize(d);
    }
}

static cudnnDataType_t data_type(int32_t type)
{
    if (type == VALUE_F16) {
        return CUDNN_DATA_HALF;
    }
    return type == VALUE_BF16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
}

/* dim: n, c, h, w; memory: channels fastest.  data NULL: between operations. */
static cudnnBackendDescriptor_t make_tensor(struct maker *m, const int64_t dim[4], int32_t type,
                                            const void *data)
{
    const int64_t stride[4] = {dim[1] * dim[2] * dim[3], 1, dim[1] * dim[3], dim[1]};
    const int64_t alignment = ALIGNMENT;
    const bool is_virtual = data == NULL;
    const cudnnDataType_t kind = data_type(type);
    int64_t uid = m->g->n_operands + 1;
    cudnnBackendDescriptor_t t = make(m, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    if (is_virtual) {
        uid = UID_VIRTUAL + m->next_virtual++;
    } else {
        m->g->uid[m->g->n_operands] = uid;
        memcpy((void *)&m->g->pointer[m->g->n_operands], (const void *)&data, sizeof data);
        m->g->n_operands++;
    }
    set(m, t, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &kind);
    set(m, t, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, dim);
    set(m, t, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, stride);
    set(m, t, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &uid);
    set(m, t, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment);
    set(m, t, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &is_virtual);
    finalize(m, t);
    return t;
}

/* A map like the output. */
static cudnnBackendDescriptor_t make_map(struct maker *m, int32_t channels, int32_t type,
                                         const void *data)
{
    const struct product_args *a = m->args;
    return make_tensor(m, (const int64_t[]){a->slices, channels, a->h, a->w}, type, data);
}

static cudnnBackendDescriptor_t make_convolution(struct maker *m)
{
    const cudnnDataType_t compute = CUDNN_DATA_FLOAT;
    const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    const int64_t dims = 2;
    const int64_t ones[2] = {1, 1};
    const int64_t pad[2] = {m->args->kernel / 2, m->args->kernel / 2};
    cudnnBackendDescriptor_t c = make(m, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    set(m, c, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &compute);
    set(m, c, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
    set(m, c, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &dims);
    set(m, c, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, ones);
    set(m, c, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, ones);
    set(m, c, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, pad);
    set(m, c, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, pad);
    finalize(m, c);
    return c;
}

static void add_convolution(struct maker *m, cudnnBackendDescriptor_t y)
{
    const struct product_args *a = m->args;
    const int64_t weight_dim[4] = {a->finish.y.stride, a->x.stride, a->kernel, a->kernel};
    const float one = 1.0F;
    const float zero = 0.0F;
    cudnnBackendDescriptor_t x = make_map(m, a->x.stride, a->x.type, a->x.data);
    cudnnBackendDescriptor_t w = make_tensor(m, weight_dim, a->x.type, a->weight);
    cudnnBackendDescriptor_t c = make_convolution(m);
    cudnnBackendDescriptor_t op = make(m, CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
    set_descriptor(m, op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, c);
    set_descriptor(m, op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, x);
    set_descriptor(m, op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, w);
    set_descriptor(m, op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, y);
    set(m, op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_TYPE_FLOAT, 1, &one);
    set(m, op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CUDNN_TYPE_FLOAT, 1, &zero);
    finalize(m, op);
    m->op[m->n_ops++] = op;
}

/* y = mode(x), or mode(x, other). */
static void add_pointwise(struct maker *m, cudnnPointwiseMode_t mode, cudnnBackendDescriptor_t x,
                          cudnnBackendDescriptor_t other, cudnnBackendDescriptor_t y)
{
    const cudnnDataType_t compute = CUDNN_DATA_FLOAT;
    cudnnBackendDescriptor_t p = make(m, CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    set(m, p, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
    set(m, p, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &compute);
    finalize(m, p);
    cudnnBackendDescriptor_t op = make(m, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    set_descriptor(m, op, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, p);
    set_descriptor(m, op, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x);
    if (other != NULL) {
        set_descriptor(m, op, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, other);
    }
    set_descriptor(m, op, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
    finalize(m, op);
    m->op[m->n_ops++] = op;
}

/* One operation of the epilogue: a mode and what it adds, if it does. */
struct stage {
    cudnnPointwiseMode_t mode;
    const void *data; /* NULL: it adds nothing */
    int32_t type;
    bool per_channel;
};

static int32_t list_stages(struct stage stage[5], const struct finish_args *f)
{
    int32_t n = 0;
    if (f->before.data != NULL) {
        stage[n++] = (struct stage){CUDNN_POINTWISE_ADD, f->before.data, f->before.type, false};
    }
    if (f->bias != NULL) {
        stage[n++] = (struct stage){CUDNN_POINTWISE_ADD, f->bias, VALUE_F32, true};
    }
    if (f->act == BODY_GELU) {
        stage[n++] = (struct stage){CUDNN_POINTWISE_GELU_FWD, NULL, 0, false};
    } else if (f->act == BODY_SIGMOID) {
        stage[n++] = (struct stage){CUDNN_POINTWISE_SIGMOID_FWD, NULL, 0, false};
    } else if (f->act == BODY_TANH) {
        stage[n++] = (struct stage){CUDNN_POINTWISE_TANH_FWD, NULL, 0, false};
    }
    for (int k = 0; k < 2; k++) {
        if (f->add[k].data != NULL) {
            stage[n++] = (struct stage){CUDNN_POINTWISE_ADD, f->add[k].data, f->add[k].type, false};
        }
    }
    return n;
}

static void add_all(struct maker *m, bool fused)
{
    const struct finish_args *f = &m->args->finish;
    const int32_t channels = f->y.stride;
    struct stage stage[5];
    const int32_t n = fused ? list_stages(stage, f) : 0;
    cudnnBackendDescriptor_t value =
        make_map(m, channels, n == 0 ? f->y.type : VALUE_F32, n == 0 ? f->y.data : NULL);
    add_convolution(m, value);
    for (int32_t i = 0; i < n; i++) {
        const bool last = i + 1 == n;
        cudnnBackendDescriptor_t other = NULL;
        if (stage[i].data != NULL) {
            other = stage[i].per_channel ? make_tensor(m, (const int64_t[]){1, channels, 1, 1},
                                                       stage[i].type, stage[i].data)
                                         : make_map(m, channels, stage[i].type, stage[i].data);
        }
        cudnnBackendDescriptor_t next =
            make_map(m, channels, last ? f->y.type : VALUE_F32, last ? f->y.data : NULL);
        add_pointwise(m, stage[i].mode, value, other, next);
        value = next;
    }
}

int conv_graph_init(struct conv_graph *g, const struct product_args *args, bool fused,
                    cudnnHandle_t handle, struct sctd_error *err)
{
    struct maker m = {.g = g, .args = args, .status = CUDNN_STATUS_SUCCESS};
    *g = (struct conv_graph){.n_owned = 0};
    add_all(&m, fused);
    cudnnBackendDescriptor_t graph = make(&m, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    set(&m, graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, m.n_ops,
        (const void *)m.op);
    if (handle != NULL) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations" /* cuDNN before 9.19 needs it */
        set(&m, graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1,
            (const void *)&handle);
#pragma GCC diagnostic pop
    }
    finalize(&m, graph);
    g->graph = graph;
    return m.status == CUDNN_STATUS_SUCCESS ? 0 : conv_graph_fault(m.status, "a convolution", err);
}
