/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stdlib.h>

#include "dicom/quality_page.h"
#include "engine/base/error.h"
#include "engine/base/file.h"

#include "tests/support/made_page.h"
#include "tests/support/temporary.h"
#include "tests/support/torture.h"

static int write_page(void *arg)
{
    const struct made_page *page = arg;
    struct sctd_error err = {0};
    return quality_page_write(&page->request, page->out, &err);
}

int main(void)
{
    static struct made_page page;
    char folder[] = TEMPORARY("sctd-page-oom");
    assert(mkdtemp(folder) != NULL);
    made_page_start(&page, folder);
    assert(torture_run(write_page, &page) > 60);
    sctd_dir_remove(page.out);
    sctd_dir_remove(folder);
    return 0;
}
