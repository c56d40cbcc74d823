/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/model/manifest.h"
#include "engine/model/model.h"

#include "tests/support/temporary.h"
#include "tests/support/torture.h"

enum { MODELS = 20 }; /* more than a list holds before it grows */

static int look_at(void *arg, const char *dir, const struct manifest *manifest,
                   const struct sctd_error *err)
{
    (void)arg;
    (void)dir;
    (void)manifest;
    (void)err;
    return 0;
}

static int list_and_resolve(void *arg)
{
    struct sctd_error err = {.code = SCTD_OK};
    char dir[SCTD_PATH_MAX];
    int r = model_list(arg, look_at, NULL, &err);
    return r == 0 ? model_resolve(dir, arg, "m@7", &err) : r;
}

int main(void)
{
    char folder[] = TEMPORARY("sctd-test-store-oom");
    char path[64];
    assert(mkdtemp(folder) != NULL);
    for (int i = 0; i < MODELS; i++) {
        (void)snprintf(path, sizeof path, "%s/m@%d", folder, i);
        assert(mkdir(path, 0700) == 0);
    }
    assert(torture_run(list_and_resolve, folder) == 4);
    for (int i = 0; i < MODELS; i++) {
        (void)snprintf(path, sizeof path, "%s/m@%d", folder, i);
        assert(rmdir(path) == 0);
    }
    assert(rmdir(folder) == 0);
    return 0;
}
