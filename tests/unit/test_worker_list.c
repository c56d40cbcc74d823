/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/attr.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "server/memory_file.h"
#include "server/worker_list.h"

#define FILE_NAME                                                                                  \
    "series/00112233445566778899aabbccddeeff/"                                                     \
    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff.dcm"

static struct sctd_error err;

static int read_text(struct worker_list *ret_list, const char *text, size_t size)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf buf = sctd_buf_make(1 << 26);
    int fd = -1;
    assert(size == 0 || sctd_buf_append(&buf, text, size, &err) == 0);
    assert(memory_file_write(&fd, &buf, &err) == 0);
    const int r = worker_list_read(ret_list, fd, &err);
    (void)close(fd);
    return r;
}

static void uids_and_files_come_back_in_their_order(void)
{
    enum { N = 3000 };
    struct worker_list list = {.uid = calloc(N, sizeof *list.uid), .n_uids = N};
    char name[] = FILE_NAME;
    char *files[] = {name, name};
    list.file = files;
    list.n_files = 2;
    char result[] = "2.25.7/IM00001.dcm";
    char *results[] = {result};
    list.result = results;
    list.n_results = 1;
    assert(list.uid != NULL);
    for (int i = 0; i < N; i++) {
        (void)snprintf(list.uid[i], sizeof list.uid[i], "2.25.%d", i);
    }
    struct worker_list again = {.n_uids = 0};
    int fd = -1;
    assert(worker_list_write(&fd, &list, &err) == 0);
    assert(worker_list_read(&again, fd, &err) == 0);
    assert(again.n_uids == N && again.n_files == 2 && strcmp(again.file[1], FILE_NAME) == 0);
    assert(again.n_results == 1 && strcmp(again.result[0], result) == 0);
    for (size_t i = 0; i < N; i++) {
        assert(strcmp(again.uid[i], list.uid[i]) == 0);
    }
    worker_list_fini(&again);
    assert(again.n_uids == 0 && again.file == NULL && again.uid == NULL);
    (void)close(fd);
    free(list.uid);
}

static void a_hostile_list_is_refused(void)
{
    static const char *const texts[] = {
        "",
        "\n",
        "U 1.2",        /* no end */
        "U 1.2\nU 1.3", /* the last has none */
        "U 1.2\n\n",    /* an empty line */
        "U \n",         /* no UID */
        "U 1.2/3\n",    /* none */
        "U 1.2 \n",     /* none */
        "U1.2\n",       /* no blank */
        "u 1.2\n",      /* no kind */
        "F ../../etc/passwd\n",
        "F /etc/passwd\n",
        ("F " FILE_NAME "x\n"),
        "F series/0/1.dcm\n",
        "F \n",
        "R ../IM00001.dcm\n",
        "R /2.25.7\n",
        "R 2.25.7\n",
        "U 1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16.17.18.19.20.21.22.23.24.25\n", /* 65 */
    };
    struct worker_list list = {.n_uids = 77};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert(read_text(&list, texts[i], strlen(texts[i])) == SCTD_EDATA);
    }
    assert(read_text(&list, "U 1.2\0\nU 1.3\n", 13) ==
           SCTD_EDATA); /* what follows is not dropped */
    assert(read_text(&list, "U 1.2\n\0", 7) == SCTD_EDATA);
    assert(list.n_uids == 77);
    assert(read_text(&list, "U 1.2\nU 1.3\n", 12) == 0 && list.n_uids == 2 && list.n_files == 0);
    worker_list_fini(&list);
}

static void more_lines_than_a_job_has_are_refused(void)
{
    struct worker_list list;
    const size_t n = ((size_t)1 << 18) + 1;
    char *text = malloc(6 * n);
    assert(text != NULL);
    for (size_t i = 0; i < n; i++) {
        memcpy(text + 6 * i, "U 1.2\n", 6);
    }
    assert(read_text(&list, text, 6 * n) == SCTD_EDATA);
    assert(read_text(&list, text, 6 * (n - 1)) == 0 && list.n_uids == n - 1);
    worker_list_fini(&list);
    free(text);
}

int main(void)
{
    uids_and_files_come_back_in_their_order();
    a_hostile_list_is_refused();
    more_lines_than_a_job_has_are_refused();
    return 0;
}
