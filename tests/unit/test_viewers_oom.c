/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

#include <uv.h>

#include "engine/base/error.h"
#include "server/view.h"
#include "server/view_subject.h"
#include "server/viewers.h"

#include "tests/support/torture.h"

static void on_done(void *arg, const struct viewers_answer *answer)
{
    (void)arg;
    (void)answer;
    abort(); /* it was forgotten */
}

static int ask_and_forget(struct viewers *viewers, struct sctd_error *err)
{
    char name[] = "series/none";
    char *names[] = {name};
    const struct viewers_subject subject = {
        .key = "one", .list = {.file = names, .n_files = 1, .result = names, .n_results = 1}};
    const struct view_request request = {.kind = VIEW_FACTS};
    int r = 0;
    for (int i = 0; r == 0 && i < 2; i++) {
        r = viewers_ask(viewers, &subject, &request, on_done, viewers, err);
    }
    viewers_forget(viewers, viewers);
    return r;
}

static int pass(void *arg)
{
    uv_loop_t loop;
    struct viewers *viewers = NULL;
    struct sctd_error err = {.code = SCTD_OK};
    const struct viewers_hooks hooks = {.arg = NULL};
    const struct viewers_options options = {
        .loop = &loop, .program = "/nonexistent/sctd", .spool = "/", .results = "/"};
    (void)arg;
    assert(uv_loop_init(&loop) == 0);
    int r = viewers_new(&viewers, &options, &hooks, &err);
    r = r < 0 ? r : ask_and_forget(viewers, &err);
    assert(r == 0 || r == SCTD_ENOMEM);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    viewers_free(viewers);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert(uv_loop_close(&loop) == 0);
    return r;
}

int main(void)
{
    assert(torture_run(pass, NULL) >= 6);
    return 0;
}
