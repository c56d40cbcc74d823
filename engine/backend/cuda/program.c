/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/backend/cuda/program.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/value.h"
#include "engine/backend/graph.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"

void program_free(struct program *program)
{
    if (program == NULL) {
        return;
    }
    free(program->step);
    free(program->buffer);
    free(program->weight);
    free(program->output);
    free(program);
}

int program_add_step(struct program *p, const struct step *step, struct sctd_error *err)
{
    if (p->n_steps == PROGRAM_MAX_STEPS) {
        return sctd_error(err, SCTD_EINVAL, "the network has more than %d steps",
                          PROGRAM_MAX_STEPS);
    }
    for (int32_t i = 0; i < PROGRAM_IN; i++) {
        if (step->in[i] != PROGRAM_NONE) {
            p->buffer[step->in[i]].last = p->n_steps;
        }
    }
    struct program_buffer *out = &p->buffer[step->out];
    if (out->first == PROGRAM_NONE) {
        out->first = p->n_steps;
    }
    out->last = p->n_steps;
    p->step[p->n_steps++] = *step;
    return 0;
}

int program_add_buffer(int32_t *ret_buffer, struct program *p, const struct program_buffer *buffer,
                       struct sctd_error *err)
{
    if (p->n_buffers == PROGRAM_MAX_BUFFERS) {
        return sctd_error(err, SCTD_EINVAL, "the network has more than %d maps",
                          PROGRAM_MAX_BUFFERS);
    }
    struct program_buffer *b = &p->buffer[p->n_buffers];
    *b = *buffer;
    b->bytes = program_align(program_pixels(b) * (size_t)b->stride * value_size(b->type));
    b->first = PROGRAM_NONE;
    b->last = PROGRAM_NONE;
    *ret_buffer = p->n_buffers++;
    return 0;
}

static size_t count_values(const struct program_weight *w)
{
    const size_t rows = (size_t)program_pad(w->rows);
    switch (w->kind) {
    case WEIGHT_ROWS:
    case WEIGHT_SPREAD:
        return rows * (size_t)w->taps * (size_t)w->stride;
    case WEIGHT_TAPS:
        return (size_t)w->taps * rows;
    case WEIGHT_ROW:
        return (size_t)w->taps * (size_t)w->stride;
    case WEIGHT_VECTOR:
        return rows;
    case WEIGHT_TABLE:
        break;
    }
    return (size_t)w->rows * (size_t)w->stride;
}

int program_add_weight(int32_t *ret_weight, struct program *p, const struct program_weight *weight,
                       struct sctd_error *err)
{
    if (p->n_weights == PROGRAM_MAX_WEIGHTS) {
        return sctd_error(err, SCTD_EINVAL, "the network has more than %d weights",
                          PROGRAM_MAX_WEIGHTS);
    }
    struct program_weight *w = &p->weight[p->n_weights];
    *w = *weight;
    w->bytes = program_align(count_values(w) * value_size(w->type));
    w->offset = p->weight_bytes;
    p->weight_bytes += w->bytes;
    *ret_weight = p->n_weights++;
    return 0;
}

static int find_half(int32_t *ret_half, enum backend_precision precision, struct sctd_error *err)
{
    switch (precision) {
    case BACKEND_FP32:
    case BACKEND_TF32:
        *ret_half = VALUE_F32;
        return 0;
    case BACKEND_FP16:
        *ret_half = VALUE_F16;
        return 0;
    case BACKEND_BF16:
        *ret_half = VALUE_BF16;
        return 0;
    case BACKEND_AUTO:
    case BACKEND_BF16X3:
        break;
    }
    return sctd_error(err, SCTD_EINVAL,
                      "a GPU computes in fp32, tf32, fp16 or bf16: use one of these, or auto");
}

int program_new(struct program **ret_program, const struct graph *graph,
                const struct backend_options *options, struct sctd_error *err)
{
    sctd_auto(program_freep) struct program *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "program");
    }
    int r = find_half(&p->half, options->precision, err);
    if (r < 0) {
        return r;
    }
    p->n_outputs = 1 + options->n_taps;
    p->step = calloc(PROGRAM_MAX_STEPS, sizeof *p->step);
    p->buffer = calloc(PROGRAM_MAX_BUFFERS, sizeof *p->buffer);
    p->weight = calloc(PROGRAM_MAX_WEIGHTS, sizeof *p->weight);
    p->output = calloc((size_t)p->n_outputs, sizeof *p->output);
    if (p->step == NULL || p->buffer == NULL || p->weight == NULL || p->output == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "program");
    }
    r = program_lower(p, graph, options, err);
    if (r == 0) {
        r = program_place(p, err);
    }
    if (r < 0) {
        return r;
    }
    *ret_program = sctd_steal(&p);
    return 0;
}
