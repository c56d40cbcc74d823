/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/sha256.h"
#include "server/http/access.h"
#include "server/http/dispatch.h"
#include "server/http/rate.h"
#include "server/http/reply.h"
#include "server/http/request.h"
#include "server/http/route.h"

#include "tests/support/hold.h"

static int handled;

static void handle(struct request *request)
{
    struct sctd_error err = {0};
    char line[64];
    handled++;
    for (int i = 0; i < 100; i++) {
        const int n = snprintf(line, sizeof line, "line %d of what is said\n", i);
        HOLD(sctd_buf_append(&request->reply.body, line, (size_t)n, &err) == 0);
    }
}

static const struct route routes[] = {
    {"/open", "", REPLY_JSON, handle, HTTP_GET, ACCESS_NOBODY},
    {"/metrics", "", "text/plain; version=0.0.4", handle, HTTP_GET, ACCESS_VIEWER},
    {"/read", "a b", REPLY_JSON, handle, HTTP_GET, ACCESS_VIEWER},
    {"/act", "", REPLY_JSON, handle, HTTP_POST, ACCESS_OPERATOR},
    {"/login", "", REPLY_JSON, handle, HTTP_POST, ACCESS_NOBODY},
    {"/remove", "", REPLY_JSON, handle, HTTP_DELETE, ACCESS_ADMIN},
};

struct kit {
    struct dispatch dispatch;
    struct request request;
};

static void add_token(struct access_token *token, const char *text, enum access_role role)
{
    struct sha256 s;
    *token = (struct access_token){.role = role};
    (void)snprintf(token->name, sizeof token->name, "%s", text);
    sha256_init(&s);
    sha256_update(&s, text, strlen(text));
    sha256_final(&s, token->sha256);
}

static struct kit *open_kit(void)
{
    struct kit *kit = calloc(1, sizeof *kit);
    struct access_token tokens[3];
    struct sctd_error err = {0};
    HOLD(kit != NULL);
    add_token(&tokens[0], "view", ACCESS_VIEWER);
    add_token(&tokens[1], "operate", ACCESS_OPERATOR);
    add_token(&tokens[2], "admin", ACCESS_ADMIN);
    struct dispatch *d = &kit->dispatch;
    d->routes = routes;
    d->n_routes = sizeof routes / sizeof *routes;
    HOLD(access_new(&d->access, &err) == 0 && access_set_tokens(d->access, tokens, 3, &err) == 0);
    HOLD(rate_new(&d->rate, 1000, 100000, &err) == 0);
    HOLD(rate_new(&d->failures, 0.1, 5, &err) == 0);
    return kit;
}

static void close_kit(struct kit *kit)
{
    access_free(kit->dispatch.access);
    rate_free(kit->dispatch.rate);
    rate_free(kit->dispatch.failures);
    sctd_buf_fini(&kit->request.body);
    reply_fini(&kit->request.reply);
    free(kit);
}

static struct request *begin(struct kit *kit, const char *method, const char *target,
                             const char *token)
{
    static char authorization[64];
    struct request *q = &kit->request;
    sctd_buf_fini(&q->body);
    reply_fini(&q->reply);
    *q = (struct request){.method = method, .target = target};
    reply_init(&q->reply);
    q->body = sctd_buf_make(REQUEST_BODY_MAX);
    (void)snprintf(q->address, sizeof q->address, "10.0.0.1");
    if (token != NULL) {
        (void)snprintf(authorization, sizeof authorization, "Bearer %s", token);
        q->headers.authorization = authorization;
    }
    return q;
}

/* The status of a request as it was begun. */
static int run(struct kit *kit)
{
    handled = 0;
    if (dispatch_begin(&kit->dispatch, &kit->request, 1000)) {
        dispatch_run(&kit->request);
    }
    HOLD((handled == 1) == (kit->request.reply.status == 200));
    return kit->request.reply.status;
}

static int ask(struct kit *kit, const char *method, const char *target, const char *token)
{
    (void)begin(kit, method, target, token);
    return run(kit);
}

static void each_role_may_what_it_may(void)
{
    struct kit *kit = open_kit();
    static const struct {
        const char *method, *target, *token;
        int status;
    } cases[] = {
        {"GET", "/open", NULL, 200},         {"HEAD", "/open", NULL, 200},
        {"GET", "/read", NULL, 401},         {"GET", "/read", "view", 200},
        {"HEAD", "/read", "view", 200},      {"GET", "/read?a=1&b=2", "view", 200},
        {"GET", "/read?c=1", "view", 400},   {"GET", "/read?a=1&a=2", "view", 400},
        {"POST", "/act", "view", 403},       {"POST", "/act", "operate", 200},
        {"POST", "/act", "admin", 200},      {"DELETE", "/remove", "operate", 403},
        {"DELETE", "/remove", "admin", 200}, {"GET", "/nothing", "admin", 404},
        {"POST", "/read", "admin", 405},     {"PUT", "/act", "admin", 405},
        {"get", "/open", NULL, 405},         {"GET", "/../open", NULL, 400},
        {"GET", "/metrics", NULL, 401},      {"GET", "/metrics", "view", 200},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int status = ask(kit, cases[i].method, cases[i].target, cases[i].token);
        if (status != cases[i].status) {
            (void)fprintf(stderr, "%s %s: %d\n", cases[i].method, cases[i].target, status);
            HOLD(false);
        }
    }
    HOLD(ask(kit, "PUT", "/act", "admin") == 405);
    HOLD(strcmp(kit->request.reply.allow, "POST") == 0);
    HOLD(ask(kit, "POST", "/read", "admin") == 405);
    HOLD(strcmp(kit->request.reply.allow, "GET, HEAD") == 0);
    kit->dispatch.open_metrics = true;
    HOLD(ask(kit, "GET", "/metrics", NULL) == 200 && ask(kit, "GET", "/read", NULL) == 401);
    close_kit(kit);
}

static void guesses_are_slowed_down(void)
{
    struct kit *kit = open_kit();
    for (int i = 0; i < 5; i++) {
        HOLD(ask(kit, "GET", "/read", "wrong") == 401);
    }
    HOLD(ask(kit, "GET", "/read", "wrong") == 429 && kit->request.reply.retry_after_s == 10);
    HOLD(ask(kit, "GET", "/read", "view") == 200); /* who knows a token is not locked out */
    close_kit(kit);
}

static void a_cookie_alone_changes_nothing(void)
{
    struct kit *kit = open_kit();
    char secret[ACCESS_SECRET_SIZE];
    char cookie[200];
    struct access_who who;
    struct sctd_error err = {0};
    HOLD(access_login(kit->dispatch.access, "operate", 1000, secret, &who, &err) == 1);
    (void)snprintf(cookie, sizeof cookie, "a=b; sctd_session=%s; c=d", secret);

    begin(kit, "GET", "/read", NULL)->headers.cookie = cookie;
    HOLD(run(kit) == 200);
    begin(kit, "POST", "/act", NULL)->headers.cookie = cookie;
    HOLD(run(kit) == 403);
    struct request *q = begin(kit, "POST", "/act", NULL);
    q->headers.cookie = cookie;
    q->headers.csrf = "0123456789abcdef0123456789abcdef";
    HOLD(run(kit) == 403);
    q = begin(kit, "POST", "/act", NULL);
    q->headers.cookie = cookie;
    q->headers.csrf = who.csrf;
    HOLD(run(kit) == 200);
    q = begin(kit, "POST", "/act", NULL);
    q->headers.cookie = cookie;
    q->headers.csrf = who.csrf;
    q->headers.origin = "https://evil.example";
    q->headers.host = "node:8104";
    HOLD(run(kit) == 403);
    q = begin(kit, "POST", "/act", NULL);
    q->headers.cookie = cookie;
    q->headers.csrf = who.csrf;
    q->headers.origin = "http://node:8104";
    q->headers.host = "node:8104";
    HOLD(run(kit) == 200);
    /* Over TLS only the cookie that was set over TLS counts. */
    q = begin(kit, "GET", "/read", NULL);
    q->headers.cookie = cookie;
    q->is_tls = true;
    HOLD(run(kit) == 401);
    begin(kit, "GET", "/read", NULL)->headers.cookie = "sctd_session=";
    HOLD(run(kit) == 401);
    q = begin(kit, "POST", "/login", NULL);
    q->headers.origin = "https://evil.example";
    q->headers.host = "node:8104";
    HOLD(run(kit) == 403);
    close_kit(kit);
}

static void forms_that_do_not_fit_are_refused(void)
{
    struct kit *kit = open_kit();
    static const struct {
        const char *accept;
        int status;
    } accepts[] = {
        {"*/*", 200},
        {"application/json", 200},
        {"APPLICATION/*;q=0.5", 200},
        {"text/html, application/json;q=0.1", 200},
        {"text/html", 406},
        {"application/json;q=0", 406},
        {"application/json;q=0.0, text/html", 406},
        {"application/jso", 406},
        {"", 200},
    };
    for (size_t i = 0; i < sizeof accepts / sizeof *accepts; i++) {
        begin(kit, "GET", "/read", "view")->headers.accept = accepts[i].accept;
        HOLD(run(kit) == accepts[i].status);
    }
    struct request *q = begin(kit, "POST", "/act", "admin");
    q->headers.content_length = "10";
    HOLD(run(kit) == 415);
    q = begin(kit, "POST", "/act", "admin");
    q->headers.content_length = "10";
    q->headers.content_type = "application/json; charset=utf-8";
    HOLD(run(kit) == 200);
    q = begin(kit, "POST", "/act", "admin");
    q->headers.content_length = "65537";
    q->headers.content_type = "application/json";
    HOLD(run(kit) == 413);
    q = begin(kit, "POST", "/act", "admin");
    q->headers.content_length = "-1";
    HOLD(run(kit) == 413);
    q = begin(kit, "POST", "/act", "admin");
    q->headers.content_encoding = "gzip";
    HOLD(run(kit) == 415);
    close_kit(kit);
}

static void an_address_that_asks_too_often_waits(void)
{
    struct kit *kit = open_kit();
    struct sctd_error err = {0};
    rate_free(kit->dispatch.rate);
    HOLD(rate_new(&kit->dispatch.rate, 1, 2, &err) == 0);
    HOLD(ask(kit, "GET", "/open", NULL) == 200 && ask(kit, "GET", "/open", NULL) == 200);
    HOLD(ask(kit, "GET", "/open", NULL) == 429 && kit->request.reply.retry_after_s == 1);
    close_kit(kit);
}

static void what_has_not_changed_is_not_sent_again(void)
{
    struct kit *kit = open_kit();
    char etag[DISPATCH_ETAG_SIZE];
    char other[DISPATCH_ETAG_SIZE];
    HOLD(ask(kit, "GET", "/read", "view") == 200);
    const size_t size = kit->request.reply.body.size;
    HOLD(!dispatch_finish(&kit->request, etag) && strncmp(etag, "W/\"", 3) == 0);
    HOLD(kit->request.reply.body.size == size);

    begin(kit, "GET", "/read", "view")->headers.if_none_match = etag;
    HOLD(run(kit) == 200);
    (void)dispatch_finish(&kit->request, other);
    HOLD(kit->request.reply.status == 304 && kit->request.reply.body.size == 0);

    begin(kit, "GET", "/read", "view")->headers.if_none_match = "W/\"0\"";
    HOLD(run(kit) == 200);
    (void)dispatch_finish(&kit->request, other);
    HOLD(kit->request.reply.status == 200 && strcmp(etag, other) == 0);

    begin(kit, "GET", "/read", "view")->headers.accept_encoding = "br, gzip";
    HOLD(run(kit) == 200);
    HOLD(dispatch_finish(&kit->request, other) && strcmp(etag, other) == 0);
    HOLD(kit->request.reply.body.size < size && kit->request.reply.body.data[0] == '\x1f');

    begin(kit, "GET", "/read", "view")->headers.accept_encoding = "gzip;q=0";
    HOLD(run(kit) == 200 && !dispatch_finish(&kit->request, other));

    (void)begin(kit, "GET", "/read", "view");
    HOLD(run(kit) == 200);
    kit->request.reply.secret = true; /* nobody keeps what names a patient */
    HOLD(!dispatch_finish(&kit->request, other) && other[0] == '\0');
    close_kit(kit);
}

int main(void)
{
    each_role_may_what_it_may();
    guesses_are_slowed_down();
    a_cookie_alone_changes_nothing();
    forms_that_do_not_fit_are_refused();
    an_address_that_asks_too_often_waits();
    what_has_not_changed_is_not_sent_again();
    return 0;
}
