/*
 * plan_file.h - where the plan cache of a network on a GPU is kept, and what it is for.
 *
 * The folder is $SCTD_CUDA_CACHE_DIR, else $CACHE_DIRECTORY (systemd's), else sctd in $XDG_CACHE_HOME or in
 * $HOME/.cache.  Without a folder that can be written there is no cache, and then nothing is measured: what
 * would be chosen by time could be another thing at the next start, and so be other bits.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/device/device.h"
#include "engine/backend/cuda/plan_cache.h"
#include "engine/backend/cuda/program.h"
#include "engine/base/error.h"
#include "engine/base/file.h"

struct plan_file {
    char path[SCTD_PATH_MAX]; /* "": none */
    char header[768];         /* device, driver, libraries, network */
    bool writable;            /* the folder is there and can be written */
    double claimed_s;         /* sctd_now_s; 0: not yet */
    int lock;                 /* -1: none */
};

/* Errors: SCTD_EINVAL (a path too long). */
SCTD_NODISCARD int plan_file_find(struct plan_file *ret_file, const struct device *device,
                                  const struct program *program, enum backend_precision precision,
                                  struct sctd_error *err);

/* What is there; an empty cache if nothing is, or it is damaged.  Errors: SCTD_ENOMEM. */
SCTD_NODISCARD int plan_file_read(struct plan_cache *ret_cache, const struct plan_file *file,
                                  struct sctd_error *err);

/*
 * Be the only one of all processes that measures engines for this folder: others would disturb the times, and might
 * choose others, so that a series' bits would depend on who converts it.  Waits for whoever does, and takes from the
 * file what was kept meanwhile.  Where the folder cannot be locked nobody waits.  Later claims are no-ops.
 * Errors: SCTD_ENOMEM.
 */
SCTD_NODISCARD int plan_file_claim(struct plan_file *file, struct plan_cache *cache,
                                   struct sctd_error *err);

/* Keep the cache if it changed; best effort. */
void plan_file_write(const struct plan_cache *cache, const struct plan_file *file);

/* Give up the claim. */
void plan_file_fini(struct plan_file *file);
