/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dicom/references.h"
#include "dicom/source.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "server/instance_list.h"

#include "tests/support/temporary.h"

static struct sctd_error err;

/* n of them, numbered. */
static void make(struct dicom_references *ret_list, size_t n)
{
    *ret_list = (struct dicom_references){.n = 0};
    for (size_t i = 0; i < n; i++) {
        assert(dicom_references_add(ret_list, (uint16_t)i, &err) == 0);
        struct dicom_reference *one = &ret_list->item[i];
        (void)snprintf(one->sop_class_uid, sizeof one->sop_class_uid, "1.2");
        (void)snprintf(one->sop_instance_uid, sizeof one->sop_instance_uid, "1.3.%zu", i);
    }
}

/* Through a file. */
static void pass(size_t n)
{
    sctd_auto(dicom_references_fini) struct dicom_references list = {.n = 0};
    sctd_auto(dicom_references_fini) struct dicom_references again = {.n = 0};
    int fd = -1;
    make(&list, n);
    assert(instance_list_new(&fd, &list, &err) == 0);
    assert(instance_list_read(&again, fd, n, &err) == 0 && again.n == n);
    for (size_t i = 0; i < n; i++) {
        assert(again.item[i].reason == (uint16_t)i);
        assert(strcmp(again.item[i].sop_instance_uid, list.item[i].sop_instance_uid) == 0);
    }
    (void)close(fd);
}

static void a_list_comes_back_as_it_was(void)
{
    static const size_t sizes[] = {0, 1, 1000, DICOM_REFERENCES_MAX};
    for (size_t k = 0; k < 4; k++) {
        pass(sizes[k]);
    }
}

static void reasons_can_be_written_into_it(void)
{
    sctd_auto(dicom_references_fini) struct dicom_references list = {.n = 0};
    sctd_auto(dicom_references_fini) struct dicom_references again = {.n = 0};
    int fd = -1;
    make(&list, 3);
    assert(instance_list_new(&fd, &list, &err) == 0);
    list.item[2].reason = 0x0112;
    assert(instance_list_write(fd, &list, &err) == 0);
    assert(instance_list_read(&again, fd, 3, &err) == 0 && again.item[2].reason == 0x0112);
    (void)close(fd);
}

static void a_list_keeps_its_size(void)
{
    sctd_auto(dicom_references_fini) struct dicom_references list = {.n = 0};
    int fd = -1;
    make(&list, 3);
    assert(instance_list_new(&fd, &list, &err) == 0);
    assert(ftruncate(fd, 0) != 0 && pwrite(fd, "x", 1, 4096) != 1);
    (void)close(fd);
}

static void expect_refusal(int fd, size_t n)
{
    struct dicom_references list = {.n = 77};
    assert(instance_list_read(&list, fd, n, &err) == SCTD_EDATA && list.n == 77);
}

static void what_is_no_such_file_is_refused(void)
{
    sctd_auto(dicom_references_fini) struct dicom_references list = {.n = 0};
    int fd = -1;
    int pipes[2];
    make(&list, 3);
    assert(instance_list_new(&fd, &list, &err) == 0);
    expect_refusal(fd, 2);
    expect_refusal(fd, 4);
    expect_refusal(fd, SIZE_MAX);
    (void)close(fd);
    expect_refusal(-1, 0);
    assert(pipe2(pipes, O_CLOEXEC) == 0);
    expect_refusal(pipes[0], 0);
    (void)close(pipes[0]);
    (void)close(pipes[1]);
    fd = memfd_create("open", MFD_CLOEXEC); /* may shrink while it is read */
    assert(fd >= 0);
    expect_refusal(fd, 0);
    (void)close(fd);
    char path[] = TEMPORARY("test_instance_list");
    fd = mkstemp(path);
    assert(fd >= 0 && unlink(path) == 0);
    expect_refusal(fd, 0);
    (void)close(fd);
}

static void texts_that_are_no_uids_are_refused(void)
{
    for (int i = 0; i < 5; i++) {
        sctd_auto(dicom_references_fini) struct dicom_references list = {.n = 0};
        int fd = -1;
        make(&list, 2);
        struct dicom_reference *last = &list.item[1];
        char *const texts[] = {last->series_uid, last->sop_class_uid, last->sop_instance_uid};
        if (i < 3) {
            (void)snprintf(texts[i], DICOM_UID_SIZE, "../x");
        } else if (i == 3) {
            last->sop_class_uid[0] = '\0';
        } else {
            memset(last->sop_instance_uid, '1', DICOM_UID_SIZE); /* without an end */
        }
        assert(instance_list_new(&fd, &list, &err) == 0);
        expect_refusal(fd, 2);
        (void)close(fd);
    }
}

int main(void)
{
    a_list_comes_back_as_it_was();
    reasons_can_be_written_into_it();
    a_list_keeps_its_size();
    what_is_no_such_file_is_refused();
    texts_that_are_no_uids_are_refused();
    return 0;
}
