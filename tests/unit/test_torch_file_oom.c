/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>

#include "engine/base/error.h"
#include "engine/model/torch_file.h"

#include "tests/support/torture.h"

/* {"a": t, "b": t} in the legacy format, t a scalar of one byte. */
static const char bytes[] =
    "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03."
    "\x80\x02}U\x0dlittle_endian\x88s."
    "\x80\x02}(U\001actorch._utils\n_rebuild_tensor_v2\n("
    "(U\7storagectorch\nByteStorage\nU\001kU\003cpuK\001NtQK\0))\x89}tRq\0U\001bh\0u."
    "\x80\x02]U\001ka.\001\0\0\0\0\0\0\0\x7f";

static int parse_and_free(void *arg)
{
    (void)arg;
    struct sctd_error err = {0};
    sctd_auto(torch_file_freep) struct torch_file *file = NULL;
    int r = torch_file_parse_legacy(&file, bytes, sizeof bytes - 1, &err);
    assert(r == 0 || r == SCTD_ENOMEM);
    return r;
}

int main(void)
{
    assert(torture_run(parse_and_free, NULL) > 20);
    return 0;
}
