/*
 * phantom_body.h - which tissues are at a point of the anatomy, near a place or anywhere.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Thread safety: a phantom_near belongs to one thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/image/phantom.h"
#include "engine/image/phantom_anatomy.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The shapes that matter near a place, and room for the distances of their organs. */
struct phantom_near {
    int32_t n; /* -1: nothing but air */
    bool deep; /* below the fat and the abdominal wall */
    int32_t shape[PHANTOM_SHAPES_MAX];
    float distance[PHANTOM_ORGANS_MAX];
};

/* For points within radius_mm of `patient`: it makes phantom_body_at faster, and changes no value. */
void phantom_body_find_near(const struct phantom_anatomy *anatomy, const float patient[3],
                            float radius_mm, struct phantom_near *ret_near);
/* For points anywhere. */
void phantom_body_find_all(const struct phantom_anatomy *anatomy, struct phantom_near *ret_near);

void phantom_body_at(const struct phantom_anatomy *anatomy, struct phantom_near *near,
                     const float patient[3], struct phantom_point *ret_point);

#ifdef __cplusplus
}
#endif
