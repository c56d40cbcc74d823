/*
 * kernel_kit.h - what our CUDA kernels are tested with: operands that the emulator lends them, and bounds.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/base/rng.h"

enum { KIT_OPERANDS = 16 };

/* Operands of one launch.  Before and behind each lies memory that stays as it is. */
struct kernel_kit {
    struct sctd_rng rng;
    struct {
        unsigned char *memory;
        size_t bytes; /* of the operand */
    } operand[KIT_OPERANDS];
    int n;
};

/* `values` of enum value_type, between -size and size, to be read. */
void *kit_input(struct kernel_kit *kit, int32_t type, size_t values, float size);
/* The same to be written, and no numbers yet. */
void *kit_output(struct kernel_kit *kit, int32_t type, size_t values);
/* What lies around the operands is as it was; all of them are gone. */
void kit_end(struct kernel_kit *kit);

/*
 * Call `run` with the threads in several orders.  `bytes` of its output, which are no numbers before each, must be the
 * same each time.
 */
void kit_run(void (*run)(const void *arg), const void *arg, void *out, size_t bytes);

/* The same bits. */
void kit_same(const void *got, const void *want, size_t bytes);

/* `got` in `type` is `want`, but for `slack` and the rounding to `type`. */
void kit_check(float got, double want, double slack, int32_t type);
