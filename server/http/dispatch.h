/*
 * dispatch.h - a request from its first byte to its handler: everything that refuses it, in one order.
 *
 * Before the body is read: the rate, the target, the route, who asks and whether that is allowed, the form of answer
 * that is wanted, parameters that the route does not know, and what the header says of the body.  Nothing here
 * knows libmicrohttpd.
 *
 * Thread safety: the loop's thread.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db/db.h"
#include "engine/base/error.h"
#include "server/http/access.h"
#include "server/http/rate.h"
#include "server/http/request.h"
#include "server/http/route.h"

#ifdef __cplusplus
extern "C" {
#endif

#define DISPATCH_COOKIE     "sctd_session"
#define DISPATCH_TLS_COOKIE "__Host-sctd_session" /* RFC 6265bis: only ever sent over TLS */

struct dispatch {
    const struct route *routes;
    size_t n_routes;
    struct access *access;
    struct rate *rate;     /* of all requests of an address */
    struct rate *failures; /* of those whose token or session was none */
    bool open_metrics;     /* no token for /metrics */
    void *context;         /* of the handlers */
};

/* When the header is there.  Returns whether the body is wanted; if not, the reply is ready. */
bool dispatch_begin(struct dispatch *dispatch, struct request *request, int64_t now_ms);

/* When the body is there too.  The reply is ready, or comes later. */
void dispatch_run(struct request *request);

/* What is left to do once a reply is ready: conditional requests (RFC 9110 13.1.2) and gzip.
 * ret_etag: "" where there is none.  Returns whether the body is gzip now. */
enum { DISPATCH_ETAG_SIZE = 40 };
bool dispatch_finish(struct request *request, char ret_etag[DISPATCH_ETAG_SIZE]);

/* The value of the session's cookie in a Cookie field, or "". */
void dispatch_find_cookie(const struct request *request, char ret_secret[ACCESS_SECRET_SIZE]);

#ifdef __cplusplus
}
#endif
