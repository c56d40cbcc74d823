/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/sct_files.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/file.h"

enum { BATCH = 32, NAME_SIZE = 24 };

struct sct_files {
    const char *folder; /* borrowed */
    int32_t n_started;
    int32_t n_installed;
    int32_t n_waiting; /* complete, not yet installed */
    bool is_open;      /* waiting[n_waiting] is being written */
    bool is_finished;
    struct sctd_file waiting[BATCH];
};

int sct_files_new(struct sct_files **ret_files, const char *folder, struct sctd_error *err)
{
    struct sct_files *files = calloc(1, sizeof *files);
    if (files == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "files of a series");
    }
    files->folder = folder;
    *ret_files = files;
    return 0;
}

static int get_path(char *ret_path, const struct sct_files *files, int32_t n,
                    struct sctd_error *err)
{
    char name[NAME_SIZE];
    (void)snprintf(name, sizeof name, "%04d.dcm", (int)n);
    return sctd_path_join(ret_path, files->folder, name, err);
}

void sct_files_free(struct sct_files *files)
{
    if (files == NULL) {
        return;
    }
    const int32_t temporary = files->n_waiting + (files->is_open ? 1 : 0);
    for (int32_t i = 0; i < temporary; i++) {
        sctd_file_abort(&files->waiting[i]);
    }
    for (int32_t n = 1; !files->is_finished && n <= files->n_installed; n++) {
        char path[SCTD_PATH_MAX];
        struct sctd_error ignored = {0};
        if (get_path(path, files, n, &ignored) == 0) {
            (void)unlink(path);
        }
    }
    free(files);
}

static int install_waiting(struct sct_files *files, struct sctd_error *err)
{
    for (int32_t i = 0; i < files->n_waiting; i++) {
        int r = sctd_file_install(&files->waiting[i], err);
        if (r < 0) {
            return r;
        }
        files->n_installed++;
    }
    files->n_waiting = 0;
    return 0;
}

int sct_files_start(struct sct_files *files, const struct sctd_buf *head, struct sctd_error *err)
{
    char path[SCTD_PATH_MAX];
    int r = get_path(path, files, files->n_started + 1, err);
    if (r == 0) {
        r = sctd_file_create(&files->waiting[files->n_waiting], path, err);
    }
    if (r < 0) {
        return r;
    }
    files->is_open = true;
    files->n_started++;
    return sct_files_add(files, head->data, head->size, err);
}

int sct_files_add(struct sct_files *files, const void *bytes, size_t size, struct sctd_error *err)
{
    return sctd_file_write(&files->waiting[files->n_waiting], bytes, size, err);
}

int sct_files_end(struct sct_files *files, struct sctd_error *err)
{
    sctd_file_start_sync(&files->waiting[files->n_waiting]);
    files->is_open = false;
    files->n_waiting++;
    return files->n_waiting < BATCH ? 0 : install_waiting(files, err);
}

int sct_files_finish(struct sct_files *files, struct sctd_error *err)
{
    int r = install_waiting(files, err);
    if (r == 0) {
        r = sctd_dir_sync(files->folder, err);
    }
    files->is_finished = r == 0;
    return r;
}
