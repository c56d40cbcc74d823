/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <unistd.h>

#include "db/deliveries.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "server/send_list.h"

#include "tests/support/torture.h"

static int pass(void *arg)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct db_delivery_file file[] = {
        {.sop_uid = "2.25.1", .sop_class_uid = "1.2.3", .file = "2.25.9/0001.dcm"}};
    const struct db_file_set files = {file, 1};
    sctd_auto(send_list_fini) struct send_list again = {.n = 0};
    int fd = -1;
    (void)arg;
    int r = send_list_write(&fd, &files, &err);
    if (r < 0) {
        assert(r == SCTD_ENOMEM && fd < 0);
        return r;
    }
    r = send_list_read(&again, fd, "/results", &err);
    (void)close(fd);
    assert(r == 0 ? again.n == 1 : r == SCTD_ENOMEM && again.file == NULL);
    return r;
}

int main(void)
{
    assert(torture_run(pass, NULL) >= 4);
    return 0;
}
