/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/backend/cuda/plan_cache.h"
#include "engine/base/error.h"

#include "tests/support/temporary.h"
#include "tests/support/torture.h"

static int write_and_read(void *arg)
{
    const char *path = arg;
    struct sctd_error err = {.code = SCTD_OK};
    struct plan_cache made = {.entry = NULL};
    struct plan_cache read = {.entry = NULL};
    bool found = false;
    int r = plan_cache_put(&made, "conv a", PLAN_FUSED, "{}", &err);
    r = r < 0 ? r : plan_cache_put(&made, "conv b", PLAN_PLAIN, "", &err);
    r = r < 0 ? r : plan_cache_put(&made, "conv a", PLAN_BARE, "new", &err);
    r = r < 0 ? r : plan_cache_write(&made, path, "header", &err);
    r = r < 0 ? r : plan_cache_read(&read, path, "header", &found, &err);
    assert(r == 0 || r == SCTD_ENOMEM);
    assert(r < 0 || (found && read.n == 2));
    plan_cache_fini(&made);
    plan_cache_fini(&read);
    return r;
}

int main(void)
{
    char dir[] = TEMPORARY("plan-cache-oom");
    char path[sizeof dir + 16];
    assert(mkdtemp(dir) != NULL);
    (void)snprintf(path, sizeof path, "%s/plans.bin", dir);
    assert(torture_run(write_and_read, path) > 8);
    assert(unlink(path) == 0 && rmdir(dir) == 0);
    return 0;
}
