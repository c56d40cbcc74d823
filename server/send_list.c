/* SPDX-License-Identifier: Apache-2.0 */
#include "server/send_list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/deliveries.h"
#include "dicom/sender.h"
#include "dicom/uid.h"
#include "engine/base/attr.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "server/memory_file.h"
#include "server/worker_messages.h"

enum { BYTES_MAX = 32 << 20, LINES_MAX = 1 << 17 };

void send_list_fini(struct send_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        free(list->path[i]);
    }
    free((void *)list->path);
    free(list->file);
    *list = (struct send_list){.n = 0};
}

int send_list_write(int *ret_fd, const struct db_file_set *files, struct sctd_error *err)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf text = sctd_buf_make(BYTES_MAX);
    int r = 0;
    for (size_t i = 0; r == 0 && i < files->n; i++) {
        const struct db_delivery_file *f = &files->file[i];
        r = sctd_buf_printf(&text, err, "%c %s %s %s\n", f->stored ? 'S' : 'N', f->sop_class_uid,
                            f->sop_uid, f->file);
    }
    return r < 0 ? r : memory_file_write(ret_fd, &text, err);
}

static int add_line(struct send_list *list, char *line, const char *folder, struct sctd_error *err)
{
    struct dicom_sender_file *f = &list->file[list->n];
    char *rest = line;
    const char *const state = strsep(&rest, " ");
    const char *const class_uid = strsep(&rest, " ");
    const char *const sop_uid = strsep(&rest, " ");
    if (rest == NULL || (strcmp(state, "S") != 0 && strcmp(state, "N") != 0) ||
        !dicom_uid_is_valid(class_uid) || !dicom_uid_is_valid(sop_uid) ||
        !worker_messages_is_file(rest)) {
        return sctd_error(err, SCTD_EDATA, "a delivery's list has a line that is none");
    }
    if (asprintf(&list->path[list->n], "%s/%s", folder, rest) < 0) {
        return sctd_error(err, SCTD_ENOMEM, "a delivery's list");
    }
    f->path = list->path[list->n];
    f->is_stored = *state == 'S';
    (void)snprintf(f->sop_class_uid, sizeof f->sop_class_uid, "%s", class_uid);
    (void)snprintf(f->sop_instance_uid, sizeof f->sop_instance_uid, "%s", sop_uid);
    list->n++;
    return 0;
}

int send_list_read(struct send_list *ret_list, int fd, const char *folder, struct sctd_error *err)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf text = sctd_buf_make(BYTES_MAX);
    sctd_auto(send_list_fini) struct send_list list = {.n = 0};
    int r = memory_file_read(&text, fd, err);
    if (r < 0) {
        return r;
    }
    size_t lines = 0;
    for (size_t i = 0; i < text.size; i++) {
        lines += text.data[i] == '\n' ? 1 : 0;
    }
    if (lines == 0 || lines > LINES_MAX || text.data[text.size - 1] != '\n' ||
        memchr(text.data, '\0', text.size) != NULL) {
        return sctd_error(err, SCTD_EDATA, "a delivery's list is damaged: %zu lines", lines);
    }
    list.file = calloc(lines, sizeof *list.file);
    list.path = (char **)calloc(lines, sizeof *list.path);
    if (list.file == NULL || list.path == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "a delivery's list");
    }
    char *rest = text.data;
    for (size_t i = 0; r == 0 && i < lines; i++) {
        r = add_line(&list, strsep(&rest, "\n"), folder, err);
    }
    if (r < 0) {
        return r;
    }
    *ret_list = list;
    list = (struct send_list){.n = 0};
    return 0;
}
