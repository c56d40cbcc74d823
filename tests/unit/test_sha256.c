/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/rng.h"
#include "engine/base/sha256.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { PATTERN_MAX = 4097 };

/* Digests of the first n bytes of the pattern, by Python's hashlib. */
static const struct {
    size_t n;
    const char *hex;
} of_pattern[] = {
    {1, "084fed08b978af4d7d196a7446a86b58009e636b611db16211b65a9aadff29c5"},
    {55, "e7313d333c272e639f790978283f9eb392e843d0f29b7016828bb1daa4aac70b"},
    {56, "4324d65f3c103567f5589c710bc08f8523f929a9272e3af36fc968e52abc6c27"},
    {57, "35df609437dcfea3279283ab79fd554e2bf78f8f7ae2de532d8ee300b09e8f73"},
    {63, "81c80242132f230c3bd41b3e63bbcff16107339549214a99614ff26664625055"},
    {64, "39e3d7b6b5d075d37d053ad89b24b41bef4f3c29760c84447cab3f3be1882241"},
    {65, "aacca6ff74fdbb296d165a45cecfa04e5127bc008770fbbdd48006f2d2fae95e"},
    {119, "9ce7368e4daf32341631b492e80359dc9f594b48453cd0dd5bf0b19279cc177e"},
    {120, "7836b787757e95e58b3ca5aec90b1b004e8deba1e50e9675af9cabf1a13a04b5"},
    {127, "a8d23e75d936f303d248888d9b165ee543f4cbafcad3c9dd2a79bd84faa11d07"},
    {128, "d2742f1f4ac6bb7ca2b239ee18402ba8b3f9f8e652d2a72973c2b9ba11c08cf6"},
    {129, "307f8fc2c1622b92762e818d39a185d4d667ad49a4b07ceae1f4afa008a93ec4"},
    {1000, "1e9bc38cbf860b9ec31918b065f9b52476c549a782e0e7990bed8ce3868d2371"},
    {4097, "225270fa091dc75bf959a0e3bbcb897fc3ae8e7fa128ae1394cf5614e15505f5"},
};

static const size_t steps[] = {1, 0, 3, 7, 31, 63, 64, 65, 129, 200};

static void fill_pattern(unsigned char bytes[PATTERN_MAX])
{
    for (size_t i = 0; i < PATTERN_MAX; i++) {
        bytes[i] = (unsigned char)(i * 7 + 3);
    }
}

/* FIPS 180-4 examples and the CAVP empty message. */
static void published_vectors_come_out(void)
{
    static const struct {
        const char *text, *hex;
    } cases[] = {{"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
                 {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
                 {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
                 {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
                  "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
                  "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        char hex[SHA256_HEX_SIZE];
        sha256_hex_of(cases[i].text, strlen(cases[i].text), hex);
        assert(strcmp(hex, cases[i].hex) == 0);
    }
}

static void million_letters_come_out_in_uneven_updates(void)
{
    enum { MILLION = 1000000, PART = 977 };
    struct sha256 s;
    unsigned char digest[SHA256_SIZE];
    char part[PART];
    char hex[SHA256_HEX_SIZE];
    memset(part, 'a', sizeof part);
    sha256_init(&s);
    for (size_t left = MILLION; left > 0;) {
        const size_t n = left < PART ? left : PART;
        sha256_update(&s, part, n);
        left -= n;
    }
    sha256_final(&s, digest);
    sha256_to_hex(digest, hex);
    assert(strcmp(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0") == 0);
}

/* The padding takes another form at each of these lengths. */
static void lengths_around_a_block_agree_with_hashlib(void)
{
    unsigned char bytes[PATTERN_MAX];
    fill_pattern(bytes);
    for (size_t i = 0; i < COUNT(of_pattern); i++) {
        char hex[SHA256_HEX_SIZE];
        /* a copy of its own, so that a read beyond the end is seen */
        unsigned char *copy = malloc(of_pattern[i].n);
        assert(copy != NULL);
        memcpy(copy, bytes, of_pattern[i].n);
        sha256_hex_of(copy, of_pattern[i].n, hex);
        free(copy);
        assert(strcmp(hex, of_pattern[i].hex) == 0);
    }
}

/* Whether `n` bytes, in steps of lengths that go round from the `first`, have this digest. */
static bool comes_out_in_steps(const unsigned char *bytes, size_t n, size_t first,
                               const char *expected)
{
    struct sha256 s;
    unsigned char digest[SHA256_SIZE];
    size_t at = 0;
    sha256_init(&s);
    for (size_t k = first; at < n; k++) {
        const size_t step = steps[k % COUNT(steps)];
        const size_t take = step < n - at ? step : n - at;
        sha256_update(&s, bytes + at, take);
        at += take;
    }
    sha256_final(&s, digest);
    char hex[SHA256_HEX_SIZE];
    sha256_to_hex(digest, hex);
    return strcmp(hex, expected) == 0;
}

static void how_the_bytes_are_split_does_not_matter(void)
{
    unsigned char bytes[PATTERN_MAX];
    bool same = true;
    fill_pattern(bytes);
    for (size_t i = 0; i < COUNT(of_pattern); i++) {
        for (size_t first = 0; first < COUNT(steps); first++) {
            same = same && comes_out_in_steps(bytes, of_pattern[i].n, first, of_pattern[i].hex);
        }
    }
    assert(same);
}

static void the_processor_and_portable_c_agree(void)
{
    struct sctd_rng rng = {1};
    static unsigned char bytes[PATTERN_MAX];
    for (size_t i = 0; i < PATTERN_MAX; i++) {
        bytes[i] = (unsigned char)sctd_rng_next(&rng);
    }
    for (size_t n = 0; n < PATTERN_MAX; n += 1 + n / 64) {
        struct sha256 s;
        unsigned char fast[SHA256_SIZE];
        unsigned char portable[SHA256_SIZE];
        sha256_init(&s);
        sha256_update(&s, bytes + PATTERN_MAX - n, n);
        sha256_final(&s, fast);
        sha256_init_portable(&s);
        sha256_update(&s, bytes + PATTERN_MAX - n, n);
        sha256_final(&s, portable);
        assert(memcmp(fast, portable, sizeof fast) == 0);
    }
}

static void portable_c_gives_the_published_digest(void)
{
    struct sha256 s;
    unsigned char digest[SHA256_SIZE];
    char hex[SHA256_HEX_SIZE];
    sha256_init_portable(&s);
    sha256_update(&s, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56);
    sha256_final(&s, digest);
    sha256_to_hex(digest, hex);
    assert(strcmp(hex, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1") == 0);
}

static void nothing_at_no_address_may_be_added(void)
{
    struct sha256 s;
    unsigned char digest[SHA256_SIZE];
    char hex[SHA256_HEX_SIZE];
    sha256_init(&s);
    sha256_update(&s, NULL, 0);
    sha256_update(&s, "abc", 3);
    sha256_update(&s, NULL, 0);
    sha256_final(&s, digest);
    sha256_to_hex(digest, hex);
    assert(strncmp(hex, "ba7816bf", 8) == 0);
}

int main(void)
{
    published_vectors_come_out();
    million_letters_come_out_in_uneven_updates();
    lengths_around_a_block_agree_with_hashlib();
    how_the_bytes_are_split_does_not_matter();
    the_processor_and_portable_c_agree();
    portable_c_gives_the_published_digest();
    nothing_at_no_address_may_be_added();
    return 0;
}
