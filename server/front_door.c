/* SPDX-License-Identifier: Apache-2.0 */
#include "server/front_door.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include <uv.h>

#include "dicom/associate.h"
#include "engine/base/error.h"
#include "server/allow.h"
#include "server/receive_messages.h"
#include "server/receivers.h"
#include "server/spool.h"

enum {
    BACKLOG = 1024,
    WAITING_MAX = 1024,
    ACCEPTS_A_TURN = 64,
    LINGER_MS = 2000, /* for a refused peer to read why */
    TICK_MS = 100,
    EASY_REQUEST = 16 << 10, /* fits what any socket has */
    SEGMENT_MAX = 128 << 10,
    KEEPALIVE_IDLE_S = 60,
    KEEPALIVE_INTERVAL_S = 15,
    KEEPALIVE_COUNT = 4,
    USER_TIMEOUT_MS = 30000,
};

/* A peer that knocks, or that was refused and reads why. */
struct waiting {
    struct front_door *door;
    struct waiting *next, *previous;
    uv_poll_t poll;
    int fd;
    bool is_refused, is_stalled; /* stalled: the kernel says readable without more to read */
    uint64_t until_ms;
    size_t seen,
        need; /* bytes of the request: there, and wanted before it is worth looking again */
    struct sockaddr_storage address;
    char peer[PEER_SIZE];
};

struct front_door {
    uv_loop_t *loop;
    struct front_door_options options;
    struct front_door_hooks hooks;
    struct receivers *receivers;
    struct spool spool;
    int fd, port;
    uv_poll_t listener;
    uv_timer_t tick;              /* runs while somebody waits */
    struct waiting *first, *last; /* in the order in which they came */
    int n_waiting;
    bool is_draining, is_freed, is_paused;
    int open_handles;
    int64_t rejected[FRONT_DOOR_REASONS];
    unsigned char buffer[DICOM_ASSOCIATE_SIZE_MAX];
};

const char *front_door_reason_name(enum front_door_reason reason)
{
    static const char *const names[] = {
        [FRONT_DOOR_MALFORMED] = "malformed",   [FRONT_DOOR_TIMEOUT] = "timeout",
        [FRONT_DOOR_CLOSED] = "closed",         [FRONT_DOOR_CALLED_AE] = "called-ae",
        [FRONT_DOOR_CALLING_AE] = "calling-ae", [FRONT_DOOR_LIMIT] = "limit",
        [FRONT_DOOR_LIMIT_PEER] = "limit-peer", [FRONT_DOOR_NO_ROOM] = "no-room",
        [FRONT_DOOR_DRAINING] = "draining",     [FRONT_DOOR_CROWDED_OUT] = "crowded-out",
        [FRONT_DOOR_NO_PROCESS] = "no-process",
    };
    return reason < FRONT_DOOR_REASONS ? names[reason] : "unknown";
}

static void free_if_closed(struct front_door *door)
{
    if (door->is_freed && door->open_handles == 0) {
        free(door);
    }
}

static void on_waiting_closed(uv_handle_t *handle)
{
    struct waiting *w = handle->data;
    struct front_door *door = w->door;
    free(w);
    door->open_handles--;
    free_if_closed(door);
}

static void on_own_closed(uv_handle_t *handle)
{
    struct front_door *door = handle->data;
    door->open_handles--;
    free_if_closed(door);
}

/* Take it off the list and let its handle go; the socket is closed unless it was handed over. */
static void leave(struct waiting *w)
{
    struct front_door *door = w->door;
    *(w->previous == NULL ? &door->first : &w->previous->next) = w->next;
    *(w->next == NULL ? &door->last : &w->next->previous) = w->previous;
    door->n_waiting--;
    (void)uv_poll_stop(&w->poll);
    if (w->fd >= 0) {
        (void)close(w->fd);
        w->fd = -1;
    }
    uv_close((uv_handle_t *)&w->poll, on_waiting_closed);
    if (door->first == NULL && !door->is_paused) {
        (void)uv_timer_stop(&door->tick);
    }
}

static void note(struct waiting *w, enum front_door_reason reason, const char *calling_ae,
                 const char *text)
{
    struct front_door *door = w->door;
    door->rejected[reason]++;
    if (door->hooks.rejected != NULL) {
        door->hooks.rejected(door->hooks.receivers.arg, reason, w->peer, calling_ae, text);
    }
}

static void drop(struct waiting *w, enum front_door_reason reason, const char *text)
{
    if (!w->is_refused) {
        note(w, reason, "", text);
    }
    leave(w);
}

/* Read and forget what a refused peer still sends: closing with bytes unread would reset the connection,
 * and it would not see why.  Returns whether there may be more. */
static bool discard(struct waiting *w)
{
    for (int i = 0; i < 4; i++) {
        const ssize_t n = recv(w->fd, w->door->buffer, sizeof w->door->buffer, MSG_DONTWAIT);
        if (n <= 0) {
            return n < 0 && (errno == EAGAIN || errno == EINTR);
        }
    }
    return true;
}

static void refuse(struct waiting *w, enum front_door_reason reason, const char *calling_ae,
                   const struct dicom_associate_reply *reply)
{
    unsigned char pdu[DICOM_ASSOCIATE_REPLY_SIZE];
    note(w, reason, calling_ae, reply->text);
    dicom_associate_write_reply(pdu, reply);
    w->is_refused = true;
    w->until_ms = uv_now(w->door->loop) + LINGER_MS;
    (void)setsockopt(w->fd, SOL_SOCKET, SO_RCVLOWAT, &(int){1}, sizeof(int));
    (void)send(w->fd, pdu, sizeof pdu, MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)shutdown(w->fd, SHUT_WR);
    if (!discard(w)) {
        leave(w);
    }
}

static const struct allow_rule *find_rule(const struct waiting *w, const char *calling_ae)
{
    const struct front_door_options *o = &w->door->options;
    return allow_find(o->allow, o->n_allow, calling_ae, (const struct sockaddr *)&w->address);
}

static bool is_called(const struct front_door *door, const char *called_ae)
{
    for (size_t i = 0; i < door->options.n_called_ae; i++) {
        if (strcmp(door->options.called_ae[i], called_ae) == 0) {
            return true;
        }
    }
    return door->options.n_called_ae == 0;
}

/* Returns whether the peer may come in; else why not. */
static bool decide(const struct waiting *w, const struct dicom_associate *request,
                   enum front_door_reason *ret_reason,
                   const struct dicom_associate_reply **ret_reply)
{
    const struct front_door *door = w->door;
    const struct front_door_options *o = &door->options;
    struct sctd_error err = {.code = SCTD_OK};
    if (!is_called(door, request->called_ae)) {
        *ret_reason = FRONT_DOOR_CALLED_AE;
        *ret_reply = &dicom_associate_unknown_called;
    } else if (o->n_allow > 0 && find_rule(w, request->calling_ae) == NULL) {
        *ret_reason = FRONT_DOOR_CALLING_AE;
        *ret_reply = &dicom_associate_unknown_calling;
    } else if (door->is_draining) {
        *ret_reason = FRONT_DOOR_DRAINING;
        *ret_reply = &dicom_associate_congested;
    } else if (receivers_count(door->receivers) >= o->max_associations) {
        *ret_reason = FRONT_DOOR_LIMIT;
        *ret_reply = &dicom_associate_over_limit;
    } else if (receivers_count_peer(door->receivers, w->peer) >= o->max_of_peer) {
        *ret_reason = FRONT_DOOR_LIMIT_PEER;
        *ret_reply = &dicom_associate_over_limit;
    } else if (spool_check(&door->spool, o->room_for_series, &err) != 0) {
        *ret_reason = FRONT_DOOR_NO_ROOM;
        *ret_reply = &dicom_associate_congested;
    } else {
        return true;
    }
    return false;
}

static void hand_over(struct waiting *w, const struct dicom_associate *request)
{
    struct front_door *door = w->door;
    struct sctd_error err = {.code = SCTD_OK};
    struct receive_serve serve = door->options.serve;
    const struct allow_rule *rule = find_rule(w, request->calling_ae);
    const int fd = w->fd;
    serve.all_syntaxes = serve.all_syntaxes || (rule != NULL && rule->compressed);
    memcpy(serve.peer, w->peer, sizeof serve.peer);
    memcpy(serve.calling_ae, request->calling_ae, sizeof serve.calling_ae);
    memcpy(serve.called_ae, request->called_ae, sizeof serve.called_ae);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &(int){1}, sizeof(int));
    (void)uv_poll_stop(&w->poll);
    w->fd = -1;
    if (receivers_serve(door->receivers, fd, &serve, &err) < 0) {
        note(w, FRONT_DOOR_NO_PROCESS, request->calling_ae, "no receiver could be started");
    }
    leave(w);
}

static void judge(struct waiting *w)
{
    struct dicom_associate request;
    struct dicom_associate_reply reply;
    const struct dicom_associate_reply *answer = &reply;
    enum front_door_reason reason = FRONT_DOOR_MALFORMED;
    if (dicom_associate_parse(&request, w->door->buffer, w->need, &reply) != 0) {
        refuse(w, reason, "", &reply);
    } else if (decide(w, &request, &reason, &answer)) {
        hand_over(w, &request);
    } else {
        refuse(w, reason, request.calling_ae, answer);
    }
}

/* Wake up when `need` bytes are there, not before.  The kernel makes room for what is to be waited for, but not for
 * the segment after it, without which it announces no window: wait for more first. */
static void want(struct waiting *w, size_t need)
{
    w->need = need;
    if (need > EASY_REQUEST) {
        const int room = (int)(2 * need) + SEGMENT_MAX;
        (void)setsockopt(w->fd, SOL_SOCKET, SO_RCVLOWAT, &room, sizeof room);
    }
    (void)setsockopt(w->fd, SOL_SOCKET, SO_RCVLOWAT, &(int){(int)need}, sizeof(int));
}

static void on_peer(uv_poll_t *poll, int status, int events);

/* Look at what is there and leave it there. */
static void peek(struct waiting *w, bool is_over)
{
    struct front_door *door = w->door;
    const ssize_t n = recv(w->fd, door->buffer, w->need > 0 ? w->need : 1, MSG_PEEK | MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        drop(w, FRONT_DOOR_CLOSED, "closed before its request was whole");
        return;
    }
    const size_t there = n < 0 ? 0 : (size_t)n;
    if (there >= DICOM_ASSOCIATE_HEADER_SIZE && w->need == DICOM_ASSOCIATE_HEADER_SIZE) {
        struct dicom_associate_reply reply;
        size_t whole = 0;
        if (dicom_associate_measure(&whole, door->buffer, &reply) != 0) {
            refuse(w, FRONT_DOOR_MALFORMED, "", &reply);
            return;
        }
        want(w, whole);
        peek(w, is_over); /* once more at most: a request is longer than its header */
        return;
    }
    if (there >= w->need) {
        judge(w);
        return;
    }
    if (is_over) { /* nothing more will come */
        drop(w, FRONT_DOOR_CLOSED, "closed before its request was whole");
        return;
    }
    /* A kernel that has no room for all of it says readable all the time: look at each tick instead. */
    if (there > 0 && there == w->seen) {
        w->is_stalled = true;
        (void)uv_poll_stop(&w->poll);
    }
    w->seen = there;
}

static void on_peer(uv_poll_t *poll, int status, int events)
{
    struct waiting *w = poll->data;
    if (status < 0) {
        drop(w, FRONT_DOOR_CLOSED, "connection lost");
    } else if (w->is_refused) {
        if (!discard(w)) {
            leave(w);
        }
    } else {
        peek(w, (events & UV_DISCONNECT) != 0);
    }
}

static void on_listener(uv_poll_t *poll, int status, int events);

static void on_tick(uv_timer_t *timer)
{
    struct front_door *door = timer->data;
    const uint64_t now = uv_now(door->loop);
    struct waiting *next = NULL;
    for (struct waiting *w = door->first; w != NULL; w = next) {
        next = w->next;
        if (now >= w->until_ms) {
            drop(w, FRONT_DOOR_TIMEOUT, "no whole request in time");
        } else if (w->is_stalled) {
            w->is_stalled = false;
            (void)uv_poll_start(&w->poll, UV_READABLE | UV_DISCONNECT, on_peer);
        }
    }
    if (door->is_paused && !door->is_draining) {
        door->is_paused = false;
        (void)uv_poll_start(&door->listener, UV_READABLE, on_listener);
    }
    if (door->first == NULL) {
        (void)uv_timer_stop(timer);
    }
}

/* The address as text, IPv4 in IPv6 as IPv4. */
static void name_peer(struct waiting *w)
{
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&w->address;
    const struct sockaddr_in *in = (const struct sockaddr_in *)&w->address;
    const char *text = NULL;
    if (w->address.ss_family == AF_INET) {
        text = inet_ntop(AF_INET, &in->sin_addr, w->peer, sizeof w->peer);
    } else if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
        text = inet_ntop(AF_INET, in6->sin6_addr.s6_addr + 12, w->peer, sizeof w->peer);
    } else {
        text = inet_ntop(AF_INET6, &in6->sin6_addr, w->peer, sizeof w->peer);
    }
    if (text == NULL) {
        (void)snprintf(w->peer, sizeof w->peer, "unknown");
    }
}

static void set_options(int fd)
{
    const struct {
        int level, name, value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S},
        {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS},
    };
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        (void)setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int));
    }
}

static void add_waiting(struct front_door *door, int fd, const struct sockaddr_storage *address)
{
    struct waiting *w = calloc(1, sizeof *w);
    if (w == NULL || uv_poll_init(door->loop, &w->poll, fd) != 0) {
        free(w);
        (void)close(fd);
        return;
    }
    w->door = door;
    w->poll.data = w;
    w->fd = fd;
    w->address = *address;
    w->until_ms = uv_now(door->loop) + (uint64_t)door->options.request_ms;
    name_peer(w);
    set_options(fd);
    w->previous = door->last;
    *(door->last == NULL ? &door->first : &door->last->next) = w;
    door->last = w;
    door->n_waiting++;
    door->open_handles++;
    want(w, DICOM_ASSOCIATE_HEADER_SIZE);
    (void)uv_poll_start(&w->poll, UV_READABLE | UV_DISCONNECT, on_peer);
    if (!uv_is_active((uv_handle_t *)&door->tick)) {
        (void)uv_timer_start(&door->tick, on_tick, TICK_MS, TICK_MS);
    }
}

/* Of all who wait the first to come has had the most time to say what it wants. */
static bool make_room(struct front_door *door)
{
    if (door->first == NULL) {
        return false;
    }
    drop(door->first, FRONT_DOOR_CROWDED_OUT, "more peers knock than can wait");
    return true;
}

/* No descriptor left: leave the others in the kernel's queue for a tick. */
static void pause_listener(struct front_door *door)
{
    door->is_paused = true;
    (void)uv_poll_stop(&door->listener);
    (void)uv_timer_start(&door->tick, on_tick, TICK_MS, TICK_MS);
}

/* Returns whether there may be another one in the queue. */
static bool accept_one(struct front_door *door)
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    socklen_t size = sizeof address;
    const int fd =
        accept4(door->fd, (struct sockaddr *)&address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        if (door->n_waiting >= WAITING_MAX) {
            (void)make_room(door);
        }
        add_waiting(door, fd, &address);
        return true;
    }
    const bool is_short = errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS;
    if (is_short && !make_room(door)) {
        pause_listener(door);
    }
    return false;
}

static void on_listener(uv_poll_t *poll, int status, int events)
{
    int left = ACCEPTS_A_TURN;
    (void)status;
    (void)events;
    while (left > 0 && accept_one(poll->data)) {
        left--;
    }
}

/* A socket that listens on one address; IPv6 takes IPv4 too. */
static int listen_on(const struct sockaddr *address, socklen_t size)
{
    const int fd =
        socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd < 0) {
        return -1;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (address->sa_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){0}, sizeof(int));
    }
    if (bind(fd, address, size) != 0 || listen(fd, BACKLOG) != 0) {
        const int number = errno;
        (void)close(fd);
        errno = number;
        return -1;
    }
    return fd;
}

static int open_listener(struct front_door *door, struct sctd_error *err)
{
    const char *address = door->options.address;
    const in_port_t port = htons((in_port_t)door->options.port);
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = port};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = port};
    if (address == NULL) {
        door->fd = listen_on((struct sockaddr *)&in6, sizeof in6);
        if (door->fd < 0 && errno == EAFNOSUPPORT) {
            door->fd = listen_on((struct sockaddr *)&in, sizeof in);
        }
    } else if (inet_pton(AF_INET, address, &in.sin_addr) == 1) {
        door->fd = listen_on((struct sockaddr *)&in, sizeof in);
    } else if (inet_pton(AF_INET6, address, &in6.sin6_addr) == 1) {
        door->fd = listen_on((struct sockaddr *)&in6, sizeof in6);
    } else {
        return sctd_error(err, SCTD_EINVAL, "\"%.64s\" is no address to listen on", address);
    }
    if (door->fd < 0) {
        return sctd_error(err, SCTD_EIO, "%s port %d: %s", address == NULL ? "*" : address,
                          door->options.port, sctd_errno_text());
    }
    struct sockaddr_storage bound = {.ss_family = AF_UNSPEC};
    socklen_t size = sizeof bound;
    if (getsockname(door->fd, (struct sockaddr *)&bound, &size) == 0) {
        door->port = ntohs(bound.ss_family == AF_INET ? ((struct sockaddr_in *)&bound)->sin_port
                                                      : ((struct sockaddr_in6 *)&bound)->sin6_port);
    }
    return 0;
}

static int open_parts(struct front_door *door, struct sctd_error *err)
{
    const struct receive_serve *serve = &door->options.serve;
    const struct spool_reserve reserve = {.bytes = serve->reserve_bytes,
                                          .files = serve->reserve_files};
    const struct receivers_options receivers = {
        .loop = door->loop, .program = door->options.program, .spares = door->options.spares};
    int r = spool_open(&door->spool, serve->spool, &reserve, err);
    if (r == 0) {
        r = open_listener(door, err);
    }
    return r < 0 ? r : receivers_new(&door->receivers, &receivers, &door->hooks.receivers, err);
}

int front_door_open(struct front_door **ret_door, struct uv_loop_s *loop,
                    const struct front_door_options *options, const struct front_door_hooks *hooks,
                    struct sctd_error *err)
{
    struct front_door *door = calloc(1, sizeof *door);
    if (door == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "the front door");
    }
    door->loop = loop;
    door->options = *options;
    door->hooks = *hooks;
    door->fd = -1;
    door->spool = (struct spool){.root = -1, .tmp = -1, .series = -1};
    int r = open_parts(door, err);
    if (r < 0) {
        spool_close(&door->spool);
        if (door->fd >= 0) {
            (void)close(door->fd);
        }
        free(door);
        return r;
    }
    (void)uv_timer_init(loop, &door->tick);
    (void)uv_poll_init(loop, &door->listener, door->fd);
    door->tick.data = door->listener.data = door;
    door->open_handles = 2;
    (void)uv_poll_start(&door->listener, UV_READABLE, on_listener);
    *ret_door = door;
    return 0;
}

void front_door_set_allow(struct front_door *door, const struct allow_rule *allow, size_t n)
{
    door->options.allow = allow;
    door->options.n_allow = n;
}

int front_door_get_port(const struct front_door *door)
{
    return door->port;
}

struct receivers *front_door_get_receivers(const struct front_door *door)
{
    return door->receivers;
}

bool front_door_has_room(const struct front_door *door, struct sctd_error *ret_why)
{
    return spool_check(&door->spool, door->options.room_for_series, ret_why) == 0;
}

int64_t front_door_get_rejected(const struct front_door *door, enum front_door_reason reason)
{
    return reason < FRONT_DOOR_REASONS ? door->rejected[reason] : 0;
}

int front_door_count_waiting(const struct front_door *door)
{
    return door->n_waiting;
}

void front_door_drain(struct front_door *door, int grace_ms)
{
    if (door->is_draining) {
        receivers_drain(door->receivers, grace_ms);
        return;
    }
    door->is_draining = true;
    (void)uv_poll_stop(&door->listener);
    (void)close(door->fd);
    door->fd = -1;
    while (door->first != NULL) {
        drop(door->first, FRONT_DOOR_DRAINING, "the daemon ends");
    }
    (void)uv_timer_stop(&door->tick);
    receivers_drain(door->receivers, grace_ms);
}

void front_door_free(struct front_door *door)
{
    if (door == NULL || door->is_freed) {
        return;
    }
    front_door_drain(door, 0);
    door->is_freed = true;
    spool_close(&door->spool);
    receivers_free(door->receivers);
    uv_close((uv_handle_t *)&door->tick, on_own_closed);
    uv_close((uv_handle_t *)&door->listener, on_own_closed);
}
