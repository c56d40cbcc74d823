/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/regions.h"

#include <stddef.h>
#include <stdint.h>

const char *regions_name(enum region region)
{
    static const char *const names[] = {"whole", "body", "air", "soft", "bone"};
    return (size_t)region < REGIONS ? names[region] : "?";
}

static enum region find_tissue(float hu)
{
    if (hu < REGIONS_SOFT_LOW) {
        return REGION_AIR;
    }
    return hu > REGIONS_SOFT_HIGH ? REGION_BONE : REGION_SOFT;
}

void regions_mark(uint8_t *ret_bits, const float *reference, const uint8_t *mask, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned bits = 1U << REGION_WHOLE;
        if (mask[i] != 0) {
            bits |= 1U << REGION_BODY | 1U << find_tissue(reference[i]);
        }
        ret_bits[i] = (uint8_t)bits;
    }
}
