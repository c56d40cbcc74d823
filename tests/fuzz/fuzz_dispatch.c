/* SPDX-License-Identifier: Apache-2.0 */
/* Any request against the real routes: a line with method and target, lines of header fields, a blank one, the body.
 * Whatever it is, it is answered with one of the statuses of the API; nothing runs without the role it needs. */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/attr.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/base/sha256.h"
#include "server/api/routes.h"
#include "server/http/access.h"
#include "server/http/dispatch.h"
#include "server/http/rate.h"
#include "server/http/reply.h"
#include "server/http/request.h"
#include "server/http/route.h"

enum { ROUTES_MAX = 128, LINE_MAX = 2048, PARAMS = 8 };

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads every parameter and the body in every way that handlers do. */
static void handle(struct request *q)
{
    static const char *const names[] = {"state", "from",     "limit", "cursor",
                                        "width", "identity", "order", "slice"};
    static const char *const choices[] = {"done", "newest", "axial"};
    static const char *const keys[] = {"reason", "priority", "token", "series_id"};
    char text[64];
    int64_t integer = 0;
    double number = 0;
    bool flag = false;
    int choice = 0;
    const char *string = NULL;
    sctd_auto(json_freep) struct json *json = NULL;
    assert(q->who.role >= q->found.route->role);
    for (size_t i = 0; i < PARAMS; i++) {
        (void)request_get_int(q, names[i], -5, 1000, &integer);
        (void)request_get_double(q, names[i], -1e5, 1e5, &number);
        (void)request_get_bool(q, names[i], &flag);
        (void)request_get_time(q, names[i], &integer);
        (void)request_get_choice(q, names[i], choices, 3, &choice);
        (void)request_get_text(q, names[i], 64, &string);
    }
    assert(integer >= -5 && choice >= 0 && choice < 3 && number >= -1e5 && number <= 1e5);
    if (request_get_json(q, keys, 4, true, &json)) {
        (void)request_get_member(q, json, "reason", text, sizeof text);
        assert(strlen(text) < sizeof text);
    }
}

static void set_header(struct request_headers *h, char *line)
{
    const struct {
        const char *name;
        const char **to;
    } table[] = {
        {"accept", &h->accept},
        {"accept-encoding", &h->accept_encoding},
        {"authorization", &h->authorization},
        {"content-encoding", &h->content_encoding},
        {"content-length", &h->content_length},
        {"content-type", &h->content_type},
        {"cookie", &h->cookie},
        {"x-csrf-token", &h->csrf},
        {"host", &h->host},
        {"if-none-match", &h->if_none_match},
        {"last-event-id", &h->last_event_id},
        {"origin", &h->origin},
    };
    char *colon = strchr(line, ':');
    if (colon == NULL) {
        return;
    }
    *colon = '\0';
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (strcmp(table[i].name, line) == 0) {
            *table[i].to = colon + 1 + strspn(colon + 1, " ");
        }
    }
}

static void open_dispatch(struct dispatch *d, struct route *routes)
{
    struct access_token token = {.name = "t", .role = ACCESS_OPERATOR};
    struct sctd_error err = {0};
    struct sha256 s;
    assert(api_routes_count <= ROUTES_MAX);
    memcpy(routes, api_routes, api_routes_count * sizeof *routes);
    for (size_t i = 0; i < api_routes_count; i++) {
        routes[i].handle = handle;
    }
    sha256_init(&s);
    sha256_update(&s, "t", 1);
    sha256_final(&s, token.sha256);
    *d = (struct dispatch){.routes = routes, .n_routes = api_routes_count};
    assert(access_new(&d->access, &err) == 0 && access_set_tokens(d->access, &token, 1, &err) == 0);
    assert(rate_new(&d->rate, 1e9, 1e9, &err) == 0 && rate_new(&d->failures, 1e9, 1e9, &err) == 0);
}

/* The next line of *at, ended by NUL; NULL at the end. */
static char *take_line(char **at)
{
    char *line = *at;
    if (line == NULL || *line == '\0') {
        return NULL;
    }
    char *end = strchr(line, '\n');
    if (end != NULL) {
        *end = '\0';
    }
    *at = end == NULL ? NULL : end + 1;
    return line;
}

static void check(const struct request *q)
{
    static const int statuses[] = {200, 304, 400, 401, 403, 404, 405, 406, 413, 415, 429};
    bool known = false;
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        known = known || q->reply.status == statuses[i];
    }
    assert(known);
    if (q->reply.status >= 400 && q->headers.accept_encoding == NULL) {
        struct json *json = NULL;
        struct sctd_error err = {0};
        assert(json_parse(&json, q->reply.body.data, q->reply.body.size, &err) == 0);
        json_free(json);
    }
}

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct dispatch dispatch;
    static struct route routes[ROUTES_MAX];
    static struct request q;
    char etag[DISPATCH_ETAG_SIZE];
    struct sctd_error err = {0};
    if (dispatch.access == NULL) {
        open_dispatch(&dispatch, routes);
    }
    char *text = malloc(size + 1);
    assert(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    char *at = text;
    char *first = take_line(&at);
    char *blank = first == NULL ? NULL : strchr(first, ' ');
    if (blank != NULL) {
        *blank = '\0';
        q = (struct request){.method = first, .target = blank + 1, .address = "10.0.0.1"};
        reply_init(&q.reply);
        q.body = sctd_buf_make(REQUEST_BODY_MAX);
        for (char *line = take_line(&at); line != NULL && *line != '\0'; line = take_line(&at)) {
            set_header(&q.headers, line);
        }
        if (at != NULL && sctd_buf_text(&q.body, at, &err) < 0) {
            sctd_buf_fini(&q.body);
        }
        if (dispatch_begin(&dispatch, &q, 1000)) {
            dispatch_run(&q);
        }
        (void)dispatch_finish(&q, etag);
        check(&q);
        sctd_buf_fini(&q.body);
        reply_fini(&q.reply);
    }
    free(text);
    return 0;
}
