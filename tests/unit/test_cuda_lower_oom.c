/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/program.h"
#include "engine/backend/graph.h"
#include "engine/base/error.h"

#include "tests/oracle/graph_make.h"
#include "tests/support/torture.h"

static int lower(void *arg)
{
    const struct graph_make *m = arg;
    struct sctd_error err = {.code = SCTD_OK};
    struct program *p = NULL;
    const struct backend_options o = {.precision = BACKEND_BF16, .max_batch = 1};
    const int r = program_new(&p, &m->graph, &o, &err);
    assert((r == 0) == (p != NULL) && (r == 0 || r == SCTD_ENOMEM));
    program_free(p);
    return r;
}

int main(void)
{
    static struct graph_make make;
    graph_make_init(&make, 32, 32, 8);
    const int32_t x = graph_make_tokens(&make, 5, 64);
    const int32_t in[2] = {graph_make_layer_norm(&make, x), GRAPH_NONE};
    const int32_t qkv = graph_make_linear(&make, in, 192, GRAPH_ACT_NONE);
    graph_make_finish(&make, graph_make_attention(&make, qkv, 1, 5));
    assert(torture_run(lower, &make) > 10);
    graph_make_fini(&make);
    return 0;
}
