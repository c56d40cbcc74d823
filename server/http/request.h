/*
 * request.h - a request over HTTP, as its handler sees it.
 *
 * Thread safety: the loop's thread.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/http/access.h"
#include "server/http/reply.h"
#include "server/http/route.h"
#include "server/http/uri.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { REQUEST_BODY_MAX = 64 << 10, REQUEST_ADDRESS_SIZE = 64 };

/* Header fields that something here looks at; NULL where they are not there. */
struct request_headers {
    const char *accept, *accept_encoding, *authorization, *content_encoding, *content_length,
        *content_type, *cookie, *csrf, *host, *if_none_match, *last_event_id, *origin;
};

struct request {
    void *context;      /* the handlers' */
    const char *method; /* as it was sent */
    const char *target;
    struct request_headers headers;
    char address[REQUEST_ADDRESS_SIZE]; /* of the peer */
    bool is_tls;
    /* From here on as dispatch.h finds it. */
    bool is_head;
    struct uri uri;
    struct route_found found;
    struct access_who who;
    struct sctd_buf body;
    struct reply reply;
};

/*
 * Parameters and bodies.  Each returns whether it is well; if not, the reply says why not (400, 415).
 */
/* Left out: *value stays as it is. */
bool request_get_int(struct request *request, const char *name, int64_t min, int64_t max,
                     int64_t *value);
bool request_get_double(struct request *request, const char *name, double min, double max,
                        double *value);
bool request_get_bool(struct request *request, const char *name, bool *value);
/* RFC 3339 with a zone; *wall_ms: since 1970. */
bool request_get_time(struct request *request, const char *name, int64_t *wall_ms);
/* One of names[n]; *index stays as it is if it is left out. */
bool request_get_choice(struct request *request, const char *name, const char *const *names, int n,
                        int *index);
/* A text of 1 ... max characters without controls; NULL if it is left out. */
bool request_get_text(struct request *request, const char *name, size_t max, const char **ret_text);
/* DICOM's UIDs (PS3.5 6.2); NULL if it is left out. */
bool request_get_uid(struct request *request, const char *name, const char **ret_uid);
/* The body as an object with no other keys than these; an empty body is an empty object unless `required`.
 * *ret_json: the caller frees it; NULL for an empty body. */
bool request_get_json(struct request *request, const char *const *keys, size_t n, bool required,
                      struct json **ret_json);
/* A text member of the body, one line; ret_text[size] holds (size - 1) / 4 characters, and more are refused; left
 * out: "". */
bool request_get_member(struct request *request, const struct json *json, const char *key,
                        char *ret_text, size_t size);

/* A whole number of the body within min ... max, written as 3 or 3.0; left out: *value stays as it is. */
bool request_get_whole(struct request *request, const struct json *json, const char *key,
                       int64_t min, int64_t max, int64_t *value);

#ifdef __cplusplus
}
#endif
