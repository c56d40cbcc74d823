/* SPDX-License-Identifier: Apache-2.0 */
#include <driver_types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <cudnn.h>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/batch.h"
#include "engine/backend/cuda/bind.h"
#include "engine/backend/cuda/device/conv_graph.h"
#include "engine/backend/cuda/device/convolution.h"
#include "engine/backend/cuda/device/cuda_plan.h"
#include "engine/backend/cuda/device/device.h"
#include "engine/backend/cuda/device/noise.h"
#include "engine/backend/cuda/device/plan_file.h"
#include "engine/backend/cuda/device/product.h"
#include "engine/backend/cuda/device/tuning.h"
#include "engine/backend/cuda/fault.h"
#include "engine/backend/cuda/plan_cache.h"
#include "engine/backend/cuda/program.h"
#include "engine/backend/graph.h"
#include "engine/backend/pool.h"
#include "engine/base/attr.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"

enum {
    MIB = 1 << 20,
    CHOICE_WORKSPACE = 256 * MIB, /* what an engine may take */
    WEIGHTS_AT_ONCE = 64 * MIB,   /* in the host's memory */
    LIBRARIES = 512 * MIB,        /* what the libraries keep for themselves, roughly */
    /* One takes a second to pack the weights of a ViT-B and its generator; what copies needs no more than some. */
    MAX_THREADS = 8,
};

/* Taking apart */

static void free_steps(struct cuda_plan *plan)
{
    for (int32_t i = 0; plan->step != NULL && i < plan->program->n_steps; i++) {
        convolution_free(plan->step[i].convolution);
        product_free(plan->step[i].product);
    }
    free(plan->step);
    plan->step = NULL;
}

static void free_event(cudaEvent_t *event)
{
    if (*event != NULL) {
        (void)cudaEventDestroy(*event);
        *event = NULL;
    }
}

static void free_side(struct cuda_side *side)
{
    free_event(&side->uploaded);
    free_event(&side->taken);
    free_event(&side->computed);
    free_event(&side->fetched);
    for (int i = 0; i <= CUDA_MAX_SEGMENTS; i++) {
        free_event(&side->stage[i]);
    }
    cuda_buf_free(&side->in);
    cuda_buf_free(&side->out);
    if (side->host_in != NULL) {
        (void)cudaFreeHost(side->host_in);
    }
    if (side->host_out != NULL) {
        (void)cudaFreeHost(side->host_out);
    }
    side->host_in = NULL;
    side->host_out = NULL;
}

/* What depends on the chunk's size. */
static void free_chunk(struct cuda_plan *plan)
{
    for (int32_t i = 0; i < plan->n_segments; i++) {
        if (plan->segment[i].graph != NULL) {
            (void)cudaGraphExecDestroy(plan->segment[i].graph);
        }
    }
    plan->n_segments = 0;
    free_steps(plan);
    for (int i = 0; i < CUDA_SIDES; i++) {
        free_side(&plan->side[i]);
    }
    cuda_buf_free(&plan->arena);
    cuda_buf_free(&plan->workspace);
}

static void free_stream(cudaStream_t *stream)
{
    if (*stream != NULL) {
        (void)cudaStreamDestroy(*stream);
        *stream = NULL;
    }
}

void cuda_plan_fini(struct cuda_plan *plan)
{
    if (plan->work != NULL) { /* else nothing has been made on the device */
        (void)cudaSetDevice(plan->device.index);
        (void)cudaDeviceSynchronize();
    }
    cuda_volume_fini(&plan->volume);
    free_chunk(plan);
    cuda_buf_free(&plan->weights);
    if (plan->cudnn != NULL) {
        (void)cudnnDestroy(plan->cudnn);
    }
    if (plan->lt != NULL) {
        (void)cublasLtDestroy(plan->lt);
    }
    free_stream(&plan->up);
    free_stream(&plan->work);
    free_stream(&plan->down);
    pool_free(plan->pool);
    plan_cache_fini(&plan->cache);
    program_free(plan->program);
    plan->program = NULL;
}

/* Putting together: what does not depend on the chunk */

/* What has passed since *from_s goes to a part of the build, and the next one begins. */
static void count_build(struct cuda_plan *plan, enum cuda_build part, double *from_s)
{
    const double now_s = sctd_now_s();
    plan->build_ms[part] += 1e3 * (now_s - *from_s);
    *from_s = now_s;
}

static int new_stream(cudaStream_t *ret_stream, struct sctd_error *err)
{
    return device_check(cudaStreamCreateWithFlags(ret_stream, cudaStreamNonBlocking), "a stream",
                        err);
}

static int open_libraries(struct cuda_plan *plan, struct sctd_error *err)
{
    const int32_t processors = pool_count_processors();
    int r = pool_new(&plan->pool, processors < MAX_THREADS ? processors : MAX_THREADS, NULL, err);
    if (r == SCTD_EIO) { /* no more threads: one does it, too */
        r = pool_new(&plan->pool, 1, NULL, err);
    }
    r = r < 0 ? r : new_stream(&plan->work, err);
    r = r < 0 ? r : new_stream(&plan->up, err);
    r = r < 0 ? r : new_stream(&plan->down, err);
    if (r < 0) {
        return r;
    }
    cudnnStatus_t s = cudnnCreate(&plan->cudnn);
    if (s == CUDNN_STATUS_SUCCESS) {
        s = cudnnSetStream(plan->cudnn, plan->work);
    }
    if (s != CUDNN_STATUS_SUCCESS) {
        return conv_graph_fault(s, "opening cuDNN", err);
    }
    const cublasStatus_t b = cublasLtCreate(&plan->lt);
    return b == CUBLAS_STATUS_SUCCESS
               ? 0
               : fault_set(err, FAULT_CUBLAS, (int)b, cublasLtGetStatusName(b), "opening cuBLAS");
}

/* Weights that follow each other, on their way through the host's memory. */
struct packing {
    const struct program *program;
    const struct graph *graph;
    unsigned char *bytes; /* [room] */
    size_t room;          /* of the largest weight, and more than that where it is small */
    int32_t first, last;  /* first ... last - 1 */
};

static void pack_weight(void *arg, int32_t item, int32_t worker)
{
    const struct packing *p = arg;
    const struct program_weight *w = &p->program->weight[p->first];
    (void)worker;
    program_pack(p->program, p->graph, p->first + item, p->bytes + w[item].offset - w->offset);
}

static size_t find_room(const struct program *p)
{
    size_t room = WEIGHTS_AT_ONCE;
    for (int32_t i = 0; i < p->n_weights; i++) {
        room = p->weight[i].bytes > room ? p->weight[i].bytes : room;
    }
    return room;
}

/* As many more as fit; returns their bytes. */
static size_t next_weights(struct packing *packing)
{
    const struct program *p = packing->program;
    size_t bytes = 0;
    packing->first = packing->last;
    while (packing->last < p->n_weights &&
           bytes + p->weight[packing->last].bytes <= packing->room) {
        bytes += p->weight[packing->last++].bytes;
    }
    return bytes;
}

static int upload_packed(struct cuda_plan *plan, struct packing *packing, struct sctd_error *err)
{
    const struct program *p = packing->program;
    int r = 0;
    while (r == 0 && packing->last < p->n_weights) {
        const size_t bytes = next_weights(packing);
        pool_run(plan->pool, packing->last - packing->first, pack_weight, packing);
        r = device_check(
            cudaMemcpy((unsigned char *)plan->weights.data + p->weight[packing->first].offset,
                       packing->bytes, bytes, cudaMemcpyHostToDevice),
            "copying weights", err);
    }
    return r;
}

static int upload_weights(struct cuda_plan *plan, const struct graph *g, struct sctd_error *err)
{
    struct packing packing = {
        .program = plan->program, .graph = g, .room = find_room(plan->program)};
    packing.bytes = malloc(packing.room);
    int r = packing.bytes == NULL ? sctd_error(err, SCTD_ENOMEM, "packing weights") : 0;
    r = r < 0 ? r : cuda_buf_new(&plan->weights, plan->program->weight_bytes + PROGRAM_ALIGN, err);
    r = r < 0 ? r : upload_packed(plan, &packing, err);
    free(packing.bytes);
    /* The copies have left their source, but need not have arrived, and our streams do not wait for them. */
    return r < 0 ? r : device_check(cudaDeviceSynchronize(), "copying weights", err);
}

/* Putting together: what does */

static int new_event(cudaEvent_t *ret_event, unsigned flags, struct sctd_error *err)
{
    return device_check(cudaEventCreateWithFlags(ret_event, flags), "an event", err);
}

static int make_side(struct cuda_plan *plan, struct cuda_side *side, struct sctd_error *err)
{
    const unsigned untimed = cudaEventDisableTiming;
    const size_t in = (size_t)plan->chunk * plan->in_values * sizeof(float);
    const size_t out = CUDA_MARKS + (size_t)plan->chunk * plan->out_values * sizeof(float);
    int r = cuda_buf_new(&side->in, in, err);
    r = r < 0 ? r : cuda_buf_new(&side->out, out, err);
    r = r < 0 ? r : device_pin((void **)&side->host_in, in, err);
    r = r < 0 ? r : device_pin((void **)&side->host_out, out, err);
    r = r < 0 ? r : new_event(&side->uploaded, untimed, err);
    r = r < 0 ? r : new_event(&side->taken, untimed, err);
    r = r < 0 ? r : new_event(&side->computed, untimed, err);
    r = r < 0 ? r : new_event(&side->fetched, untimed, err);
    for (int i = 0; r == 0 && i <= CUDA_MAX_SEGMENTS; i++) {
        r = new_event(&side->stage[i], cudaEventDefault, err);
    }
    return r;
}

static int make_memory(struct cuda_plan *plan, struct sctd_error *err)
{
    const size_t arena = (size_t)plan->chunk * plan->program->arena_bytes;
    int r = cuda_buf_new(&plan->arena, arena, err);
    r = r < 0 ? r : cuda_buf_new(&plan->workspace, CHOICE_WORKSPACE, err);
    for (int i = 0; r == 0 && i < CUDA_SIDES; i++) {
        r = make_side(plan, &plan->side[i], err);
    }
    /* Nothing reads what was not written; but engines are measured on it, which are faster on zeros. */
    return r < 0 ? r : noise_fill(&plan->arena, plan->work, err);
}

static int make_steps(struct cuda_plan *plan, const struct tuning *tuning, struct sctd_error *err)
{
    const struct program *p = plan->program;
    const struct binding b = {.program = p,
                              .slices = plan->chunk,
                              .arena = plan->arena.data,
                              .weights = plan->weights.data};
    int r = 0;
    plan->step = calloc((size_t)p->n_steps, sizeof *plan->step);
    if (plan->step == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "steps");
    }
    for (int32_t i = 0; r == 0 && i < p->n_steps; i++) {
        struct cuda_step *s = &plan->step[i];
        s->kind = p->step[i].kind;
        s->stage = p->step[i].stage;
        s->items = bind_step(&s->args, &b, &p->step[i]);
        if (s->kind == STEP_CONV) {
            r = convolution_new(&s->convolution, plan->cudnn, tuning, &s->args.product, err);
        } else if (s->kind == STEP_LINEAR) {
            r = product_new(&s->product, plan->lt, tuning, &s->args.product, err);
        }
    }
    return r;
}

/* The workspace that the chosen engines need, instead of that for choosing. */
static int fit_workspace(struct cuda_plan *plan, struct sctd_error *err)
{
    size_t bytes = PRODUCT_WORKSPACE;
    for (int32_t i = 0; i < plan->program->n_steps; i++) {
        const struct convolution *c = plan->step[i].convolution;
        if (c != NULL && convolution_get_workspace(c) > bytes) {
            bytes = convolution_get_workspace(c);
        }
    }
    int r = device_check(cudaStreamSynchronize(plan->work), "choosing engines", err);
    if (r < 0) {
        return r;
    }
    cuda_buf_free(&plan->workspace);
    r = cuda_buf_new(&plan->workspace, bytes, err);
    for (int32_t i = 0; r == 0 && i < plan->program->n_steps; i++) {
        if (plan->step[i].convolution != NULL) {
            r = convolution_set_workspace(plan->step[i].convolution, plan->workspace.data, err);
        }
    }
    return r;
}

/* Runs of steps of one stage; what is beyond the room for them joins the last. */
static void cut_segments(struct cuda_plan *plan)
{
    plan->n_segments = 0;
    for (int32_t i = 0; i < plan->program->n_steps; i++) {
        const enum graph_stage stage = plan->step[i].stage;
        const int32_t n = plan->n_segments;
        const bool same = n > 0 && plan->segment[n - 1].stage == stage;
        if (same || n == CUDA_MAX_SEGMENTS) {
            plan->segment[n - 1].last = i + 1;
        } else {
            plan->segment[n] = (struct cuda_segment){.first = i, .last = i + 1, .stage = stage};
            plan->n_segments++;
        }
    }
}

/* A segment as a CUDA graph; where one of its kernels cannot be captured it stays without. */
static int capture(struct cuda_plan *plan, struct cuda_segment *s, struct sctd_error *err)
{
    struct sctd_error why = {.code = SCTD_OK};
    cudaGraph_t graph = NULL;
    int r = device_check(cudaStreamBeginCapture(plan->work, cudaStreamCaptureModeThreadLocal),
                         "capturing", err);
    if (r < 0) {
        return r;
    }
    const int started = cuda_plan_start_steps(plan, s->first, s->last, &why);
    const cudaError_t ended = cudaStreamEndCapture(plan->work, &graph);
    if (started == 0 && ended == cudaSuccess && graph != NULL &&
        cudaGraphInstantiate(&s->graph, graph, 0) != cudaSuccess) {
        s->graph = NULL;
    }
    if (graph != NULL) {
        (void)cudaGraphDestroy(graph);
    }
    (void)cudaGetLastError();
    return 0;
}

static int make_graphs(struct cuda_plan *plan, struct sctd_error *err)
{
    double from_s = sctd_now_s();
    cut_segments(plan);
    /* Once as they are: what libraries load at the first run must not be loaded while capturing. */
    int r = cuda_plan_start_steps(plan, 0, plan->program->n_steps, err);
    if (r == 0) {
        r = device_check(cudaStreamSynchronize(plan->work), "the first run", err);
    }
    count_build(plan, CUDA_BUILD_FIRST_RUN, &from_s);
    for (int32_t i = 0; r == 0 && i < plan->n_segments; i++) {
        r = capture(plan, &plan->segment[i], err);
    }
    r = r < 0 ? r : device_check(cudaStreamSynchronize(plan->work), "capturing", err);
    count_build(plan, CUDA_BUILD_GRAPHS, &from_s);
    return r;
}

/* What a cache has for the chunk was checked when it was chosen. */
static int check_chunk(struct cuda_plan *plan, const struct tuning *tuning, struct sctd_error *err)
{
    char key[32];
    double from_s = sctd_now_s();
    (void)snprintf(key, sizeof key, "checked n%d", plan->chunk);
    if (!plan->cache.changed && plan_cache_find(&plan->cache, key) != NULL) {
        return 0;
    }
    int r = cuda_plan_check(plan, err);
    r = r < 0 ? r : tuning_keep(tuning, key, PLAN_CHECKED, "", err);
    count_build(plan, CUDA_BUILD_CHECK, &from_s);
    return r;
}

static int make_chunk(struct cuda_plan *plan, struct tuning *tuning, struct sctd_error *err)
{
    double from_s = sctd_now_s();
    int r = make_memory(plan, err);
    tuning->workspace = plan->workspace.data;
    r = r < 0 ? r : make_steps(plan, tuning, err);
    r = r < 0 ? r : fit_workspace(plan, err);
    count_build(plan, CUDA_BUILD_CHOICES, &from_s);
    r = r < 0 ? r : make_graphs(plan, err);
    return r < 0 ? r : check_chunk(plan, tuning, err);
}

/* As many slices as have fewer than 2^31 values in each map, which kernels count in 32 bits. */
static int limit_batch(int32_t *ret_batch, const struct cuda_plan *plan, struct sctd_error *err)
{
    const struct program *p = plan->program;
    size_t most = 1;
    for (int32_t i = 0; i < p->n_buffers; i++) {
        const size_t values = program_pixels(&p->buffer[i]) * (size_t)p->buffer[i].stride;
        most = values > most ? values : most;
    }
    const size_t fit = (size_t)INT32_MAX / most;
    *ret_batch = fit < (size_t)plan->max_batch ? (int32_t)fit : plan->max_batch;
    return fit > 0 ? 0
                   : sctd_error(err, SCTD_EINVAL,
                                "a map of %zu values: fewer than 2^31 are possible on a GPU", most);
}

/* Not even one slice fits: now, for which another time may do, or ever. */
static int refuse_slice(const struct cuda_plan *plan, const struct batch_memory *m,
                        struct sctd_error *err)
{
    struct batch_memory alone = *m;
    const size_t needed = m->fixed_bytes + m->slice_bytes;
    alone.free_bytes = plan->device.total_bytes;
    if (needed > batch_limit(&alone)) {
        return sctd_error(
            err, SCTD_EINVAL,
            "a slice needs %zu MiB of the GPU's memory, of which %zu MiB may be taken",
            needed / MIB, batch_limit(&alone) / MIB);
    }
    return sctd_error(
        err, SCTD_ENOMEM,
        "a slice needs %zu MiB of the GPU's memory, of which %zu MiB are left by others",
        needed / MIB, batch_limit(m) / MIB);
}

static int choose_chunk(struct cuda_plan *plan, struct sctd_error *err)
{
    int32_t batch = 0;
    int r = limit_batch(&batch, plan, err);
    if (r < 0) {
        return r;
    }
    struct batch_memory m = {
        .free_bytes = plan->device.free_bytes,
        .fixed_bytes = plan->program->weight_bytes + CHOICE_WORKSPACE + LIBRARIES,
        .slice_bytes = plan->program->arena_bytes +
                       CUDA_SIDES * (plan->in_values + plan->out_values) * sizeof(float),
    };
    m.budget_bytes = plan->budget_bytes;
    plan->chunk = batch_choose(&m, batch);
    return plan->chunk > 0 ? 0 : refuse_slice(plan, &m, err);
}

/* Smaller chunks until one fits. */
static int make_largest_chunk(struct cuda_plan *plan, struct plan_file *file,
                              struct sctd_error *err)
{
    struct tuning tuning = {
        .stream = plan->work,
        .precision = plan->precision,
        .cache = &plan->cache,
        .file = file,
        .measure = file->writable,
        .workspace_bytes = CHOICE_WORKSPACE,
    };
    int r = make_chunk(plan, &tuning, err);
    while (r == SCTD_ENOMEM && batch_halve(plan->chunk) > 0) {
        free_chunk(plan);
        plan->chunk = batch_halve(plan->chunk);
        r = make_chunk(plan, &tuning, err);
    }
    return r;
}

/* What decides the values, and apart from it what does not. */
static void describe(struct cuda_plan *plan)
{
    static const char *const names[] = {[BACKEND_FP32] = "fp32",
                                        [BACKEND_TF32] = "tf32",
                                        [BACKEND_FP16] = "fp16",
                                        [BACKEND_BF16] = "bf16"};
    int32_t plain = 0;
    int32_t uncaptured = 0;
    for (int32_t i = 0; i < plan->program->n_steps; i++) {
        const struct convolution *c = plan->step[i].convolution;
        plain += c != NULL && convolution_is_plain(c) ? 1 : 0;
    }
    for (int32_t i = 0; i < plan->n_segments; i++) {
        uncaptured += plan->segment[i].graph == NULL ? 1 : 0;
    }
    plan->arithmetic = names[plan->precision];
    if (plain + uncaptured > 0) {
        (void)snprintf(plan->remark, sizeof plan->remark,
                       "%d convolutions without cuDNN, %d stages without a CUDA graph", plain,
                       uncaptured);
    }
}

static void count_values(struct cuda_plan *plan)
{
    const struct program *p = plan->program;
    plan->in_values = 2 * program_pixels(&p->buffer[p->x_cnn]);
    plan->out_values = 0;
    for (int32_t i = 0; i < p->n_outputs; i++) {
        const struct program_buffer *b = &p->buffer[p->output[i]];
        plan->out_values += program_pixels(b) * (size_t)b->c;
    }
}

size_t cuda_plan_bytes(const struct cuda_plan *plan)
{
    size_t bytes = plan->weights.size + plan->arena.size + plan->workspace.size;
    for (int i = 0; i < CUDA_SIDES; i++) {
        bytes += plan->side[i].in.size + plan->side[i].out.size + plan->volume.out[i].size;
    }
    return bytes + plan->volume.voxels.size;
}

int cuda_plan_build(struct cuda_plan *plan, const struct graph *g, struct sctd_error *err)
{
    sctd_auto(plan_file_fini) struct plan_file file = {.lock = -1};
    double from_s = sctd_now_s();
    count_values(plan);
    int r = open_libraries(plan, err);
    r = r < 0 ? r : plan_file_find(&file, &plan->device, plan->program, plan->precision, err);
    r = r < 0 ? r : plan_file_read(&plan->cache, &file, err);
    r = r < 0 ? r : choose_chunk(plan, err);
    count_build(plan, CUDA_BUILD_LIBRARIES, &from_s);
    r = r < 0 ? r : upload_weights(plan, g, err);
    count_build(plan, CUDA_BUILD_WEIGHTS, &from_s);
    r = r < 0 ? r : make_largest_chunk(plan, &file, err);
    if (r < 0) {
        return r;
    }
    describe(plan);
    return 0;
}
