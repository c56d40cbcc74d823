/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/base/sha256.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#    include <cpuid.h>
#    include <immintrin.h>
#endif

static const uint32_t round_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t rotate(uint32_t x, int n)
{
    return (x >> n) | (x << (32 - n));
}

static uint32_t load_be(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | (uint32_t)p[3];
}

/*
 * Eight rounds, after which the eight variables stand where they stood: in between they turn by one
 * place a round.  Unrolled, all indices are constants.
 */
static inline void turn_eight(uint32_t s[8], const uint32_t *w, const uint32_t *k)
{
#pragma GCC unroll 8
    for (unsigned i = 0; i < 8; i++) {
        const uint32_t a = s[(0 - i) & 7];
        const uint32_t b = s[(1 - i) & 7];
        const uint32_t c = s[(2 - i) & 7];
        const uint32_t e = s[(4 - i) & 7];
        const uint32_t f = s[(5 - i) & 7];
        const uint32_t g = s[(6 - i) & 7];
        const uint32_t t1 = s[(7 - i) & 7] + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) +
                            ((e & f) ^ (~e & g)) + k[i] + w[i];
        const uint32_t t2 =
            (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
        s[(3 - i) & 7] += t1;
        s[(7 - i) & 7] = t1 + t2;
    }
}

static void compress_portable(uint32_t state[8], const unsigned char *block, size_t blocks)
{
    for (; blocks > 0; blocks--, block += 64) {
        uint32_t w[64];
        for (size_t i = 0; i < 16; i++) {
            w[i] = load_be(block + 4 * i);
        }
        for (size_t i = 16; i < 64; i++) {
            const uint32_t a = w[i - 15];
            const uint32_t b = w[i - 2];
            w[i] = w[i - 16] + (rotate(a, 7) ^ rotate(a, 18) ^ (a >> 3)) + w[i - 7] +
                   (rotate(b, 17) ^ rotate(b, 19) ^ (b >> 10));
        }
        uint32_t s[8];
        memcpy(s, state, sizeof s);
        for (size_t i = 0; i < 64; i += 8) {
            turn_eight(s, w + i, round_constants + i);
        }
        for (size_t i = 0; i < 8; i++) {
            state[i] += s[i];
        }
    }
}

#if defined(__x86_64__)
#    define SHA_NI __attribute__((target("sha,sse4.1,ssse3")))

/* Four more words of the schedule from the sixteen before: w[0] to w[3] are the oldest first. */
SHA_NI static inline __m128i next_words(__m128i w0, __m128i w1, __m128i w2, __m128i w3)
{
    const __m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(w0, w1), _mm_alignr_epi8(w3, w2, 4));
    return _mm_sha256msg2_epu32(sum, w3);
}

/* Two rounds an instruction; the state lies as {a, b, e, f} and {c, d, g, h}. */
SHA_NI static inline void compress_block(__m128i *abef, __m128i *cdgh, const unsigned char *block)
{
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
    __m128i x = *abef;
    __m128i y = *cdgh;
    __m128i w[4];
    for (size_t i = 0; i < 4; i++) {
        w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i_u *)(block + 16 * i)), swap);
    }
#    pragma GCC unroll 16
    for (size_t i = 0; i < 16; i++) {
        const __m128i k = _mm_loadu_si128((const __m128i_u *)(round_constants + 4 * i));
        const __m128i wk = _mm_add_epi32(w[i % 4], k);
        y = _mm_sha256rnds2_epu32(y, x, wk);
        x = _mm_sha256rnds2_epu32(x, y, _mm_shuffle_epi32(wk, 0x0e));
        if (i < 12) {
            w[i % 4] = next_words(w[i % 4], w[(i + 1) % 4], w[(i + 2) % 4], w[(i + 3) % 4]);
        }
    }
    *abef = _mm_add_epi32(x, *abef);
    *cdgh = _mm_add_epi32(y, *cdgh);
}

SHA_NI static void compress_sha_ni(uint32_t state[8], const unsigned char *block, size_t blocks)
{
    const __m128i cdab = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i_u *)state), 0xb1);
    const __m128i hgfe = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i_u *)(state + 4)), 0x1b);
    __m128i abef = _mm_alignr_epi8(cdab, hgfe, 8);
    __m128i cdgh = _mm_blend_epi16(hgfe, cdab, 0xf0);
    for (; blocks > 0; blocks--, block += 64) {
        compress_block(&abef, &cdgh, block);
    }
    const __m128i feba = _mm_shuffle_epi32(abef, 0x1b);
    const __m128i dchg = _mm_shuffle_epi32(cdgh, 0xb1);
    _mm_storeu_si128((__m128i_u *)state, _mm_blend_epi16(feba, dchg, 0xf0));
    _mm_storeu_si128((__m128i_u *)(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

static bool has_sha_ni(void)
{
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    unsigned d = 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & bit_SHA) != 0 &&
           __builtin_cpu_supports("sse4.1") && __builtin_cpu_supports("ssse3");
}
#endif

void sha256_init_portable(struct sha256 *s)
{
    *s = (struct sha256){.compress = compress_portable,
                         .state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f,
                                   0x9b05688c, 0x1f83d9ab, 0x5be0cd19}};
}

void sha256_init(struct sha256 *s)
{
    sha256_init_portable(s);
#if defined(__x86_64__)
    if (has_sha_ni()) {
        s->compress = compress_sha_ni;
    }
#endif
}

void sha256_update(struct sha256 *s, const void *bytes, size_t size)
{
    const unsigned char *p = bytes;
    const size_t held = s->size % 64;
    s->size += size;
    if (held > 0) {
        const size_t take = size < 64 - held ? size : 64 - held;
        if (take > 0) {
            memcpy(s->block + held, p, take);
        }
        if (held + take < 64) {
            return;
        }
        s->compress(s->state, s->block, 1);
        p += take;
        size -= take;
    }
    s->compress(s->state, p, size / 64);
    if (size % 64 > 0) {
        memcpy(s->block, p + size / 64 * 64, size % 64);
    }
}

void sha256_final(struct sha256 *s, unsigned char ret_digest[SHA256_SIZE])
{
    const uint64_t bits = s->size * 8;
    unsigned char pad[72] = {0x80};
    const size_t held = s->size % 64;
    const size_t zeros = held < 56 ? 56 - held : 120 - held;
    for (size_t i = 0; i < 8; i++) {
        pad[zeros + i] = (unsigned char)(bits >> (56 - 8 * i));
    }
    sha256_update(s, pad, zeros + 8);
    for (size_t i = 0; i < SHA256_SIZE; i++) {
        ret_digest[i] = (unsigned char)(s->state[i / 4] >> (24 - 8 * (i % 4)));
    }
}

void sha256_to_hex(const unsigned char digest[SHA256_SIZE], char ret_hex[SHA256_HEX_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < SHA256_SIZE; i++) {
        ret_hex[2 * i] = digits[digest[i] >> 4];
        ret_hex[2 * i + 1] = digits[digest[i] & 15];
    }
    ret_hex[2 * (size_t)SHA256_SIZE] = '\0';
}

void sha256_hex_of(const void *bytes, size_t size, char ret_hex[SHA256_HEX_SIZE])
{
    struct sha256 s;
    unsigned char digest[SHA256_SIZE];
    sha256_init(&s);
    sha256_update(&s, bytes, size);
    sha256_final(&s, digest);
    sha256_to_hex(digest, ret_hex);
}
