/*
 * body_merge.h - the merge of two maps: a 1x1 convolution of both, as if they were one behind the other.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "engine/backend/cuda/body.h" // IWYU pragma: export

/* y = act(weight [x[0], x[1]] + bias) + add[0] + add[1].  An item is a pixel and eight outputs. */
struct merge_args {
    struct operand x[2]; /* of one type */
    const void *weight;  /* [stride of y][stride of x[0] + stride of x[1]] of their type */
    struct finish_args finish;
};

CUDA_BODY void merge_body(const struct merge_args *a, size_t item)
{
    const struct body_at place = body_at_of(item, a->finish.y.stride);
    const struct body_rows weight = {a->weight, a->x[0].type,
                                     (size_t)a->x[0].stride + (size_t)a->x[1].stride};
    size_t at = place.channel * weight.row;
    struct lanes sum = {{0.0F}};
    for (int k = 0; k < 2; k++) {
        const struct operand *x = &a->x[k];
        const size_t stride = (size_t)x->stride;
        for (size_t in = 0; in < stride; in += VALUE_LANES) {
            const struct lanes value = lanes_load(x->data, x->type, place.pixel * stride + in);
            body_multiply(&sum, &value, &weight, at + in);
        }
        at += stride;
    }
    const struct lanes y = finish_lanes(&a->finish, sum, place.pixel, place.channel);
    lanes_store(a->finish.y.data, a->finish.y.type, item * VALUE_LANES, &y);
}
