/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/model/checkpoint.h"

#include "tests/support/torture.h"

static int open_and_close(void *arg)
{
    struct sctd_error err = {0};
    sctd_auto(checkpoint_closep) struct checkpoint *c = NULL;
    int r = checkpoint_open(&c, arg, &err);
    assert(r == 0 || r == SCTD_ENOMEM);
    return r;
}

int main(void)
{
    static const char *const files[] = {
        "fuzz/corpus/torch_zip/kinds.pth",
        "fuzz/corpus/pickle/kinds_legacy.pth",
        "golden/data/generator-none.safetensors",
    };
    const char *data = getenv("SCTD_TEST_DATA"); // NOLINT(concurrency-mt-unsafe): one thread
    assert(data != NULL && strrchr(data, '/') != NULL);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[4096];
        const int tests_len = (int)(strrchr(data, '/') - data);
        assert(snprintf(path, sizeof path, "%.*s/%s", tests_len, data, files[i]) <
               (int)sizeof path);
        assert(torture_run(open_and_close, path) > 2);
    }
    return 0;
}
