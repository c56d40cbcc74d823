/*
 * bind.h - a step's arguments: where its operands and weights lie for a batch, and how many items it has.
 *
 * The same for the device, whose pointers are the device's, and for the tests' executor on the host.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h> // IWYU pragma: export

#include "engine/backend/cuda/body.h"        // IWYU pragma: export
#include "engine/backend/cuda/body_expand.h" // IWYU pragma: export
#include "engine/backend/cuda/body_merge.h"  // IWYU pragma: export
#include "engine/backend/cuda/body_vit.h"    // IWYU pragma: export
#include "engine/backend/cuda/program.h"     // IWYU pragma: export

#ifdef __cplusplus
extern "C" {
#endif

/* A program in memory. */
struct binding {
    const struct program *program;
    int32_t slices;         /* the batch */
    unsigned char *arena;   /* [slices * program->arena_bytes], at PROGRAM_ALIGN */
    unsigned char *weights; /* [program->weight_bytes], at PROGRAM_ALIGN */
};

/* STEP_CONV and STEP_LINEAR: a product of the rows of x with the rows of a weight. */
struct product_args {
    struct operand x;
    const void *weight;        /* [outputs][kernel * kernel][stride of x] of x's type */
    struct finish_args finish; /* LINEAR: its bias is of y's type, and y = x w' + bias + before */
    int32_t slices, h, w, kernel;
};

union step_args {
    struct convert_args convert;
    struct first_conv_args first_conv;
    struct product_args product;
    struct merge_args merge;
    struct last_conv_args last_conv;
    struct finish_args finish;
    struct patchify_args patchify;
    struct tokens_args tokens;
    struct norm_args norm;
    struct rope_args rope;
    struct attention_args attention;
    struct pool_args pool;
    struct upsample_args upsample;
    struct expand_args expand;
    struct join_args join;
    struct mean_args mean;
};

/* Where buffer `i` lies. */
struct operand bind_operand(const struct binding *b, int32_t i);

/* Fill in the arguments of a step; returns how many items its body runs over. */
size_t bind_step(union step_args *ret_args, const struct binding *b, const struct step *s);

#ifdef __cplusplus
}
#endif
