/*
 * plan_cache.h - how each convolution and product is computed, kept from one start to the next.
 *
 * One file for each device, driver, library version and network; in it, for each shape, a choice and the library's
 * own text of it.  A file that is missing, damaged, too large or another's is an empty cache: choices are then made
 * anew.  The choice stays the same as long as the file does, so that a network's results are the same bits from one
 * start to the next.
 *
 * Format: "SCTDPLN1", the header's and each entry's lengths in little-endian 32 bits before their bytes,
 * and at the end the SHA-256 of all before it.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h> // IWYU pragma: export
#include <stddef.h>  // IWYU pragma: export
#include <stdint.h>  // IWYU pragma: export

#include "engine/base/error.h" // IWYU pragma: export

#ifdef __cplusplus
extern "C" {
#endif

enum {
    PLAN_CACHE_MAX_ENTRIES = 1024,
    PLAN_CACHE_MAX_KEY = 512,
    PLAN_CACHE_MAX_TEXT = 4 * 1024 * 1024,
    PLAN_CACHE_MAX_FILE = 256 * 1024 * 1024,
};

/* As they stand in the file. */
enum plan_choice {
    PLAN_FUSED = 'f',   /* cuDNN's engine with the epilogue in it; its text: cuDNN's JSON */
    PLAN_BARE = 'b',    /* cuDNN's engine, then the epilogue; the same text */
    PLAN_OWN = 'o',     /* our kernel for 64 channels; no text */
    PLAN_PLAIN = 'p',   /* our kernel that needs no library; no text */
    PLAN_PRODUCT = 'm', /* a product by cuBLASLt; its text: the algorithm's bytes in hex */
    PLAN_CHECKED = 'c', /* all that are for a chunk were compared with our plain kernels; no text */
};

struct plan_cache_entry {
    char *key; /* what is computed: its kind, shape and types; owned */
    enum plan_choice choice;
    char *text;  /* NUL-terminated; owned; "" where there is none */
    size_t size; /* of text, without the NUL */
};

struct plan_cache {
    struct plan_cache_entry *entry;
    int32_t n;
    bool changed; /* since it was read */
};

void plan_cache_fini(struct plan_cache *cache);

/*
 * Read `path` into an empty cache.  header: what the file must have been written for.  Returns whether
 * there was one; if not, *err says why, and the cache is empty.  Errors: SCTD_ENOMEM.
 */
SCTD_NODISCARD int plan_cache_read(struct plan_cache *ret_cache, const char *path,
                                   const char *header, bool *ret_found, struct sctd_error *err);

/* The same from memory. */
SCTD_NODISCARD int plan_cache_parse(struct plan_cache *ret_cache, const void *bytes, size_t size,
                                    const char *header, struct sctd_error *err);

/* Replace the file durably.  Errors: SCTD_EIO, SCTD_ENOMEM, SCTD_EINVAL (too large). */
SCTD_NODISCARD int plan_cache_write(const struct plan_cache *cache, const char *path,
                                    const char *header, struct sctd_error *err);

/* NULL: there is none. */
const struct plan_cache_entry *plan_cache_find(const struct plan_cache *cache, const char *key);

/* Add an entry, or replace that of the key.  Errors: SCTD_ENOMEM, SCTD_EINVAL (a limit, or no choice). */
SCTD_NODISCARD int plan_cache_put(struct plan_cache *cache, const char *key,
                                  enum plan_choice choice, const char *text,
                                  struct sctd_error *err);

#ifdef __cplusplus
}
#endif
