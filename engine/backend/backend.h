/*
 * backend.h - what a backend offers: compile a graph, run it, say how long its stages took.
 *
 * A backend is one const table of functions.  backend_ref is plain C and the oracle of all others;
 * backend_cpu runs on oneDNN; the CUDA backend is loaded at run time
 * (load.h).
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h> // IWYU pragma: export
#include <stddef.h>  // IWYU pragma: export
#include <stdint.h>  // IWYU pragma: export

#include "engine/backend/graph.h" // IWYU pragma: export
#include "engine/base/error.h"    // IWYU pragma: export

#ifdef __cplusplus
extern "C" {
#endif

enum backend_precision {
    BACKEND_AUTO, /* CPU: the fastest mix within mean 0.5 HU and 99.9th percentile 5 HU of fp32; GPU: FP16 */
    BACKEND_FP32,
    BACKEND_TF32,   /* GPU: products of f32 rounded to 10 bits of mantissa, summed in fp32 */
    BACKEND_FP16,   /* GPU: maps and products' operands in fp16, summed in fp32 */
    BACKEND_BF16,   /* bf16 products in most layers; the fastest */
    BACKEND_BF16X3, /* each product as three of bf16 halves, nearly fp32; what AUTO takes on AMX */
};

enum { BACKEND_ANY_DEVICE = -1 };

/*
 * Which GPU.  Where a machine runs `turns` plans that ask for the same, this is the turn-th, from 0 on: if they ask for
 * any, they go round the GPUs, and those that come to the same one have a part of its memory each.
 */
struct backend_device {
    int32_t number;      /* the GPU's, or BACKEND_ANY_DEVICE */
    int32_t turn, turns; /* 0 of 0 or 1: it is alone */
};

struct backend_options {
    const int32_t *taps; /* tensors whose values are wanted besides y; borrowed during compile */
    int32_t n_taps;
    enum backend_precision precision;
    int32_t threads;   /* 0: one for each processor this process may use */
    int32_t max_batch; /* the largest n that backend_plan_run will be given; >= 1 */
    struct backend_device device;
    size_t
        memory_bytes; /* the most that a plan may take of a GPU's; 0: its part, or what is free there */
};

/* A compiled graph.  Each backend's own struct begins with this one. */
struct backend_plan {
    const struct backend *backend;
};

/* One call's buffers, all owned by the caller, f32, [n, h, w, c]. */
struct backend_io {
    int32_t n;           /* slices; 1 ... max_batch */
    const float *x_cnn;  /* [n, h, w, 1] */
    const float *x_dino; /* [n, h, w, 1]; may equal x_cnn */
    float *y;            /* [n, h, w, 1] */
    float *const *taps;  /* [n_taps] buffers in the order of backend_options.taps */
};

struct backend_stats {
    double stage_ms[GRAPH_STAGES]; /* time since the last reset, summed over slices */
    const char
        *arithmetic; /* what the products run in, e.g. "bf16 amx"; as long as the plan lives */
    enum backend_precision precision; /* that it is: never AUTO */
    int32_t threads;                  /* that the plan uses */
    const char *device;               /* the GPU's name, as long as the plan lives; NULL: none */
    int32_t device_number;            /* the GPU's, if there is one */
    double device_mib;                /* memory that the plan holds there */
    const char
        *remark; /* what is slower than it should be, as long as the plan lives; NULL: nothing */
};

/* A range of values and the one it is carried to, in f32 as engine/image/range.h computes it. */
struct backend_map {
    double from[2], to[2]; /* low, high */
};

/* A volume that backend_volumes.put was given, and what is to become of its slices. */
struct backend_volume {
    int64_t dim[3];         /* slices, rows, columns; their product is what was put */
    double clip[2];         /* voxels are clamped to it, then resized to the network's size */
    struct backend_map cnn; /* from the clip limits to x_cnn */
    struct backend_map dino;
    struct backend_map out; /* from y to HU, which are then resized to rows x columns */
    bool whole; /* HU become whole numbers: to the nearest, ties to even; within 16 bits */
    float *hu;  /* [slices, rows, columns]; may be the volume that was put */
    void (*on_slices)(void *arg, int64_t n_done, int64_t n); /* or NULL: after each part */
    void *arg;
};

enum { BACKEND_NO_ROOM = 1, BACKEND_COUNTS = 1 << 16, BACKEND_MAX_UPPERS = 4 };

/*
 * Whole volumes, where a backend has memory of its own: the voxels are copied there once.  put, then any of
 * the others, then drop.
 */
struct backend_volumes {
    /*
     * Take n finite voxels, which the caller keeps as they are until drop, but for what `run` writes.
     * Returns 0, or BACKEND_NO_ROOM: they do not fit, and there is nothing to drop.  Errors: SCTD_EDEVICE.
     */
    int (*put)(struct backend_plan *plan, const float *voxel, size_t n, struct sctd_error *err);
    /*
     * Count the voxels by their keys (engine/image/percentile.h).  n_upper 0: ret_count[u] [65536] by the
     * upper 16 bits; else ret_count[t * 65536 + l] those whose key is upper[t] << 16 | l, t < n_upper <= 4.
     */
    int (*count)(struct backend_plan *plan, size_t *ret_count, const uint32_t *upper,
                 int32_t n_upper, struct sctd_error *err);
    /*
     * Clamp, resize, map, run the network, map and resize back.  The operations outside the network are
     * those of engine/image, bit for bit.  Returns 0, or BACKEND_NO_ROOM: for the results; nothing was
     * written.  Errors: SCTD_EDATA (the network's output is not finite), SCTD_EDEVICE.
     */
    int (*run)(struct backend_plan *plan, const struct backend_volume *volume,
               struct sctd_error *err);
    void (*drop)(struct backend_plan *plan);
};

struct backend {
    const char *name; /* "ref", "cpu", "cuda" */
    /*
     * Turn `g` into a plan.  The plan keeps no reference to g or to its weights.
     * Errors: SCTD_EINVAL (unsupported shape or precision), SCTD_ENOMEM, SCTD_EDEVICE.
     */
    int (*compile)(struct backend_plan **ret_plan, const struct graph *g,
                   const struct backend_options *options, struct sctd_error *err);
    /*
     * Run the plan on io->n slices.  The result for a slice does not depend on n or on the other
     * slices.  (A plan of another max_batch may differ in rounding where a library computes.)  Thread safety: one call at a time per plan.
     * Errors: SCTD_EINVAL (n out of range), SCTD_EDEVICE (replace the process); where `finds_not_finite`,
     * SCTD_EDATA (an input or a y is infinite or no number).
     */
    int (*run)(struct backend_plan *plan, const struct backend_io *io, struct sctd_error *err);
    /* Times since the last call, which are then reset. */
    void (*take_stats)(struct backend_plan *plan, struct backend_stats *ret_stats);
    void (*free)(struct backend_plan *plan); /* NULL is a no-op */
    /*
     * Measure the rate of a large matrix product in the arithmetic of `precision` on `threads`
     * threads, in GFLOP/s: the ceiling that a plan's rate is compared with.  Takes about 1 s.
     */
    int (*matrix_peak)(double *ret_gflops, enum backend_precision precision, int32_t threads,
                       struct sctd_error *err);
    const struct backend_volumes *volumes; /* NULL: it has none */
    bool finds_not_finite; /* run looks for it, where that costs less than on the host */
};

extern const struct backend backend_ref;
extern const struct backend backend_cpu;

#ifdef __cplusplus
}
#endif
