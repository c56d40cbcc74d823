/*
 * network.h - the DGCF network (arXiv:2511.12098) as a graph, from a model's manifest and weights.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "engine/backend/graph.h"
#include "engine/base/error.h"
#include "engine/model/model.h"

#ifdef __cplusplus
extern "C" {
#endif

struct network;

/*
 * Build the graph of `model` for slices of height x width (both multiples of 16, 16 ... 2048).
 * Folds BatchNorm and LayerScale in double precision; copies no large weight: the graph borrows from
 * `model`, which must outlive the network.
 * Errors: SCTD_EINVAL (size), SCTD_EDATA (a tensor is missing or has another shape), SCTD_ENOMEM.
 */
SCTD_NODISCARD int network_new(struct network **ret_network, const struct model *model,
                               int32_t height, int32_t width, struct sctd_error *err);
void network_free(struct network *network); /* NULL is a no-op */
static inline void network_freep(struct network **network)
{
    network_free(*network);
}

const struct graph *network_get_graph(const struct network *network);

#ifdef __cplusplus
}
#endif
