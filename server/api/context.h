/*
 * context.h - what the handlers of the API share.
 *
 * Private to server/api.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "db/activity.h"
#include "engine/base/sha256.h"
#include "server/api/api.h"
#include "server/http/access.h"
#include "server/http/dispatch.h"
#include "server/http/listener.h"
#include "server/http/rate.h"
#include "server/http/request.h"
#include "server/http/stream.h"

#ifdef __cplusplus
extern "C" {
#endif

struct changes;
struct viewers;

/* PEM texts, owned; NULL: no TLS. */
struct api_pem {
    char *certificate, *key;
};

/* What a request waits for, in a process of its own. */
struct task {
    struct request *request; /* NULL: free */
    void *work;
    void (*forget)(void *work); /* nobody waits any more */
};
enum { TASKS_MAX = 16 };

struct api {
    struct api_node node;
    const struct policy *policy; /* borrowed */
    struct access *access;
    struct rate *rate, *failures;
    struct stream_hub *hub;
    struct dispatch dispatch;
    struct listener *listener;
    struct changes *changes;
    struct viewers *viewers;
    struct api_pem pem;
    unsigned char pseudonym_key[SHA256_SIZE];
    bool is_draining;
    struct task task[TASKS_MAX];
    struct api_activity_cache {
        int64_t hours, until_ms; /* lease clock */
        int64_t from_ms;
        struct db_activity step[DB_ACTIVITY_MAX];
    } activity; /* a day may hold many jobs, and many may look at it */
};

bool api_tasks_have_room(const struct api *api);
void api_tasks_begin(struct api *api, struct request *request, void *work,
                     void (*forget)(void *work));
void api_tasks_end(struct api *api, const struct request *request); /* its reply comes now */

static inline struct api *api_of(const struct request *request)
{
    return request->context;
}

/* Keep in the audit log that the one who asks did something: kind "job-retry", subject an id or a name. */
void api_note(const struct request *request, const char *kind, const char *subject,
              const char *text);

struct health;
void api_look_at_health(const struct api *api, struct health *ret_health);

/* The handlers, by file. */
void api_healthz(struct request *request); /* api_status.c */
void api_readyz(struct request *request);
void api_status(struct request *request);
void api_activity(struct request *request);
void api_diagnosis(struct request *request);
void api_openapi(struct request *request);
void api_events(struct request *request);
void api_metrics(struct request *request); /* api_metrics.c */
void api_session(struct request *request); /* api_session.c */
void api_login(struct request *request);
void api_logout(struct request *request);
void api_jobs(struct request *request); /* api_jobs.c */
void api_job(struct request *request);
void api_job_retry(struct request *request);
void api_job_cancel(struct request *request);
void api_job_prioritise(struct request *request);
void api_job_accept(struct request *request);
void api_job_reject(struct request *request);
void api_job_quality(struct request *request);
void api_job_delete_result(struct request *request);
void api_series_list(struct request *request); /* api_series.c */
void api_series(struct request *request);
void api_series_complete(struct request *request);
void api_series_discard(struct request *request);
void api_series_reopen(struct request *request);
void api_batches(struct request *request); /* api_batches.c */
void api_batch(struct request *request);
void api_batch_series(struct request *request);
void api_batch_report(struct request *request);
void api_batch_report_csv(struct request *request);
void api_batch_create(struct request *request);
void api_batch_pause(struct request *request);
void api_batch_resume(struct request *request);
void api_batch_cancel(struct request *request);
void api_preview(struct request *request); /* api_images.c: of a job or a series */
void api_images(struct request *request);
void api_histogram(struct request *request);
void api_destinations(struct request *request); /* api_destinations.c */
void api_destination(struct request *request);
void api_destination_echo(struct request *request);
void api_models(struct request *request); /* api_models.c */
void api_model(struct request *request);
void api_model_activate(struct request *request);
void api_model_verify(struct request *request);
void api_rules(struct request *request); /* api_rules.c */
void api_rules_test(struct request *request);
void api_configuration(struct request *request);
void api_audit(struct request *request); /* api_audit.c */
void api_asset(struct request *request); /* api_assets.c: the dashboard */

#ifdef __cplusplus
}
#endif
