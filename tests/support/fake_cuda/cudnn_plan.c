/* SPDX-License-Identifier: Apache-2.0 */
/* cuDNN's engines: which there are for a graph, their plans as texts, and running them. */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cuda_runtime_api.h>
#include <cudnn.h>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/body.h"
#include "engine/backend/cuda/value.h"
#include "engine/base/parse.h"

#include "tests/support/cuda_host_step.h"
#include "tests/support/fake_cuda/cudnn_graph.h"
#include "tests/support/fake_cuda/fake_cuda.h"
#include "tests/support/fake_cuda/inside.h"

int64_t cudnn_list_engines(const struct cudnn_graph *g, cudnnBackendHeurMode_t mode, int64_t most,
                           int ret_engine[])
{
    int64_t n = 0;
    for (int i = 0; i < fake_cuda.n_engines && n < most; i++) {
        const struct fake_cuda_engine *e = &fake_cuda.engine[i];
        if (e->fallback == (mode == CUDNN_HEUR_MODE_FALLBACK) && !(e->bare && g->n_stages > 0)) {
            ret_engine[n++] = i;
        }
    }
    return n;
}

cudnnStatus_t cudnn_check_engine(int engine, const struct cudnn_graph *g)
{
    const struct fake_cuda_engine *e = &fake_cuda.engine[engine];
    return e->refuses || (e->bare && g->n_stages > 0) ? CUDNN_STATUS_NOT_SUPPORTED
                                                      : CUDNN_STATUS_SUCCESS;
}

/* Texts */

static const char head[] = "{\"fake_cudnn\": 1, \"engine\": \"";
static const char middle[] = "\", \"graph\": \"";
static const char tail[] = "\"}";

char *cudnn_describe(int engine, const struct cudnn_graph *g)
{
    const char *name = fake_cuda.engine[engine].name;
    const unsigned char *byte = (const unsigned char *)g;
    const size_t room = sizeof head + sizeof middle + sizeof tail + strlen(name) + 2 * sizeof *g;
    char *text = malloc(room);
    assert(text != NULL);
    size_t at = (size_t)snprintf(text, room, "%s%s%s", head, name, middle);
    for (size_t i = 0; i < sizeof *g; i++) {
        at += (size_t)snprintf(text + at, room - at, "%02x", byte[i]);
    }
    (void)snprintf(text + at, room - at, "%s", tail);
    return text;
}

static int find_engine(const char *name, size_t length)
{
    for (int i = 0; i < fake_cuda.n_engines; i++) {
        const char *other = fake_cuda.engine[i].name;
        if (strlen(other) == length && memcmp(other, name, length) == 0) {
            return i;
        }
    }
    return -1;
}

/* text: NUL-terminated. */
static cudnnStatus_t understand(char *text, int *ret_engine, struct cudnn_graph *ret_graph)
{
    size_t n = 0;
    char *name = text + strlen(head);
    char *graph = strstr(text, middle);
    const size_t length = strlen(text);
    if (strncmp(text, head, strlen(head)) != 0 || graph == NULL || length < strlen(tail) ||
        strcmp(text + length - strlen(tail), tail) != 0) {
        return CUDNN_STATUS_BAD_PARAM;
    }
    text[length - strlen(tail)] = '\0';
    *ret_engine = find_engine(name, (size_t)(graph - name));
    if (*ret_engine < 0) {
        return CUDNN_STATUS_NOT_SUPPORTED;
    }
    return sctd_parse_hex(ret_graph, sizeof *ret_graph, graph + strlen(middle), &n) == 0 &&
                   n == sizeof *ret_graph
               ? CUDNN_STATUS_SUCCESS
               : CUDNN_STATUS_BAD_PARAM;
}

cudnnStatus_t cudnn_understand(const char *text, int64_t size, int *ret_engine,
                               struct cudnn_graph *ret_graph)
{
    if (size < 1 || (text[size - 1] == '\0') != fake_cuda.text_counts_nul) {
        return CUDNN_STATUS_BAD_PARAM;
    }
    char *copy = calloc((size_t)size + 1, 1);
    assert(copy != NULL);
    memcpy(copy, text, (size_t)size);
    const cudnnStatus_t s = understand(copy, ret_engine, ret_graph);
    free(copy);
    return s;
}

/* Running */

struct run {
    struct cudnn_graph graph;
    const void *x, *w, *b[CUDNN_STAGES];
    void *y, *workspace;
    size_t workspace_bytes;
    int32_t engine, tf32, backwards, wrong;
};

/* From its first value to its last. */
static size_t extent(const struct cudnn_tensor *t)
{
    int64_t values = 1;
    for (int i = 0; i < 4; i++) {
        values += (t->dim[i] - 1) * t->stride[i];
    }
    return (size_t)values;
}

static size_t place(const struct cudnn_tensor *t, const int64_t at[4])
{
    int64_t offset = 0;
    for (int i = 0; i < 4; i++) {
        offset += t->dim[i] == 1 ? 0 : at[i] * t->stride[i];
    }
    return (size_t)offset;
}

/* Where a tensor lies; false: nowhere on the device. */
static bool find_operand(const struct cudnn_pack *p, const struct cudnn_tensor *t, void **ret_data)
{
    for (int64_t i = 0; i < p->n; i++) {
        if (p->uid[i] == t->uid) {
            *ret_data = p->pointer[i];
            return (uintptr_t)p->pointer[i] % (size_t)t->alignment == 0 &&
                   fake_is_on_device(p->pointer[i], extent(t) * value_size(t->type));
        }
    }
    return false;
}

static const struct cudnn_tensor *last(const struct cudnn_graph *g)
{
    return g->n_stages == 0 ? &g->y : &g->stage[g->n_stages - 1].y;
}

/* x and w as f32. */
struct operands {
    float *x, *w;
};

static float convolve(const struct run *r, const struct operands *o, const int64_t at[4])
{
    const struct cudnn_tensor *x = &r->graph.x;
    const struct cudnn_tensor *w = &r->graph.w;
    const int64_t taps = w->dim[2] * w->dim[3];
    float sum = 0.0F;
    for (int64_t i = r->wrong; i < taps; i++) {
        const int64_t tap = r->backwards != 0 ? taps - 1 - i : i;
        const int64_t row = at[2] + tap / w->dim[3] - r->graph.pad[0];
        const int64_t column = at[3] + tap % w->dim[3] - r->graph.pad[1];
        if (row >= 0 && row < x->dim[2] && column >= 0 && column < x->dim[3]) {
            const int64_t from[4] = {at[0], 0, row, column};
            const int64_t weight[4] = {at[1], 0, tap / w->dim[3], tap % w->dim[3]};
            sum += fake_dot(o->x + place(x, from), o->w + place(w, weight), (size_t)x->dim[1],
                            r->backwards != 0);
        }
    }
    return sum;
}

static float activate(int32_t mode, float v)
{
    switch (mode) {
    case CUDNN_POINTWISE_GELU_FWD:
        return body_act(v, BODY_GELU);
    case CUDNN_POINTWISE_SIGMOID_FWD:
        return body_act(v, BODY_SIGMOID);
    default:
        assert(mode == CUDNN_POINTWISE_TANH_FWD);
        return body_act(v, BODY_TANH);
    }
}

/* What a tensor's type keeps of a value. */
static float keep(const struct cudnn_tensor *t, float v)
{
    return t->type == VALUE_F32 ? v : value_of_16(value_to_16(v, t->type), t->type);
}

static float compute(const struct run *r, const struct operands *o, const int64_t at[4])
{
    float v = keep(&r->graph.y, convolve(r, o, at));
    for (int64_t i = 0; i < r->graph.n_stages; i++) {
        const struct cudnn_stage *s = &r->graph.stage[i];
        v = keep(&s->y, s->has_b != 0 ? v + value_load(r->b[i], s->b.type, place(&s->b, at))
                                      : activate(s->mode, v));
    }
    return v;
}

static void run(const void *args)
{
    const struct run *r = args;
    const struct cudnn_tensor *y = last(&r->graph);
    const enum backend_precision p = r->tf32 != 0 ? BACKEND_TF32 : BACKEND_FP32;
    fake_cuda_counts.engine_runs[r->engine]++;
    fake_use_workspace(r->workspace, r->workspace_bytes);
    const struct operands o = {
        .x = cuda_host_take_values(r->x, r->graph.x.type, extent(&r->graph.x), p),
        .w = cuda_host_take_values(r->w, r->graph.w.type, extent(&r->graph.w), p),
    };
    const int64_t pixels = y->dim[2] * y->dim[3];
    for (int64_t i = 0; i < y->dim[0] * pixels * y->dim[1]; i++) {
        const int64_t pixel = i / y->dim[1];
        const int64_t at[4] = {pixel / pixels, i % y->dim[1], pixel % pixels / y->dim[3],
                               pixel % y->dim[3]};
        value_store(r->y, y->type, place(y, at), compute(r, &o, at));
    }
    free(o.x);
    free(o.w);
}

static bool has_note(const struct fake_cuda_engine *e, cudnnBackendNumericalNote_t note)
{
    for (int i = 0; i < e->n_notes; i++) {
        if (e->note[i] == (int)note) {
            return true;
        }
    }
    return false;
}

static bool find_operands(struct run *r, const struct cudnn_pack *pack)
{
    void *data = NULL;
    bool found = find_operand(pack, &r->graph.x, &data);
    r->x = data;
    found = found && find_operand(pack, &r->graph.w, &data);
    r->w = data;
    for (int64_t i = 0; i < r->graph.n_stages; i++) {
        if (r->graph.stage[i].has_b != 0) {
            found = found && find_operand(pack, &r->graph.stage[i].b, &data);
            r->b[i] = data;
        }
    }
    return found && find_operand(pack, last(&r->graph), &r->y) &&
           (r->workspace_bytes == 0 || fake_is_on_device(r->workspace, r->workspace_bytes));
}

cudnnStatus_t cudnn_execute(cudaStream_t stream, int engine, const struct cudnn_graph *g,
                            const struct cudnn_pack *pack)
{
    const struct fake_cuda_engine *e = &fake_cuda.engine[engine];
    struct run r = {.graph = *g,
                    .engine = engine,
                    .workspace = pack->workspace,
                    .workspace_bytes = e->workspace,
                    .tf32 = has_note(e, CUDNN_NUMERICAL_NOTE_TENSOR_CORE) ? 1 : 0,
                    .backwards = e->backwards ? 1 : 0,
                    .wrong = e->wrong ? 1 : 0};
    if (e->fails) {
        return CUDNN_STATUS_NOT_SUPPORTED;
    }
    if (!find_operands(&r, pack)) {
        (void)fake_fail(cudaErrorIllegalAddress);
        return CUDNN_STATUS_EXECUTION_FAILED;
    }
    const struct fake_work work = {
        .run = run, .args = &r, .size = sizeof r, .ms = e->ms, .uncaptured = e->uncaptured};
    return fake_start(stream, &work) == cudaSuccess ? CUDNN_STATUS_SUCCESS
                                                    : CUDNN_STATUS_EXECUTION_FAILED_CUDART;
}
