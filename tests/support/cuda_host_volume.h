/*
 * cuda_host_volume.h - the recipe's kernels' bodies run on the host over a volume.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/backend/backend.h"
#include "engine/base/error.h"

struct cuda_host_volume {
    float *voxel; /* [n]; NULL: there is none */
    size_t n;
};

/* The slices of one turn. */
struct cuda_host_chunk {
    int64_t slice0;
    int32_t n, room;       /* slices, and those that the network runs on */
    int32_t h, w;          /* its size */
    float *x_cnn, *x_dino; /* [room, h, w] */
    const float *y;        /* [room, h, w] */
};

/* false: it does not fit into room_bytes (0: into anything). */
bool cuda_host_put(struct cuda_host_volume *v, const float *voxel, size_t n, size_t room_bytes);
void cuda_host_drop(struct cuda_host_volume *v);
void cuda_host_count(const struct cuda_host_volume *v, size_t *ret_count, const uint32_t *upper,
                     int32_t n_upper);
void cuda_host_in(const struct cuda_host_volume *h, const struct backend_volume *v,
                  const struct cuda_host_chunk *c);
int cuda_host_out(const struct backend_volume *v, const struct cuda_host_chunk *c,
                  struct sctd_error *err);
