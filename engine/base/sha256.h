/* sha256.h - SHA-256 (FIPS 180-4), with the processor's own instructions where it has them. */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { SHA256_SIZE = 32, SHA256_HEX_SIZE = 65 /* with the NUL */ };

/* How whole blocks of 64 bytes go into the state. */
typedef void sha256_compress(uint32_t state[8], const unsigned char *block, size_t blocks);

struct sha256 {
    sha256_compress *compress;
    uint32_t state[8];
    uint64_t size;
    unsigned char block[64];
};

void sha256_init(struct sha256 *s);
/* The same without the processor's instructions: what they are tested against. */
void sha256_init_portable(struct sha256 *s);
void sha256_update(struct sha256 *s, const void *bytes, size_t size);
void sha256_final(struct sha256 *s, unsigned char ret_digest[SHA256_SIZE]);

/* Lower-case hex, NUL-terminated. */
void sha256_to_hex(const unsigned char digest[SHA256_SIZE], char ret_hex[SHA256_HEX_SIZE]);
/* All at once. */
void sha256_hex_of(const void *bytes, size_t size, char ret_hex[SHA256_HEX_SIZE]);

#ifdef __cplusplus
}
#endif
