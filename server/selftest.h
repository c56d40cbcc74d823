/*
 * selftest.h - whether a model computes here what it should, on one of this machine's backends.
 *
 * Two things can be compared with: what was stored beside the model, selftest.safetensors in its folder, and what this
 * machine's processor computes in fp32, at the network's own size.  The file holds x_cnn, x_dino and y, each [n, 1, h, w]
 * f32, of any size that the network takes.  The demonstration models have PyTorch's; "sctd model selftest --write" stores
 * what this machine's processor computes.
 *
 * A batch is filled with the slices, over and over, so that what is tested is what a worker with these options runs; at
 * most 32 slices on a GPU and 4 elsewhere.
 *
 * Bounds in HU, by the arithmetic that the engine ran in, of the mean, of the 99.9th percentile and of the largest
 * difference:
 *   fp32         0.1     1     2
 *   bf16x3       0.5     5    10
 *   fp16, tf32     5   100
 *   bf16          50  1000
 * What is beyond them computes wrong.  They are wide: a network of random weights, on whose background every rounding
 * shows, comes to 1.7 and 125 in bf16 (ViT-S/16) or 12 and 339 (ViT-B/16) and 0.3 and 26 in fp16 (ViT-S/16), where
 * the demonstration models have 0.09 and less.
 *
 * Thread safety: as of an engine.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SELFTEST_FILE "selftest.safetensors"
enum { SELFTEST_NONE = 1 };

struct selftest_distance {
    double mean_hu, high_hu, max_hu; /* high: the 99.9th percentile */
};

struct selftest {
    struct selftest_distance found, bound;
    int32_t slices, height, width; /* that were run */
    bool is_own_size;              /* height and width are the network's own */
    double load_ms;
    /* The engine that ran, as engine.h has them. */
    char backend[16], precision[16], arithmetic[96], choice[256];
    char remark[96]; /* "": none */
};

/* fp16 or tf32, sound, and farther from fp32 than is promised: 1 HU in the mean, 10 at the 99.9th percentile. */
bool selftest_is_inexact(const struct selftest *test);

/*
 * Compare with what is stored.  options: as the model will be used; their size is not looked at.
 * Returns 0, or SELFTEST_NONE: nothing is stored.
 * Errors: SCTD_EDATA (it differs by more; the file is damaged), and those of engine_open and engine_run.
 */
SCTD_NODISCARD int selftest_run(struct selftest *ret_test, const char *dir,
                                const struct engine_options *options, struct sctd_error *err);

/* Compare with this machine's processor, at the network's own size.  Errors: as above. */
SCTD_NODISCARD int selftest_run_here(struct selftest *ret_test, const char *dir,
                                     const struct engine_options *options, struct sctd_error *err);

/* Store what this machine's processor computes in fp32 of two slices of the phantom (engine/image/phantom.h) at the
 * network's own size, in the place of what was stored.  Errors: those of engine_open, engine_run, and SCTD_EIO. */
SCTD_NODISCARD int selftest_write(const char *dir, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
