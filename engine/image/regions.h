/*
 * regions.h - which voxels a number about an sCT speaks of: all, the body, and the tissues in it.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tissues are those of the reference, within the body, by HU: air below -250, bone above 250, soft tissue between
 * them, both ends included (the class ranges that the DGCF code evaluates, arXiv:2511.12098).
 *
 * Thread safety: pure functions.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define REGIONS_SOFT_LOW  (-250.0F)
#define REGIONS_SOFT_HIGH 250.0F

enum region { REGION_WHOLE, REGION_BODY, REGION_AIR, REGION_SOFT, REGION_BONE, REGIONS };

/* "whole", "body", "air", "soft", "bone"; never NULL. */
const char *regions_name(enum region region);

/* ret_bits[n]: bit 1 << REGION_x of each region that the voxel is in.  mask[n]: not 0 in the body. */
void regions_mark(uint8_t *ret_bits, const float *reference, const uint8_t *mask, size_t n);

#ifdef __cplusplus
}
#endif
