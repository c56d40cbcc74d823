/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/error.h"
#include "server/http/stream.h"

static int woken;

static void wake(void *arg)
{
    (void)arg;
    woken++;
}

static const char *read_all(struct stream *stream, size_t block)
{
    static char text[65536];
    size_t n = 0;
    ptrdiff_t r = 0;
    while ((r = stream_read(stream, text + n, block)) > 0) {
        n += (size_t)r;
    }
    text[n] = '\0';
    return text;
}

static struct stream_hub *open(void)
{
    struct stream_hub *hub = NULL;
    struct sctd_error err = {0};
    assert(stream_hub_new(&hub, &err) == 0);
    return hub;
}

static void events_come_in_order_whatever_the_block(void)
{
    struct stream_hub *hub = open();
    struct stream *stream = stream_new(hub, NULL);
    stream_set_wake(stream, wake, NULL);
    assert(strcmp(read_all(stream, 5), "retry: 2000\n\n") == 0);
    stream_hub_publish(hub, "job", "{\"id\":1}");
    stream_hub_publish(hub, "job", "{\"id\":2}");
    assert(woken == 2);
    assert(strcmp(read_all(stream, 7), "id: 1\nevent: job\ndata: {\"id\":1}\n\n"
                                       "id: 2\nevent: job\ndata: {\"id\":2}\n\n") == 0);
    stream_hub_beat(hub);
    assert(strcmp(read_all(stream, 100), ":\n\n") == 0);
    stream_free(stream);
    stream_hub_free(hub);
}

static void who_was_away_gets_what_came_since_or_is_told_so(void)
{
    struct stream_hub *hub = open();
    for (int i = 0; i < 10; i++) {
        stream_hub_publish(hub, "a", "{}");
    }
    struct stream *since = stream_new(hub, "8");
    assert(strcmp(read_all(since, 100), "retry: 2000\n\nid: 9\nevent: a\ndata: {}\n\n"
                                        "id: 10\nevent: a\ndata: {}\n\n") == 0);
    struct stream *future = stream_new(hub, "99");
    assert(strcmp(read_all(future, 100), "retry: 2000\n\nid: 10\nevent: reset\ndata: {}\n\n") == 0);
    struct stream *nonsense = stream_new(hub, "x");
    assert(strstr(read_all(nonsense, 100), "event: reset") != NULL);
    /* One that does not read is told to look at everything, and costs no memory. */
    for (int i = 0; i < 3 * STREAM_EVENTS_MAX; i++) {
        stream_hub_publish(hub, "b", "{}");
    }
    const char *text = read_all(since, 100);
    assert(strncmp(text, "id: 3082\nevent: reset", 21) == 0);
    stream_free(since);
    stream_free(future);
    stream_free(nonsense);
    stream_hub_free(hub);
}

static void the_end_of_the_hub_ends_its_streams(void)
{
    struct stream_hub *hub = open();
    struct stream *streams[STREAMS_MAX];
    char byte = 0;
    for (int i = 0; i < STREAMS_MAX; i++) {
        streams[i] = stream_new(hub, NULL);
        assert(streams[i] != NULL);
    }
    assert(stream_new(hub, NULL) == NULL && stream_hub_count_streams(hub) == STREAMS_MAX);
    stream_free(streams[0]);
    assert(stream_hub_count_streams(hub) == STREAMS_MAX - 1);
    stream_set_wake(streams[1], wake, NULL);
    woken = 0;
    stream_hub_free(hub);
    assert(woken == 1 && stream_read(streams[1], &byte, 1) == -1);
    for (int i = 1; i < STREAMS_MAX; i++) {
        stream_free(streams[i]);
    }
}

static void what_is_too_long_is_dropped(void)
{
    char data[STREAM_EVENT_SIZE + 1];
    struct stream_hub *hub = open();
    struct stream *stream = stream_new(hub, NULL);
    (void)read_all(stream, 100);
    memset(data, 'x', sizeof data - 1);
    data[sizeof data - 1] = '\0';
    stream_hub_publish(hub, "a", data);
    assert(read_all(stream, 100)[0] == '\0');
    stream_free(stream);
    stream_hub_free(hub);
}

int main(void)
{
    events_come_in_order_whatever_the_block();
    who_was_away_gets_what_came_since_or_is_told_so();
    the_end_of_the_hub_ends_its_streams();
    what_is_too_long_is_dropped();
    return 0;
}
