/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/fake_cuda/graphs.h"

#undef NDEBUG
#include <assert.h>
#include <driver_types.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cuda_runtime_api.h>

#include "tests/support/fake_cuda/fake_cuda.h"
#include "tests/support/fake_cuda/inside.h"

void fake_work_copy(struct fake_work *ret_work, const struct fake_work *work)
{
    void *args = malloc(work->size);
    assert(args != NULL);
    memcpy(args, work->args, work->size);
    *ret_work = *work;
    ret_work->args = args;
}

void fake_work_free(struct fake_work *work)
{
    void *args = NULL;
    memcpy((void *)&args, (const void *)&work->args, sizeof args);
    free(args);
    work->args = NULL;
}

/* In the order in which they were started. */
struct list {
    struct fake_work *work;
    size_t n;
};

static void list_add(struct list *l, const struct fake_work *work)
{
    struct fake_work *grown = realloc(l->work, (l->n + 1) * sizeof *l->work);
    assert(grown != NULL);
    l->work = grown;
    fake_work_copy(&l->work[l->n++], work);
}

static void list_fini(struct list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        fake_work_free(&l->work[i]);
    }
    free(l->work);
}

// NOLINTBEGIN(readability-identifier-naming): CUDA's names
struct CUgraph_st {
    struct list list;
};

struct CUgraphExec_st {
    struct list list;
};

cudaGraph_t fake_graph_new(void)
{
    cudaGraph_t graph = calloc(1, sizeof *graph);
    assert(graph != NULL);
    fake_cuda_counts.graphs++;
    return graph;
}

void fake_graph_free(cudaGraph_t graph)
{
    if (graph != NULL) {
        list_fini(&graph->list);
        free(graph);
        fake_cuda_counts.graphs--;
    }
}

void fake_graph_add(cudaGraph_t graph, const struct fake_work *work)
{
    list_add(&graph->list, work);
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    const int status = fake_call(FAKE_CUDA, __func__);
    fake_graph_free(graph);
    return (cudaError_t)status;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *pGraphExec, cudaGraph_t graph,
                                 unsigned long long flags)
{
    const int status = fake_call(FAKE_CUDA, __func__);
    (void)flags;
    if (status != 0) {
        return (cudaError_t)status;
    }
    cudaGraphExec_t exec = calloc(1, sizeof *exec);
    assert(exec != NULL);
    for (size_t i = 0; i < graph->list.n; i++) {
        list_add(&exec->list, &graph->list.work[i]);
    }
    fake_cuda_counts.graph_execs++;
    *pGraphExec = exec;
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graphExec)
{
    const int status = fake_call(FAKE_CUDA, __func__);
    list_fini(&graphExec->list);
    free(graphExec);
    fake_cuda_counts.graph_execs--;
    return (cudaError_t)status;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t graphExec, cudaStream_t stream)
{
    cudaError_t e = (cudaError_t)fake_call(FAKE_CUDA, __func__);
    fake_cuda_counts.graph_launches += e == cudaSuccess ? 1 : 0;
    for (size_t i = 0; e == cudaSuccess && i < graphExec->list.n; i++) {
        e = fake_start(stream, &graphExec->list.work[i]);
    }
    return e;
}
// NOLINTEND(readability-identifier-naming)
