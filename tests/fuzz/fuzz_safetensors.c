/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a safetensors file: what is accepted covers its data, and every byte can be read. */
#undef NDEBUG
#include <assert.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/safetensors.h"

static size_t add_up(const struct tensor_view *t)
{
    const unsigned char *p = t->data;
    size_t sum = 0;
    for (size_t i = 0; i < t->bytes; i++) {
        sum += p[i];
    }
    return sum;
}

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sctd_error err = {0};
    sctd_auto(safetensors_closep) struct safetensors *file = NULL;
    if (safetensors_parse(&file, data, size, &err) < 0) {
        assert(file == NULL && err.code == SCTD_EDATA && strlen(err.text) > 0);
        return 0;
    }
    const unsigned char *next = NULL;
    for (size_t i = 0; i < safetensors_get_count(file); i++) {
        const struct tensor_view *t = safetensors_get(file, i);
        const unsigned char *begin = t->data;
        assert(safetensors_find(file, t->name) == t);
        assert(t->n_dims >= 0 && t->n_dims <= TENSOR_MAX_DIMS);
        assert(strlen(t->name) < TENSOR_NAME_MAX);
        assert(tensor_view_count(t) * tensor_dtype_size(t->dtype) == t->bytes);
        assert(next == NULL || begin == next);
        next = begin + t->bytes;
        assert(add_up(t) <= UCHAR_MAX * t->bytes);
    }
    assert(next == NULL || next == data + size);
    (void)safetensors_get_metadata(file, "format");
    return 0;
}
