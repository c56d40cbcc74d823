/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/dispatch.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/parse.h"
#include "engine/base/sha256.h"
#include "server/http/access.h"
#include "server/http/gzip.h"
#include "server/http/rate.h"
#include "server/http/reply.h"
#include "server/http/request.h"
#include "server/http/route.h"
#include "server/http/uri.h"

static const char *const method_names[HTTP_METHODS] = {"GET", "POST", "DELETE"};

static bool too_many(struct request *request, int64_t wait_ms)
{
    enum { SECOND_MS = 1000 };
    request->reply.retry_after_s = (int32_t)((wait_ms + SECOND_MS - 1) / SECOND_MS);
    reply_problem(&request->reply, 429, "too many requests of this address: wait %d s",
                  request->reply.retry_after_s);
    return false;
}

/* The route */

static bool find_method(struct request *request, enum http_method *ret_method)
{
    request->is_head = strcmp(request->method, "HEAD") == 0;
    const char *name = request->is_head ? "GET" : request->method;
    for (int i = 0; i < HTTP_METHODS; i++) {
        if (strcmp(method_names[i], name) == 0) {
            *ret_method = (enum http_method)i;
            return true;
        }
    }
    return false;
}

static void write_allow(struct reply *reply, unsigned allowed)
{
    const char *comma = "";
    reply->allow[0] = '\0';
    for (int i = 0; i < HTTP_METHODS; i++) {
        if ((allowed & (1U << i)) != 0) {
            const size_t used = strlen(reply->allow);
            (void)snprintf(reply->allow + used, sizeof reply->allow - used, "%s%s%s", comma,
                           method_names[i], i == HTTP_GET ? ", HEAD" : "");
            comma = ", ";
        }
    }
}

static bool find_route(const struct dispatch *dispatch, struct request *request)
{
    enum http_method method = HTTP_METHODS;
    const bool known = find_method(request, &method);
    route_find(&request->found, dispatch->routes, dispatch->n_routes, method, request->uri.path);
    if (request->found.route != NULL) {
        return true;
    }
    if (request->found.allowed == 0) {
        reply_problem(&request->reply, 404, "there is nothing at %.200s", request->uri.path);
        return false;
    }
    write_allow(&request->reply, request->found.allowed);
    reply_problem(&request->reply, 405, "%.20s: %s are possible here",
                  known ? request->method : "this method", request->reply.allow);
    return false;
}

/* Who asks */

static const char *cookie_name(const struct request *request)
{
    return request->is_tls ? DISPATCH_TLS_COOKIE : DISPATCH_COOKIE;
}

void dispatch_find_cookie(const struct request *request, char ret_secret[ACCESS_SECRET_SIZE])
{
    const char *at = request->headers.cookie;
    const char *name = cookie_name(request);
    const size_t n = strlen(name);
    ret_secret[0] = '\0';
    while (at != NULL && *at != '\0') {
        at += strspn(at, " ;");
        const size_t size = strcspn(at, ";");
        if (size > n + 1 && strncmp(at, name, n) == 0 && at[n] == '=' &&
            size - n - 1 < ACCESS_SECRET_SIZE) {
            (void)snprintf(ret_secret, ACCESS_SECRET_SIZE, "%.*s", (int)(size - n - 1), at + n + 1);
            return;
        }
        at += size;
    }
}

static bool unknown(struct dispatch *dispatch, struct request *request, int64_t now_ms,
                    const char *detail)
{
    const int64_t wait_ms = rate_take(dispatch->failures, request->address, now_ms);
    if (wait_ms > 0) {
        return too_many(request, wait_ms);
    }
    reply_problem(&request->reply, 401, "%s", detail);
    return false;
}

static bool find_who(struct dispatch *dispatch, struct request *request, int64_t now_ms)
{
    static const char bearer[] = "Bearer ";
    char secret[ACCESS_SECRET_SIZE];
    const char *authorization = request->headers.authorization;
    if (authorization != NULL) {
        if (strncasecmp(authorization, bearer, sizeof bearer - 1) == 0 &&
            access_by_token(dispatch->access, authorization + sizeof bearer - 1, &request->who)) {
            return true;
        }
        return unknown(dispatch, request, now_ms,
                       "this token is not known here: see http.tokens in the configuration, and "
                       "\"sctd token\"");
    }
    dispatch_find_cookie(request, secret);
    if (secret[0] != '\0') {
        if (access_by_session(dispatch->access, secret, now_ms, &request->who)) {
            return true;
        }
        return unknown(dispatch, request, now_ms, "the session has ended: log in again");
    }
    reply_problem(&request->reply, 401,
                  "a token is needed: Authorization: Bearer TOKEN (\"sctd token\" makes one)");
    return false;
}

static bool is_open(const struct dispatch *dispatch, const struct request *request)
{
    return request->found.route->role == ACCESS_NOBODY ||
           (dispatch->open_metrics && strcmp(request->found.route->path, "/metrics") == 0);
}

/* A browser sends its cookie whoever made it ask; the token of the session it does not. */
static bool check_forgery(struct request *request)
{
    const char *csrf = request->headers.csrf;
    if (request->found.route->method == HTTP_GET || request->who.csrf[0] == '\0') {
        return true;
    }
    if (csrf == NULL || !access_is_csrf(&request->who, csrf)) {
        reply_problem(&request->reply, 403,
                      "the header X-CSRF-Token must hold the session's csrf (GET "
                      "/api/v1/session)");
        return false;
    }
    return true;
}

/* Another site's page must not log its visitor in either. */
static bool check_origin(struct request *request)
{
    const char *origin = request->headers.origin;
    const char *host = request->headers.host;
    if (request->found.route->method == HTTP_GET || origin == NULL) {
        return true;
    }
    const char *authority = strstr(origin, "://");
    if (authority == NULL || host == NULL || strcmp(authority + 3, host) != 0) {
        reply_problem(&request->reply, 403, "the request comes from a page of another site");
        return false;
    }
    return true;
}

static bool check_access(struct dispatch *dispatch, struct request *request, int64_t now_ms)
{
    const struct route *route = request->found.route;
    if (is_open(dispatch, request)) {
        return check_origin(request);
    }
    if (!find_who(dispatch, request, now_ms) || !check_origin(request) || !check_forgery(request)) {
        return false;
    }
    if (request->who.role < route->role) {
        reply_problem(&request->reply, 403, "the role %s is needed, \"%s\" has %s",
                      access_role_name(route->role), request->who.name,
                      access_role_name(request->who.role));
        return false;
    }
    return true;
}

/* What is asked for */

/* One media range of Accept against a type: "image/png", "image" "/" "*", or both "*"; with q=0 it is not wanted. */
static bool accepts_range(const char *range, size_t size, const char *type)
{
    const size_t name = strcspn(range, ";,");
    size_t n = name < size ? name : size;
    while (n > 0 && (range[n - 1] == ' ' || range[n - 1] == '\t')) {
        n--;
    }
    const char *slash = strchr(type, '/');
    const size_t type_size = strcspn(type, ";");
    const bool all = n == 3 && strncmp(range, "*/*", 3) == 0;
    const bool kind = n == (size_t)(slash - type) + 2 && range[n - 1] == '*' &&
                      strncasecmp(range, type, n - 1) == 0;
    const bool same = n == type_size && strncasecmp(range, type, n) == 0;
    const char *q = memmem(range, size, "q=0", 3);
    const bool unwanted = q != NULL && strspn(q + 2, "0.") >= (size_t)(range + size - q - 2);
    return (all || kind || same) && !unwanted;
}

static bool check_accept(struct request *request)
{
    const char *at = request->headers.accept;
    const char *type = request->found.route->type;
    if (at == NULL || *at == '\0') {
        return true;
    }
    while (*at != '\0') {
        at += strspn(at, " \t,");
        const size_t size = strcspn(at, ",");
        if (size > 0 && accepts_range(at, size, type)) {
            return true;
        }
        at += size;
    }
    reply_problem(&request->reply, 406, "it can only be %s", type);
    return false;
}

static bool check_params(struct request *request)
{
    for (size_t i = 0; i < request->uri.n; i++) {
        const char *name = request->uri.param[i].name;
        if (!route_takes(request->found.route, name)) {
            reply_problem(&request->reply, 400, "parameter \"%.64s\" is not known here%s%s", name,
                          request->found.route->params[0] == '\0' ? "" : ": possible are ",
                          request->found.route->params);
            return false;
        }
    }
    return true;
}

static bool check_body(struct request *request)
{
    const struct request_headers *h = &request->headers;
    int64_t size = 0;
    if (h->content_encoding != NULL && strcasecmp(h->content_encoding, "identity") != 0) {
        reply_problem(&request->reply, 415, "the body must not be encoded");
        return false;
    }
    if (h->content_length != NULL &&
        (sctd_parse_i64(&size, h->content_length, 0, INT64_MAX, NULL) < 0 ||
         size > REQUEST_BODY_MAX)) {
        reply_problem(&request->reply, 413, "a body of at most %d bytes is taken",
                      REQUEST_BODY_MAX);
        return false;
    }
    const size_t n = h->content_type == NULL ? 0 : strcspn(h->content_type, "; ");
    const bool is_json =
        n == sizeof REPLY_JSON - 1 && strncasecmp(h->content_type, REPLY_JSON, n) == 0;
    if (!is_json && (size > 0 || h->content_type != NULL) &&
        request->found.route->method == HTTP_POST) {
        reply_problem(&request->reply, 415, "the body must be %s", REPLY_JSON);
        return false;
    }
    return true;
}

bool dispatch_begin(struct dispatch *dispatch, struct request *request, int64_t now_ms)
{
    struct sctd_error err = {.code = SCTD_OK};
    request->context = dispatch->context;
    const int64_t wait_ms = rate_take(dispatch->rate, request->address, now_ms);
    if (wait_ms > 0) {
        return too_many(request, wait_ms);
    }
    if (uri_parse(&request->uri, request->target, &err) < 0) {
        reply_problem(&request->reply, 400, "%s", err.text);
        return false;
    }
    return find_route(dispatch, request) && check_access(dispatch, request, now_ms) &&
           check_accept(request) && check_params(request) && check_body(request);
}

void dispatch_run(struct request *request)
{
    if (request->body.size > 0 && request->found.route->method != HTTP_POST) {
        reply_problem(&request->reply, 400, "no body is taken here");
        return;
    }
    request->reply.type = request->found.route->type;
    request->found.route->handle(request);
}

/* The reply */

/* Weak: the same entity may go out as it is or as gzip. */
static void make_etag(const struct sctd_buf *body, char ret_etag[DISPATCH_ETAG_SIZE])
{
    enum { HEX = 24 };
    char hex[SHA256_HEX_SIZE];
    sha256_hex_of(body->data == NULL ? "" : body->data, body->size, hex);
    (void)snprintf(ret_etag, DISPATCH_ETAG_SIZE, "W/\"%.*s\"", (int)HEX, hex);
}

static bool matches(const char *if_none_match, const char *etag)
{
    const char *tag = etag + 2; /* compared weakly */
    return if_none_match != NULL &&
           (strcmp(if_none_match, "*") == 0 || strstr(if_none_match, tag) != NULL);
}

static bool wants_gzip(const char *accept_encoding)
{
    static const char name[] = "gzip";
    const char *at = accept_encoding == NULL ? NULL : strstr(accept_encoding, name);
    if (at == NULL) {
        return false;
    }
    at += sizeof name - 1;
    at += strspn(at, " \t");
    if (*at != ';') {
        return true;
    }
    char weight[8] = "";
    double q = 0;
    at += strspn(at, "; \tq=");
    (void)snprintf(weight, sizeof weight, "%.*s", (int)strcspn(at, ", "), at);
    return sctd_parse_f64(&q, weight, NULL) == 0 && q > 0;
}

static bool is_text(const char *type)
{
    return strncmp(type, "image/png", strlen("image/png")) != 0;
}

bool dispatch_finish(struct request *request, char ret_etag[DISPATCH_ETAG_SIZE])
{
    enum { GZIP_FROM = 1400 }; /* what fits in a packet gains nothing */
    struct reply *reply = &request->reply;
    struct sctd_error err = {.code = SCTD_OK};
    ret_etag[0] = '\0';
    if (reply->stream != NULL) {
        return false;
    }
    if (reply->status == 200 && request->found.route != NULL &&
        request->found.route->method == HTTP_GET && !reply->secret) {
        make_etag(&reply->body, ret_etag);
        if (matches(request->headers.if_none_match, ret_etag)) {
            reply->status = 304;
            sctd_buf_fini(&reply->body);
            return false;
        }
    }
    return reply->body.size >= GZIP_FROM && is_text(reply->type) &&
           wants_gzip(request->headers.accept_encoding) && gzip_replace(&reply->body, &err) == 0;
}
