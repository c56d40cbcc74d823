/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/listener.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include <microhttpd.h>
#include <uv.h>

#include "engine/base/buf.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "server/http/dispatch.h"
#include "server/http/reply.h"
#include "server/http/request.h"
#include "server/http/stream.h"
#include "server/http/uri.h"

enum {
    REQUEST_MS = 15000,
    ANSWER_MS = 60000,
    CONNECTION_BYTES = 32 << 10, /* for a request's header */
    BACKLOG = 64,
    SPARE_CONNECTIONS = 16, /* beyond the most, while one makes place for another */
    STREAM_BLOCK = 4096,
    DEAD_PEER_MS = 30000,
    EXCESS_BODY = 1 << 20, /* that is read and dropped before a connection is */
};

enum phase {
    PHASE_REQUEST, /* it is to bring a request */
    PHASE_LATER,   /* its handler works */
    PHASE_ANSWER,  /* it is to take an answer */
    PHASE_STREAM,  /* it takes events */
};

struct connection {
    struct listener *listener;
    struct connection *next, **at;
    int fd;
    enum phase phase;
    int64_t until_ms;
};

/* A request with what libmicrohttpd has to do with it. */
struct exchange {
    struct request request; /* first: listener_answer comes from there */
    struct listener *listener;
    struct connection *of;
    struct MHD_Connection *connection;
    struct exchange *next, **at; /* among those whose reply comes later, or streams */
    char target[URI_SIZE_MAX];
    char method[24];
    bool has_begun, wants_body, is_suspended, is_stream;
    size_t excess;
};

struct listener {
    struct listener_options options;
    int fd, port;
    struct MHD_Daemon *mhd;
    uv_poll_t *poll; /* on libmicrohttpd's epoll; owned by the loop once it closes */
    uv_timer_t timer, tick;
    struct connection *connection;
    struct exchange *waiting; /* suspended ones */
    int n, open_handles;
    bool is_closing, is_running;
    bool is_stopping; /* every stream ends */
};

/* Drive libmicrohttpd */

static void run(struct listener *listener);

static void on_timer(uv_timer_t *timer)
{
    run(timer->data);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    run(poll->data);
}

static void run(struct listener *listener)
{
    MHD_UNSIGNED_LONG_LONG timeout_ms = 0;
    if (listener->mhd == NULL || listener->is_running) {
        return;
    }
    listener->is_running = true;
    (void)MHD_run(listener->mhd);
    listener->is_running = false;
    if (MHD_get_timeout(listener->mhd, &timeout_ms) == MHD_YES) {
        (void)uv_timer_start(&listener->timer, on_timer, timeout_ms, 0);
    } else {
        (void)uv_timer_stop(&listener->timer);
    }
}

static void run_soon(struct listener *listener)
{
    if (!listener->is_closing) {
        (void)uv_timer_start(&listener->timer, on_timer, 0, 0);
    }
}

/* Deadlines */

static void set_phase(struct connection *connection, enum phase phase)
{
    connection->phase = phase;
    const int64_t now_ms = sctd_boot_ms();
    connection->until_ms = phase == PHASE_REQUEST  ? now_ms + REQUEST_MS
                           : phase == PHASE_ANSWER ? now_ms + ANSWER_MS
                                                   : INT64_MAX;
}

/* libmicrohttpd notices and cleans up. */
static void cut(struct connection *connection)
{
    (void)shutdown(connection->fd, SHUT_RDWR);
    connection->until_ms = INT64_MAX;
}

static void on_tick(uv_timer_t *timer)
{
    struct listener *listener = timer->data;
    const int64_t now_ms = sctd_boot_ms();
    for (struct connection *c = listener->connection; c != NULL; c = c->next) {
        if (c->until_ms <= now_ms) {
            cut(c);
        }
    }
}

static void make_place(struct listener *listener)
{
    struct connection *oldest = NULL;
    for (struct connection *c = listener->connection; c != NULL; c = c->next) {
        if (c->phase == PHASE_REQUEST && c->until_ms != INT64_MAX &&
            (oldest == NULL || c->until_ms <= oldest->until_ms)) {
            oldest = c;
        }
    }
    if (oldest != NULL) {
        cut(oldest);
    }
}

static void begin_connection(struct listener *listener, struct MHD_Connection *connection,
                             void **socket_context)
{
    enum { TICK_MS = 1000 };
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct connection *c = info == NULL ? NULL : calloc(1, sizeof *c);
    *socket_context = c;
    if (c == NULL) {
        return;
    }
    c->listener = listener;
    c->fd = info->connect_fd;
    const unsigned dead_ms = DEAD_PEER_MS;
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &dead_ms, sizeof dead_ms);
    set_phase(c, PHASE_REQUEST);
    if (listener->n >= listener->options.max_connections) {
        make_place(listener);
    }
    c->at = &listener->connection;
    c->next = listener->connection;
    if (c->next != NULL) {
        c->next->at = &c->next;
    }
    listener->connection = c;
    if (listener->n++ == 0 && !listener->is_closing) {
        (void)uv_timer_start(&listener->tick, on_tick, TICK_MS, TICK_MS);
    }
}

static void end_connection(struct listener *listener, struct connection *c)
{
    if (c == NULL) {
        return;
    }
    *c->at = c->next;
    if (c->next != NULL) {
        c->next->at = c->at;
    }
    free(c);
    if (--listener->n == 0) {
        (void)uv_timer_stop(&listener->tick);
    }
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        begin_connection(cls, connection, socket_context);
    } else {
        end_connection(cls, *socket_context);
        *socket_context = NULL;
    }
}

/* Suspended exchanges: those whose reply comes later, and streams without news */

static void suspend(struct exchange *exchange)
{
    struct listener *listener = exchange->listener;
    exchange->is_suspended = true;
    MHD_suspend_connection(exchange->connection);
    exchange->at = &listener->waiting;
    exchange->next = listener->waiting;
    if (exchange->next != NULL) {
        exchange->next->at = &exchange->next;
    }
    listener->waiting = exchange;
}

static void resume(struct exchange *exchange)
{
    if (!exchange->is_suspended) {
        return;
    }
    exchange->is_suspended = false;
    *exchange->at = exchange->next;
    if (exchange->next != NULL) {
        exchange->next->at = exchange->at;
    }
    MHD_resume_connection(exchange->connection);
    run_soon(exchange->listener);
}

void listener_answer(struct request *request)
{
    struct exchange *exchange = (struct exchange *)request;
    request->reply.is_later = false;
    resume(exchange);
}

static void on_wake(void *arg)
{
    resume(arg);
}

/* Replies */

static ssize_t read_stream(void *cls, uint64_t position, char *bytes, size_t size)
{
    struct exchange *exchange = cls;
    (void)position;
    const ptrdiff_t n = exchange->listener->is_stopping
                            ? -1
                            : stream_read(exchange->request.reply.stream, bytes, size);
    if (n < 0) {
        return MHD_CONTENT_READER_END_OF_STREAM;
    }
    if (n == 0) {
        suspend(exchange);
    }
    return n;
}

/* What a page of ours may do: nothing but what came from here. */
static const char content_policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src "
    "'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

static void add_headers(struct MHD_Response *response, const struct exchange *exchange,
                        const char *etag, bool is_gzip)
{
    const struct reply *reply = &exchange->request.reply;
    char wait[16];
    (void)snprintf(wait, sizeof wait, "%d", reply->retry_after_s);
    const struct {
        const char *name, *value;
        bool use;
    } headers[] = {
        {"Content-Type", reply->type, reply->body.size > 0 || reply->stream != NULL},
        {"Content-Encoding", "gzip", is_gzip},
        {"Vary", "Accept-Encoding", true},
        {"ETag", etag, etag[0] != '\0'},
        {"Cache-Control", etag[0] == '\0' ? "no-store" : "private, no-cache", true},
        {"Set-Cookie", reply->cookie, reply->cookie[0] != '\0'},
        {"Allow", reply->allow, reply->allow[0] != '\0'},
        {"Retry-After", wait, reply->retry_after_s > 0},
        {"WWW-Authenticate", "Bearer realm=\"sctd\"", reply->status == MHD_HTTP_UNAUTHORIZED},
        {"Content-Security-Policy", content_policy, true},
        {"X-Content-Type-Options", "nosniff", true},
        {"Referrer-Policy", "no-referrer", true},
        {"Cross-Origin-Resource-Policy", "same-origin", true},
        {"Strict-Transport-Security", "max-age=31536000", exchange->request.is_tls},
    };
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        if (headers[i].use) {
            (void)MHD_add_response_header(response, headers[i].name, headers[i].value);
        }
    }
}

static enum MHD_Result send_reply(struct exchange *exchange)
{
    struct reply *reply = &exchange->request.reply;
    const struct listener *listener = exchange->listener;
    char etag[DISPATCH_ETAG_SIZE];
    const bool is_gzip = dispatch_finish(&exchange->request, etag);
    struct MHD_Response *response = NULL;
    if (reply->stream != NULL) {
        stream_set_wake(reply->stream, on_wake, exchange);
        exchange->is_stream = true;
        response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, read_stream,
                                                     exchange, NULL);
    } else if (reply->body.size == 0) {
        static char nothing[1];
        response = MHD_create_response_from_buffer(0, nothing, MHD_RESPMEM_PERSISTENT);
    } else {
        response = MHD_create_response_from_buffer(reply->body.size, reply->body.data,
                                                   MHD_RESPMEM_PERSISTENT);
    }
    if (response == NULL) {
        return MHD_NO;
    }
    add_headers(response, exchange, etag, is_gzip);
    const enum MHD_Result sent =
        MHD_queue_response(exchange->connection, (unsigned)reply->status, response);
    MHD_destroy_response(response);
    listener->options.answered(listener->options.arg, reply->status);
    if (exchange->of != NULL) {
        set_phase(exchange->of, exchange->is_stream ? PHASE_STREAM : PHASE_ANSWER);
    }
    return sent;
}

/* Requests */

static void *on_uri(void *cls, const char *uri, struct MHD_Connection *connection)
{
    struct exchange *exchange = calloc(1, sizeof *exchange);
    if (exchange == NULL) {
        return NULL;
    }
    exchange->listener = cls;
    exchange->connection = connection;
    reply_init(&exchange->request.reply);
    exchange->request.body = sctd_buf_make(REQUEST_BODY_MAX);
    /* What is cut is too long for uri_parse as well. */
    (void)snprintf(exchange->target, sizeof exchange->target, "%s", uri);
    return exchange;
}

static void find_address(struct exchange *exchange)
{
    char *address = exchange->request.address;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    (void)snprintf(address, REQUEST_ADDRESS_SIZE, "unknown");
    if (info == NULL || info->client_addr == NULL) {
        return;
    }
    const struct sockaddr *from = info->client_addr;
    const socklen_t size =
        from->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    if (getnameinfo(from, size, address, REQUEST_ADDRESS_SIZE, NULL, 0, NI_NUMERICHOST) != 0) {
        (void)snprintf(address, REQUEST_ADDRESS_SIZE, "unknown");
    }
}

static void begin_exchange(struct exchange *exchange, const char *method)
{
    struct request *request = &exchange->request;
    struct MHD_Connection *connection = exchange->connection;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    exchange->of = info == NULL ? NULL : info->socket_context;
    (void)snprintf(exchange->method, sizeof exchange->method, "%s", method);
    request->method = exchange->method;
    request->target = exchange->target;
    request->is_tls = exchange->listener->options.certificate != NULL;
    find_address(exchange);
    const struct {
        const char **to;
        const char *name;
    } headers[] = {
        {&request->headers.accept, "Accept"},
        {&request->headers.accept_encoding, "Accept-Encoding"},
        {&request->headers.authorization, "Authorization"},
        {&request->headers.content_encoding, "Content-Encoding"},
        {&request->headers.content_length, "Content-Length"},
        {&request->headers.content_type, "Content-Type"},
        {&request->headers.cookie, "Cookie"},
        {&request->headers.csrf, "X-CSRF-Token"},
        {&request->headers.host, "Host"},
        {&request->headers.if_none_match, "If-None-Match"},
        {&request->headers.last_event_id, "Last-Event-ID"},
        {&request->headers.origin, "Origin"},
    };
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        *headers[i].to = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, headers[i].name);
    }
    exchange->wants_body =
        dispatch_begin(exchange->listener->options.dispatch, request, sctd_boot_ms());
}

static enum MHD_Result take_body(struct exchange *exchange, const char *data, size_t *size)
{
    struct sctd_error err = {.code = SCTD_OK};
    if (exchange->excess > 0 || sctd_buf_append(&exchange->request.body, data, *size, &err) < 0) {
        exchange->excess += *size;
    }
    *size = 0;
    return exchange->excess > EXCESS_BODY ? MHD_NO : MHD_YES;
}

static bool has_body(const struct exchange *exchange)
{
    const char *length = exchange->request.headers.content_length;
    return (length != NULL && strcmp(length, "0") != 0) ||
           MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND,
                                       "Transfer-Encoding") != NULL;
}

/* The whole request is there. */
static enum MHD_Result answer(struct exchange *exchange)
{
    if (exchange->excess > 0) {
        reply_problem(&exchange->request.reply, 413, "a body of at most %d bytes is taken",
                      REQUEST_BODY_MAX);
        return send_reply(exchange);
    }
    if (exchange->of != NULL) {
        set_phase(exchange->of, PHASE_LATER);
    }
    dispatch_run(&exchange->request);
    if (exchange->request.reply.is_later) {
        suspend(exchange);
        return MHD_YES;
    }
    return send_reply(exchange);
}

// NOLINTNEXTLINE(readability-function-size): libmicrohttpd's
static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_size, void **con_cls)
{
    struct exchange *exchange = *con_cls;
    (void)cls;
    (void)connection;
    (void)url;
    (void)version;
    if (exchange == NULL) {
        return MHD_NO;
    }
    if (!exchange->has_begun) {
        exchange->has_begun = true;
        begin_exchange(exchange, method);
        /* A refusal before a body costs the connection, one of a request without a body does not. */
        return exchange->wants_body || !has_body(exchange) ? MHD_YES : send_reply(exchange);
    }
    if (*data_size > 0) {
        return take_body(exchange, data, data_size);
    }
    if (!exchange->wants_body) { /* the later reply is there */
        return send_reply(exchange);
    }
    exchange->wants_body = false;
    return answer(exchange);
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
                         enum MHD_RequestTerminationCode code)
{
    const struct listener *listener = cls;
    struct exchange *exchange = *con_cls;
    (void)connection;
    (void)code;
    if (exchange == NULL) {
        return;
    }
    *con_cls = NULL;
    if (exchange->request.reply.is_later) {
        listener->options.dropped(listener->options.arg, &exchange->request);
    }
    if (exchange->of != NULL) {
        set_phase(exchange->of, PHASE_REQUEST);
    }
    sctd_buf_fini(&exchange->request.body);
    reply_fini(&exchange->request.reply);
    free(exchange);
}

/* What it says of what clients do wrong is no news. */
__attribute__((format(printf, 2, 0))) static void on_words(void *cls, const char *format,
                                                           va_list args)
{
    (void)cls;
    (void)format;
    (void)args;
}

/* The beginning and the end */

static int open_socket(struct listener *listener, struct sctd_error *err)
{
    const struct listener_options *o = &listener->options;
    const struct addrinfo hints = {.ai_family = AF_UNSPEC,
                                   .ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
    struct addrinfo *found = NULL;
    char service[16];
    const int yes = 1;
    (void)snprintf(service, sizeof service, "%d", o->port);
    if (getaddrinfo(o->address, service, &hints, &found) != 0) {
        return sctd_error(err, SCTD_EINVAL, "http.address: %.100s is no IP address", o->address);
    }
    const int fd =
        socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
    int r = 0;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        r = sctd_error(err, SCTD_EIO, "http: %.100s port %d: %s", o->address, o->port,
                       sctd_errno_text());
    }
    freeaddrinfo(found);
    struct sockaddr_storage bound = {.ss_family = AF_UNSPEC};
    socklen_t size = sizeof bound;
    if (r == 0 && getsockname(fd, (struct sockaddr *)&bound, &size) == 0) {
        listener->port =
            ntohs(bound.ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)&bound)->sin6_port
                                              : ((const struct sockaddr_in *)&bound)->sin_port);
    }
    if (r < 0 && fd >= 0) {
        (void)close(fd);
    }
    listener->fd = r < 0 ? -1 : fd;
    return r;
}

/* It takes over a copy of the socket, so that another one can follow it. */
static int start(struct listener *listener, struct sctd_error *err)
{
    static char priorities[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";
    const struct listener_options *o = &listener->options;
    listener->poll = calloc(1, sizeof *listener->poll);
    if (listener->poll == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "http");
    }
    const int fd = fcntl(listener->fd, F_DUPFD_CLOEXEC, 0);
    struct MHD_OptionItem tls[] = {{MHD_OPTION_HTTPS_MEM_CERT, 0, o->certificate},
                                   {MHD_OPTION_HTTPS_MEM_KEY, 0, o->key},
                                   {MHD_OPTION_HTTPS_PRIORITIES, 0, priorities},
                                   {MHD_OPTION_END, 0, NULL}};
    const unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
                           (o->certificate != NULL ? MHD_USE_TLS : 0U);
    listener->mhd = MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, listener, MHD_OPTION_EXTERNAL_LOGGER, on_words, NULL,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)(o->max_connections + SPARE_CONNECTIONS),
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, listener, MHD_OPTION_NOTIFY_COMPLETED,
        on_completed, listener, MHD_OPTION_URI_LOG_CALLBACK, on_uri, listener,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_ARRAY, o->certificate != NULL ? tls : tls + 3,
        MHD_OPTION_END);
    if (listener->mhd == NULL) {
        (void)close(fd);
        free(listener->poll);
        listener->poll = NULL;
        return sctd_error(err, SCTD_EIO, "http: the server does not start%s",
                          o->certificate == NULL ? ""
                                                 : ": are http.certificate and http.key a PEM "
                                                   "certificate and its key?");
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(listener->mhd, MHD_DAEMON_INFO_EPOLL_FD);
    (void)uv_poll_init(o->loop, listener->poll, info->epoll_fd);
    listener->poll->data = listener;
    (void)uv_poll_start(listener->poll, UV_READABLE, on_poll);
    return 0;
}

int listener_open(struct listener **ret_listener, const struct listener_options *options,
                  struct sctd_error *err)
{
    struct listener *listener = calloc(1, sizeof *listener);
    if (listener == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "http");
    }
    listener->options = *options;
    int r = open_socket(listener, err);
    if (r < 0) {
        free(listener);
        return r;
    }
    r = start(listener, err);
    if (r < 0) {
        (void)close(listener->fd);
        free(listener);
        return r;
    }
    (void)uv_timer_init(options->loop, &listener->timer);
    (void)uv_timer_init(options->loop, &listener->tick);
    listener->timer.data = listener->tick.data = listener;
    run(listener);
    *ret_listener = listener;
    return 0;
}

int listener_get_port(const struct listener *listener)
{
    return listener->port;
}

int listener_count_connections(const struct listener *listener)
{
    return listener->n;
}

static void on_poll_closed(uv_handle_t *handle)
{
    free(handle);
}

/* libmicrohttpd must not be stopped with suspended connections. */
static void stop(struct listener *listener)
{
    (void)uv_poll_stop(listener->poll);
    listener->is_stopping = true;
    while (listener->waiting != NULL) {
        struct exchange *exchange = listener->waiting;
        struct reply *reply = &exchange->request.reply;
        if (reply->is_later) {
            listener->options.dropped(listener->options.arg, &exchange->request);
            reply->is_later = false;
            reply_problem(reply, 503, "the server ends or starts anew: ask again");
        }
        resume(exchange);
    }
    (void)MHD_run(listener->mhd);
    MHD_stop_daemon(listener->mhd);
    listener->mhd = NULL;
    listener->is_stopping = false;
    uv_close((uv_handle_t *)listener->poll, on_poll_closed);
    listener->poll = NULL;
}

int listener_set_certificate(struct listener *listener, char *certificate, char *key,
                             struct sctd_error *err)
{
    if (listener->mhd != NULL) {
        stop(listener);
    }
    listener->options.certificate = certificate;
    listener->options.key = key;
    const int r = start(listener, err);
    if (r == 0) {
        run(listener);
    }
    return r;
}

static void on_closed(uv_handle_t *handle)
{
    struct listener *listener = handle->data;
    if (--listener->open_handles == 0) {
        (void)close(listener->fd);
        free(listener);
    }
}

void listener_close(struct listener *listener)
{
    if (listener == NULL || listener->is_closing) {
        return;
    }
    listener->is_closing = true;
    if (listener->mhd != NULL) {
        stop(listener);
    }
    listener->open_handles = 2;
    uv_close((uv_handle_t *)&listener->timer, on_closed);
    uv_close((uv_handle_t *)&listener->tick, on_closed);
}
