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
#include "server/evaluate/pairs.h"

#include "tests/support/temporary.h"
#include "tests/support/torture.h"

static const char *const files[] = {"ct.mha", "sct.mha"};

static int find(void *arg)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct evaluate_pair *pairs = NULL;
    size_t n = 0;
    const int r = evaluate_pairs_find(&pairs, &n, arg, &err);
    assert(r == 0 ? (n == 1 && strcmp(pairs[0].name, "one") == 0)
                  : (r == SCTD_ENOMEM && pairs == NULL));
    free(pairs);
    return r;
}

int main(void)
{
    char folder[] = TEMPORARY("pairs");
    char path[256];
    assert(mkdtemp(folder) != NULL);
    (void)snprintf(path, sizeof path, "%s/one", folder);
    assert(mkdir(path, 0700) == 0);
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(path, sizeof path, "%s/one/%s", folder, files[i]);
        FILE *f = fopen(path, "we");
        assert(f != NULL && fclose(f) == 0);
    }
    assert(torture_run(find, folder) >= 1);
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(path, sizeof path, "%s/one/%s", folder, files[i]);
        assert(unlink(path) == 0);
    }
    (void)snprintf(path, sizeof path, "%s/one", folder);
    assert(rmdir(path) == 0 && rmdir(folder) == 0);
    return 0;
}
