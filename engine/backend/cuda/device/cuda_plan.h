/*
 * cuda_plan.h - a compiled graph on a GPU: its memory, its steps ready to start, and how a call runs through.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <cudnn.h>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/bind.h"
#include "engine/backend/cuda/device/device.h"
#include "engine/backend/cuda/plan_cache.h"
#include "engine/backend/cuda/program.h"
#include "engine/base/error.h"

struct convolution;
struct pool;
struct product;

/* CUDA_MARKS: bytes before results that come down, whose first words are marks: 1 if something is not finite. */
enum { CUDA_MAX_SEGMENTS = 16, CUDA_SIDES = 2, CUDA_MARKS = PROGRAM_ALIGN };

_Static_assert((int)CUDA_MARKS >= 2 * (int)sizeof(uint32_t), "one for inputs, one for outputs");

struct cuda_step {
    enum step_kind kind;
    enum graph_stage stage;
    union step_args args;
    size_t items;
    struct convolution *convolution; /* STEP_CONV; owned */
    struct product *product;         /* STEP_LINEAR; owned */
};

/* Steps first ... last - 1, of one stage, captured as one CUDA graph. */
struct cuda_segment {
    int32_t first, last;
    enum graph_stage stage;
    cudaGraphExec_t graph; /* NULL: its steps are started one by one */
};

/* One of two sets of buffers that chunks take turns with. */
struct cuda_side {
    struct cuda_buf in;        /* [x_cnn, x_dino] of a chunk, on the device */
    struct cuda_buf out;       /* marks for what is not finite, then [y, taps] of a chunk */
    float *host_in, *host_out; /* the same, in pinned memory */
    cudaEvent_t uploaded;      /* in is on the device */
    cudaEvent_t taken;         /* in may be written again */
    cudaEvent_t computed;      /* out is on the device */
    cudaEvent_t fetched;       /* out is in pinned memory */
    cudaEvent_t stage[CUDA_MAX_SEGMENTS + 1]; /* start, then the end of each segment */
};

/* A volume on its way through (volume.c): the buffers of the results stay for the next one. */
struct cuda_volume {
    struct cuda_buf voxels; /* [n]; empty: there is no volume */
    const float *host;      /* the caller's [n] */
    size_t n;
    size_t up;                       /* of them are on their way to the device, or there */
    int32_t turn;                    /* the side whose pinned memory carries the next ones */
    struct cuda_buf out[CUDA_SIDES]; /* a mark for what is not finite, then HU: of a chunk */
    void *host_out[CUDA_SIDES];      /* the same, in pinned memory */
    size_t host_out_bytes;           /* of each */
};

/* What building a plan takes its time for. */
enum cuda_build {
    CUDA_BUILD_LIBRARIES,
    CUDA_BUILD_WEIGHTS,
    CUDA_BUILD_CHOICES,
    CUDA_BUILD_FIRST_RUN, /* in which the libraries load their kernels */
    CUDA_BUILD_GRAPHS,
    CUDA_BUILD_CHECK,
    CUDA_BUILDS
};

struct cuda_plan {
    struct backend_plan base;
    struct device device;
    struct program *program;
    enum backend_precision precision; /* not AUTO */
    int32_t max_batch, chunk;
    size_t budget_bytes; /* of the device's memory; 0: what is free */
    struct pool *pool;   /* packs weights, and copies to and from pinned memory */
    cudnnHandle_t cudnn;
    cublasLtHandle_t lt;
    cudaStream_t up, work, down;
    struct cuda_buf weights, arena, workspace;
    struct cuda_side side[CUDA_SIDES];
    size_t in_values, out_values; /* of one slice */
    struct cuda_step *step;       /* [program->n_steps] */
    struct cuda_segment segment[CUDA_MAX_SEGMENTS];
    int32_t n_segments;
    struct plan_cache cache;
    struct cuda_volume volume;
    double stage_ms[GRAPH_STAGES];
    double build_ms[CUDA_BUILDS];
    const char *arithmetic;
    char remark[96]; /* "": none */
};

/* plan_build.c: everything of a plan whose program, device and precision are set.
 * Errors: SCTD_EINVAL, SCTD_ENOMEM, SCTD_EDEVICE. */
SCTD_NODISCARD int cuda_plan_build(struct cuda_plan *plan, const struct graph *g,
                                   struct sctd_error *err);
void cuda_plan_fini(struct cuda_plan *plan);

/* Bytes of the device's memory that the plan holds. */
size_t cuda_plan_bytes(const struct cuda_plan *plan);

/*
 * plan_check.c: whether the plan's engines compute what our plain kernels do.  Overwrites the arena.
 * Errors: SCTD_EDEVICE (one does not, or the GPU is lost), SCTD_ENOMEM.
 */
SCTD_NODISCARD int cuda_plan_check(struct cuda_plan *plan, struct sctd_error *err);

/* plan_run.c */
SCTD_NODISCARD int cuda_plan_run(struct cuda_plan *plan, const struct backend_io *io,
                                 struct sctd_error *err);

/* Where a buffer of the program lies for the plan's chunk. */
struct operand cuda_plan_operand(const struct cuda_plan *plan, int32_t buffer);

/* Start steps first ... last - 1 on the work stream. */
SCTD_NODISCARD int cuda_plan_start_steps(struct cuda_plan *plan, int32_t first, int32_t last,
                                         struct sctd_error *err);
/* Start all of them, with the side's events around each stage. */
SCTD_NODISCARD int cuda_plan_start_network(struct cuda_plan *plan, const struct cuda_side *side,
                                           struct sctd_error *err);
/* Add the stages' times once they are through. */
SCTD_NODISCARD int cuda_plan_count_time(struct cuda_plan *plan, const struct cuda_side *side,
                                        struct sctd_error *err);

/* The error of an output that is not finite: SCTD_EDATA. */
SCTD_NODISCARD int cuda_plan_refuse_output(const struct cuda_plan *plan, struct sctd_error *err);

/* volume.c */
extern const struct backend_volumes cuda_volumes;
void cuda_volume_fini(struct cuda_volume *volume); /* what the next volume would have used again */
