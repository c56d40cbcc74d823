/*
 * graphs.h - pieces of work that are copied, and CUDA graphs, which are lists of them.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <cuda_runtime_api.h>

#include "tests/support/fake_cuda/inside.h"

/* With arguments of its own, which fake_work_free releases. */
void fake_work_copy(struct fake_work *ret_work, const struct fake_work *work);
void fake_work_free(struct fake_work *work);

cudaGraph_t fake_graph_new(void);
void fake_graph_free(cudaGraph_t graph); /* NULL is a no-op */
void fake_graph_add(cudaGraph_t graph, const struct fake_work *work);
