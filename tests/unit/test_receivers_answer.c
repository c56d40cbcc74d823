/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dicom/commitment.h"
#include "dicom/mpps.h"
#include "dicom/references.h"
#include "dicom/source.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "server/instance_list.h"
#include "server/receive_messages.h"
#include "server/receivers.h"
#include "server/receivers_answer.h"

static struct sctd_error err;
static const struct receive_serve who = {.calling_ae = "PEER"};
static const struct receivers_association association = {.id = 1, .serve = &who};

/* What the hooks have seen, and what they are to say. */
static struct {
    char text[512];
    enum receive_reply reply;
    int status;
} seen;

static void note(const char *word)
{
    const size_t n = strlen(seen.text);
    (void)snprintf(seen.text + n, sizeof seen.text - n, "%s ", word);
}

static int say(enum receive_reply *ret_reply, struct sctd_error *to)
{
    *ret_reply = seen.reply;
    return seen.status == 0 ? 0 : sctd_error(to, seen.status, "the disk");
}

static int report(void *arg, const struct receivers_report *r, enum receive_reply *ret_reply,
                  struct sctd_error *to)
{
    assert(arg == &seen && strcmp(r->association.serve->calling_ae, "PEER") == 0);
    note(r->transaction_uid);
    for (size_t i = 0; i < r->n_committed; i++) {
        note(r->committed[i]);
    }
    note("failed");
    for (size_t i = 0; i < r->n_failed; i++) {
        char reason[8];
        (void)snprintf(reason, sizeof reason, "%x", r->reason[i]);
        note(r->failed[i]);
        note(reason);
    }
    return say(ret_reply, to);
}

static int commitment(void *arg, struct receivers_commitment *c, enum receive_reply *ret_reply,
                      struct sctd_error *to)
{
    assert(arg == &seen);
    note(c->transaction_uid);
    for (size_t i = 0; i < c->n; i++) {
        assert(c->instance[i].reason == 0);
        c->instance[i].reason = i % 2 == 0 ? 0 : DICOM_COMMITMENT_NO_SUCH_INSTANCE;
    }
    return say(ret_reply, to);
}

static int performed(void *arg, const struct receivers_performed *p, enum receive_reply *ret_reply,
                     struct sctd_error *to)
{
    assert(arg == &seen && p->status == DICOM_MPPS_COMPLETED && !p->is_new);
    note(p->sop_instance_uid);
    for (size_t i = 0; i < p->n; i++) {
        note(p->series[i].series_uid);
        for (size_t k = 0; k < p->series[i].n; k++) {
            note(p->series[i].sop_uids[k]);
        }
    }
    return say(ret_reply, to);
}

static int reported(void *arg, const struct receivers_association *a, const char *transaction_uid,
                    struct sctd_error *to)
{
    enum receive_reply reply = RECEIVE_TAKEN;
    assert(arg == &seen && a->id == 1);
    note("reported");
    note(transaction_uid);
    return say(&reply, to);
}

static void unreported(void *arg, const struct receivers_commitment *c)
{
    assert(arg == &seen && c->association.id == 1);
    note("unreported");
    note(c->transaction_uid);
    for (size_t i = 0; i < c->n; i++) {
        assert(c->instance[i].reason == (i % 2 == 0 ? 0 : DICOM_COMMITMENT_NO_SUCH_INSTANCE));
        note(c->instance[i].sop_instance_uid);
    }
}

static const struct receivers_hooks hooks = {.arg = &seen,
                                             .report = report,
                                             .commitment = commitment,
                                             .performed = performed,
                                             .reported = reported,
                                             .unreported = unreported};

/* n instances with reasons 0, 1, 2, 0, ... and series 1.9.0, 1.9.0, 1.9.1, ... */
static int make_list(size_t n)
{
    sctd_auto(dicom_references_fini) struct dicom_references list = {.n = 0};
    int fd = -1;
    for (size_t i = 0; i < n; i++) {
        assert(dicom_references_add(&list, (uint16_t)(i % 3), &err) == 0);
        struct dicom_reference *one = &list.item[i];
        (void)snprintf(one->series_uid, sizeof one->series_uid, "1.9.%zu", i / 2);
        (void)snprintf(one->sop_class_uid, sizeof one->sop_class_uid, "1.2");
        (void)snprintf(one->sop_instance_uid, sizeof one->sop_instance_uid, "1.3.%zu", i);
    }
    assert(instance_list_new(&fd, &list, &err) == 0);
    return fd;
}

static struct receive_message make_message(enum receive_type type, const char *uid, int n)
{
    struct receive_message m = {.type = type};
    if (type == RECEIVE_PERFORMED) {
        m.performed.n = n;
        m.performed.status = DICOM_MPPS_COMPLETED;
        (void)snprintf(m.performed.sop_instance_uid, DICOM_UID_SIZE, "%s", uid);
    } else {
        m.commitment.n = n;
        (void)snprintf(m.commitment.transaction_uid, DICOM_UID_SIZE, "%s", uid);
    }
    return m;
}

static int ask(struct receivers_promises *promises, const struct receive_message *message, int fd,
               enum receive_reply *ret_reply)
{
    struct receive_answered answered = {.reply = -1};
    seen.text[0] = '\0';
    const int r = receivers_answer(promises, &association, message, fd, &answered, &err);
    *ret_reply = (enum receive_reply)answered.reply;
    return r;
}

static void reset(enum receive_reply reply)
{
    seen.reply = reply;
    seen.status = 0;
    seen.text[0] = '\0';
}

static void a_report_is_sorted_by_what_it_says(void)
{
    struct receivers_promises promises = {.hooks = &hooks};
    enum receive_reply reply = RECEIVE_BROKEN;
    const struct receive_message m = make_message(RECEIVE_REPORT, "2.25.1", 6);
    reset(RECEIVE_UNKNOWN);
    assert(ask(&promises, &m, make_list(6), &reply) == 0 && reply == RECEIVE_UNKNOWN);
    assert(strcmp(seen.text, "2.25.1 1.3.0 1.3.3 failed 1.3.5 2 1.3.4 1 1.3.2 2 1.3.1 1 ") == 0);
    assert(promises.n == 0);
}

static void the_instances_of_a_step_come_by_series(void)
{
    struct receivers_promises promises = {.hooks = &hooks};
    enum receive_reply reply = RECEIVE_BROKEN;
    struct receive_message m = make_message(RECEIVE_PERFORMED, "2.25.2", 5);
    reset(RECEIVE_FINAL);
    assert(ask(&promises, &m, make_list(5), &reply) == 0 && reply == RECEIVE_FINAL);
    assert(strcmp(seen.text, "2.25.2 1.9.0 1.3.0 1.3.1 1.9.1 1.3.2 1.3.3 1.9.2 1.3.4 ") == 0);
    m = make_message(RECEIVE_PERFORMED, "2.25.2", 0);
    assert(ask(&promises, &m, make_list(0), &reply) == 0);
    assert(strcmp(seen.text, "2.25.2 ") == 0);
}

static void the_reasons_are_written_into_the_list(void)
{
    struct receivers_promises promises = {.hooks = &hooks};
    enum receive_reply reply = RECEIVE_BROKEN;
    sctd_auto(dicom_references_fini) struct dicom_references answered = {.n = 0};
    const int fd = make_list(3);
    const int copy = dup(fd);
    const struct receive_message m = make_message(RECEIVE_COMMITMENT, "2.25.1", 3);
    reset(RECEIVE_TAKEN);
    assert(ask(&promises, &m, fd, &reply) == 0 && reply == RECEIVE_TAKEN);
    assert(instance_list_read(&answered, copy, 3, &err) == 0);
    assert(answered.item[0].reason == 0 && answered.item[1].reason == 0x0112);
    assert(answered.item[2].reason == 0);
    (void)close(copy);
    receivers_answer_end(&promises, &association);
}

static void a_promise_is_kept_until_it_is_heard(void)
{
    struct receivers_promises promises = {.hooks = &hooks};
    enum receive_reply reply = RECEIVE_BROKEN;
    struct receive_message m = make_message(RECEIVE_COMMITMENT, "2.25.1", 3);
    reset(RECEIVE_TAKEN);
    assert(ask(&promises, &m, make_list(3), &reply) == 0 && promises.n == 1);
    m = make_message(RECEIVE_COMMITMENT, "2.25.2", 2);
    assert(ask(&promises, &m, make_list(2), &reply) == 0 && promises.n == 2);
    m = make_message(RECEIVE_REPORTED, "2.25.1", 0);
    assert(ask(&promises, &m, -1, &reply) == 0 && reply == RECEIVE_TAKEN && promises.n == 1);
    assert(strcmp(seen.text, "reported 2.25.1 ") == 0);
    assert(ask(&promises, &m, -1, &reply) == RECEIVERS_ANSWER_NONSENSE); /* again */
    reset(RECEIVE_TAKEN);
    receivers_answer_end(&promises, &association);
    assert(strcmp(seen.text, "unreported 2.25.2 1.3.0 1.3.1 ") == 0 && promises.n == 0);
    reset(RECEIVE_TAKEN);
    receivers_answer_end(&promises, &association);
    assert(seen.text[0] == '\0');
}

static void what_was_not_taken_is_no_promise(void)
{
    struct receivers_promises promises = {.hooks = &hooks};
    enum receive_reply reply = RECEIVE_BROKEN;
    const struct receive_message m = make_message(RECEIVE_COMMITMENT, "2.25.1", 3);
    reset(RECEIVE_DUPLICATE);
    assert(ask(&promises, &m, make_list(3), &reply) == 0 && reply == RECEIVE_DUPLICATE);
    seen.status = SCTD_EIO;
    seen.reply = RECEIVE_TAKEN;
    assert(ask(&promises, &m, make_list(3), &reply) == SCTD_EIO && reply == RECEIVE_BROKEN);
    assert(promises.n == 0 && strcmp(err.text, "the disk") == 0);
}

static void promises_have_limits(void)
{
    struct receivers_promises promises = {.hooks = &hooks};
    struct receivers_promises others = {.hooks = &hooks};
    enum receive_reply reply = RECEIVE_BROKEN;
    const struct receive_message m = make_message(RECEIVE_COMMITMENT, "2.25.1", 65536);
    reset(RECEIVE_TAKEN);
    for (int i = 0; i < 4; i++) {
        assert(ask(&promises, &m, make_list(65536), &reply) == 0 && reply == RECEIVE_TAKEN);
    }
    seen.text[0] = '\0';
    assert(ask(&promises, &m, make_list(65536), &reply) == 0 && reply == RECEIVE_NO_ROOM);
    assert(ask(&others, &m, make_list(65536), &reply) == 0 && reply == RECEIVE_NO_ROOM);
    assert(seen.text[0] == '\0'); /* the hook was not asked */
    receivers_answer_end(&promises, &association);
    assert(ask(&others, &m, make_list(65536), &reply) == 0 && reply == RECEIVE_TAKEN);
    receivers_answer_end(&others, &association);
}

static void nonsense_is_told_from_a_request(void)
{
    struct receivers_promises promises = {.hooks = &hooks};
    enum receive_reply reply = RECEIVE_TAKEN;
    static const enum receive_type types[] = {RECEIVE_REPORT, RECEIVE_COMMITMENT,
                                              RECEIVE_PERFORMED};
    reset(RECEIVE_TAKEN);
    for (size_t i = 0; i < 3; i++) {
        const struct receive_message m = make_message(types[i], "2.25.1", 3);
        assert(ask(&promises, &m, -1, &reply) == RECEIVERS_ANSWER_NONSENSE);
        assert(ask(&promises, &m, make_list(2), &reply) == RECEIVERS_ANSWER_NONSENSE);
        assert(receivers_answer_takes(types[i]) && seen.text[0] == '\0');
    }
    assert(receivers_answer_takes(RECEIVE_REPORTED) && !receivers_answer_takes(RECEIVE_KEEP));
    assert(!receivers_answer_takes(RECEIVE_ANSWERED) && !receivers_answer_takes(RECEIVE_END));
}

static void without_hooks_nothing_is_taken(void)
{
    const struct receivers_hooks none = {.arg = NULL};
    struct receivers_promises promises = {.hooks = &none};
    static const enum receive_type types[] = {RECEIVE_REPORT, RECEIVE_COMMITMENT,
                                              RECEIVE_PERFORMED};
    for (size_t i = 0; i < 3; i++) {
        struct receive_answered answered = {.reply = RECEIVE_TAKEN};
        const struct receive_message m = make_message(types[i], "2.25.1", 3);
        assert(receivers_answer(&promises, &association, &m, make_list(3), &answered, &err) == 0);
        assert(answered.reply == RECEIVE_NO_ROOM);
    }
}

int main(void)
{
    a_report_is_sorted_by_what_it_says();
    the_instances_of_a_step_come_by_series();
    the_reasons_are_written_into_the_list();
    a_promise_is_kept_until_it_is_heard();
    what_was_not_taken_is_no_promise();
    promises_have_limits();
    nonsense_is_told_from_a_request();
    without_hooks_nothing_is_taken();
    return 0;
}
