/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/backend/survey.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "engine/backend/graph.h"
#include "engine/base/error.h"

void survey_fini(struct survey *survey)
{
    free(survey->producer);
    free(survey->consumers);
    free(survey->consumer);
    free(survey->wanted);
    free(survey->live);
    *survey = (struct survey){.producer = NULL};
}

static bool allocate(struct survey *s, const struct graph *graph)
{
    const size_t tensors = (size_t)graph->n_tensors;
    s->producer = calloc(tensors, sizeof *s->producer);
    s->consumers = calloc(tensors, sizeof *s->consumers);
    s->consumer = calloc(tensors, sizeof *s->consumer);
    s->wanted = calloc(tensors, sizeof *s->wanted);
    s->live = calloc((size_t)graph->n_ops, sizeof *s->live);
    return s->producer != NULL && s->consumers != NULL && s->consumer != NULL &&
           s->wanted != NULL && s->live != NULL;
}

static void count_reader(struct survey *s, const struct graph *graph, int32_t op)
{
    for (int32_t k = 0; k < 3; k++) {
        const int32_t t = graph->op[op].in[k];
        if (t != GRAPH_NONE) {
            s->consumers[t]++;
            s->consumer[t] = op;
        }
    }
}

static void look(struct survey *s, const struct graph *graph)
{
    for (int32_t i = graph->n_ops - 1; i >= 0; i--) {
        const struct graph_op *op = &graph->op[i];
        const int32_t h = graph->tensor[op->out].h;
        s->producer[op->out] = i;
        s->live[i] = s->wanted[op->out] || s->consumers[op->out] > 0;
        if (s->live[i]) {
            count_reader(s, graph, i);
        }
        if (op->stage == GRAPH_ENCODER && (s->deepest == 0 || h < s->deepest)) {
            s->deepest = h;
        }
    }
}

int survey_make(struct survey *ret_survey, const struct graph *graph, const int32_t *taps,
                int32_t n_taps, struct sctd_error *err)
{
    struct survey s = {.producer = NULL};
    if (!allocate(&s, graph)) {
        survey_fini(&s);
        return sctd_error(err, SCTD_ENOMEM, "a survey of %d operations", graph->n_ops);
    }
    for (int32_t t = 0; t < graph->n_tensors; t++) {
        s.producer[t] = GRAPH_NONE;
    }
    s.wanted[graph->y] = true;
    for (int32_t i = 0; i < n_taps; i++) {
        s.wanted[taps[i]] = true;
    }
    look(&s, graph);
    *ret_survey = s;
    return 0;
}
