/*
 * plan.h - a compiled graph: steps over tensors in one arena, cut into pieces for the workers.
 *
 * lower.c turns operations into steps; steps_map.c (the generator's maps) and steps_vit.c (tokens)
 * make and run them.  A step's pieces (strips of rows, blocks of columns, heads) are fixed when it is
 * compiled and computed alone from start to end by one worker, so that results depend neither on the
 * number of threads nor on the batch.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h> // IWYU pragma: export
#include <stddef.h>  // IWYU pragma: export
#include <stdint.h>  // IWYU pragma: export

#include "engine/backend/backend.h"     // IWYU pragma: export
#include "engine/backend/cpu/kernels.h" // IWYU pragma: export
#include "engine/backend/cpu/onednn.h"  // IWYU pragma: export
#include "engine/backend/graph.h"       // IWYU pragma: export
#include "engine/backend/pool.h"        // IWYU pragma: export
#include "engine/base/error.h"          // IWYU pragma: export

struct cpu_plan;

/* Where a tensor's slices lie while the plan runs. */
struct place {
    int32_t h, w, c;
    enum format format;
    bool used;
    int32_t first, last; /* steps between which it must be kept */
    size_t bytes;        /* of one slice, a multiple of 64 */
    int32_t slices;      /* that have a place of their own; slice s is at s modulo this */
    size_t offset;       /* into the arena */
};

/* Compute piece `item` of one slice.  Returns false if oneDNN failed. */
typedef bool (*step_fn)(struct cpu_plan *plan, const void *layer, int32_t slice, int32_t item,
                        int32_t worker);

struct step {
    step_fn run;
    void *layer; /* owned */
    void (*free_layer)(void *layer);
    enum graph_stage stage;
    int32_t items; /* pieces per slice */
};

enum { CPU_MAX_STEPS = 1024 };

struct cpu_plan {
    struct backend_plan base;
    const struct kernels *kernels;
    struct pool *pool;
    struct onednn *onednn;
    enum backend_precision precision; /* BACKEND_AUTO resolved */
    bool amx;                         /* bf16 products are ours (amx.h), else oneDNN's */
    enum format format;               /* of what goes into most products: F32, BF16 or SPLIT */
    enum format sensitive_format;     /* into those whose rounding shows most in the output */
    enum format merge_format;         /* into the 1x1 merges of two maps */
    const char *arithmetic;
    struct place *place; /* [n_tensors] */
    int32_t n_tensors;
    int32_t y;
    int32_t *tap; /* [n_taps] */
    int32_t n_taps;
    struct step step[CPU_MAX_STEPS];
    int32_t n_steps;
    int32_t max_batch;
    /* The transformer's steps, 0 ... first_map - 1, take `group` slices at a time, which share its many
     * weights; the others take `map_group` of those at a time, whose maps then stay in the cache. */
    int32_t first_map;
    int32_t group, map_group;
    unsigned char *arena;
    size_t onednn_scratch;  /* bytes; first in each worker's scratch */
    size_t layer_scratch;   /* bytes, after it */
    unsigned char *scratch; /* [threads][onednn_scratch + layer_scratch] */
    /* of the run in progress */
    const struct backend_io *io;
    int32_t slice0;
    bool failed; /* set atomically by any worker */
    double stage_ms[GRAPH_STAGES];
};

/* Channels `channel` and following of a tensor, from pixel `pixel` of slice `slice` on. */
struct operand plan_operand(const struct cpu_plan *plan, int32_t tensor, int32_t slice,
                            size_t pixel, size_t channel);

/* The f32 values of a tensor of FORMAT_F32. */
float *plan_values(const struct cpu_plan *plan, int32_t tensor, int32_t slice);

/* A worker's scratch for products, and `offset` bytes into its scratch for layers. */
void *plan_product_scratch(const struct cpu_plan *plan, int32_t worker);
void *plan_layer_scratch(const struct cpu_plan *plan, int32_t worker, size_t offset);

/* Note that a layer needs so much scratch: a product's, and `bytes` of its own. */
void plan_need_scratch(struct cpu_plan *plan, const struct onednn_product *product, size_t bytes);

/* Append a step; takes the layer over, also on failure.  Errors: SCTD_ENOMEM. */
SCTD_NODISCARD int plan_add_step(struct cpu_plan *plan, const struct step *step,
                                 struct sctd_error *err);

/* Find first_map and lay out the arena and the scratch, once all steps are there.
 * Errors: SCTD_ENOMEM. */
SCTD_NODISCARD int plan_allocate(struct cpu_plan *plan, struct sctd_error *err);

/* lower.c: append the steps of `graph`.  Errors: SCTD_EINVAL, SCTD_ENOMEM. */
SCTD_NODISCARD int lower_graph(struct cpu_plan *plan, const struct graph *graph,
                               struct sctd_error *err);

/* How the input of a product in `f` is stored: AMX reads pairs, oneDNN needs the hi parts twice. */
static inline enum format plan_stored(const struct cpu_plan *plan, enum format f)
{
    return plan->amx && f == FORMAT_SPLIT ? FORMAT_PAIR : f;
}

static inline size_t round_up(size_t n)
{
    return (n + 63) / 64 * 64;
}
