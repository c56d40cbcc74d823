/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>

#include "engine/base/error.h"
#include "engine/image/percentile.h"
#include "engine/image/resize.h"

#include "tests/support/torture.h"

static int find_percentiles(void *arg)
{
    (void)arg;
    struct sctd_error err = {0};
    double found[2] = {0};
    const float value[3] = {1.0F, 2.0F, 3.0F};
    return percentile_find(found, (const double[]){1.0, 99.0}, value, 3, &err);
}

static int make_resize(void *arg)
{
    (void)arg;
    struct sctd_error err = {0};
    sctd_auto(resize_freep) struct resize *resize = NULL;
    return resize_new(&resize, (struct resize_size){3, 4}, (struct resize_size){5, 6}, &err);
}

int main(void)
{
    assert(torture_run(find_percentiles, NULL) == 1);
    assert(torture_run(make_resize, NULL) == 3);
    return 0;
}
