/* SPDX-License-Identifier: Apache-2.0 */
#include "server/api/changes.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "db/db.h"
#include "db/deliveries.h"
#include "db/instances.h"
#include "db/jobs.h"
#include "engine/base/attr.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/engine.h"
#include "server/api/context.h"
#include "server/http/stream.h"
#include "server/metrics.h"
#include "server/timings.h"

enum {
    GATHER_MS = 200, /* a series of 400 instances is a few events, not 400 */
    BEAT_MS = 15000,
    GATHERED_MAX = 512,
    JUST_MS = 60000, /* what changed longer ago was counted when it did */
};

struct gathered {
    enum db_change what;
    int64_t id;
};

struct changes {
    struct api *api;
    uv_timer_t gather, beat;
    int open_handles;
    struct gathered gathered[GATHERED_MAX];
    size_t n;
    bool overflow;
};

/* A job that has just ended goes into the metrics. */
static void count_end(struct api *api, const struct db_job *job)
{
    struct timings timings;
    struct sctd_error err = {.code = SCTD_OK};
    sctd_auto(db_history_fini) struct db_history history = {.n = 0};
    if (job->ended_ms != 0 && sctd_wall_ms() - job->ended_ms < JUST_MS &&
        db_job_history(api->node.db, job->id, DB_PAGE_MAX, &history, &err) == 0) {
        timings_of(job, &history, &timings);
        metrics_job_ended(api->node.metrics, job, &timings);
    }
}

/* What the checks of a result found, as it comes. */
static void count_checks(struct api *api, const struct db_job *job)
{
    struct quality_report report;
    struct sctd_error err = {.code = SCTD_OK};
    char *text = NULL;
    const bool is_new = job->review == DB_REVIEW_PASSED || job->review == DB_REVIEW_NEEDED;
    if (is_new && sctd_wall_ms() - job->review_ms < JUST_MS &&
        db_job_quality(api->node.db, job->id, &text, &err) == 0 &&
        quality_report_read(&report, text, strlen(text), &err) == 0) {
        metrics_job_checked(api->node.metrics, job, &report);
    }
    free(text);
}

/* Whether the storage of its result was committed, as each destination says so. */
static void count_deliveries(struct api *api, const struct db_job *job)
{
    struct sctd_error err = {.code = SCTD_OK};
    sctd_auto(db_delivery_page_fini) struct db_delivery_page page = {.n = 0};
    const struct db_delivery_filter filter = {
        .job_id = job->id, .state = -1, .limit = DB_DESTINATIONS_MAX};
    const bool may_have_ended =
        job->state == DB_JOB_DELIVERING || job->state == DB_JOB_DONE || job->state == DB_JOB_FAILED;
    if (!may_have_ended || db_delivery_list(api->node.db, &filter, &page, &err) < 0) {
        return;
    }
    for (size_t i = 0; i < page.n; i++) {
        if (sctd_wall_ms() - page.delivery[i].changed_ms < JUST_MS) {
            metrics_delivery_ended(api->node.metrics, &page.delivery[i]);
        }
    }
}

static void tell_job(struct api *api, int64_t id)
{
    char data[240];
    struct db_job job;
    struct sctd_error err = {.code = SCTD_OK};
    if (db_job_get(api->node.db, id, &job, &err) == 0) {
        count_end(api, &job);
        count_deliveries(api, &job);
        count_checks(api, &job);
        (void)snprintf(data, sizeof data,
                       "{\"id\":%" PRId64
                       ",\"state\":\"%s\",\"review\":\"%s\",\"stage\":\"%s\",\"series_id\":%" PRId64
                       "}",
                       id, db_job_state_name(job.state), db_review_name(job.review),
                       job.state == DB_JOB_RUNNING ? job.stage : "", job.series_id);
        stream_hub_publish(api->hub, "job", data);
    }
}

static void tell_series(struct api *api, int64_t id)
{
    char data[100];
    struct db_series series;
    struct sctd_error err = {.code = SCTD_OK};
    if (db_series_get(api->node.db, id, &series, &err) == 0) {
        (void)snprintf(data, sizeof data, "{\"id\":%" PRId64 ",\"state\":\"%s\",\"instances\":%d}",
                       id, db_series_state_name(series.state), series.instances);
        stream_hub_publish(api->hub, "series", data);
    }
}

/* How far it is has to be counted: whoever wants to know asks. */
static void tell_batch(struct api *api, int64_t id)
{
    char data[40];
    (void)snprintf(data, sizeof data, "{\"id\":%" PRId64 "}", id);
    stream_hub_publish(api->hub, "batch", data);
}

static void on_gathered(uv_timer_t *timer)
{
    struct changes *changes = timer->data;
    struct api *api = changes->api;
    for (size_t i = 0; i < changes->n; i++) {
        const struct gathered *g = &changes->gathered[i];
        if (g->what == DB_CHANGE_JOB) {
            tell_job(api, g->id);
        } else if (stream_hub_count_streams(api->hub) == 0) {
            continue;
        } else if (g->what == DB_CHANGE_BATCH) {
            tell_batch(api, g->id);
        } else {
            tell_series(api, g->id);
        }
    }
    if (changes->overflow) {
        stream_hub_publish(api->hub, "reset", "{}");
    }
    changes->n = 0;
    changes->overflow = false;
}

static void on_changed(void *arg, enum db_change what, int64_t id)
{
    struct changes *changes = arg;
    if (uv_is_active((const uv_handle_t *)&changes->gather) == 0) {
        (void)uv_timer_start(&changes->gather, on_gathered, GATHER_MS, 0);
    }
    for (size_t i = 0; i < changes->n; i++) {
        if (changes->gathered[i].what == what && changes->gathered[i].id == id) {
            return;
        }
    }
    if (what == DB_CHANGE_MANY || changes->n == GATHERED_MAX) {
        changes->overflow = true;
        return;
    }
    changes->gathered[changes->n].what = what;
    changes->gathered[changes->n].id = id;
    changes->n++;
}

static void on_beat(uv_timer_t *timer)
{
    struct changes *changes = timer->data;
    stream_hub_beat(changes->api->hub);
}

int changes_open(struct changes **ret_changes, struct api *api, struct sctd_error *err)
{
    struct changes *changes = calloc(1, sizeof *changes);
    if (changes == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "changes");
    }
    changes->api = api;
    (void)uv_timer_init(api->node.loop, &changes->gather);
    (void)uv_timer_init(api->node.loop, &changes->beat);
    changes->gather.data = changes->beat.data = changes;
    changes->open_handles = 2;
    (void)uv_timer_start(&changes->beat, on_beat, BEAT_MS, BEAT_MS);
    db_set_changed(api->node.db, on_changed, changes);
    *ret_changes = changes;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct changes *changes = handle->data;
    if (--changes->open_handles == 0) {
        free(changes);
    }
}

void changes_close(struct changes *changes)
{
    if (changes != NULL) {
        db_set_changed(changes->api->node.db, NULL, NULL);
        uv_close((uv_handle_t *)&changes->gather, on_closed);
        uv_close((uv_handle_t *)&changes->beat, on_closed);
    }
}
