/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/backend/cuda/plan_cache.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/attr.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/sha256.h"

static const char magic[] = "SCTDPLN1";
enum { MAGIC_SIZE = sizeof magic - 1 };

static void free_entry(struct plan_cache_entry *e)
{
    free(e->key);
    free(e->text);
}

void plan_cache_fini(struct plan_cache *cache)
{
    for (int32_t i = 0; i < cache->n; i++) {
        free_entry(&cache->entry[i]);
    }
    free(cache->entry);
    *cache = (struct plan_cache){.entry = NULL};
}

const struct plan_cache_entry *plan_cache_find(const struct plan_cache *cache, const char *key)
{
    for (int32_t i = 0; i < cache->n; i++) {
        if (strcmp(cache->entry[i].key, key) == 0) {
            return &cache->entry[i];
        }
    }
    return NULL;
}

static char *copy_text(const char *text, size_t size)
{
    char *copy = malloc(size + 1);
    if (copy != NULL) {
        memcpy(copy, text, size);
        copy[size] = '\0';
    }
    return copy;
}

/* The entry of a key, a new one if there is none; NULL: no memory. */
static struct plan_cache_entry *place_for(struct plan_cache *cache, const char *key)
{
    for (int32_t i = 0; i < cache->n; i++) {
        if (strcmp(cache->entry[i].key, key) == 0) {
            free_entry(&cache->entry[i]);
            return &cache->entry[i];
        }
    }
    struct plan_cache_entry *grown =
        realloc(cache->entry, ((size_t)cache->n + 1) * sizeof *cache->entry);
    if (grown == NULL) {
        return NULL;
    }
    cache->entry = grown;
    return &cache->entry[cache->n++];
}

static bool is_choice(enum plan_choice choice)
{
    switch (choice) {
    case PLAN_FUSED:
    case PLAN_BARE:
    case PLAN_OWN:
    case PLAN_PLAIN:
    case PLAN_PRODUCT:
    case PLAN_CHECKED:
        return true;
    }
    return false;
}

int plan_cache_put(struct plan_cache *cache, const char *key, enum plan_choice choice,
                   const char *text, struct sctd_error *err)
{
    const size_t key_size = strlen(key);
    const size_t size = strlen(text);
    if (!is_choice(choice)) {
        return sctd_error(err, SCTD_EINVAL, "plan cache: %d is no choice", (int)choice);
    }
    const bool full = cache->n == PLAN_CACHE_MAX_ENTRIES && plan_cache_find(cache, key) == NULL;
    if (full || key_size == 0 || key_size > PLAN_CACHE_MAX_KEY || size > PLAN_CACHE_MAX_TEXT) {
        return sctd_error(err, SCTD_EINVAL, "plan cache: an entry of %zu and %zu bytes", key_size,
                          size);
    }
    const struct plan_cache_entry made = {.key = copy_text(key, key_size),
                                          .choice = choice,
                                          .text = copy_text(text, size),
                                          .size = size};
    struct plan_cache_entry *place =
        made.key == NULL || made.text == NULL ? NULL : place_for(cache, key);
    if (place == NULL) {
        free(made.key);
        free(made.text);
        return sctd_error(err, SCTD_ENOMEM, "plan cache");
    }
    *place = made;
    cache->changed = true;
    return 0;
}

/* Reading */

struct reader {
    const unsigned char *bytes;
    size_t left;
};

static bool take_u32(struct reader *r, uint32_t *ret_value)
{
    if (r->left < 4) {
        return false;
    }
    *ret_value = (uint32_t)r->bytes[0] | (uint32_t)r->bytes[1] << 8 | (uint32_t)r->bytes[2] << 16 |
                 (uint32_t)r->bytes[3] << 24;
    r->bytes += 4;
    r->left -= 4;
    return true;
}

/* A text with its length before it, NUL-terminated for the caller, who frees it. */
static int take_text(struct reader *r, size_t max, char **ret_text, struct sctd_error *err)
{
    uint32_t size = 0;
    if (!take_u32(r, &size) || size > max || size > r->left ||
        memchr(r->bytes, '\0', size) != NULL) {
        return sctd_error(err, SCTD_EDATA, "plan cache: a text is damaged");
    }
    char *text = copy_text((const char *)r->bytes, size);
    if (text == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "plan cache");
    }
    r->bytes += size;
    r->left -= size;
    *ret_text = text;
    return 0;
}

static void free_text(char **text)
{
    free(*text);
}

static int take_entry(struct reader *r, struct plan_cache *cache, struct sctd_error *err)
{
    sctd_auto(free_text) char *key = NULL;
    sctd_auto(free_text) char *text = NULL;
    int result = take_text(r, PLAN_CACHE_MAX_KEY, &key, err);
    if (result < 0) {
        return result;
    }
    if (r->left < 1 || !is_choice((enum plan_choice)r->bytes[0])) {
        return sctd_error(err, SCTD_EDATA, "plan cache: an entry has no choice");
    }
    const enum plan_choice choice = (enum plan_choice)r->bytes[0];
    r->bytes++;
    r->left--;
    result = take_text(r, PLAN_CACHE_MAX_TEXT, &text, err);
    return result < 0 ? result : plan_cache_put(cache, key, choice, text, err);
}

static int check_whole(struct reader *r, struct sctd_error *err)
{
    struct sha256 s;
    unsigned char digest[SHA256_SIZE];
    if (r->left < MAGIC_SIZE + SHA256_SIZE || memcmp(r->bytes, magic, MAGIC_SIZE) != 0) {
        return sctd_error(err, SCTD_EDATA, "plan cache: no file of this version");
    }
    r->left -= SHA256_SIZE;
    sha256_init(&s);
    sha256_update(&s, r->bytes, r->left);
    sha256_final(&s, digest);
    if (memcmp(digest, r->bytes + r->left, SHA256_SIZE) != 0) {
        return sctd_error(err, SCTD_EDATA, "plan cache: the file is damaged");
    }
    r->bytes += MAGIC_SIZE;
    r->left -= MAGIC_SIZE;
    return 0;
}

static int parse(struct plan_cache *cache, struct reader *r, const char *header,
                 struct sctd_error *err)
{
    sctd_auto(free_text) char *written_for = NULL;
    int result = check_whole(r, err);
    if (result == 0) {
        result = take_text(r, PLAN_CACHE_MAX_TEXT, &written_for, err);
    }
    if (result == 0 && strcmp(written_for, header) != 0) {
        result = sctd_error(err, SCTD_EDATA, "plan cache: written for another GPU or version");
    }
    while (result == 0 && r->left > 0) {
        result = take_entry(r, cache, err);
    }
    return result;
}

int plan_cache_parse(struct plan_cache *ret_cache, const void *bytes, size_t size,
                     const char *header, struct sctd_error *err)
{
    struct reader r = {.bytes = bytes, .left = size};
    sctd_auto(plan_cache_fini) struct plan_cache cache = {.entry = NULL};
    int result = parse(&cache, &r, header, err);
    if (result < 0) {
        return result;
    }
    cache.changed = false;
    *ret_cache = cache;
    cache = (struct plan_cache){.entry = NULL};
    return 0;
}

int plan_cache_read(struct plan_cache *ret_cache, const char *path, const char *header,
                    bool *ret_found, struct sctd_error *err)
{
    struct sctd_map map = {.data = NULL};
    *ret_found = false;
    *ret_cache = (struct plan_cache){.entry = NULL};
    int r = sctd_map_open(&map, path, err);
    if (r == 0 && map.size > PLAN_CACHE_MAX_FILE) {
        r = sctd_error(err, SCTD_EDATA, "plan cache: a file of %zu bytes", map.size);
    }
    if (r == 0) {
        r = plan_cache_parse(ret_cache, map.data, map.size, header, err);
    }
    sctd_map_close(&map);
    *ret_found = r == 0;
    return r == SCTD_ENOMEM ? r : 0;
}

/* Writing */

static int put_text(struct sctd_buf *buf, const char *text, size_t size, struct sctd_error *err)
{
    const unsigned char length[4] = {(unsigned char)size, (unsigned char)(size >> 8),
                                     (unsigned char)(size >> 16), (unsigned char)(size >> 24)};
    int r = sctd_buf_append(buf, length, sizeof length, err);
    return r < 0 ? r : sctd_buf_append(buf, text, size, err);
}

static int put_all(struct sctd_buf *buf, const struct plan_cache *cache, const char *header,
                   struct sctd_error *err)
{
    struct sha256 s;
    unsigned char digest[SHA256_SIZE];
    int r = sctd_buf_append(buf, magic, MAGIC_SIZE, err);
    if (r == 0) {
        r = put_text(buf, header, strlen(header), err);
    }
    for (int32_t i = 0; r == 0 && i < cache->n; i++) {
        const struct plan_cache_entry *e = &cache->entry[i];
        r = put_text(buf, e->key, strlen(e->key), err);
        if (r == 0) {
            const unsigned char choice = (unsigned char)e->choice;
            r = sctd_buf_append(buf, &choice, 1, err);
        }
        if (r == 0) {
            r = put_text(buf, e->text, e->size, err);
        }
    }
    if (r < 0) {
        return r;
    }
    sha256_init(&s);
    sha256_update(&s, buf->data, buf->size);
    sha256_final(&s, digest);
    return sctd_buf_append(buf, digest, sizeof digest, err);
}

int plan_cache_write(const struct plan_cache *cache, const char *path, const char *header,
                     struct sctd_error *err)
{
    struct sctd_buf buf = sctd_buf_make(PLAN_CACHE_MAX_FILE);
    int r = put_all(&buf, cache, header, err);
    if (r == 0) {
        r = sctd_file_replace(path, buf.data, buf.size, err);
    }
    sctd_buf_fini(&buf);
    return r;
}
