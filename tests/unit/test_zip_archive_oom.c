/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>

#include "engine/base/error.h"
#include "engine/model/zip_archive.h"

#include "tests/support/torture.h"

/* One empty entry "a". */
static const char bytes[] =
    "PK\003\004\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\001\0\0\0a"
    "PK\001\002\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\001\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0a"
    "PK\005\006\0\0\0\0\001\0\001\0\057\0\0\0\037\0\0\0\0";

static int parse_and_free(void *arg)
{
    (void)arg;
    struct sctd_error err = {0};
    sctd_auto(zip_archive_freep) struct zip_archive *archive = NULL;
    int r = zip_archive_parse(&archive, bytes, sizeof bytes, &err);
    assert(r == 0 || r == SCTD_ENOMEM);
    return r;
}

int main(void)
{
    assert(torture_run(parse_and_free, NULL) == 3);
    return 0;
}
