/* SPDX-License-Identifier: Apache-2.0 */
#include "server/api/pseudonym.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/parse.h"
#include "engine/base/sha256.h"

static const char file_name[] = "pseudonym.key";

static int make_key(unsigned char key[SHA256_SIZE], const char *path, struct sctd_error *err)
{
    char hex[SHA256_HEX_SIZE];
    if (getrandom(key, SHA256_SIZE, 0) != SHA256_SIZE) {
        return sctd_error(err, SCTD_EIO, "no randomness: %s", sctd_errno_text());
    }
    sha256_to_hex(key, hex);
    const mode_t mask = umask(077);
    const int r = sctd_file_replace(path, hex, SHA256_HEX_SIZE - 1, err);
    (void)umask(mask);
    return r;
}

static int read_key(unsigned char key[SHA256_SIZE], const char *path, struct sctd_error *err)
{
    struct sctd_map map;
    char hex[SHA256_HEX_SIZE] = "";
    size_t n = 0;
    int r = sctd_map_open(&map, path, err);
    if (r < 0) {
        return r;
    }
    (void)snprintf(hex, sizeof hex, "%.*s", (int)map.size,
                   map.data == NULL ? "" : (const char *)map.data);
    if (sctd_parse_hex(key, SHA256_SIZE, hex, &n) < 0 || n != SHA256_SIZE) {
        r = sctd_error(err, SCTD_EDATA,
                       "%.160s is no key: restore it, or remove it for new pseudonyms", path);
    }
    sctd_map_close(&map);
    return r;
}

int pseudonym_open(unsigned char ret_key[SHA256_SIZE], const char *state_dir,
                   struct sctd_error *err)
{
    char path[SCTD_PATH_MAX];
    unsigned char key[SHA256_SIZE];
    int r = sctd_path_join(path, state_dir, file_name, err);
    if (r < 0) {
        return r;
    }
    r = access(path, F_OK) == 0 ? read_key(key, path, err) : make_key(key, path, err);
    if (r == 0) {
        memcpy(ret_key, key, sizeof key);
    }
    return r;
}

/* One of the two hashes of HMAC. */
static void hash(const unsigned char key[SHA256_SIZE], unsigned char pad, const void *bytes,
                 size_t size, unsigned char ret_digest[SHA256_SIZE])
{
    enum { BLOCK = 64 };
    unsigned char block[BLOCK];
    struct sha256 s;
    memset(block, pad, sizeof block);
    for (size_t i = 0; i < SHA256_SIZE; i++) {
        block[i] ^= key[i];
    }
    sha256_init(&s);
    sha256_update(&s, block, sizeof block);
    sha256_update(&s, bytes, size);
    sha256_final(&s, ret_digest);
}

void pseudonym_of(const unsigned char key[SHA256_SIZE], const char *patient_id,
                  char ret_pseudonym[PSEUDONYM_SIZE])
{
    enum { INNER_PAD = 0x36, OUTER_PAD = 0x5c, DIGITS = 10 };
    unsigned char digest[SHA256_SIZE];
    char hex[SHA256_HEX_SIZE];
    hash(key, INNER_PAD, patient_id, strlen(patient_id), digest);
    hash(key, OUTER_PAD, digest, sizeof digest, digest);
    sha256_to_hex(digest, hex);
    (void)snprintf(ret_pseudonym, PSEUDONYM_SIZE, "P-%.*s", (int)DIGITS, hex);
}
