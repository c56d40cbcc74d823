/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>

#include "engine/base/error.h"
#include "engine/model/pickle.h"

#include "tests/support/torture.h"

/* Every kind of allocation: stack, memo, nodes, items, persistent ids, the check of the keys. */
static const char bytes[] = "\x80\x02}q\x00(U\001aNU\001b]q\x01(K\001K\002K\003eU\001cU\001k\x85Q"
                            "U\001dctorch._utils\n_rebuild_tensor_v2\n)Ru.";

static int parse_and_free(void *arg)
{
    (void)arg;
    struct sctd_error err = {0};
    sctd_auto(pickle_freep) struct pickle *pickle = NULL;
    int r = pickle_parse(&pickle, bytes, sizeof bytes - 1, 0, &err);
    assert(r == 0 || r == SCTD_ENOMEM);
    return r;
}

int main(void)
{
    assert(torture_run(parse_and_free, NULL) > 10);
    return 0;
}
