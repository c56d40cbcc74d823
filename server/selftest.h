/*
 * selftest.h - whether a model computes here what was stored beside it: selftest.safetensors in its folder.
 *
 * The file holds x_cnn, x_dino and y, each [n, 1, h, w] f32, of any size that the network takes.  The demonstration
 * models have PyTorch's; "sctd model selftest --write" stores what this machine computes in fp32.
 *
 * Thread safety: as of an engine.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "engine/base/error.h"
#include "engine/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SELFTEST_FILE "selftest.safetensors"
enum { SELFTEST_NONE = 1 };

struct selftest {
    double mean_hu, max_hu; /* of the differences */
    double mean_bound_hu, max_bound_hu;
};

/*
 * options: as the model will be used; their size is not looked at.  In fp32 and auto the bounds are 0.1 HU in the mean
 * and 2 HU at most; in the arithmetic of 16 bits and in tf32, 10 and 200.
 * Returns 0, or SELFTEST_NONE: nothing is stored.
 * Errors: SCTD_EDATA (it differs by more; the file is damaged), and those of engine_open and engine_run.
 */
SCTD_NODISCARD int selftest_run(struct selftest *ret_test, const char *dir,
                                const struct engine_options *options, struct sctd_error *err);

/* Store what this machine computes in fp32 of two slices of 64 x 64, in the place of what was stored.
 * Errors: those of engine_open, engine_run, and SCTD_EIO. */
SCTD_NODISCARD int selftest_write(const char *dir, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
