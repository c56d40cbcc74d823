/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams and events.  A stream is a queue whose first operation runs when the seed's order has it; an event is the
 * mark that its latest record leaves there.  A wait takes the mark that was latest when it was called.
 */
#undef NDEBUG
#include <assert.h>
#include <driver_types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cuda_runtime_api.h>

#include "engine/base/rng.h"

#include "tests/support/fake_cuda/fake_cuda.h"
#include "tests/support/fake_cuda/graphs.h"
#include "tests/support/fake_cuda/inside.h"

/* A place in a stream. */
struct mark {
    int holders;
    bool reached;
    double at_ms;
};

enum operation_kind { WORK, RECORD, WAIT };

struct operation {
    struct operation *next;
    enum operation_kind kind;
    struct fake_work work; /* WORK: owns its arguments */
    struct mark *mark;     /* the others; held */
};

// NOLINTBEGIN(readability-identifier-naming): CUDA's names
struct CUstream_st {
    struct CUstream_st *next;
    struct operation *first, **end;
    size_t wanted;       /* of its operations, by whoever waits */
    cudaGraph_t capture; /* NULL: it is not captured */
    int device;
    bool blocking; /* waits for the legacy stream, and it for this one */
    bool spoilt;   /* the capture */
};

struct CUevent_st {
    struct mark *mark; /* NULL: never recorded */
    int device;
    bool timed;
};

static struct CUstream_st legacy[FAKE_CUDA_DEVICES];
static struct CUstream_st *streams; /* all of them */
static double clock_ms;
static struct sctd_rng rng;

static size_t draw(size_t n)
{
    return (size_t)(sctd_rng_next(&rng) >> 11) % n;
}

static void init_stream(struct CUstream_st *s, int device, bool blocking)
{
    *s = (struct CUstream_st){.next = streams, .device = device, .blocking = blocking};
    s->end = &s->first;
    streams = s;
}

void fake_queue_reset(void)
{
    streams = NULL;
    for (int i = 0; i < FAKE_CUDA_DEVICES; i++) {
        init_stream(&legacy[i], i, false);
    }
    clock_ms = 0.0;
}

void fake_queue_draw(uint64_t seed)
{
    rng.state = seed;
}

/* Operations */

static struct mark *hold(struct mark *m)
{
    if (m != NULL) {
        m->holders++;
    }
    return m;
}

static void let_go(struct mark *m)
{
    if (m != NULL && --m->holders == 0) {
        free(m);
    }
}

static struct operation *append(struct CUstream_st *s, enum operation_kind kind, struct mark *mark)
{
    struct operation *o = calloc(1, sizeof *o);
    assert(o != NULL);
    o->kind = kind;
    o->mark = hold(mark);
    *s->end = o;
    s->end = &o->next;
    return o;
}

static struct mark *append_record(struct CUstream_st *s)
{
    struct mark *m = calloc(1, sizeof *m);
    assert(m != NULL);
    (void)append(s, RECORD, m);
    return m;
}

/* `s` goes on when all is done that is in `other` now. */
static void join(struct CUstream_st *s, struct CUstream_st *other)
{
    (void)append(s, WAIT, append_record(other));
}

/* The legacy stream and those that are not made to be independent of it wait for each other. */
static void join_legacy(struct CUstream_st *s)
{
    struct CUstream_st *base = &legacy[s->device];
    if (s->blocking) {
        join(s, base);
    }
    for (struct CUstream_st *other = streams; s == base && other != NULL; other = other->next) {
        if (other->device == s->device && other->blocking) {
            join(s, other);
        }
    }
}

static void remove_first(struct CUstream_st *s)
{
    struct operation *o = s->first;
    s->first = o->next;
    s->end = s->first == NULL ? &s->first : s->end;
    s->wanted -= s->wanted > 0 ? 1 : 0;
    fake_work_free(&o->work);
    let_go(o->mark);
    free(o);
}

void fake_abandon(int device)
{
    for (struct CUstream_st *s = streams; s != NULL; s = s->next) {
        while (s->device == device && s->first != NULL) {
            remove_first(s);
        }
    }
}

static bool can_go_on(const struct CUstream_st *s)
{
    return s->first != NULL && (s->first->kind != WAIT || s->first->mark->reached);
}

/* Whether a fault of the device happens instead of the work. */
static bool is_hit(void)
{
    if (fake_cuda.nth_work < 0) {
        return false;
    }
    const bool hit = fake_cuda.nth_work == 0;
    fake_cuda.nth_work--;
    fake_cuda_counts.fired = fake_cuda_counts.fired || hit;
    return hit;
}

static void go_on(struct CUstream_st *s)
{
    struct operation *o = s->first;
    if (o->kind == RECORD) {
        o->mark->reached = true;
        o->mark->at_ms = clock_ms;
    } else if (o->kind == WORK) {
        if (is_hit()) {
            (void)fake_fail((cudaError_t)fake_cuda.work);
            return; /* and nothing is left */
        }
        clock_ms += (double)o->work.ms;
        fake_cuda_counts.works++;
        o->work.run(o->work.args);
    }
    remove_first(s);
}

/* One that can go on, drawn from all or from those that are wanted; NULL: there is none. */
static struct CUstream_st *draw_stream(bool wanted)
{
    struct CUstream_st *drawn = NULL;
    size_t n = 0;
    for (struct CUstream_st *s = streams; s != NULL; s = s->next) {
        if (can_go_on(s) && (!wanted || s->wanted > 0) && draw(++n) == 0) {
            drawn = s;
        }
    }
    return drawn;
}

/* What runs without anybody waiting. */
static void run_early(void)
{
    size_t most = fake_cuda.order == FAKE_CUDA_EARLY ? SIZE_MAX : 0;
    most = fake_cuda.order == FAKE_CUDA_MIXED ? draw(4) : most;
    for (size_t i = 0; i < most; i++) {
        struct CUstream_st *s = draw_stream(false);
        if (s == NULL) {
            return;
        }
        go_on(s);
    }
}

/* Waiting */

static bool want(struct CUstream_st *s, size_t n)
{
    const bool more = n > s->wanted;
    s->wanted = more ? n : s->wanted;
    return more;
}

/* How many operations there are up to the one that reaches a mark; 0: it is not in this stream. */
static size_t find_record(const struct CUstream_st *s, const struct mark *m)
{
    size_t n = 1;
    for (const struct operation *o = s->first; o != NULL; o = o->next, n++) {
        if (o->kind == RECORD && o->mark == m) {
            return n;
        }
    }
    return 0;
}

/* All that comes before a mark that is not reached. */
static bool want_mark(const struct mark *m)
{
    bool more = false;
    for (struct CUstream_st *s = streams; s != NULL; s = s->next) {
        more = want(s, find_record(s, m)) || more;
    }
    return more;
}

/* What the wanted operations of a stream wait for. */
static bool want_sources(const struct CUstream_st *s)
{
    bool more = false;
    size_t n = 0;
    for (const struct operation *o = s->first; o != NULL && n < s->wanted; o = o->next, n++) {
        if (o->kind == WAIT && !o->mark->reached) {
            more = want_mark(o->mark) || more;
        }
    }
    return more;
}

/* All that the wanted operations wait for, in any stream. */
static void want_all_sources(void)
{
    bool more = true;
    while (more) {
        more = false;
        for (struct CUstream_st *s = streams; s != NULL; s = s->next) {
            more = want_sources(s) || more;
        }
    }
}

static bool is_any_wanted(void)
{
    for (const struct CUstream_st *s = streams; s != NULL; s = s->next) {
        if (s->wanted > 0) {
            return true;
        }
    }
    return false;
}

static void run_wanted(void)
{
    want_all_sources();
    while (is_any_wanted()) {
        const bool others_too = fake_cuda.order == FAKE_CUDA_MIXED && draw(2) == 0;
        struct CUstream_st *s = draw_stream(!others_too);
        assert(s != NULL); /* a wait is always for what was recorded before */
        go_on(s);
    }
}

static size_t count(const struct CUstream_st *s)
{
    size_t n = 0;
    for (const struct operation *o = s->first; o != NULL; o = o->next) {
        n++;
    }
    return n;
}

static cudaError_t state_of_device(void)
{
    return fake_is_lost() ? cudaGetLastError() : cudaSuccess;
}

static struct CUstream_st *stream_of(cudaStream_t stream)
{
    return stream == NULL ? &legacy[fake_device()] : stream;
}

cudaError_t fake_drain(cudaStream_t stream)
{
    struct CUstream_st *s = stream_of(stream);
    (void)want(s, count(s));
    run_wanted();
    return state_of_device();
}

cudaError_t fake_drain_device(void)
{
    for (struct CUstream_st *s = streams; s != NULL; s = s->next) {
        if (s->device == fake_device()) {
            (void)want(s, count(s));
        }
    }
    run_wanted();
    return state_of_device();
}

static bool has_work(const struct CUstream_st *s)
{
    for (const struct operation *o = s->first; o != NULL; o = o->next) {
        if (o->kind == WORK) {
            return true;
        }
    }
    return false;
}

bool fake_is_busy(void)
{
    bool busy = false;
    for (const struct CUstream_st *s = streams; s != NULL; s = s->next) {
        busy = busy || (s->device == fake_device() && has_work(s));
    }
    return busy;
}

/* Starting */

static cudaError_t spoil(struct CUstream_st *s)
{
    s->spoilt = true;
    return fake_fail(cudaErrorStreamCaptureUnsupported);
}

cudaError_t fake_check_capture(void)
{
    cudaError_t e = cudaSuccess;
    for (struct CUstream_st *s = streams; s != NULL; s = s->next) {
        e = s->capture != NULL ? spoil(s) : e;
    }
    return e;
}

cudaError_t fake_start(cudaStream_t stream, const struct fake_work *work)
{
    struct CUstream_st *s = stream_of(stream);
    if (s->device != fake_device()) {
        return fake_fail(cudaErrorInvalidResourceHandle);
    }
    if (s->capture != NULL) {
        if (work->uncaptured) {
            return spoil(s);
        }
        fake_graph_add(s->capture, work);
        return cudaSuccess;
    }
    join_legacy(s);
    fake_work_copy(&append(s, WORK, NULL)->work, work);
    run_early();
    return cudaSuccess;
}

/* CUDA's functions */

static cudaError_t entered(const char *function)
{
    return (cudaError_t)fake_call(FAKE_CUDA, function);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *pStream, unsigned int flags)
{
    const cudaError_t e = entered(__func__);
    if (e != cudaSuccess) {
        return e;
    }
    fake_touch_device();
    struct CUstream_st *s = malloc(sizeof *s);
    assert(s != NULL);
    init_stream(s, fake_device(), (flags & cudaStreamNonBlocking) == 0);
    fake_cuda_counts.streams++;
    *pStream = s;
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    const cudaError_t e = entered(__func__);
    (void)fake_drain(stream);
    struct CUstream_st **link = &streams;
    while (*link != stream) {
        link = &(*link)->next;
    }
    *link = stream->next;
    free(stream);
    fake_cuda_counts.streams--;
    return e;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    const cudaError_t e = entered(__func__);
    if (e != cudaSuccess) {
        return e;
    }
    struct CUstream_st *s = stream_of(stream);
    return s->capture != NULL ? spoil(s) : fake_drain(stream);
}

cudaError_t cudaDeviceSynchronize(void)
{
    cudaError_t e = entered(__func__);
    e = e == cudaSuccess ? fake_check_capture() : e;
    return e == cudaSuccess ? fake_drain_device() : e;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned int flags)
{
    const cudaError_t e = entered(__func__);
    (void)flags;
    if (e != cudaSuccess) {
        return e;
    }
    struct CUstream_st *s = stream_of(stream);
    if (s->capture != NULL) {
        return spoil(s);
    }
    if (event->mark != NULL && !event->mark->reached) {
        (void)append(s, WAIT, event->mark);
        run_early();
    }
    return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode)
{
    const cudaError_t e = entered(__func__);
    (void)mode;
    if (e != cudaSuccess) {
        return e;
    }
    if (stream == NULL || stream->capture != NULL) {
        return fake_fail(cudaErrorStreamCaptureUnsupported);
    }
    stream->capture = fake_graph_new();
    stream->spoilt = false;
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *pGraph)
{
    cudaError_t e = entered(__func__);
    cudaGraph_t graph = stream->capture;
    stream->capture = NULL;
    if (e == cudaSuccess && (graph == NULL || stream->spoilt)) {
        e = fake_fail(cudaErrorStreamCaptureInvalidated);
    }
    if (e != cudaSuccess) {
        fake_graph_free(graph);
        graph = NULL;
    }
    *pGraph = graph;
    return e;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned int flags)
{
    const cudaError_t e = entered(__func__);
    if (e != cudaSuccess) {
        return e;
    }
    struct CUevent_st *made = calloc(1, sizeof *made);
    assert(made != NULL);
    made->device = fake_device();
    made->timed = (flags & cudaEventDisableTiming) == 0;
    fake_cuda_counts.events++;
    *event = made;
    return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t *event)
{
    return cudaEventCreateWithFlags(event, cudaEventDefault);
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    const cudaError_t e = entered(__func__);
    let_go(event->mark);
    free(event);
    fake_cuda_counts.events--;
    return e;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    const cudaError_t e = entered(__func__);
    if (e != cudaSuccess) {
        return e;
    }
    struct CUstream_st *s = stream_of(stream);
    if (s->capture != NULL) {
        return spoil(s);
    }
    if (s->device != event->device) {
        return fake_fail(cudaErrorInvalidResourceHandle);
    }
    let_go(event->mark);
    event->mark = hold(append_record(s));
    run_early();
    return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    const cudaError_t e = entered(__func__);
    if (e != cudaSuccess) {
        return e;
    }
    if (event->mark != NULL && !event->mark->reached) {
        (void)want_mark(event->mark);
        run_wanted();
    }
    return state_of_device();
}

cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t start, cudaEvent_t end)
{
    const cudaError_t e = entered(__func__);
    if (e != cudaSuccess) {
        return e;
    }
    if (start->mark == NULL || end->mark == NULL || !start->timed || !end->timed) {
        return fake_fail(cudaErrorInvalidResourceHandle);
    }
    if (!start->mark->reached || !end->mark->reached) {
        return fake_fail(cudaErrorNotReady);
    }
    fake_cuda_counts.timings++;
    *ms = (float)(end->mark->at_ms - start->mark->at_ms);
    return cudaSuccess;
}
// NOLINTEND(readability-identifier-naming)
