/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/sct_pixels.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#    error "pixels are stored as they lie in memory"
#endif

int sct_pixels_round(int16_t *ret_stored, const float *hu, size_t n, int32_t intercept,
                     struct sctd_error *err)
{
    assert(intercept >= -32768 && intercept <= 32768);
    const float low = (float)(INT16_MIN + intercept);
    const float high = (float)(INT16_MAX + intercept);
    /* 1.5 * 2^23: adding it leaves no bits for a fraction, and the processor rounds to nearest even. */
    const float no_fraction = 12582912.0F;
    unsigned nans = 0;
    for (size_t i = 0; i < n; i++) {
        const float value = hu[i];
        nans |= value != value ? 1U : 0U; // NOLINT(misc-redundant-expression): the test for NaN
        const float above = value > low ? value : low; /* low for NaN too */
        const float clamped = above < high ? above : high;
        const float whole = (clamped + no_fraction) - no_fraction;
        ret_stored[i] = (int16_t)((int32_t)whole - intercept);
    }
    return nans == 0 ? 0
                     : sctd_error(err, SCTD_EINVAL, "the volume holds values that are no number");
}
