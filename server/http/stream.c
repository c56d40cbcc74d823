/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/stream.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/parse.h"

struct stream {
    struct stream_hub *hub; /* NULL: it has ended */
    struct stream *next;
    int64_t at;                       /* the next event to send */
    size_t sent;                      /* bytes of what is being sent */
    bool is_reset;                    /* something was missed */
    bool beats;                       /* a comment is due */
    bool has_started;                 /* the first bytes were sent */
    char now[STREAM_EVENT_SIZE + 32]; /* what is being sent; "": nothing */
    void (*wake)(void *arg);
    void *arg;
};

struct stream_hub {
    int64_t next; /* the id of the next event, from 1 */
    char event[STREAM_EVENTS_MAX][STREAM_EVENT_SIZE];
    struct stream *stream;
    int n;
};

int stream_hub_new(struct stream_hub **ret_hub, struct sctd_error *err)
{
    struct stream_hub *hub = calloc(1, sizeof *hub);
    if (hub == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "events");
    }
    hub->next = 1;
    *ret_hub = hub;
    return 0;
}

static void wake(struct stream *stream)
{
    if (stream->wake != NULL) {
        stream->wake(stream->arg);
    }
}

void stream_hub_close_streams(struct stream_hub *hub)
{
    struct stream *stream = hub->stream;
    hub->stream = NULL;
    hub->n = 0;
    while (stream != NULL) {
        struct stream *next = stream->next;
        stream->hub = NULL;
        wake(stream);
        stream = next;
    }
}

void stream_hub_free(struct stream_hub *hub)
{
    if (hub != NULL) {
        stream_hub_close_streams(hub);
        free(hub);
    }
}

void stream_hub_publish(struct stream_hub *hub, const char *kind, const char *data)
{
    char *event = hub->event[hub->next % STREAM_EVENTS_MAX];
    const int n = snprintf(event, STREAM_EVENT_SIZE, "event: %s\ndata: %s\n", kind, data);
    if (n < 0 || n >= STREAM_EVENT_SIZE) {
        return;
    }
    hub->next++;
    for (struct stream *stream = hub->stream; stream != NULL; stream = stream->next) {
        wake(stream);
    }
}

void stream_hub_beat(struct stream_hub *hub)
{
    for (struct stream *stream = hub->stream; stream != NULL; stream = stream->next) {
        stream->beats = true;
        wake(stream);
    }
}

int stream_hub_count_streams(const struct stream_hub *hub)
{
    return hub->n;
}

static int64_t oldest(const struct stream_hub *hub)
{
    return hub->next > STREAM_EVENTS_MAX ? hub->next - STREAM_EVENTS_MAX + 1 : 1;
}

struct stream *stream_new(struct stream_hub *hub, const char *last_id)
{
    struct stream *stream = hub->n < STREAMS_MAX ? calloc(1, sizeof *stream) : NULL;
    int64_t last = 0;
    if (stream == NULL) {
        return NULL;
    }
    stream->hub = hub;
    stream->at = hub->next;
    if (last_id != NULL) {
        if (sctd_parse_i64(&last, last_id, 0, INT64_MAX - 1, NULL) == 0 &&
            last + 1 >= oldest(hub) && last + 1 <= hub->next) {
            stream->at = last + 1;
        } else {
            stream->is_reset = true;
        }
    }
    stream->next = hub->stream;
    hub->stream = stream;
    hub->n++;
    return stream;
}

void stream_free(struct stream *stream)
{
    if (stream == NULL) {
        return;
    }
    if (stream->hub != NULL) {
        struct stream **at = &stream->hub->stream;
        while (*at != stream) {
            at = &(*at)->next;
        }
        *at = stream->next;
        stream->hub->n--;
    }
    free(stream);
}

void stream_set_wake(struct stream *stream, void (*wake_it)(void *arg), void *arg)
{
    stream->wake = wake_it;
    stream->arg = arg;
}

/* Fill `now` with what is to be sent next; false: nothing. */
static bool take_next(struct stream *stream)
{
    const struct stream_hub *hub = stream->hub;
    if (!stream->has_started) {
        stream->has_started = true;
        (void)snprintf(stream->now, sizeof stream->now, "retry: 2000\n\n");
        return true;
    }
    if (stream->at < oldest(hub)) {
        stream->at = hub->next;
        stream->is_reset = true;
    }
    if (stream->is_reset) {
        stream->is_reset = false;
        (void)snprintf(stream->now, sizeof stream->now, "id: %lld\nevent: reset\ndata: {}\n\n",
                       (long long)(stream->at - 1));
        return true;
    }
    if (stream->at < hub->next) {
        (void)snprintf(stream->now, sizeof stream->now, "id: %lld\n%s\n", (long long)stream->at,
                       hub->event[stream->at % STREAM_EVENTS_MAX]);
        stream->at++;
        return true;
    }
    if (stream->beats) {
        stream->beats = false;
        (void)snprintf(stream->now, sizeof stream->now, ":\n\n");
        return true;
    }
    return false;
}

/* Some of what is being sent; returns how much. */
static size_t take_some(struct stream *stream, char *bytes, size_t room)
{
    const size_t left = strlen(stream->now) - stream->sent;
    const size_t n = left < room ? left : room;
    memcpy(bytes, stream->now + stream->sent, n);
    stream->sent += n;
    return n;
}

/* Begin with what is next once all is sent; false: nothing is left. */
static bool go_on(struct stream *stream)
{
    if (stream->now[stream->sent] != '\0') {
        return true;
    }
    stream->sent = 0;
    stream->now[0] = '\0';
    return take_next(stream);
}

ptrdiff_t stream_read(struct stream *stream, char *bytes, size_t size)
{
    size_t done = 0;
    if (stream->hub == NULL) {
        return -1;
    }
    while (done < size && go_on(stream)) {
        done += take_some(stream, bytes + done, size - done);
    }
    return (ptrdiff_t)done;
}
