/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "db/deliveries.h"
#include "engine/base/attr.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "server/memory_file.h"
#include "server/send_list.h"

static struct sctd_error err;

static int read_text(struct send_list *ret_list, const char *text, size_t size)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf buf = sctd_buf_make(1 << 20);
    int fd = -1;
    assert(size == 0 || sctd_buf_append(&buf, text, size, &err) == 0);
    assert(memory_file_write(&fd, &buf, &err) == 0);
    const int r = send_list_read(ret_list, fd, "/results", &err);
    (void)close(fd);
    return r;
}

static void files_come_back_in_their_order_below_the_folder(void)
{
    struct db_delivery_file file[] = {
        {.sop_uid = "2.25.1", .sop_class_uid = "1.2.3", .file = "2.25.9/0001.dcm", .stored = true},
        {.sop_uid = "2.25.2", .sop_class_uid = "1.2.4", .file = "2.25.9/0002.dcm"},
    };
    const struct db_file_set files = {file, 2};
    struct send_list list = {.n = 0};
    int fd = -1;
    assert(send_list_write(&fd, &files, &err) == 0);
    assert(send_list_read(&list, fd, "/var/lib/sctd/results", &err) == 0);
    assert(list.n == 2 && list.file[0].is_stored && !list.file[1].is_stored);
    assert(strcmp(list.file[0].path, "/var/lib/sctd/results/2.25.9/0001.dcm") == 0);
    assert(strcmp(list.file[1].sop_instance_uid, "2.25.2") == 0);
    assert(strcmp(list.file[1].sop_class_uid, "1.2.4") == 0);
    send_list_fini(&list);
    assert(list.n == 0 && list.file == NULL && list.path == NULL);
    (void)close(fd);
}

static void a_hostile_list_is_refused(void)
{
    static const char *const texts[] = {
        "",
        "\n",
        "N 1.2 1.3 a/b", /* no end */
        "N 1.2 1.3\n",   /* no file */
        "N 1.2 1.3 \n",
        "X 1.2 1.3 a/b\n",
        "NS 1.2 1.3 a/b\n",
        " 1.2 1.3 a/b\n",
        "N  1.3 a/b\n",
        "N 1.2 x a/b\n",
        "N 1.2 1.3 /etc/passwd\n",
        "N 1.2 1.3 ../passwd\n",
        "N 1.2 1.3 a/../../passwd\n",
        "N 1.2 1.3 a/..\n",
        "N 1.2 1.3 a/b c\n",
        "N 1.2 1.3 passwd\n",
        "N 1.2 1.3 a/b\nN 1.2 1.3 a/b/\n",
        "N 1.2 1.3 a/b\n\n",
    };
    struct send_list list = {.n = 77};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert(read_text(&list, texts[i], strlen(texts[i])) == SCTD_EDATA);
    }
    assert(read_text(&list, "N 1.2 1.3 a/b\0\nS 1.2 1.3 a/c\n", 29) == SCTD_EDATA);
    assert(list.n == 77);
    assert(read_text(&list, "N 1.2 1.3 a/b\nS 1.2 1.3 a/c\n", 28) == 0 && list.n == 2);
    send_list_fini(&list);
}

int main(void)
{
    files_come_back_in_their_order_below_the_folder();
    a_hostile_list_is_refused();
    return 0;
}
