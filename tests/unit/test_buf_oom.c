/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"

#include "tests/support/torture.h"

static int grow_twice(void *arg)
{
    (void)arg;
    struct sctd_error err = {0};
    struct sctd_buf buf = sctd_buf_make(10000);
    int r = sctd_buf_text(&buf, "begin", &err);
    if (r == 0) {
        r = sctd_buf_printf(&buf, &err, "%1000d", 1);
        /* what was there before the failure still stands, as text */
        assert(r == 0 || (buf.size == 5 && strcmp(buf.data, "begin") == 0));
    }
    assert(r == 0 || r == SCTD_ENOMEM);
    sctd_buf_fini(&buf);
    return r;
}

int main(void)
{
    assert(torture_run(grow_twice, NULL) == 2);
    return 0;
}
