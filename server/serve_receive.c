/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <uv.h>

#include "db/db.h"
#include "db/instances.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "server/diagnosis.h"
#include "server/front_door.h"
#include "server/intake.h"
#include "server/log.h"
#include "server/metrics.h"
#include "server/receive_messages.h"
#include "server/receivers.h"
#include "server/reporter.h"
#include "server/serve_parts.h"
#include "server/services.h"
#include "server/sweep.h"
#include "server/worker_list.h"

enum { SWEEP_MS = 200 };

/* Files that nobody knows are taken in by a receiver. */
int serve_receive_sweep(struct serve *s, struct sctd_error *err)
{
    struct sweep found;
    int r = sweep_spool(&found, s->db, s->spool, err);
    if (r < 0) {
        return r;
    }
    if (found.missing > 0) {
        LOG_ERROR("spool-files-missing", log_number("files", found.missing),
                  log_text("effect", "their series cannot be converted: send them again"));
    }
    if (found.n > 0) {
        const struct worker_list list = {.file = found.file, .n_files = found.n};
        struct receive_serve serve = {.adopt = true, .calling_ae = DB_AE_UNKNOWN, .peer = "-"};
        int fd = -1;
        (void)snprintf(serve.spool, sizeof serve.spool, "%s", s->spool);
        (void)snprintf(serve.called_ae, sizeof serve.called_ae, "%s", s->ae_title);
        r = worker_list_write(&fd, &list, err);
        r = r < 0 ? r : receivers_serve(front_door_get_receivers(s->door), fd, &serve, err);
    }
    sweep_fini(&found);
    return r;
}

static void on_sweep(uv_timer_t *timer)
{
    struct serve *s = timer->data;
    struct sctd_error err = {.code = SCTD_OK};
    if (s->is_draining || receivers_count(front_door_get_receivers(s->door)) > 0) {
        return; /* the end of the last one asks again */
    }
    s->must_sweep = false;
    if (serve_receive_sweep(s, &err) < 0) {
        LOG_ERROR("sweep", log_text("reason", err.text));
    }
}

/* Receivers speak with the intake; its failures and their end are the daemon's. */
int serve_receive_keep(void *arg, const struct receivers_keep *instances, size_t n,
                       struct receive_kept *ret_kept, struct sctd_error *err)
{
    struct serve *s = arg;
    const int r = intake_keep(s->intake, instances, n, ret_kept, err);
    for (size_t i = 0; r == 0 && i < n; i++) { /* the file lies there: to be taken in later */
        metrics_instance(s->metrics, ret_kept[i].outcome, instances[i].instance->size);
        s->must_sweep = s->must_sweep || (ret_kept[i].outcome == RECEIVE_NOT_KEPT &&
                                          !instances[i].association.serve->adopt);
    }
    return r;
}

static void opened(void *arg, const struct receivers_association *association)
{
    struct serve *s = arg;
    if (!association->serve->adopt) {
        metrics_association_opened(s->metrics);
    }
    intake_opened(s->intake, association);
}

static void ended(void *arg, const struct receivers_association *association,
                  const struct receive_end *end, int status)
{
    struct serve *s = arg;
    if (association->serve->adopt) {
        LOG(end == NULL || end->refused > 0 ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING, "spool-adopted",
            log_number("files", end == NULL ? 0 : end->stored),
            log_number("quarantined", end == NULL ? 0 : end->refused),
            log_number("status", status));
    } else {
        metrics_association_ended(s->metrics, end);
    }
    if (end != NULL && end->contexts == 0 && !association->serve->adopt) {
        diagnosis_no_contexts(s->diagnosis, association->serve->peer,
                              association->serve->calling_ae, sctd_wall_ms());
    }
    intake_ended(s->intake, association, end, status);
    /* One that died may have left a file that nobody knows; to tell it from one on its way, wait for silence. */
    s->must_sweep = s->must_sweep || (end == NULL && !association->serve->adopt);
    if (s->must_sweep && !s->is_draining &&
        receivers_count(front_door_get_receivers(s->door)) == 0) {
        (void)uv_timer_start(&s->sweep, on_sweep, SWEEP_MS, 0);
    }
}

/* What a batch fetched: no association of the front door's. */
void serve_receive_fetched(void *arg, const struct receivers_association *association,
                           const struct receive_end *end, int status)
{
    const struct serve *s = arg;
    intake_ended(s->intake, association, end, status);
}

static struct services services_of(const struct serve *s)
{
    const struct services services = {.db = s->db, .deliver = s->deliver, .intake = s->intake};
    return services;
}

/* What may pass, such as a full disk, is for the peer to try again. */
static int reply_no_room(const struct serve *s, int r, enum receive_reply *ret_reply,
                         const struct sctd_error *why)
{
    if ((r != SCTD_EIO && r != SCTD_ENOMEM) || db_is_failed(s->db)) {
        return r;
    }
    LOG_ERROR("request-not-kept", log_text("reason", why->text));
    *ret_reply = RECEIVE_NO_ROOM;
    return 0;
}

static int report(void *arg, const struct receivers_report *said, enum receive_reply *ret_reply,
                  struct sctd_error *err)
{
    const struct services services = services_of(arg);
    return reply_no_room(arg, services_report(&services, said, ret_reply, err), ret_reply, err);
}

static int commitment(void *arg, struct receivers_commitment *asked, enum receive_reply *ret_reply,
                      struct sctd_error *err)
{
    const struct services services = services_of(arg);
    return reply_no_room(arg, services_commitment(&services, asked, ret_reply, err), ret_reply,
                         err);
}

static int performed(void *arg, const struct receivers_performed *said,
                     enum receive_reply *ret_reply, struct sctd_error *err)
{
    const struct services services = services_of(arg);
    return reply_no_room(arg, services_performed(&services, said, ret_reply, err), ret_reply, err);
}

static int reported(void *arg, const struct receivers_association *association,
                    const char *transaction_uid, struct sctd_error *err)
{
    const struct serve *s = arg;
    (void)association;
    (void)transaction_uid;
    (void)err;
    metrics_report(s->metrics, METRICS_REPORT_HEARD);
    return 0;
}

static void unreported(void *arg, const struct receivers_commitment *asked)
{
    const struct serve *s = arg;
    reporter_take(s->reporter, asked);
}

void serve_receive_hooks(struct receivers_hooks *ret_hooks, struct serve *serve)
{
    *ret_hooks = (struct receivers_hooks){.arg = serve,
                                          .keep = serve_receive_keep,
                                          .report = report,
                                          .commitment = commitment,
                                          .performed = performed,
                                          .reported = reported,
                                          .unreported = unreported,
                                          .opened = opened,
                                          .ended = ended};
}
