/*
 * engine.h - a loaded model that turns slices, or a whole volume, into synthetic CT.
 *
 * All that server/ uses of the engine, besides engine/base.
 *
 * Thread safety: an engine belongs to one thread at a time.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/image/body_mask.h"      // IWYU pragma: export
#include "engine/image/grid.h"           // IWYU pragma: export
#include "engine/image/hu_histogram.h"   // IWYU pragma: export
#include "engine/image/image_metrics.h"  // IWYU pragma: export
#include "engine/image/label_metrics.h"  // IWYU pragma: export
#include "engine/image/metaimage.h"      // IWYU pragma: export
#include "engine/image/nifti.h"          // IWYU pragma: export
#include "engine/image/orient.h"         // IWYU pragma: export
#include "engine/image/outline.h"        // IWYU pragma: export
#include "engine/image/percentile.h"     // IWYU pragma: export
#include "engine/image/phantom.h"        // IWYU pragma: export
#include "engine/image/range.h"          // IWYU pragma: export
#include "engine/image/regions.h"        // IWYU pragma: export
#include "engine/image/resample.h"       // IWYU pragma: export
#include "engine/image/resize.h"         // IWYU pragma: export
#include "engine/image/scale.h"          // IWYU pragma: export
#include "engine/image/ssim.h"           // IWYU pragma: export
#include "engine/image/wepl.h"           // IWYU pragma: export
#include "engine/mldp.h"                 // IWYU pragma: export
#include "engine/model/manifest.h"       // IWYU pragma: export
#include "engine/model/model.h"          // IWYU pragma: export
#include "engine/model/quality_limits.h" // IWYU pragma: export
#include "engine/quality.h"              // IWYU pragma: export
#include "engine/quality_cohort.h"       // IWYU pragma: export

#ifdef __cplusplus
extern "C" {
#endif

struct engine;

struct engine_options {
    const char *backend; /* "auto" (or NULL), "cuda", "cuda:0" with a GPU's number, "cpu", "ref" */
    const char *precision; /* "auto" (or NULL), "fp32", "tf32", "fp16", "bf16", "bf16x3" */
    int32_t threads;       /* 0: one for each processor this process may use */
    int32_t batch;         /* slices in flight at once; 0: 4, on a GPU 32 */
    /* The most that may be taken of a GPU's memory; 0: what is free there, or this engine's part of all. */
    int32_t gpu_memory_mib;
    /*
     * Of `turns` engines of this machine with the same backend ("auto" and "cuda" being the same) this is the
     * turn-th, from 0 on: they go round the GPUs, and share one's memory if they come to the same.  0 of 0: alone.
     */
    int32_t turn, turns;
    int32_t height, width;   /* the network's size; 0: the manifest's */
    const char *const *taps; /* names of inner tensors to return, as in the golden files */
    size_t n_taps;
};

/*
 * Open the model in `dir` and make it ready to run: the weights' SHA-256 is checked against the
 * manifest, and they are packed for the backend.
 * Errors: SCTD_EINVAL (option, unknown tap), SCTD_EIO, SCTD_EDATA, SCTD_ENOMEM, SCTD_EDEVICE.
 */
SCTD_NODISCARD int engine_open(struct engine **ret_engine, const char *dir,
                               const struct engine_options *options, struct sctd_error *err);
/*
 * Whether the options' backend, at their turn, is in this build and works here now; nothing else of them is looked at,
 * and no model is needed for it.  "auto" always does.  Errors: SCTD_EINVAL, SCTD_EDEVICE, saying why not.
 */
SCTD_NODISCARD int engine_check_backend(const struct engine_options *options,
                                        struct sctd_error *err);
void engine_close(struct engine *engine); /* NULL is a no-op */
static inline void engine_closep(struct engine **engine)
{
    engine_close(*engine);
}

const struct manifest *engine_get_manifest(const struct engine *engine);
const char *engine_get_backend(const struct engine *engine); /* the one chosen: "cpu" */
/* Why that one, for people: "no GPU: no NVIDIA driver ...".  As long as the engine lives. */
const char *engine_get_choice(const struct engine *engine);
/* Whether "auto" took the CPU although there are a library for GPUs and a driver: the GPU is meant to be used. */
bool engine_is_fallback(const struct engine *engine);
void engine_get_size(const struct engine *engine, int32_t *ret_height, int32_t *ret_width);
int32_t engine_get_batch(const struct engine *engine); /* slices in flight at once, at least 1 */

/* The shape of tap i of the options, without the batch: [c, h, w], or [tokens, c]. */
struct engine_tap {
    const char *name;
    int32_t n_dims;
    int64_t dim[3];
};
void engine_get_tap(const struct engine *engine, size_t i, struct engine_tap *ret_tap);

/* Slices and what becomes of them; all buffers belong to the caller. */
struct engine_slices {
    int64_t n;           /* at least 1 */
    const float *x_cnn;  /* [n, 1, h, w] f32, finite */
    const float *x_dino; /* [n, 1, h, w]; may equal x_cnn */
    float *y;            /* [n, 1, h, w] */
    float *const
        *taps; /* [i]: [n, dims of tap i], in the order of the options; NULL if there are none */
};

/*
 * Run the network.  The result does not depend on n, on the batch or on the number of threads.
 * Errors: SCTD_EINVAL (n < 1), SCTD_EDATA (a value that is not finite, in or out), SCTD_ENOMEM,
 * SCTD_EDEVICE (replace the process).
 */
SCTD_NODISCARD int engine_run(struct engine *engine, const struct engine_slices *slices,
                              struct sctd_error *err);

/*
 * The limits that the model's recipe clips a volume of n voxels to: percentiles of them, or fixed.
 * Errors: SCTD_EDATA (not finite, or no contrast between the limits), SCTD_EINVAL (n < 1), SCTD_ENOMEM.
 */
SCTD_NODISCARD int engine_find_clip(const struct engine *engine, double ret_clip[2],
                                    const float *volume, size_t n, struct sctd_error *err);

/* Called from engine_run_volume's thread after each batch: n_done of n slices are through. */
typedef void (*engine_slices_fn)(void *arg, int64_t n_done, int64_t n);

struct engine_volume_options {
    const double *clip;         /* [2], low < high; NULL: engine_find_clip of the volume itself */
    engine_slices_fn on_slices; /* or NULL */
    void *arg;
    bool
        whole_hu; /* HU as an sCT stores them: to the nearest whole number, ties to even, within 16 bits */
};

/* What engine_run_volume leaves; every pointer may be NULL where it is not wanted. */
struct engine_volume_result {
    double clip[2]; /* the limits the source was clamped to */
    float *x_cnn;   /* [depth, 1, h, w] */
    float *x_dino;  /* [depth, 1, h, w] */
    float *y;       /* [depth, 1, h, w] */
    float *hu;      /* [depth, rows, columns] HU; may be the volume itself */
};

/*
 * Run the model's recipe on a whole volume: clip, resize each slice to the network's size, normalise,
 * run, and bring the result back to HU on the source's matrix (arXiv:2511.12098, section 3).
 * volume: [depth, rows, columns] f32, finite, columns fastest; raw MR intensity or HU.
 * options: or NULL.  Memory: a batch of slices besides the result.  Where HU alone are wanted, a GPU does
 * all of it, the volume going up once; the HU are the same as if y had been asked for, too.
 * Errors: SCTD_EINVAL (a dimension, the clip limits), and those of engine_find_clip and engine_run.
 */
SCTD_NODISCARD int engine_run_volume(struct engine *engine, const float *volume,
                                     const int64_t dim[3],
                                     const struct engine_volume_options *options,
                                     struct engine_volume_result *result, struct sctd_error *err);

enum { ENGINE_STAGES = 4 };

struct engine_stats {
    double load_ms;                 /* engine_open, in all */
    double stage_ms[ENGINE_STAGES]; /* vit, encoder, fusion, decoder: since the last call */
    double gflop_per_slice;         /* of the published graph: 2 x multiply-adds */
    const char *arithmetic;         /* what the products ran in; as long as the engine lives */
    const char *precision; /* what "auto" became: "fp32", "tf32", "fp16", "bf16", "bf16x3" */
    int32_t threads;
    const char *device;    /* the GPU's name, as long as the engine lives; NULL: none */
    int32_t device_number; /* as in "cuda:N", if there is one */
    double device_mib;     /* memory held there */
    const char
        *remark; /* what is slower than it should be, as long as the engine lives; NULL: nothing */
};

/* Take the statistics; the stage times start again from zero. */
void engine_take_stats(struct engine *engine, struct engine_stats *ret_stats);
const char *engine_stage_name(int32_t stage); /* "vit", "encoder", "fusion", "decoder" */

/* The measured ceiling of this machine for the engine's precision, GFLOP/s; takes about 1 s. */
SCTD_NODISCARD int engine_measure_peak(struct engine *engine, double *ret_gflops,
                                       struct sctd_error *err);

/*
 * Write a model with random weights, scaled so that the output does not saturate, for benchmarks
 * and tests.  preset: "vits16", "vitb16", "vitl16" (with base 64), or "tiny" (dim 32, base 8).
 * dir: the folder that becomes the model, which is there; the model is called "synthetic-PRESET"
 * version "SEED".  After a failure files may be left in it.
 * Errors: SCTD_EINVAL (preset), SCTD_EIO, SCTD_ENOMEM.
 */
SCTD_NODISCARD int engine_write_synthetic(const char *dir, const char *preset, uint64_t seed,
                                          struct sctd_error *err);

#ifdef __cplusplus
}
#endif
