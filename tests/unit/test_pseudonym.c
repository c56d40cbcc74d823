/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/sha256.h"
#include "server/api/pseudonym.h"

#include "tests/support/temporary.h"

/* RFC 4231's test case 2 has a shorter key; a key padded with zeros is the same key. */
static void it_is_hmac_sha256(void)
{
    const unsigned char key[SHA256_SIZE] = {'J', 'e', 'f', 'e'};
    char pseudonym[PSEUDONYM_SIZE];
    pseudonym_of(key, "what do ya want for nothing?", pseudonym);
    assert(strcmp(pseudonym, "P-5bdcc146bf") == 0);
}

static void the_key_is_made_once_and_kept_secret(void)
{
    char dir[] = TEMPORARY("pseudonym");
    char path[SCTD_PATH_MAX];
    unsigned char a[SHA256_SIZE];
    unsigned char b[SHA256_SIZE];
    struct sctd_error err = {0};
    struct stat st;
    assert(mkdtemp(dir) != NULL);
    assert(pseudonym_open(a, dir, &err) == 0 && pseudonym_open(b, dir, &err) == 0);
    assert(memcmp(a, b, sizeof a) == 0);
    assert(sctd_path_join(path, dir, "pseudonym.key", &err) == 0);
    assert(stat(path, &st) == 0 && (st.st_mode & 077) == 0);
    assert(truncate(path, 10) == 0 && pseudonym_open(b, dir, &err) == SCTD_EDATA);
    assert(strstr(err.text, "restore it") != NULL);
    sctd_dir_remove(dir);
}

int main(void)
{
    it_is_hmac_sha256();
    the_key_is_made_once_and_kept_secret();
    return 0;
}
