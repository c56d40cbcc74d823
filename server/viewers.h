/*
 * viewers.h - the processes that draw pictures of series and jobs, since the parent reads no data set itself.
 *
 * A few, each with the volumes of one subject in memory, so that a slider's next slice comes at once.  One that
 * nobody asks ends by itself; one that hangs is killed, one that needs more memory than it may fails, and
 * their requests are answered as unavailable.
 *
 * Thread safety: the loop's thread.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "server/view_messages.h"
#include "server/view_subject.h"

#ifdef __cplusplus
extern "C" {
#endif

struct uv_loop_s;
struct viewers;

struct viewers_hooks {
    void *arg;
    void (*drained)(void *arg); /* after viewers_drain: none is left */
};

/* Of the numbers, 0 is the default. */
struct viewers_options {
    struct uv_loop_s *loop;
    const char *program;         /* the path of sctd */
    const char *spool, *results; /* folders; the texts must outlive it */
    int n;                       /* at once; 2 */
    int queue;                   /* most requests that wait or are being answered; 64 */
    int idle_ms;                 /* without a request until it ends; 30,000 */
    int deadline_ms;    /* for the start, for reading the subject, and for each answer; 20,000 */
    int32_t memory_mib; /* address space of each; 3072 */
};

/* *ret_viewers: freed by viewers_free.  Errors: SCTD_ENOMEM, SCTD_EINVAL. */
SCTD_NODISCARD int viewers_new(struct viewers **ret_viewers, const struct viewers_options *options,
                               const struct viewers_hooks *hooks, struct sctd_error *err);

enum viewers_status {
    VIEWERS_OK,
    VIEWERS_ABSENT,  /* no such slice or image: reason */
    VIEWERS_REFUSED, /* the files do not make a volume: reason, as for jobs */
    VIEWERS_UNAVAILABLE, /* the process died, hung, could not start, or the daemon ends: reason; may pass */
};

/* Valid while `done` runs. */
struct viewers_answer {
    enum viewers_status status;
    const char *reason;       /* for people, no patient data; "" when OK */
    const unsigned char *png; /* PICTURE: [png_size], else NULL */
    size_t png_size;
    int32_t width, height;                  /* of the picture */
    const struct view_facts *facts;         /* FACTS; also with a picture and a histogram */
    const struct view_histogram *histogram; /* HISTOGRAM, else NULL */
};
typedef void (*viewers_done_fn)(void *arg, const struct viewers_answer *answer);

enum { VIEWERS_BUSY = 1 };

/*
 * `done` is called once, later and never from within this call, unless viewers_forget comes first.  It may ask again.
 * The subject is copied.
 * Returns 0, or VIEWERS_BUSY: too many wait already, or the daemon ends; `done` is not called.
 * Errors: SCTD_EINVAL (the request: view_request_check), SCTD_ENOMEM; `done` is not called.
 */
SCTD_NODISCARD int viewers_ask(struct viewers *viewers, const struct viewers_subject *subject,
                               const struct view_request *request, viewers_done_fn done, void *arg,
                               struct sctd_error *err);

/* Whoever asked with this arg is gone: none of its requests is answered any more. */
void viewers_forget(struct viewers *viewers, const void *arg);

/* Answers what waits as unavailable and ends all processes. */
void viewers_drain(struct viewers *viewers);

/* After `drained`, before the loop ends: its handles close as the loop runs on.  NULL is a no-op. */
void viewers_free(struct viewers *viewers);

#ifdef __cplusplus
}
#endif
