/*
 * reply.h - what a request is answered with.
 *
 * Thread safety: a reply belongs to one request.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/attr.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/json.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { REPLY_BYTES_MAX = 8 << 20, REPLY_HEADER_SIZE = 200 };

#define REPLY_JSON    "application/json"
#define REPLY_PROBLEM "application/problem+json"

struct stream;

struct reply {
    int status;
    const char *type; /* Content-Type; a constant */
    struct sctd_buf body;
    char cookie[REPLY_HEADER_SIZE]; /* Set-Cookie; "": none */
    char allow[32];                 /* "": none */
    int32_t retry_after_s;          /* 0: none */
    bool secret;                    /* holds who a patient is: it is kept nowhere */
    bool is_later;                  /* it comes by listener_answer */
    struct stream *stream;          /* of events instead of a body, owned; NULL: none */
};

void reply_init(struct reply *reply);
void reply_fini(struct reply *reply);

/* An error as RFC 9457 has it; what the reply held before is dropped.  The text is one line and no patient data. */
SCTD_PRINTF(3, 4) void reply_problem(struct reply *reply, int status, const char *format, ...);

/* What went wrong inside: 500, or 503 where waiting may help; also into the log. */
void reply_error(struct reply *reply, const struct sctd_error *err);

/* The words of a status, "Not Found"; never NULL. */
const char *reply_status_words(int status);

/* An object as the body: write its members, then end it.  `err` must outlive the writer. */
struct json_writer reply_begin_json(struct reply *reply, struct sctd_error *err);
void reply_end_json(struct reply *reply, struct json_writer *w);

/* {"done": true, "detail": text}. */
void reply_done(struct reply *reply, const char *text);

/* Members that several objects have. */
void reply_write_time(struct json_writer *w, const char *key, int64_t wall_ms); /* RFC 3339 */
/* The same, null where it is 0. */
void reply_write_time_or_null(struct json_writer *w, const char *key, int64_t wall_ms);

#ifdef __cplusplus
}
#endif
