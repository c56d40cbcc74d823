/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stddef.h>

#include "engine/backend/graph.h"
#include "engine/backend/ref/ref.h"

/* The operations that join tensors of one shape, element by element. */

static size_t count_values(const struct ref_op *op)
{
    return ref_pixels(op->out) * (size_t)op->out->c;
}

void ref_swiglu(const struct ref_op *op)
{
    for (size_t i = 0; i < count_values(op); i++) {
        const double gate = (double)op->x[0][i];
        op->y[i] = (float)(gate / (1.0 + exp(-gate)) * (double)op->x[1][i]);
    }
}

void ref_add(const struct ref_op *op)
{
    for (size_t i = 0; i < count_values(op); i++) {
        op->y[i] = op->x[0][i] + op->x[1][i];
    }
}

void ref_gate(const struct ref_op *op)
{
    for (size_t i = 0; i < count_values(op); i++) {
        const double gate = (double)op->x[2][i];
        op->y[i] = (float)(gate * (double)op->x[0][i] + (1.0 - gate) * (double)op->x[1][i]);
    }
}

void ref_scale_add(const struct ref_op *op)
{
    const size_t channels = (size_t)op->out->c;
    const float *first = op->x[2];
    const float *second = op->x[2] + channels;
    for (size_t i = 0; i < count_values(op); i++) {
        const double a = (double)first[i % channels] * (double)op->x[0][i];
        const double b = (double)second[i % channels] * (double)op->x[1][i];
        op->y[i] = (float)(a + b);
    }
}
