/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "engine/base/attr.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/engine.h"
#include "server/config.h"
#include "server/parameters.h"

#include "tests/support/torture.h"

static struct manifest manifest = {
    .name = "head", .version = "1", .weights_sha256 = "00", .recipe = {.modality = "MR"}};

static int pass(void *arg)
{
    struct sctd_error err = {.code = SCTD_OK};
    char echo[] = "echo=1";
    char *select[] = {echo};
    const struct config_rule rule = {.name = echo, .select = select, .select_count = 1};
    struct parameters p;
    struct parameters q = {.n_select = 9};
    sctd_auto(sctd_buf_fini) struct sctd_buf text = sctd_buf_make(PARAMETERS_TEXT_MAX);
    (void)arg;
    int r = parameters_make(&p, &rule, "fp32", &manifest, &err);
    r = r < 0 ? r : parameters_write(&text, &p, &err);
    r = r < 0 ? r : parameters_read(&q, sctd_buf_get_text(&text), &err);
    assert(r == 0 ? q.n_select == 1 : r == SCTD_ENOMEM && q.n_select == 9);
    r = r < 0 ? r : parameters_check(&q, &manifest, &err);
    assert(r == 0 || r == SCTD_ENOMEM);
    return r;
}

int main(void)
{
    assert(torture_run(pass, NULL) >= 4);
    return 0;
}
