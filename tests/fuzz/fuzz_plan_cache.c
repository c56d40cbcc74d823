/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/backend/cuda/plan_cache.h"
#include "engine/base/error.h"
#include "engine/base/sha256.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct plan_cache *cache)
{
    for (int32_t i = 0; i < cache->n; i++) {
        const struct plan_cache_entry *e = &cache->entry[i];
        if (plan_cache_find(cache, e->key) != e || strlen(e->text) != e->size) {
            abort();
        }
    }
}

/* The input is what stands before the checksum, which is made here: else nothing would get past it. */
// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct plan_cache cache = {.entry = NULL};
    struct sha256 s;
    unsigned char *whole = malloc(size + SHA256_SIZE);
    if (whole == NULL) {
        return 0;
    }
    memcpy(whole, data, size);
    sha256_init(&s);
    sha256_update(&s, whole, size);
    sha256_final(&s, whole + size);
    if (plan_cache_parse(&cache, whole, size + SHA256_SIZE, "h", &err) == 0) {
        check(&cache);
    }
    plan_cache_fini(&cache);
    (void)!plan_cache_parse(&cache, data, size, "h", &err);
    plan_cache_fini(&cache);
    free(whole);
    return 0;
}
