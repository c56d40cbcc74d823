/*
 * golden_set.h - a folder of golden files, and the models imported from it.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "engine/base/safetensors.h"

enum { GOLDEN_MODELS = 14, GOLDEN_PATH_MAX = 4096, GOLDEN_MAX_IO = 32 };

struct golden_model {
    const char *name; /* of an io file: its kind */
    const char *backbone;
    const char *generator;
    const char *recipe;
};

extern const struct golden_model golden_models[GOLDEN_MODELS];

struct golden_set {
    const char *name;                 /* "own" or "published" */
    const char *dir;                  /* of the golden files */
    char models_dir[GOLDEN_PATH_MAX]; /* a new folder in the current one */
    char model_dir[GOLDEN_MODELS][GOLDEN_PATH_MAX];
    char io[GOLDEN_MAX_IO][256]; /* names of the io files, sorted */
    size_t n_io;
    size_t n_failed; /* cases */
};

/* Find the files and import every model.  What goes wrong aborts, with its reason on stderr. */
void golden_set_open(struct golden_set *set, const char *name, const char *dir);
void golden_set_close(struct golden_set *set); /* removes the imported models */

/* The directory of an imported model. */
const char *golden_set_find(const struct golden_set *set, const char *model);

/* The caller closes the file. */
struct safetensors *golden_set_load(const struct golden_set *set, const char *file);

/* Print one line for a case, and count it if it failed. */
SCTD_PRINTF(3, 4) void golden_set_report(struct golden_set *set, bool passed, const char *fmt, ...);

/* Abort with the error's text unless result is 0. */
void golden_must(int result, const struct sctd_error *err, const char *what);

/* A tensor's values, which the caller frees; the tensor must be there. */
float *golden_copy(const struct safetensors *file, const char *name);
const struct tensor_view *golden_find(const struct safetensors *file, const char *name);

/* max |a - b|; infinite if either is not a number somewhere. */
double golden_max_difference(const float *a, const float *b, size_t n);
/* |a - b| / |b| by L2 norms. */
double golden_relative_difference(const float *a, const float *b, size_t n);

struct golden_error {
    double mean, high; /* high: 99.9th percentile, interpolated linearly */
};
struct golden_error golden_error_of(const float *a, const float *b, size_t n);
