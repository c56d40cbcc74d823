/* SPDX-License-Identifier: Apache-2.0 */
#include "server/view_subject.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "db/deliveries.h"
#include "db/instances.h"
#include "db/jobs.h"
#include "db/outputs.h"
#include "dicom/quality_page.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "server/worker_list.h"

void view_subject_fini(struct viewers_subject *subject)
{
    worker_list_fini(&subject->list);
    *subject = (struct viewers_subject){.key = ""};
}

/* names[i] lies at i * stride. */
static int copy_names(char ***ret_list, size_t *ret_n, const char *names, size_t stride, size_t n,
                      struct sctd_error *err)
{
    *ret_list = (char **)calloc(n + 1, sizeof **ret_list);
    for (*ret_n = 0; *ret_list != NULL && *ret_n < n; (*ret_n)++) {
        (*ret_list)[*ret_n] = strdup(names + *ret_n * stride);
        if ((*ret_list)[*ret_n] == NULL) {
            break;
        }
    }
    return *ret_list != NULL && *ret_n == n ? 0
                                            : sctd_error(err, SCTD_ENOMEM, "names of %zu files", n);
}

static int add_source(struct viewers_subject *subject, struct db *db, int64_t series_id,
                      int32_t revision, struct sctd_error *err)
{
    sctd_auto(db_member_list_fini) struct db_member_list members = {.n = 0};
    struct worker_list *list = &subject->list;
    int r = db_series_members(db, series_id, revision, &members, err);
    if (r == 0 && members.n > 0) {
        r = copy_names(&list->file, &list->n_files, members.member[0].file, sizeof *members.member,
                       members.n, err);
    }
    return r;
}

/* A quality page, the last of the files where there is one, is a picture and no slice. */
static void leave_page(struct db_file_set *files)
{
    if (strcmp(files->file[files->n - 1].sop_class_uid, QUALITY_PAGE_CLASS) == 0) {
        files->n--;
    }
}

static int add_results(struct viewers_subject *subject, struct db *db, int64_t job_id,
                       struct sctd_error *err)
{
    sctd_auto(db_file_set_fini) struct db_file_set files = {.n = 0};
    struct worker_list *list = &subject->list;
    int r = db_job_files(db, job_id, &files, err);
    if (r == 0 && files.n > 0) {
        leave_page(&files);
    }
    if (r == 0 && files.n > 0) {
        r = copy_names(&list->result, &list->n_results, files.file[0].file, sizeof *files.file,
                       files.n, err);
    }
    return r;
}

static int finish(struct viewers_subject *ret_subject, struct viewers_subject *subject)
{
    if (subject->list.n_files == 0 && subject->list.n_results == 0) {
        return DB_NONE;
    }
    *ret_subject = *subject;
    *subject = (struct viewers_subject){.key = ""};
    return 0;
}

static void copy_parameters(struct viewers_subject *subject, const struct db_job *job)
{
    _Static_assert(sizeof subject->parameters == sizeof job->parameters, "the job store's");
    memcpy(subject->parameters, job->parameters, sizeof subject->parameters);
}

static int find_latest(struct viewers_subject *subject, int64_t *ret_job_id, struct db *db,
                       const char *series_uid, struct sctd_error *err)
{
    sctd_auto(db_job_page_fini) struct db_job_page page = {.n = 0};
    const struct db_job_filter filter = {.state = -1, .series_uid = series_uid, .limit = 1};
    int r = db_job_list(db, &filter, &page, err);
    if (r == 0 && page.n > 0) {
        copy_parameters(subject, &page.job[0]);
        *ret_job_id = page.job[0].id;
    }
    return r;
}

int view_subject_of_series(struct viewers_subject *ret_subject, struct db *db, int64_t series_id,
                           struct sctd_error *err)
{
    sctd_auto(view_subject_fini) struct viewers_subject subject = {.key = ""};
    struct db_series series;
    int64_t job_id = 0;
    int r = db_series_get(db, series_id, &series, err);
    r = r != 0 ? r : find_latest(&subject, &job_id, db, series.series_uid, err);
    r = r != 0 ? r : add_source(&subject, db, series_id, 0, err);
    if (r != 0) {
        return r;
    }
    (void)snprintf(subject.key, sizeof subject.key, "series %" PRId64 ".%" PRId32 " %zu %" PRId64,
                   series_id, series.revision, subject.list.n_files, job_id);
    return finish(ret_subject, &subject);
}

int view_subject_of_job(struct viewers_subject *ret_subject, struct db *db, int64_t job_id,
                        struct sctd_error *err)
{
    sctd_auto(view_subject_fini) struct viewers_subject subject = {.key = ""};
    struct db_job job;
    int r = db_job_get(db, job_id, &job, err);
    r = r != 0 ? r : add_source(&subject, db, job.series_id, job.revision, err);
    r = r != 0 ? r : add_results(&subject, db, job_id, err);
    if (r != 0) {
        return r;
    }
    copy_parameters(&subject, &job);
    (void)snprintf(subject.key, sizeof subject.key, "job %" PRId64 " %zu %zu", job_id,
                   subject.list.n_files, subject.list.n_results);
    return finish(ret_subject, &subject);
}
