/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/backend/cpu/amx.h"
#include "engine/backend/cpu/map.h"
#include "engine/backend/cpu/steps.h"

enum {
    STRIP_BYTES = 512 * 1024, /* of f32 output: with what it is made from, it fits in L2 */
    MIN_STRIPS = 4,
};

enum source_kind { SOURCE_CONV, SOURCE_FIRST, SOURCE_EXPAND, SOURCE_COPY };

/* One map, or half of a concatenation. */
struct source {
    enum source_kind kind;
    int32_t tensor;
    int32_t channels;
    enum graph_act act;
    int32_t residual, skip;
    float *bias;
    float *first; /* SOURCE_FIRST: [9, channels] */
    struct map_conv *conv;
    struct map_expand *expand;
};

struct map_layer {
    struct map_shape shape;
    int32_t out;
    struct source source[2];
    int32_t n_sources;
    /* steps_merge only: */
    enum format format; /* of the concatenation */
    struct map_conv *product;
    float *bias;
    enum graph_act act;
    int32_t channels, residual;
    size_t cat_bytes; /* the concatenation comes first in the layer's scratch */
};

/* Rows of a strip.  oneDNN's results may depend on them, so that they must not on the threads. */
static int32_t choose_strip(const struct cpu_plan *plan, const struct place *map, int32_t bytes)
{
    const int32_t row = map->w * map->c * 4;
    int32_t rows = row >= bytes ? 1 : bytes / row;
    const int32_t threads = pool_get_threads(plan->pool);
    const int32_t least = plan->amx && threads < MIN_STRIPS ? threads : MIN_STRIPS;
    const int32_t most = (map->h + least - 1) / least;
    return rows < most ? rows : most;
}

static void source_fini(struct source *s)
{
    map_conv_free(s->conv);
    map_expand_free(s->expand);
    free(s->bias);
    free(s->first);
}

static void map_layer_free(void *layer)
{
    struct map_layer *l = layer;
    if (l == NULL) {
        return;
    }
    source_fini(&l->source[0]);
    source_fini(&l->source[1]);
    map_conv_free(l->product);
    free(l->bias);
    free(l);
}

static void map_layer_freep(struct map_layer **layer)
{
    map_layer_free(*layer);
}

/* Running */

static struct map_piece piece_of(const struct cpu_plan *plan, const struct map_layer *l,
                                 int32_t slice, int32_t item, int32_t worker)
{
    const struct map_strip strip = map_strip_of(&l->shape, item);
    const size_t w = (size_t)l->shape.w;
    return (struct map_piece){.plan = plan,
                              .shape = &l->shape,
                              .slice = slice,
                              .worker = worker,
                              .strip = strip,
                              .pixel0 = (size_t)strip.row0 * w,
                              .pixels = (size_t)(strip.row1 - strip.row0) * w,
                              .scratch_at = l->cat_bytes};
}

/* Finish values [pixels, channels] that lie without gaps. */
static void finish(const struct map_piece *p, struct epilogue *e, const float *acc)
{
    e->acc = acc;
    e->acc_stride = e->channels;
    p->plan->kernels->epilogue(e);
}

static void run_first(const struct map_piece *p, const struct source *s, struct epilogue *e)
{
    float *acc = map_scratch(p, 0);
    const struct small_conv c = {.h = p->shape->h,
                                 .w = p->shape->w,
                                 .channels = s->channels,
                                 .row0 = p->strip.row0,
                                 .row1 = p->strip.row1,
                                 .in = plan_values(p->plan, s->tensor, p->slice),
                                 .weight = s->first,
                                 .out = acc};
    p->plan->kernels->conv_from_one(&c);
    finish(p, e, acc);
}

static void run_copy(const struct map_piece *p, const struct source *s, struct epilogue *e)
{
    float *acc = map_scratch(p, 0);
    const struct operand in = plan_operand(p->plan, s->tensor, p->slice, p->pixel0, 0);
    p->plan->kernels->load(&in, e->pixels, e->channels, acc);
    finish(p, e, acc);
}

/* Make the piece of a source and leave it in `out`. */
static bool run_source(const struct map_piece *p, const struct source *s, struct operand out)
{
    struct epilogue e = {.pixels = p->pixels,
                         .channels = (size_t)s->channels,
                         .bias = s->bias,
                         .act = s->act,
                         .out = out};
    if (s->residual != GRAPH_NONE) {
        e.add[0] = plan_operand(p->plan, s->residual, p->slice, p->pixel0, 0);
    }
    if (s->skip != GRAPH_NONE) {
        e.add[1] = plan_operand(p->plan, s->skip, p->slice, p->pixel0, 0);
    }
    const struct operand in = plan_operand(p->plan, s->tensor, p->slice, 0, 0);
    switch (s->kind) {
    case SOURCE_CONV:
        return map_conv_run(s->conv, p, &in, &e);
    case SOURCE_EXPAND:
        return map_expand_run(s->expand, p, s->tensor, &e);
    case SOURCE_FIRST:
        run_first(p, s, &e);
        return true;
    case SOURCE_COPY:
        run_copy(p, s, &e);
        return true;
    }
    return false;
}

static bool run_map(struct cpu_plan *plan, const void *layer, int32_t slice, int32_t item,
                    int32_t worker)
{
    const struct map_layer *l = layer;
    const struct map_piece p = piece_of(plan, l, slice, item, worker);
    return run_source(&p, &l->source[0], plan_operand(plan, l->out, slice, p.pixel0, 0));
}

/* The concatenation's place: its stride may be more than its channels, with zeros between. */
static struct operand cat_of(const struct map_piece *p, const struct map_layer *l)
{
    const size_t plane = map_conv_stride(l->product);
    const bool split = l->format == FORMAT_SPLIT;
    const struct operand cat = {
        .data = plan_layer_scratch(p->plan, p->worker, 0),
        .format = l->format,
        .stride = split ? 3 * plane : plane,
        .plane = l->format == FORMAT_PAIR ? plane * map_conv_pixels(l->product) : plane};
    if ((size_t)l->source[0].channels + (size_t)l->source[1].channels < plane) {
        memset(cat.data, 0, l->cat_bytes);
    }
    return cat;
}

static bool run_merge(struct cpu_plan *plan, const void *layer, int32_t slice, int32_t item,
                      int32_t worker)
{
    const struct map_layer *l = layer;
    const struct map_piece p = piece_of(plan, l, slice, item, worker);
    const struct operand cat = cat_of(&p, l);
    const size_t value = l->format == FORMAT_F32 ? sizeof(float) : sizeof(uint16_t);
    size_t channel = 0;
    for (int32_t i = 0; i < l->n_sources; i++) {
        struct operand part = cat;
        part.data = (unsigned char *)cat.data + channel * value;
        if (!run_source(&p, &l->source[i], part)) {
            return false;
        }
        channel += (size_t)l->source[i].channels;
    }
    struct epilogue e = {.pixels = p.pixels,
                         .channels = (size_t)l->channels,
                         .bias = l->bias,
                         .act = l->act,
                         .out = plan_operand(plan, l->out, slice, p.pixel0, 0)};
    if (l->residual != GRAPH_NONE) {
        e.add[0] = plan_operand(plan, l->residual, slice, p.pixel0, 0);
    }
    return map_conv_run(l->product, &p, &cat, &e);
}

/* Making */

static int make_first(struct source *s, const struct graph_op *op, struct sctd_error *err)
{
    void *plain = NULL;
    const struct weight_shape weights = {s->channels, 1, 9, FORMAT_F32, NULL};
    int r = steps_plain_weights(&plain, op, &weights, err);
    if (r < 0) {
        return r;
    }
    s->first = malloc((size_t)s->channels * 9 * sizeof *s->first);
    if (s->first == NULL) {
        free(plain);
        return sctd_error(err, SCTD_ENOMEM, "weights");
    }
    for (int32_t i = 0; i < 9 * s->channels; i++) {
        const int32_t tap = i % 9;
        s->first[tap * s->channels + i / 9] = ((const float *)plain)[i];
    }
    free(plain);
    return 0;
}

/* The scratch that making one strip of the source takes, after the concatenation. */
static size_t source_scratch(const struct map_layer *l, const struct source *s)
{
    if (s->kind == SOURCE_EXPAND) {
        return map_expand_scratch(s->expand);
    }
    if (s->kind == SOURCE_CONV) {
        return map_conv_scratch(s->conv);
    }
    const size_t pixels = (size_t)l->shape.strip_rows * (size_t)l->shape.w;
    return round_up(pixels * (size_t)s->channels * sizeof(float));
}

static int make_source(struct cpu_plan *plan, struct source *s, const struct map_layer *l,
                       const struct map_source *from, struct sctd_error *err)
{
    const struct place *in = &plan->place[from->tensor];
    s->tensor = from->tensor;
    s->residual = GRAPH_NONE;
    s->skip = GRAPH_NONE;
    if (from->conv == NULL) {
        s->kind = SOURCE_COPY;
        s->channels = in->c;
        return 0;
    }
    s->channels = plan->place[from->conv->out].c;
    s->act = from->conv->act;
    s->residual = from->conv->in[2];
    int r = steps_copy(&s->bias, from->conv->bias, (size_t)s->channels, err);
    if (r < 0) {
        return r;
    }
    if (from->upsample != NULL) {
        s->kind = SOURCE_EXPAND;
        return map_expand_new(&s->expand, plan, &l->shape, from, err);
    }
    if (in->c == 1 && from->conv->kernel == 3) {
        s->kind = SOURCE_FIRST;
        return make_first(s, from->conv, err);
    }
    s->kind = SOURCE_CONV;
    const struct map_conv_shape shape = {&l->shape, in->c, from->format};
    return map_conv_new(&s->conv, plan, from->conv, &shape, err);
}

int steps_conv(struct cpu_plan *plan, const struct map_source *source, int32_t skip, int32_t out,
               struct sctd_error *err)
{
    sctd_auto(map_layer_freep) struct map_layer *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "layer");
    }
    const struct place *place = &plan->place[out];
    l->out = out;
    /* An expanded strip is never in one place as a whole, so that it may be as high as can be. */
    const int32_t bytes = source->upsample != NULL ? INT32_MAX : STRIP_BYTES;
    l->shape = (struct map_shape){place->h, place->w, choose_strip(plan, place, bytes)};
    int r = make_source(plan, &l->source[0], l, source, err);
    if (r < 0) {
        return r;
    }
    l->source[0].skip = skip;
    plan_need_scratch(plan, NULL, source_scratch(l, &l->source[0]));
    struct step step = {.run = run_map,
                        .free_layer = map_layer_free,
                        .stage = source->conv->stage,
                        .items = map_count_strips(&l->shape)};
    step.layer = sctd_steal(&l);
    return plan_add_step(plan, &step, err);
}

static int make_merge(struct cpu_plan *plan, struct map_layer *l, const struct graph_op *op,
                      struct sctd_error *err)
{
    const int32_t inputs = l->source[0].channels + l->source[1].channels;
    const struct map_conv_shape shape = {&l->shape, inputs, plan->merge_format};
    int r = map_conv_new(&l->product, plan, op, &shape, err);
    if (r < 0) {
        return r;
    }
    l->cat_bytes = round_up(map_conv_pixels(l->product) * map_conv_stride(l->product) *
                            format_bytes(l->format));
    size_t most = map_conv_scratch(l->product);
    for (int32_t i = 0; i < l->n_sources; i++) {
        const size_t need = source_scratch(l, &l->source[i]);
        most = need > most ? need : most;
    }
    plan_need_scratch(plan, NULL, l->cat_bytes + most);
    return 0;
}

int steps_merge(struct cpu_plan *plan, const struct graph_op *op, const struct map_source source[2],
                struct sctd_error *err)
{
    sctd_auto(map_layer_freep) struct map_layer *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "layer");
    }
    const struct place *place = &plan->place[op->out];
    l->shape = (struct map_shape){place->h, place->w, choose_strip(plan, place, STRIP_BYTES)};
    l->out = op->out;
    l->format = plan_stored(plan, plan->merge_format);
    l->act = op->act;
    l->residual = op->in[2];
    l->channels = place->c;
    int r = steps_copy(&l->bias, op->bias, (size_t)place->c, err);
    while (r == 0 && l->n_sources < 2 && source[l->n_sources].tensor != GRAPH_NONE) {
        r = make_source(plan, &l->source[l->n_sources], l, &source[l->n_sources], err);
        l->n_sources++;
    }
    if (r == 0) {
        r = make_merge(plan, l, op, err);
    }
    if (r < 0) {
        return r;
    }
    struct step step = {.run = run_merge,
                        .free_layer = map_layer_free,
                        .stage = op->stage,
                        .items = map_count_strips(&l->shape)};
    step.layer = sctd_steal(&l);
    return plan_add_step(plan, &step, err);
}
