/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>

#include "engine/backend/backend.h"
#include "engine/backend/graph.h"
#include "engine/base/error.h"

#include "tests/oracle/graph_make.h"
#include "tests/support/torture.h"

static int compile_and_drop(void *arg)
{
    const struct graph_make *m = arg;
    struct sctd_error err = {0};
    struct backend_plan *plan = NULL;
    const struct backend_options options = {.max_batch = 1, .taps = &m->graph.y, .n_taps = 1};
    int r = backend_ref.compile(&plan, &m->graph, &options, &err);
    backend_ref.free(plan);
    return r;
}

static void failed_allocation_fails_the_compilation(void)
{
    struct graph_make m;
    graph_make_init(&m, 16, 16, 1);
    graph_make_finish(&m, graph_make_tokens(&m, 1, 3));
    assert(torture_run(compile_and_drop, &m) == 7);
    graph_make_fini(&m);
}

int main(void)
{
    failed_allocation_fails_the_compilation();
    return 0;
}
