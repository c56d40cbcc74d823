/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a pickle, as a legacy file of torch.save, and as what follows the preamble of one. */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/safetensors.h"
#include "engine/model/pickle.h"
#include "engine/model/pickle_value.h"
#include "engine/model/torch_file.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char preamble[] = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
                               "\x80\x02M\xe9\x03.\x80\x02}U\x0dlittle_endian\x88s.";

static void check_error(int r, const struct sctd_error *err)
{
    assert(r == 0 || r == SCTD_EDATA || r == SCTD_ENOMEM);
    assert(r == 0 || ((int)err->code == r && err->text[0] != '\0'));
}

/* The promise of pickle.h. */
static void try_pickle(const uint8_t *data, size_t size)
{
    struct sctd_error err = {0};
    struct pickle *pickle = NULL;
    int r = pickle_parse(&pickle, data, size, 0, &err);
    check_error(r, &err);
    if (r == 0) {
        assert(pickle->size <= size);
        assert(pickle->heap.used <= (size_t)64 * 1024 + 32 * pickle->size);
        assert(pickle->value.kind != PICKLE_MARK);
    }
    pickle_free(pickle);
}

static void try_legacy(const uint8_t *data, size_t size)
{
    struct sctd_error err = {0};
    struct torch_file *file = NULL;
    int r = torch_file_parse_legacy(&file, data, size, &err);
    check_error(r, &err);
    for (size_t i = 0; r == 0 && i < torch_file_get_count(file); i++) {
        const struct tensor_view *t = torch_file_get(file, i);
        const uint8_t *values = t->data;
        assert(strlen(t->name) < TENSOR_NAME_MAX);
        assert(t->bytes == tensor_view_count(t) * tensor_dtype_size(t->dtype));
        assert(values >= data && t->bytes <= size - (size_t)(values - data));
    }
    torch_file_free(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_pickle(data, size);
    try_legacy(data, size);
    const size_t whole = sizeof preamble - 1 + size;
    uint8_t *file = malloc(whole);
    if (file != NULL) {
        memcpy(file, preamble, sizeof preamble - 1);
        if (size > 0) {
            memcpy(file + sizeof preamble - 1, data, size);
        }
        try_legacy(file, whole);
    }
    free(file);
    return 0;
}
