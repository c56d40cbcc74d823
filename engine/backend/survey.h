/*
 * survey.h - who makes and who reads each tensor of a graph: what a backend must know before operations become steps.
 *
 * Thread safety: a survey is immutable once made.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/backend/graph.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct survey {
    int32_t *producer;  /* [n_tensors] operation, or GRAPH_NONE */
    int32_t *consumers; /* [n_tensors] how many live operations read it */
    int32_t *consumer;  /* [n_tensors] one of them: the first in the graph's order */
    bool *wanted;       /* [n_tensors] y and taps */
    bool *live;         /* [n_ops] its output is needed */
    int32_t deepest;    /* rows of the encoder's smallest map; 0: no encoder */
};

/* taps[n_taps]: tensors that are wanted besides y.  *ret_survey: the caller frees it.  Errors: SCTD_ENOMEM. */
SCTD_NODISCARD int survey_make(struct survey *ret_survey, const struct graph *graph,
                               const int32_t *taps, int32_t n_taps, struct sctd_error *err);
void survey_fini(struct survey *survey); /* leaves it empty */

/* Whether a tensor exists only for its one reader, so that its producer may be folded into it. */
static inline bool survey_is_private(const struct survey *survey, int32_t tensor)
{
    return survey->consumers[tensor] == 1 && !survey->wanted[tensor];
}

#ifdef __cplusplus
}
#endif
