/* SPDX-License-Identifier: Apache-2.0 */
#include "server/worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "dicom/scan.h"
#include "dicom/series.h"
#include "dicom/source.h"
#include "dicom/uid.h"
#include "engine/base/attr.h"
#include "engine/base/buf.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/sha256.h"
#include "engine/base/utf8.h"
#include "engine/engine.h"
#include "server/convert.h"
#include "server/convert_engine.h"
#include "server/convert_quality.h"
#include "server/frame.h"
#include "server/parameters.h"
#include "server/worker_list.h"
#include "server/worker_messages.h"

enum { SEND_TIMEOUT_MS = 10000, STAGE_INTERVAL_MS = 1000, POLL_MS = 1000, PULSE_S = 1 };

struct worker {
    int fd;
    struct frame_reader parent;
    struct convert_engine engine; /* engine.engine NULL: none is loaded */
    struct worker_job loaded;     /* that it was loaded for */
    char precision[17];           /* with which */
};

/* One job on its way. */
struct work {
    struct worker *worker;
    const struct worker_job *job;
    struct worker_list list;
    char **path; /* [n_files], owned */
    struct dicom_scan *scan;
    struct parameters parameters;
    struct dicom_selector selector[PARAMETERS_SELECT_MAX];
    struct convert_options options;
    struct convert_result result;
    char page_series_uid[DICOM_UID_SIZE]; /* "": the model has no limits */
    double load_ms;
    bool was_there;         /* the result */
    bool is_without_engine; /* it could not be opened, and the job is not to blame */
    int64_t said_ms;        /* when the parent last heard of it */
    enum convert_stage said;
};

static void work_fini(struct work *work)
{
    for (size_t i = 0; work->path != NULL && i < work->list.n_files; i++) {
        free(work->path[i]);
    }
    free((void *)work->path);
    worker_list_fini(&work->list);
    dicom_scan_free(work->scan);
}

static int say(const struct worker *worker, const struct worker_message *message,
               struct sctd_error *err)
{
    return worker_messages_send(worker->fd, message, -1, SEND_TIMEOUT_MS, err);
}

/* The parent's death kills this process; so what cannot be said matters no more. */
static void say_stage(struct work *work, const char *stage, int64_t done, int64_t total)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct worker_message message = {.type = WORKER_STAGE, .stage = {.done = done, .total = total}};
    (void)snprintf(message.stage.stage, sizeof message.stage.stage, "%s", stage);
    work->said_ms = sctd_boot_ms();
    (void)say(work->worker, &message, &err);
}

static void on_progress(void *arg, enum convert_stage stage, int64_t done, int64_t total)
{
    struct work *work = arg;
    if (stage == work->said && sctd_boot_ms() - work->said_ms < STAGE_INTERVAL_MS) {
        return;
    }
    work->said = stage;
    say_stage(work, convert_stage_name(stage), done, total);
}

/* Signs of life while the engine is opened, which may take a minute and says nothing itself. */

struct pulse {
    struct work *work;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool is_running, is_over;
};

static void *beat(void *arg)
{
    struct pulse *pulse = arg;
    (void)pthread_mutex_lock(&pulse->lock);
    while (!pulse->is_over) {
        struct timespec until;
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += PULSE_S;
        if (pthread_cond_timedwait(&pulse->ended, &pulse->lock, &until) == ETIMEDOUT) {
            say_stage(pulse->work, WORKER_LOADS, 0, 1);
        }
    }
    (void)pthread_mutex_unlock(&pulse->lock);
    return NULL;
}

/* Until pulse_stop nothing else is said.  Without a thread for it the worker may be taken for hung. */
static void pulse_start(struct pulse *pulse, struct work *work)
{
    pthread_condattr_t clock;
    *pulse = (struct pulse){.work = work, .lock = PTHREAD_MUTEX_INITIALIZER};
    (void)pthread_condattr_init(&clock);
    (void)pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&pulse->ended, &clock);
    (void)pthread_condattr_destroy(&clock);
    pulse->is_running = pthread_create(&pulse->thread, NULL, beat, pulse) == 0;
}

static void pulse_stop(struct pulse *pulse)
{
    if (pulse->is_running) {
        (void)pthread_mutex_lock(&pulse->lock);
        pulse->is_over = true;
        (void)pthread_cond_signal(&pulse->ended);
        (void)pthread_mutex_unlock(&pulse->lock);
        (void)pthread_join(pulse->thread, NULL);
    }
    (void)pthread_cond_destroy(&pulse->ended);
    (void)pthread_mutex_destroy(&pulse->lock);
}

/* The model */

/* Whether an engine was not opened for a reason that has nothing to do with the job or its model. */
static bool is_engines_fault(const struct engine_options *options, int r)
{
    struct sctd_error err = {.code = SCTD_OK};
    if (r ==
        SCTD_EINVAL) { /* the job's, where the backend itself works: a precision that it has not */
        return engine_check_backend(options, &err) < 0;
    }
    return r == SCTD_EDEVICE || r == SCTD_ENOMEM;
}

static bool is_loaded(const struct worker *worker, const struct worker_job *job,
                      const char *precision)
{
    const struct worker_job *loaded = &worker->loaded;
    return worker->engine.engine != NULL && strcmp(loaded->model_dir, job->model_dir) == 0 &&
           strcmp(loaded->model_sha256, job->model_sha256) == 0 &&
           strcmp(worker->precision, precision) == 0 && loaded->threads == job->threads &&
           loaded->batch == job->batch && strcmp(loaded->backend, job->backend) == 0 &&
           loaded->gpu_memory_mib == job->gpu_memory_mib;
}

/* What the model runs on. */
static void say_engine(const struct worker *worker)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct worker_message message = {.type = WORKER_ENGINE};
    struct worker_engine *is = &message.engine;
    struct engine_stats stats;
    struct engine *engine = worker->engine.engine;
    engine_take_stats(engine, &stats);
    (void)snprintf(is->backend, sizeof is->backend, "%.32s", engine_get_backend(engine));
    (void)snprintf(is->arithmetic, sizeof is->arithmetic, "%.96s", stats.arithmetic);
    (void)snprintf(is->reason, sizeof is->reason, "%.240s", engine_get_choice(engine));
    if (stats.device != NULL) {
        (void)snprintf(is->backend, sizeof is->backend, "%.20s:%d",
                       engine_get_backend(worker->engine.engine), stats.device_number);
        (void)snprintf(is->device, sizeof is->device, "%.128s", stats.device);
        is->device_mib = (int32_t)stats.device_mib;
    }
    if (stats.remark != NULL) {
        (void)snprintf(is->remark, sizeof is->remark, "%.240s", stats.remark);
    }
    is->is_fallback = engine_is_fallback(engine);
    utf8_clean(is->device);
    utf8_clean(is->arithmetic);
    utf8_clean(is->reason);
    utf8_clean(is->remark);
    (void)say(worker, &message, &err);
}

static int load(struct work *work, struct sctd_error *err)
{
    struct worker *worker = work->worker;
    const struct worker_job *job = work->job;
    if (is_loaded(worker, job, work->parameters.precision)) {
        return 0;
    }
    say_stage(work, WORKER_LOADS, 0, 1);
    const double start_s = sctd_now_s();
    struct pulse pulse;
    const struct engine_options options = {.precision = work->parameters.precision,
                                           .threads = job->threads,
                                           .batch = job->batch,
                                           .backend = job->backend,
                                           .turn = job->turn,
                                           .turns = job->turns,
                                           .gpu_memory_mib = job->gpu_memory_mib};
    convert_engine_close(&worker->engine);
    pulse_start(&pulse, work);
    int r = convert_engine_open(&worker->engine, job->model_dir, &options, err);
    pulse_stop(&pulse);
    if (r < 0) {
        work->is_without_engine = is_engines_fault(&options, r);
        return r;
    }
    worker->loaded = *job;
    memcpy(worker->precision, work->parameters.precision, sizeof worker->precision);
    work->load_ms = 1e3 * (sctd_now_s() - start_s);
    const char *is = worker->engine.network.manifest->weights_sha256;
    if (strcmp(is, job->model_sha256) != 0) {
        r = sctd_error(err, SCTD_EDATA,
                       "%.120s holds other weights (%.12s...) than the job was made for "
                       "(%.12s...): put the model back, or cancel the job",
                       job->model_dir, is, job->model_sha256);
        convert_engine_close(&worker->engine); /* and with it `is` */
        return r;
    }
    say_engine(worker);
    return 0;
}

/* Load it, and whether it still makes what the job was made for.  A manifest may have been edited since it was loaded. */
static int load_as_ordered(struct work *work, struct sctd_error *err)
{
    struct worker *worker = work->worker;
    const bool was_loaded = is_loaded(worker, work->job, work->parameters.precision);
    int r = load(work, err);
    r = r < 0 ? r : parameters_check(&work->parameters, worker->engine.network.manifest, err);
    if (r == SCTD_EDATA && was_loaded) {
        convert_engine_close(&worker->engine);
        r = load(work, err);
        r = r < 0 ? r : parameters_check(&work->parameters, worker->engine.network.manifest, err);
    }
    return r;
}

/* The source */

/* The page's UIDs are derived from those of the sCT, and were decided with them. */
static int check_page(struct work *work, struct sctd_error *err)
{
    char instance_uid[DICOM_UID_SIZE];
    const struct worker_list *list = &work->list;
    if (convert_quality_pages(work->worker->engine.network.manifest) == 0) {
        return 0;
    }
    int r = dicom_uid_for_page(work->page_series_uid, instance_uid, work->job->series_uid, err);
    if (r == 0 && (list->n_uids < 2 || strcmp(list->uid[list->n_uids - 1], instance_uid) != 0)) {
        r = sctd_error(err, SCTD_EDATA,
                       "the job was made when the model had no limits: reprocess the series");
    }
    return r;
}

/* What the job is, from the texts that say so. */
static int read_job(struct work *work, int list_fd, struct sctd_error *err)
{
    int r = worker_list_read(&work->list, list_fd, err);
    if (r == 0) {
        r = parameters_read(&work->parameters, work->job->parameters, err);
    }
    if (r == 0) {
        r = parameters_to_options(&work->options, work->selector, &work->parameters, err);
    }
    return r;
}

/* Exactly the instances of the job: no more, no fewer, all of the one series. */
static int scan(struct work *work, struct sctd_error *err)
{
    const struct worker_list *list = &work->list;
    work->path = (char **)calloc(list->n_files, sizeof *work->path);
    if (work->path == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "%zu paths", list->n_files);
    }
    for (size_t i = 0; i < list->n_files; i++) {
        if (asprintf(&work->path[i], "%s/%s", work->job->spool, list->file[i]) < 0) {
            work->path[i] = NULL;
            return sctd_error(err, SCTD_ENOMEM, "%zu paths", list->n_files);
        }
    }
    int r = dicom_scan_paths(&work->scan, (const char *const *)work->path, list->n_files, err);
    if (r < 0) {
        return r;
    }
    const size_t n = dicom_scan_get_series_count(work->scan);
    const size_t skipped = dicom_scan_get_skipped(work->scan);
    struct dicom_series_facts facts = {.instances = 0};
    if (n == 1 && skipped == 0) {
        dicom_scan_get_series(work->scan, 0, &facts);
    }
    if (n != 1 || skipped != 0 || facts.instances != (int32_t)list->n_files ||
        strcmp(facts.series_instance_uid, work->job->source_series_uid) != 0) {
        return sctd_error(err, SCTD_EDATA,
                          "the spool does not hold what was received: of %zu files of the series "
                          "%zu are readable, in %zu series",
                          list->n_files, list->n_files - skipped, n);
    }
    return 0;
}

/* The result */

static int hash_file(struct worker_output *output, const char *path, struct sctd_error *err)
{
    struct sctd_map map;
    struct sha256 hash;
    int r = sctd_map_open(&map, path, err);
    if (r < 0) {
        return r;
    }
    sha256_init(&hash);
    sha256_update(&hash, map.data, map.size);
    sha256_final(&hash, output->sha256);
    output->size = (int64_t)map.size;
    sctd_map_close(&map);
    return 0;
}

static int say_output(const struct work *work, const struct dicom_scanned *written,
                      struct sctd_error *err)
{
    struct worker_message message = {.type = WORKER_OUTPUT};
    struct worker_output *output = &message.output;
    const size_t above = strlen(work->job->results) + 1;
    int r = hash_file(output, written->path, err);
    if (r < 0) {
        return r;
    }
    (void)snprintf(output->sop_uid, sizeof output->sop_uid, "%s",
                   written->instance.sop_instance_uid);
    (void)snprintf(output->sop_class_uid, sizeof output->sop_class_uid, "%s",
                   written->instance.sop_class_uid);
    if (strlen(written->path) < above + 1 || strlen(written->path + above) >= WORKER_FILE_SIZE) {
        return sctd_error(err, SCTD_EIO, "%.160s is no place for a result", written->path);
    }
    (void)snprintf(output->file, sizeof output->file, "%s", written->path + above);
    return say(work->worker, &message, err);
}

/* A series that was written, with the UID and the number of instances it must have. */
struct written {
    const char *folder, *series_uid;
    int32_t instances;
};

/* What is on the disk is read back before anybody is told that it is there. */
static int say_series(const struct work *work, const struct written *series, struct sctd_error *err)
{
    sctd_auto(dicom_scan_freep) struct dicom_scan *written = NULL;
    int r = dicom_scan_paths(&written, &series->folder, 1, err);
    if (r < 0) {
        return r;
    }
    struct dicom_series_facts facts = {.instances = 0};
    if (dicom_scan_get_series_count(written) == 1) {
        dicom_scan_get_series(written, 0, &facts);
    }
    if (facts.instances != series->instances ||
        strcmp(facts.series_instance_uid, series->series_uid) != 0) {
        return sctd_error(err, SCTD_EIO, "%.120s holds %d of %d instances: remove it, then retry",
                          series->folder, facts.instances, series->instances);
    }
    for (size_t i = 0; r == 0 && i < (size_t)facts.instances; i++) {
        r = say_output(work, dicom_scan_get_instance(written, 0, i), err);
    }
    return r;
}

static int say_outputs(const struct work *work, struct sctd_error *err)
{
    const struct convert_result *result = &work->result;
    const struct written sct = {result->folder, work->job->series_uid, result->instances};
    int r = say_series(work, &sct, err);
    if (r == 0 && result->quality.needs_review) {
        const struct written page = {result->page_folder, work->page_series_uid, 1};
        r = say_series(work, &page, err);
    }
    return r;
}

static int say_quality(const struct work *work, struct sctd_error *err)
{
    const struct quality_report *report = &work->result.quality;
    struct worker_message message = {.type = WORKER_QUALITY};
    sctd_auto(sctd_buf_fini) struct sctd_buf text = sctd_buf_make(QUALITY_JSON_MAX);
    if (!report->is_checked) {
        return 0;
    }
    int r = quality_report_write(&text, report, err);
    if (r < 0) {
        return r;
    }
    message.quality.needs_review = report->needs_review;
    (void)snprintf(message.quality.report, sizeof message.quality.report, "%s",
                   sctd_buf_get_text(&text));
    return say(work->worker, &message, err);
}

/* Jobs */

static int convert(struct work *work, struct sctd_error *err)
{
    const struct worker_job *job = work->job;
    const struct manifest *manifest = work->worker->engine.network.manifest;
    const struct convert_uids uids = {
        .series_uid = job->series_uid,
        .instance_uid = (const char(*)[DICOM_UID_SIZE])work->list.uid,
        .n = (int32_t)work->list.n_uids - convert_quality_pages(manifest),
    };
    const struct convert_job convert_job = {
        .scan = work->scan,
        .network = &work->worker->engine.network,
        .options = &work->options,
        .uids = &uids,
        .output = job->results,
        .on_progress = on_progress,
        .arg = work,
    };
    return convert_series(&work->result, &convert_job, err);
}

/* Whether the disk has room for as much as came in; if not, the model need not run to find out. */
static int check_room(const struct work *work, struct sctd_error *err)
{
    struct statvfs disk;
    int64_t bytes = 0;
    for (size_t i = 0; i < work->list.n_files; i++) {
        struct stat st;
        bytes += stat(work->path[i], &st) == 0 ? (int64_t)st.st_size : 0;
    }
    if (statvfs(work->job->results, &disk) != 0) {
        return sctd_error(err, SCTD_EIO, "%.160s: %s", work->job->results, sctd_errno_text());
    }
    const int64_t room = (int64_t)disk.f_bavail * (int64_t)disk.f_frsize;
    if (room >= bytes) {
        return 0;
    }
    errno = ENOSPC;
    return sctd_error(err, SCTD_EIO, "%.120s: %s: about %lld kB are needed, %lld kB are free",
                      work->job->results, sctd_errno_text(), (long long)(bytes >> 10),
                      (long long)(room >> 10));
}

static int do_steps(struct work *work, int list_fd, struct sctd_error *err)
{
    say_stage(work, "start", 0, 1);
    int r = read_job(work, list_fd, err);
    if (r == 0) {
        r = load_as_ordered(work, err);
    }
    if (r == 0) {
        r = check_page(work, err);
    }
    if (r == 0) {
        r = scan(work, err);
    }
    if (r == 0) {
        r = check_room(work, err);
    }
    if (r == 0) {
        r = convert(work, err);
    }
    work->was_there = r == CONVERT_THERE;
    if (r == CONVERT_THERE || r == 0) {
        r = say_outputs(work, err);
    }
    if (r == 0) {
        r = say_quality(work, err);
    }
    return r;
}

static enum worker_outcome outcome_of(int r, const struct sctd_error *why)
{
    if (r == SCTD_EIO && (why->number == ENOSPC || why->number == EDQUOT)) {
        return WORKER_FULL;
    }
    switch (r) {
    case 0:
        return WORKER_DONE;
    case CONVERT_REFUSED:
    case SCTD_EDATA:
    case SCTD_EINVAL:
        return WORKER_REFUSED;
    case SCTD_EDEVICE:
        return WORKER_BROKEN;
    default:
        return WORKER_FAILED;
    }
}

/*
 * Memory of its own that can be written.  Not address space: CUDA reserves more of it than there is memory in
 * the machine and its GPUs, and would find none.
 */
static void limit_memory(int32_t mib)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    if (mib > 0) { /* sanitizers reserve terabytes */
        const struct rlimit limit = {(rlim_t)mib << 20, RLIM_INFINITY};
        (void)setrlimit(RLIMIT_DATA, &limit);
    }
#else
    (void)mib;
#endif
}

/* Only open what a job would be done with. */
static int do_trial(struct work *work, struct sctd_error *err)
{
    const int r = parameters_read(&work->parameters, work->job->parameters, err);
    return r < 0 ? r : load(work, err);
}

/* list_fd: -1: it is a trial. */
static int do_job(struct worker *worker, const struct worker_job *job, int list_fd,
                  struct sctd_error *err)
{
    struct sctd_error why = {.code = SCTD_OK};
    struct worker_message message = {.type = WORKER_END};
    struct worker_end *end = &message.end;
    sctd_auto(work_fini) struct work work = {.worker = worker, .job = job, .said = CONVERT_STAGES};
    limit_memory(job->memory_mib);
    const int r = list_fd < 0 ? do_trial(&work, &why) : do_steps(&work, list_fd, &why);
    end->outcome = (int32_t)(work.is_without_engine ? WORKER_NO_ENGINE : outcome_of(r, &why));
    if (r == CONVERT_REFUSED) {
        (void)snprintf(end->reason, sizeof end->reason, "%s: %.200s",
                       dicom_refusal_name(work.result.refusal.code), work.result.refusal.text);
    } else if (r < 0) {
        (void)snprintf(end->reason, sizeof end->reason, "%s", why.text);
    }
    utf8_clean(end->reason); /* a character may have been cut in two */
    _Static_assert(sizeof end->stage_ms / sizeof *end->stage_ms == CONVERT_STAGES, "all of them");
    for (size_t i = 0; i < CONVERT_STAGES; i++) {
        end->stage_ms[i] = 1e3 * work.result.stage_s[i];
    }
    end->load_ms = work.load_ms;
    end->instances = work.result.instances;
    end->was_there = work.was_there;
    int said = say(worker, &message, err);
    return said == 0 && (r == SCTD_EDEVICE || work.is_without_engine)
               ? sctd_error(err, SCTD_EDEVICE, "%s", why.text)
               : said;
}

static int serve(struct worker *worker, const volatile sig_atomic_t *stop, struct sctd_error *err)
{
    while (*stop == 0) {
        sctd_auto(json_freep) struct json *json = NULL;
        struct worker_message message;
        int r = frame_wait(&worker->parent, POLL_MS, &json, err);
        if (r == FRAME_MORE) {
            continue;
        }
        if (r == FRAME_END) {
            return 0;
        }
        if (r == 0) {
            r = worker_messages_read(&message, json, err);
        }
        const int list_fd = frame_take_fd(&worker->parent);
        if (r == 0 && (message.type != WORKER_JOB || list_fd < 0) &&
            (message.type != WORKER_TRIAL || list_fd >= 0)) {
            r = sctd_error(err, SCTD_EDATA, "the parent sent no job");
        }
        if (r == 0) {
            r = do_job(worker, &message.job, list_fd, err);
        }
        if (list_fd >= 0) {
            (void)close(list_fd);
        }
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

int worker_run(int frame_fd, const volatile sig_atomic_t *stop, struct sctd_error *err)
{
    const struct worker_message ready = {.type = WORKER_READY};
    struct worker worker = {.fd = frame_fd};
    frame_reader_init(&worker.parent, frame_fd);
    int r = say(&worker, &ready, err);
    if (r == 0) {
        r = serve(&worker, stop, err);
    }
    convert_engine_close(&worker.engine);
    frame_reader_fini(&worker.parent);
    return r;
}
