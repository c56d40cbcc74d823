/*
 * listener.h - connections and bytes: libmicrohttpd on the daemon's loop.
 *
 * A connection that does not bring a whole request within 15 s of its beginning, or of its last answer, is closed, and so
 * is one that takes longer than 60 s to take an answer, however it drips.  Where there are too many, the one
 * that has said nothing for longest makes place.
 *
 * Thread safety: the loop's thread.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "server/http/dispatch.h"
#include "server/http/request.h"

#ifdef __cplusplus
extern "C" {
#endif

struct uv_loop_s;
struct listener;

struct listener_options {
    struct uv_loop_s *loop;
    const char *address;     /* to listen on */
    int port;                /* 0: any */
    char *certificate, *key; /* PEM texts: TLS; NULL: without.  Borrowed while it listens */
    int max_connections;
    struct dispatch *dispatch;                           /* borrowed */
    void (*dropped)(void *arg, struct request *request); /* one whose reply was to come later */
    void (*answered)(void *arg, int status);
    void *arg;
};

/* *ret_listener: freed by listener_close.  Errors: SCTD_EIO (the port, the certificate), SCTD_EINVAL (the address),
 * SCTD_ENOMEM. */
SCTD_NODISCARD int listener_open(struct listener **ret_listener,
                                 const struct listener_options *options, struct sctd_error *err);
int listener_get_port(const struct listener *listener);
int listener_count_connections(const struct listener *listener);

/* Another certificate: open connections are closed.  Errors: SCTD_EIO; then it listens no more. */
SCTD_NODISCARD int listener_set_certificate(struct listener *listener, char *certificate, char *key,
                                            struct sctd_error *err);

/* A reply with is_later is there now: it is sent.  The request must not be used after it. */
void listener_answer(struct request *request);

/* Every connection is closed at once; its handles close as the loop runs on.  NULL is a no-op. */
void listener_close(struct listener *listener);

#ifdef __cplusplus
}
#endif
