/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/backend/cuda/device/noise.h"

#include <driver_types.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cuda_runtime_api.h>

#include "engine/backend/cuda/device/device.h"
#include "engine/base/error.h"
#include "engine/base/rng.h"

enum {
    /* No divisor of a slice or a row, so that no two of them are the same; of 16 bytes for the copies. */
    SEED_BYTES = 16 * 65521,
    ANY_SIGN_AND_FRACTION = 0x83ff, /* of an fp16 */
    FROM_ONE = 0x3c00,              /* its exponent */
};

/* The first bytes come from the host, the others are copies of what is there already. */
static int fill_from(const struct cuda_buf *buf, const uint16_t *seed, cudaStream_t stream,
                     struct sctd_error *err)
{
    unsigned char *to = buf->data;
    size_t done = buf->size < SEED_BYTES ? buf->size : SEED_BYTES;
    int r =
        device_check(cudaMemcpyAsync(to, seed, done, cudaMemcpyHostToDevice, stream), "noise", err);
    while (r == 0 && done < buf->size) {
        const size_t n = buf->size - done < done ? buf->size - done : done;
        r = device_check(cudaMemcpyAsync(to + done, to, n, cudaMemcpyDeviceToDevice, stream),
                         "noise", err);
        done += n;
    }
    /* What comes from the host has left it when the stream is through. */
    return r < 0 ? r : device_check(cudaStreamSynchronize(stream), "noise", err);
}

int noise_fill(const struct cuda_buf *buf, cudaStream_t stream, struct sctd_error *err)
{
    struct sctd_rng rng = {.state = 1};
    uint16_t *seed = malloc(SEED_BYTES);
    if (seed == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "noise");
    }
    for (size_t i = 0; i < SEED_BYTES / sizeof *seed; i++) {
        seed[i] =
            (uint16_t)((sctd_rng_next(&rng) >> 48 & ANY_SIGN_AND_FRACTION) | (uint64_t)FROM_ONE);
    }
    const int r = fill_from(buf, seed, stream, err);
    free(seed);
    return r;
}
