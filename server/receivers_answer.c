/* SPDX-License-Identifier: Apache-2.0 */
#include "server/receivers_answer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dicom/commitment.h"
#include "dicom/mpps.h"
#include "dicom/references.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "server/instance_list.h"
#include "server/receive_messages.h"
#include "server/receivers.h"

enum {
    PROMISES_MAX = 4,        /* of one association */
    INSTANCES_MAX = 4 << 16, /* promised in all: 50 MB in memory */
};

static size_t promised; /* instances, of all associations */

/* A report that is due. */
struct receivers_promise {
    struct receivers_promise *next;
    int fd; /* its list, with reasons; owned */
    struct receive_commitment commitment;
};

/* One message with its list. */
struct question {
    const struct receivers_hooks *hooks;
    const struct receivers_association *association;
    const struct receive_message *message;
    struct dicom_references list;
};

bool receivers_answer_takes(enum receive_type type)
{
    return type == RECEIVE_REPORT || type == RECEIVE_COMMITMENT || type == RECEIVE_REPORTED ||
           type == RECEIVE_PERFORMED;
}

static void free_text_list(const char ***list)
{
    free((void *)*list);
}

static void free_reasons(uint16_t **reasons)
{
    free(*reasons);
}

static int answer_report(const struct question *q, enum receive_reply *ret_reply,
                         struct sctd_error *err)
{
    const size_t n = q->list.n;
    sctd_auto(free_text_list) const char **uids =
        (const char **)calloc(n > 0 ? n : 1, sizeof *uids);
    sctd_auto(free_reasons) uint16_t *reasons = calloc(n > 0 ? n : 1, sizeof *reasons);
    if (uids == NULL || reasons == NULL) {
        return 0; /* no room */
    }
    size_t well = 0;
    size_t failed = 0;
    for (size_t i = 0; i < n; i++) { /* those that failed from the other end */
        const struct dicom_reference *one = &q->list.item[i];
        if (one->reason == DICOM_COMMITMENT_KEPT) {
            uids[well++] = one->sop_instance_uid;
        } else {
            failed++;
            uids[n - failed] = one->sop_instance_uid;
            reasons[n - failed] = one->reason;
        }
    }
    const struct receivers_report report = {
        .association = *q->association,
        .transaction_uid = q->message->commitment.transaction_uid,
        .committed = uids,
        .n_committed = well,
        .failed = uids + well,
        .n_failed = failed,
        .reason = reasons + well,
    };
    return q->hooks->report(q->hooks->arg, &report, ret_reply, err);
}

static int answer_commitment(struct question *q, enum receive_reply *ret_reply,
                             struct sctd_error *err)
{
    for (size_t i = 0; i < q->list.n; i++) {
        q->list.item[i].reason = DICOM_COMMITMENT_KEPT;
    }
    struct receivers_commitment commitment = {
        .association = *q->association,
        .transaction_uid = q->message->commitment.transaction_uid,
        .instance = q->list.item,
        .n = q->list.n,
    };
    return q->hooks->commitment(q->hooks->arg, &commitment, ret_reply, err);
}

static void free_series(struct receivers_performed_series **series)
{
    free(*series);
}

/* Neighbours of one series become one. */
static size_t group(struct receivers_performed_series *series, const char **uids,
                    const struct dicom_references *list)
{
    size_t n = 0;
    for (size_t i = 0; i < list->n; i++) {
        const struct dicom_reference *one = &list->item[i];
        uids[i] = one->sop_instance_uid;
        if (n == 0 || strcmp(series[n - 1].series_uid, one->series_uid) != 0) {
            series[n++] = (struct receivers_performed_series){.series_uid = one->series_uid,
                                                              .sop_uids = uids + i};
        }
        series[n - 1].n++;
    }
    return n;
}

static int answer_performed(const struct question *q, enum receive_reply *ret_reply,
                            struct sctd_error *err)
{
    const size_t room = q->list.n > 0 ? q->list.n : 1;
    sctd_auto(free_text_list) const char **uids = (const char **)calloc(room, sizeof *uids);
    sctd_auto(free_series) struct receivers_performed_series *series = calloc(room, sizeof *series);
    if (uids == NULL || series == NULL) {
        return 0; /* no room */
    }
    const struct receivers_performed performed = {
        .association = *q->association,
        .sop_instance_uid = q->message->performed.sop_instance_uid,
        .is_new = q->message->performed.is_new,
        .status = (enum dicom_mpps_status)q->message->performed.status,
        .n = group(series, uids, &q->list),
        .series = series,
    };
    return q->hooks->performed(q->hooks->arg, &performed, ret_reply, err);
}

/* Keep the list, which has its answer, with its reasons while it is not reported.  *made is taken then. */
static int promise(struct receivers_promises *promises, const struct question *q, int *fd,
                   struct receivers_promise **made, struct sctd_error *err)
{
    int r = instance_list_write(*fd, &q->list, err);
    if (r < 0) {
        return r;
    }
    **made = (struct receivers_promise){.fd = *fd, .commitment = q->message->commitment};
    *fd = -1;
    struct receivers_promise **at = &promises->first;
    while (*at != NULL) {
        at = &(*at)->next;
    }
    *at = sctd_steal(made);
    promises->n++;
    promised += q->list.n;
    return 0;
}

static void free_promise(struct receivers_promises *promises, struct receivers_promise **at)
{
    struct receivers_promise *gone = *at;
    *at = gone->next;
    promises->n--;
    promised -= (size_t)gone->commitment.n;
    (void)close(gone->fd);
    free(gone);
}

static void free_made(struct receivers_promise **made)
{
    free(*made);
}

static int answer_and_promise(struct receivers_promises *promises, struct question *q, int *fd,
                              enum receive_reply *ret_reply, struct sctd_error *err)
{
    sctd_auto(free_made) struct receivers_promise *made = calloc(1, sizeof *made);
    if (made == NULL || promises->n == PROMISES_MAX || promised + q->list.n > INSTANCES_MAX) {
        return 0; /* no room */
    }
    int r = answer_commitment(q, ret_reply, err);
    if (r == 0 && *ret_reply == RECEIVE_TAKEN) {
        r = promise(promises, q, fd, &made, err);
    }
    return r;
}

static int answer_reported(struct receivers_promises *promises, const struct question *q,
                           enum receive_reply *ret_reply, struct sctd_error *err)
{
    struct receivers_promise **at = &promises->first;
    const char *const uid = q->message->commitment.transaction_uid;
    while (*at != NULL && strcmp((*at)->commitment.transaction_uid, uid) != 0) {
        at = &(*at)->next;
    }
    if (*at == NULL) {
        return RECEIVERS_ANSWER_NONSENSE;
    }
    *ret_reply = RECEIVE_TAKEN;
    int r = 0;
    if (q->hooks->reported != NULL) {
        r = q->hooks->reported(q->hooks->arg, q->association, uid, err);
    }
    free_promise(promises, at);
    return r;
}

static int answer_with_list(struct receivers_promises *promises, struct question *q, int *fd,
                            enum receive_reply *ret_reply, struct sctd_error *err)
{
    const enum receive_type type = q->message->type;
    const int32_t n =
        type == RECEIVE_PERFORMED ? q->message->performed.n : q->message->commitment.n;
    struct sctd_error unread = {.code = SCTD_OK};
    int r = *fd < 0 ? SCTD_EDATA : instance_list_read(&q->list, *fd, (size_t)n, &unread);
    if (r == SCTD_ENOMEM) {
        return 0; /* no room */
    }
    if (r < 0) {
        return RECEIVERS_ANSWER_NONSENSE;
    }
    if (type == RECEIVE_REPORT && q->hooks->report != NULL) {
        r = answer_report(q, ret_reply, err);
    } else if (type == RECEIVE_COMMITMENT && q->hooks->commitment != NULL) {
        r = answer_and_promise(promises, q, fd, ret_reply, err);
    } else if (type == RECEIVE_PERFORMED && q->hooks->performed != NULL) {
        r = answer_performed(q, ret_reply, err);
    }
    return r;
}

static void fini_question(struct question *q)
{
    dicom_references_fini(&q->list);
}

int receivers_answer(struct receivers_promises *promises,
                     const struct receivers_association *association,
                     const struct receive_message *message, int passed_fd,
                     struct receive_answered *ret_answered, struct sctd_error *err)
{
    sctd_auto(fini_question) struct question q = {
        .hooks = promises->hooks, .association = association, .message = message};
    enum receive_reply reply = RECEIVE_NO_ROOM;
    int r = message->type == RECEIVE_REPORTED
                ? answer_reported(promises, &q, &reply, err)
                : answer_with_list(promises, &q, &passed_fd, &reply, err);
    if (passed_fd >= 0) {
        (void)close(passed_fd);
    }
    ret_answered->reply = (int32_t)(r < 0 ? RECEIVE_BROKEN : reply);
    return r;
}

void receivers_answer_end(struct receivers_promises *promises,
                          const struct receivers_association *association)
{
    const struct receivers_hooks *hooks = promises->hooks;
    while (promises->first != NULL) {
        const struct receivers_promise *due = promises->first;
        sctd_auto(dicom_references_fini) struct dicom_references list = {.item = NULL};
        struct sctd_error err = {.code = SCTD_OK};
        if (hooks->unreported != NULL &&
            instance_list_read(&list, due->fd, (size_t)due->commitment.n, &err) == 0) {
            const struct receivers_commitment commitment = {
                .association = *association,
                .transaction_uid = due->commitment.transaction_uid,
                .instance = list.item,
                .n = list.n,
            };
            hooks->unreported(hooks->arg, &commitment);
        }
        free_promise(promises, &promises->first);
    }
}
