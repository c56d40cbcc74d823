/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/range.h"

#include <stddef.h>

void range_clamp(float *out, const float *in, size_t n, struct range to)
{
    const float low = (float)to.low;
    const float high = (float)to.high;
    for (size_t i = 0; i < n; i++) {
        const float raised = in[i] < low ? low : in[i];
        out[i] = raised > high ? high : raised;
    }
}

void range_map(float *out, const float *in, size_t n, struct range from, struct range to)
{
    const float low = (float)from.low;
    const float span = (float)from.high - low;
    const float to_low = (float)to.low;
    const float to_span = (float)(to.high - to.low);
    for (size_t i = 0; i < n; i++) {
        out[i] = (in[i] - low) / span * to_span + to_low;
    }
}
