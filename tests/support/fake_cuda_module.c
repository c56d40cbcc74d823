/* SPDX-License-Identifier: Apache-2.0 */
/* The CUDA backend's device on the stand-in of CUDA as a module that the loader takes: what SCTD_FAKE_CUDA_SEED draws. */
#include <stdint.h>
#include <stdlib.h>

#include "engine/base/error.h"
#include "engine/base/parse.h"

#include "tests/support/fake_cuda/fake_cuda.h"

/* When the module is loaded. */
__attribute__((constructor)) static void begin(void)
{
    struct sctd_error err = {.code = SCTD_OK};
    const char *text = getenv("SCTD_FAKE_CUDA_SEED"); // NOLINT(concurrency-mt-unsafe): one thread
    uint64_t seed = 0;
    fake_cuda_reset();
    if (text != NULL && sctd_parse_u64(&seed, text, UINT32_MAX, &err) == 0) {
        fake_cuda_draw(seed);
    }
}
