/*
 * conv_graph.h - a convolution and its epilogue as an operation graph of cuDNN.
 *
 * Fused: y = act(conv(x) + before + bias) + add[0] + add[1], what is not there left out, everything between
 * in f32.  Bare: y = conv(x).  Maps are NHWC; weights [outputs, kernel, kernel, inputs].  Building a graph
 * needs no GPU.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <cudnn.h>

#include "engine/backend/cuda/bind.h"
#include "engine/base/error.h"

enum { CONV_GRAPH_OWNED = 40, CONV_GRAPH_OPERANDS = 8 };

struct conv_graph {
    cudnnBackendDescriptor_t owned[CONV_GRAPH_OWNED];
    int32_t n_owned;
    cudnnBackendDescriptor_t graph;     /* one of the owned */
    int64_t uid[CONV_GRAPH_OPERANDS];   /* of what lies in memory */
    void *pointer[CONV_GRAPH_OPERANDS]; /* where */
    int32_t n_operands;
};

/*
 * handle: NULL where there is no GPU; older cuDNN wants one.
 * Errors: SCTD_EINVAL (not supported), SCTD_ENOMEM, SCTD_EDEVICE.  After a failure too the graph is to be
 * given to conv_graph_fini.
 */
SCTD_NODISCARD int conv_graph_init(struct conv_graph *g, const struct product_args *args,
                                   bool fused, cudnnHandle_t handle, struct sctd_error *err);
void conv_graph_fini(struct conv_graph *g);

/* Fill *err with what a status means, with cuDNN's last words. */
int conv_graph_fault(cudnnStatus_t status, const char *what, struct sctd_error *err);
