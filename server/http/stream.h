/*
 * stream.h - server-sent events (HTML Living Standard 9.2): what changed, to every page that watches.
 *
 * The hub keeps what has just happened; a client that was away a moment asks for what came since (Last-Event-ID),
 * and one that was away for longer, or is too slow, is told to look at everything again ("event: reset").
 *
 * Thread safety: the loop's thread.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct stream_hub;
struct stream;

enum { STREAM_EVENT_SIZE = 256, STREAM_EVENTS_MAX = 1024, STREAMS_MAX = 64 };

/* *ret_hub: freed by stream_hub_free, which ends every stream.  Errors: SCTD_ENOMEM. */
SCTD_NODISCARD int stream_hub_new(struct stream_hub **ret_hub, struct sctd_error *err);
void stream_hub_free(struct stream_hub *hub); /* NULL is a no-op */

/* kind: "job"; data: a JSON object in one line; what does not fit in STREAM_EVENT_SIZE is dropped.  Streams that
 * wait are woken. */
void stream_hub_publish(struct stream_hub *hub, const char *kind, const char *data);
/* A comment to each stream, so that what stands between notices nothing. */
void stream_hub_beat(struct stream_hub *hub);
/* End every stream: who may watch has changed. */
void stream_hub_close_streams(struct stream_hub *hub);
int stream_hub_count_streams(const struct stream_hub *hub);

/* last_id: of Last-Event-ID, or NULL.  Returns NULL where there are too many or no memory. */
struct stream *stream_new(struct stream_hub *hub, const char *last_id);
void stream_free(struct stream *stream); /* NULL is a no-op */

/* Called when there is something to read again. */
void stream_set_wake(struct stream *stream, void (*wake_it)(void *arg), void *arg);
/* Take up to `size` bytes; 0: nothing now, wait to be woken; -1: it has ended. */
ptrdiff_t stream_read(struct stream *stream, char *bytes, size_t size);

#ifdef __cplusplus
}
#endif
