/* SPDX-License-Identifier: Apache-2.0 */
#include "server/worker_list.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dicom/source.h"
#include "dicom/uid.h"
#include "engine/base/attr.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "server/memory_file.h"
#include "server/spool.h"
#include "server/worker_messages.h"

enum { BYTES_MAX = 32 << 20, LINES_MAX = 1 << 18 };

static void free_texts(char **text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(text[i]);
    }
    free((void *)text);
}

void worker_list_fini(struct worker_list *list)
{
    free_texts(list->file, list->n_files);
    free_texts(list->result, list->n_results);
    free(list->uid);
    *list = (struct worker_list){.n_uids = 0};
}

int worker_list_write(int *ret_fd, const struct worker_list *list, struct sctd_error *err)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf text = sctd_buf_make(BYTES_MAX);
    int r = 0;
    for (size_t i = 0; r == 0 && i < list->n_uids; i++) {
        r = sctd_buf_printf(&text, err, "U %s\n", list->uid[i]);
    }
    for (size_t i = 0; r == 0 && i < list->n_files; i++) {
        r = sctd_buf_printf(&text, err, "F %s\n", list->file[i]);
    }
    for (size_t i = 0; r == 0 && i < list->n_results; i++) {
        r = sctd_buf_printf(&text, err, "R %s\n", list->result[i]);
    }
    if (r < 0) {
        return r;
    }
    return memory_file_write(ret_fd, &text, err);
}

static int add_text(char **text, size_t *n, const char *value, struct sctd_error *err)
{
    text[*n] = strdup(value);
    if (text[*n] == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "a job's list");
    }
    (*n)++;
    return 0;
}

static int add_line(struct worker_list *list, const char *line, struct sctd_error *err)
{
    const char *value = line + 2;
    if (line[0] == 'U' && line[1] == ' ' && dicom_uid_is_valid(value)) {
        (void)snprintf(list->uid[list->n_uids++], DICOM_UID_SIZE, "%s", value);
        return 0;
    }
    if (line[0] == 'F' && line[1] == ' ' && spool_is_name(value)) {
        return add_text(list->file, &list->n_files, value, err);
    }
    if (line[0] == 'R' && line[1] == ' ' && worker_messages_is_file(value)) {
        return add_text(list->result, &list->n_results, value, err);
    }
    return sctd_error(err, SCTD_EDATA, "a job's list has a line that is no UID and no file");
}

static int split(struct worker_list *list, char *text, size_t lines, struct sctd_error *err)
{
    list->uid = calloc(lines + 1, sizeof *list->uid);
    list->file = (char **)calloc(lines + 1, sizeof *list->file);
    list->result = (char **)calloc(lines + 1, sizeof *list->result);
    if (list->uid == NULL || list->file == NULL || list->result == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "a job's list");
    }
    int r = 0;
    for (char *end = strchr(text, '\n'); r == 0 && end != NULL; end = strchr(text, '\n')) {
        *end = '\0';
        r = strlen(text) > 2 ? add_line(list, text, err)
                             : sctd_error(err, SCTD_EDATA, "a job's list has an empty line");
        text = end + 1;
    }
    return r;
}

int worker_list_read(struct worker_list *ret_list, int fd, struct sctd_error *err)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf text = sctd_buf_make(BYTES_MAX);
    sctd_auto(worker_list_fini) struct worker_list list = {.n_uids = 0};
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
        return sctd_error(err, SCTD_EDATA, "a job's list is damaged: %zu lines", lines);
    }
    r = split(&list, text.data, lines, err);
    if (r < 0) {
        return r;
    }
    *ret_list = list;
    list = (struct worker_list){.n_uids = 0};
    return 0;
}
