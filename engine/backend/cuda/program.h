/*
 * program.h - a graph made ready for the device: steps over buffers of one arena, and their weights.
 *
 * Made without a device: lower.c turns operations into steps, arena.c places the buffers, pack.c writes
 * the weights.  Sizes are of one slice; the batch is chosen later and multiplies them.  The device's
 * executor and the tests' one on the host run the same steps.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h> // IWYU pragma: export
#include <stddef.h>  // IWYU pragma: export
#include <stdint.h>  // IWYU pragma: export

#include "engine/backend/backend.h"    // IWYU pragma: export
#include "engine/backend/cuda/value.h" // IWYU pragma: export
#include "engine/backend/graph.h"      // IWYU pragma: export
#include "engine/base/error.h"         // IWYU pragma: export

#ifdef __cplusplus
extern "C" {
#endif

enum step_kind {
    STEP_CONVERT,    /* out = in[0] in another storage */
    STEP_FIRST_CONV, /* of one channel, f32 */
    STEP_CONV,       /* out = act(conv(in[0]) + bias + in[1]) + in[2] + in[3] */
    STEP_MERGE,      /* out = act(weight [in[0], in[1]] + bias) + in[2] + in[3], of f16 */
    STEP_LAST_CONV,  /* to one channel, f32 */
    STEP_LINEAR,     /* out = in[0] weight' + bias + in[1], which has out's type */
    STEP_ACT,        /* out = act(in[0]); out may be in[0] */
    STEP_PATCHIFY,   /* out [patches, 256] = patches of in[0] */
    STEP_TOKENS,     /* out = prefix tokens, then in[0] + bias */
    STEP_NORM,
    STEP_ROPE,      /* in place: out is in[0] */
    STEP_ATTENTION, /* of turned q, k and v */
    STEP_SWIGLU,
    STEP_MAX_POOL,
    STEP_UPSAMPLE,
    STEP_EXPAND, /* out = act(in[0]'s nine products, upsampled, each at its tap + bias) + in[2] + in[3] */
    STEP_ADD,
    STEP_MEAN,
    STEP_GATE,
    STEP_SCALE_ADD,
    STEP_KINDS
};

enum { PROGRAM_NONE = -1, PROGRAM_IN = 4, PROGRAM_ALIGN = 256 };

/* What a slice's values are while the program runs: [h, w, stride] of `type`. */
struct program_buffer {
    int32_t h, w, c;
    int32_t stride; /* c rounded up to 8; 1 for the inputs, c for outputs that leave the device */
    int32_t type;   /* enum value_type */
    int32_t first, last; /* steps between which it must be kept */
    size_t bytes;        /* of one slice, a multiple of PROGRAM_ALIGN */
    size_t offset;       /* into one slice's arena; times the batch into the whole one */
};

enum weight_kind {
    WEIGHT_ROWS,   /* [rows padded][taps][row padded] of `type`: the outputs' rows */
    WEIGHT_SPREAD, /* [taps][rows padded][row padded] of `type`: the same, a product for each tap */
    WEIGHT_TAPS,   /* [taps][rows padded] f32: the first convolution */
    WEIGHT_ROW,    /* [taps][row padded] f32: the last convolution's only output */
    WEIGHT_VECTOR, /* [rows padded] of `type`: biases and norms */
    WEIGHT_TABLE,  /* [rows][row padded to `stride`] f32: `extra` */
};

enum weight_source { WEIGHT_OF_WEIGHT, WEIGHT_OF_BIAS, WEIGHT_OF_EXTRA };

/* Something packed for the device. */
struct program_weight {
    enum weight_kind kind;
    enum weight_source source;
    int32_t op; /* of the graph */
    int32_t type;
    bool tf32; /* ROWS of f32 that the product rounds to tf32 */
    int32_t rows, taps;
    int32_t row0, row; /* the input channels row0 ... row0 + row - 1 of each row */
    int32_t split;     /* ROWS of two maps: the first's channels, padded by themselves; 0: of one */
    int32_t stride;    /* row padded */
    size_t bytes;      /* a multiple of PROGRAM_ALIGN */
    size_t offset;     /* into the weights */
};

struct step {
    enum step_kind kind;
    enum graph_stage stage;
    enum graph_act act;
    int32_t in[PROGRAM_IN]; /* buffers or PROGRAM_NONE */
    int32_t out;
    int32_t weight, bias, table; /* weights or PROGRAM_NONE */
    int32_t kernel;              /* CONV, FIRST_CONV, LAST_CONV */
    int32_t factor;              /* UPSAMPLE, EXPAND */
    int32_t heads, width;        /* ROPE, ATTENTION */
    int32_t prefix;              /* TOKENS, NORM, ROPE */
    float eps;                   /* NORM */
};

enum { PROGRAM_MAX_STEPS = 2048, PROGRAM_MAX_BUFFERS = 4096, PROGRAM_MAX_WEIGHTS = 4096 };

struct program {
    struct step *step;
    int32_t n_steps;
    struct program_buffer *buffer;
    int32_t n_buffers;
    struct program_weight *weight;
    int32_t n_weights;
    int32_t x_cnn, x_dino; /* buffers, always there */
    int32_t *output;       /* [1 + n_taps] buffers, f32 without padding: y, then the taps */
    int32_t n_outputs;
    int32_t half;        /* the type that most products read: VALUE_F32 means none is halved */
    size_t arena_bytes;  /* of one slice */
    size_t weight_bytes; /* in all */
};

/*
 * Make a program of `graph`, which graph_check has passed.  options: precision (not AUTO) and taps.
 * Errors: SCTD_EINVAL (a shape or precision that this backend has not), SCTD_ENOMEM.
 */
SCTD_NODISCARD int program_new(struct program **ret_program, const struct graph *graph,
                               const struct backend_options *options, struct sctd_error *err);
void program_free(struct program *program); /* NULL is a no-op */
static inline void program_freep(struct program **program)
{
    program_free(*program);
}

/* lower.c: steps, buffers and weights of a graph, without places. */
SCTD_NODISCARD int program_lower(struct program *p, const struct graph *graph,
                                 const struct backend_options *options, struct sctd_error *err);

/* Append one; the index is returned through ret_.  Errors: SCTD_EINVAL (too many). */
SCTD_NODISCARD int program_add_step(struct program *p, const struct step *step,
                                    struct sctd_error *err);
SCTD_NODISCARD int program_add_buffer(int32_t *ret_buffer, struct program *p,
                                      const struct program_buffer *buffer, struct sctd_error *err);
SCTD_NODISCARD int program_add_weight(int32_t *ret_weight, struct program *p,
                                      const struct program_weight *weight, struct sctd_error *err);

/*
 * arena.c: give every buffer its offset so that no two that are needed at one step overlap.
 * Errors: SCTD_ENOMEM.
 */
SCTD_NODISCARD int program_place(struct program *p, struct sctd_error *err);

/* pack.c: write weight `i` [bytes], padding zero, scaled in double as graph.h says. */
void program_pack(const struct program *p, const struct graph *graph, int32_t i, void *ret_bytes);

static inline int32_t program_pad(int32_t n)
{
    return (n + VALUE_LANES - 1) / VALUE_LANES * VALUE_LANES;
}

static inline size_t program_align(size_t n)
{
    return (n + PROGRAM_ALIGN - 1) / PROGRAM_ALIGN * PROGRAM_ALIGN;
}

/* Pixels of a slice. */
static inline size_t program_pixels(const struct program_buffer *b)
{
    return (size_t)b->h * (size_t)b->w;
}

#ifdef __cplusplus
}
#endif
