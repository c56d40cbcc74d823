/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <unistd.h>

#include "dicom/source.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "server/worker_list.h"

#include "tests/support/torture.h"

#define FILE_NAME                                                                                  \
    "series/00112233445566778899aabbccddeeff/"                                                     \
    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff.dcm"

static int pass(void *arg)
{
    struct sctd_error err = {.code = SCTD_OK};
    char uid[][DICOM_UID_SIZE] = {"2.25.1", "2.25.2"};
    char name[] = FILE_NAME;
    char *file[] = {name};
    char written[] = "2.25.7/IM00001.dcm";
    char *result[] = {written};
    const struct worker_list list = {uid, 2, file, 1, result, 1};
    sctd_auto(worker_list_fini) struct worker_list again = {.n_uids = 0};
    int fd = -1;
    (void)arg;
    int r = worker_list_write(&fd, &list, &err);
    if (r < 0) {
        assert(r == SCTD_ENOMEM && fd < 0);
        return r;
    }
    r = worker_list_read(&again, fd, &err);
    (void)close(fd);
    assert(r == 0 ? again.n_files == 1 && again.n_results == 1
                  : r == SCTD_ENOMEM && again.uid == NULL);
    return r;
}

int main(void)
{
    assert(torture_run(pass, NULL) >= 4);
    return 0;
}
