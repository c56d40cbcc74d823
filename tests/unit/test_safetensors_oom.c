/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/safetensors.h"

#include "tests/support/temporary.h"
#include "tests/support/torture.h"

static char root[] = TEMPORARY("test_safetensors_oom");
static char path[256];

static int write_two(void *arg)
{
    (void)arg;
    static const float values[2] = {1.0F, 2.0F};
    static const struct tensor_view two[] = {{"a", TENSOR_F32, 1, {2}, values, sizeof values},
                                             {"b", TENSOR_U8, 1, {3}, values, 3}};
    static const struct safetensors_metadata note = {"format", "sctd"};
    struct sctd_error err = {0};
    struct sctd_map map = {0};
    const int r = safetensors_write(path, two, 2, &note, 1, &err);
    assert(r == 0 || r == SCTD_ENOMEM);
    /* no file comes of a write that failed */
    assert(r == 0 || sctd_map_open(&map, path, &err) == SCTD_EIO);
    return r;
}

static int open_and_find(void *arg)
{
    (void)arg;
    struct sctd_error err = {0};
    sctd_auto(safetensors_closep) struct safetensors *file = NULL;
    const int r = safetensors_open(&file, path, &err);
    assert(r == 0 || (r == SCTD_ENOMEM && file == NULL));
    assert(r < 0 || safetensors_find(file, "b")->bytes == 3);
    return r;
}

int main(void)
{
    assert(mkdtemp(root) != NULL);
    (void)snprintf(path, sizeof path, "%s/a", root);
    assert(torture_run(write_two, NULL) == 3); /* the order, the names, the header */
    /* the file, its header (three, and the keys of three objects), the tensors, their order */
    assert(torture_run(open_and_find, NULL) == 9);
    sctd_dir_remove(root);
    return 0;
}
