/* SPDX-License-Identifier: Apache-2.0 */
/* The arithmetic that cuDNN's and cuBLASLt's stand-ins have in common. */
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "tests/support/fake_cuda/fake_cuda.h"
#include "tests/support/fake_cuda/inside.h"

float fake_dot(const float *a, const float *b, size_t n, bool backwards)
{
    float sum = 0.0F;
    for (size_t i = 0; i < n; i++) {
        const size_t at = backwards ? n - 1 - i : i;
        sum += a[at] * b[at];
    }
    return sum;
}

void fake_use_workspace(void *workspace, size_t bytes)
{
    if (bytes > 0) {
        memset(workspace, fake_cuda.garbage, bytes);
    }
}
