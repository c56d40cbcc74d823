/*
 * cuda_device_kit.h - small networks for the CUDA backend's device on the stand-in of CUDA, their inputs and results.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/backend/backend.h"
#include "engine/base/error.h"

#include "tests/oracle/graph_make.h"

/* The most slices of a call, and those of a chunk where the memory is device_kit_memory's: 3 * chunk + 2 and chunk. */
enum { DEVICE_KIT_SLICES = 8, DEVICE_KIT_CHUNK = 2 };

struct device_kit {
    struct graph_make make;
    int32_t tap;             /* a tensor within the network */
    size_t pixels, tap_size; /* values of a slice */
    float *x_cnn, *x_dino;   /* [DEVICE_KIT_SLICES][pixels] */
};

enum device_kit_network {
    DEVICE_KIT_WHOLE, /* every kind of step but those of joins that few networks have; 16 x 16 pixels */
    DEVICE_KIT_SMALL, /* a convolution, a product, and convolutions from and to one channel; 4 x 4 */
    DEVICE_KIT_WIDE,  /* a convolution of 64 channels, and those; 4 x 4 */
};

/* `k` must not move until device_kit_fini. */
void device_kit_init(struct device_kit *k, enum device_kit_network network);
void device_kit_fini(struct device_kit *k);

/* Bytes of a device with which a plan for DEVICE_KIT_SLICES runs in chunks of `chunk`. */
size_t device_kit_memory(const struct device_kit *k, enum backend_precision precision,
                         int32_t chunk);

/* No variable says where the plan cache is; `folder` then does, if it is not NULL. */
void device_kit_set_folder(const char *folder);

/* Remove the plan caches of a folder; NULL is a no-op. */
void device_kit_empty(const char *folder);

/* A plan of `backend` for DEVICE_KIT_SLICES, with the tap. */
int device_kit_compile(struct backend_plan **ret_plan, const struct device_kit *k,
                       const struct backend *backend, enum backend_precision precision,
                       size_t memory_bytes, struct sctd_error *err);

struct device_kit_result {
    float *y;   /* [DEVICE_KIT_SLICES][pixels], zero where nothing ran */
    float *tap; /* [DEVICE_KIT_SLICES][tap_size] */
};

struct device_kit_result device_kit_result_new(const struct device_kit *k);
void device_kit_result_free(struct device_kit_result *r);

/* The first n slices through a plan. */
int device_kit_run(const struct device_kit *k, struct backend_plan *plan, int32_t n,
                   struct device_kit_result *result, struct sctd_error *err);

/* What the host's executor of the programs gives for all slices. */
struct device_kit_result device_kit_expect(const struct device_kit *k,
                                           enum backend_precision precision);

/* Whether the first n slices are the same but for rounding, or bit for bit. */
bool device_kit_is_near(const struct device_kit *k, const struct device_kit_result *a,
                        const struct device_kit_result *b, int32_t n, double bound);
bool device_kit_is_same(const struct device_kit *k, const struct device_kit_result *a,
                        const struct device_kit_result *b, int32_t n);
