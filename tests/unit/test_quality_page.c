/* SPDX-License-Identifier: Apache-2.0 */
/* What is refused; what a page says, tests/integration/quality_page.py reads with other programs. */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dicom/quality_page.h"
#include "dicom/sct_writer.h"
#include "dicom/source.h"
#include "engine/base/error.h"
#include "engine/base/file.h"

#include "tests/support/made_page.h"
#include "tests/support/temporary.h"

static char folder[] = TEMPORARY("sctd-page");
static struct made_page page;

static void start(void)
{
    made_page_start(&page, folder);
}

static int write_page(struct sctd_error *err)
{
    return quality_page_write(&page.request, page.out, err);
}

static int count_files(void)
{
    int32_t n = 0;
    bool exists = false;
    struct sctd_error err = {0};
    assert(sctd_dir_count(&n, &exists, page.out, &err) == 0 && exists);
    return n;
}

static void check_refused(int code, const char *text)
{
    struct sctd_error err = {0};
    assert(write_page(&err) == code);
    assert(strstr(err.text, text) != NULL);
    assert(count_files() == 0);
}

static void a_page_is_one_file_with_its_pixels_at_the_end(void)
{
    struct sctd_error err = {0};
    struct sctd_map map;
    char path[SCTD_PATH_MAX];
    start();
    assert(write_page(&err) == 0);
    assert(count_files() == 1);
    assert(sctd_path_join(path, page.out, QUALITY_PAGE_NAME, &err) == 0);
    assert(sctd_map_open(&map, path, &err) == 0);
    const unsigned char *end = (const unsigned char *)map.data + map.size;
    assert(memcmp(end - MADE_PAGE_PIXELS - 1, page.pixel, MADE_PAGE_PIXELS) == 0);
    assert(end[-1] == 0); /* an odd number of them is padded */
    sctd_map_close(&map);
    sctd_dir_remove(page.out);
}

static void the_same_request_makes_the_same_bytes(void)
{
    struct sctd_error err = {0};
    struct sctd_map map[2];
    char path[2][SCTD_PATH_MAX];
    start();
    for (int i = 0; i < 2; i++) {
        assert(write_page(&err) == 0);
        char name[16];
        (void)snprintf(name, sizeof name, "%d", i);
        char from[SCTD_PATH_MAX];
        assert(sctd_path_join(from, page.out, QUALITY_PAGE_NAME, &err) == 0);
        assert(sctd_path_join(path[i], page.out, name, &err) == 0);
        assert(sctd_file_move(from, path[i], &err) == 0);
        assert(sctd_map_open(&map[i], path[i], &err) == 0);
    }
    assert(map[0].size == map[1].size && memcmp(map[0].data, map[1].data, map[0].size) == 0);
    sctd_map_close(&map[0]);
    sctd_map_close(&map[1]);
    sctd_dir_remove(page.out);
}

static void impossible_requests_are_refused_and_leave_nothing(void)
{
    start();
    page.request.width = 0;
    check_refused(SCTD_EINVAL, "0 x 3 pixels");
    start();
    page.request.height = -1;
    check_refused(SCTD_EINVAL, "pixels");
    start();
    page.request.width = 65536; /* not written, so not read either */
    check_refused(SCTD_EINVAL, "larger than DICOM's");
    start();
    page.request.n_sources = 0;
    check_refused(SCTD_EINVAL, "needs sources");
    start();
    page.request.n_sct_instances = 0;
    check_refused(SCTD_EINVAL, "needs sources");
    start();
    page.request.series_uid = "1.02";
    check_refused(SCTD_EINVAL, "valid UIDs");
    start();
    page.request.instance_uid = "";
    check_refused(SCTD_EINVAL, "valid UIDs");
    start();
    page.request.sct_series_uid = "x";
    check_refused(SCTD_EINVAL, "valid UIDs");
    start();
    page.sct_instance_uid[1][0] = 'x';
    check_refused(SCTD_EINVAL, "valid UIDs");
    start();
    page.quality.text = "two\nlines";
    check_refused(SCTD_EINVAL, "not text that DICOM can hold");
    sctd_dir_remove(page.out);
}

static void a_source_that_is_gone_or_another_is_refused(void)
{
    start();
    (void)snprintf(page.source[0].sop_instance_uid, DICOM_UID_SIZE, "1.2.3.4");
    check_refused(SCTD_EDATA, "is not the instance it was");
    start();
    page.source[0].path = "/nowhere";
    check_refused(SCTD_EIO, "/nowhere");
    sctd_dir_remove(page.out);
}

int main(void)
{
    assert(mkdtemp(folder) != NULL);
    a_page_is_one_file_with_its_pixels_at_the_end();
    the_same_request_makes_the_same_bytes();
    impossible_requests_are_refused_and_leave_nothing();
    a_source_that_is_gone_or_another_is_refused();
    sctd_dir_remove(folder);
    return 0;
}
