/*
 * phantom_parts.h - the organs that every phantom has alike: muscles, vessels, bones.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "engine/image/phantom_anatomy.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Add them to the anatomy, to be painted in this order. */
void phantom_parts_add_muscles(struct phantom_anatomy *anatomy);
void phantom_parts_add_vessels(struct phantom_anatomy *anatomy);
void phantom_parts_add_bones(struct phantom_anatomy *anatomy);

#ifdef __cplusplus
}
#endif
