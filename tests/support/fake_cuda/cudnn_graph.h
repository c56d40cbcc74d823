/*
 * cudnn_graph.h - what descriptors of the stand-in of cuDNN hold once they are final.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cuda_runtime_api.h>
#include <cudnn.h>

enum { CUDNN_STAGES = 6, CUDNN_OPERANDS = 16 };

struct cudnn_tensor {
    int64_t dim[4], stride[4]; /* n, c, h, w; of weights outputs, inputs, h, w */
    int64_t uid, alignment;
    int32_t type; /* enum value_type */
    int32_t is_virtual;
};

/* y = mode(x) or mode(x, b), x being what comes before. */
struct cudnn_stage {
    int32_t mode; /* cudnnPointwiseMode_t */
    int32_t has_b;
    struct cudnn_tensor b, y;
};

/* A convolution and what follows it.  No pointers: a plan's text has its bytes. */
struct cudnn_graph {
    struct cudnn_tensor x, w, y;
    int64_t pad[2];
    int64_t n_stages;
    struct cudnn_stage stage[CUDNN_STAGES];
};

/* Where the operands lie. */
struct cudnn_pack {
    int64_t n;
    int64_t uid[CUDNN_OPERANDS];
    void *pointer[CUDNN_OPERANDS];
    void *workspace;
};

struct cudnnContext {
    cudaStream_t stream;
};

/* cudnn_plan.c */

/* Which engines a list has; returns how many. */
int64_t cudnn_list_engines(const struct cudnn_graph *g, cudnnBackendHeurMode_t mode, int64_t most,
                           int ret_engine[]);
/* Whether there can be a plan. */
cudnnStatus_t cudnn_check_engine(int engine, const struct cudnn_graph *g);
/* A plan's text with its NUL; the caller frees it. */
char *cudnn_describe(int engine, const struct cudnn_graph *g);
cudnnStatus_t cudnn_understand(const char *text, int64_t size, int *ret_engine,
                               struct cudnn_graph *ret_graph);
cudnnStatus_t cudnn_execute(cudaStream_t stream, int engine, const struct cudnn_graph *g,
                            const struct cudnn_pack *pack);
