/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/backend/cpu/steps.h"

enum {
    MAX_VARIANTS = 4,
    STRIP_BYTES = 512 * 1024,  /* of f32 output: with what it is made from, it fits in L2 */
    EXPAND_BYTES = 768 * 1024, /* of low-resolution products */
    MIN_STRIPS = 4,
    MAX_BLOCKS = 64,
};

/* A product for strips of one height and one kind of padding. */
struct variant {
    int32_t rows;
    bool top, bottom;
    struct onednn_product *product;
};

/* out = conv(in), strip by strip. */
struct conv {
    int32_t n_variants;
    struct variant variant[MAX_VARIANTS];
    struct onednn_weights *weights;
};

/*
 * A 3x3 convolution of a bilinear upsample, exactly, without the upsampled map: both are linear and the
 * upsample keeps channels apart, so the nine 1x1 products W_k * low are upsampled instead, and an
 * output is the sum over k of product k upsampled at its neighbour, where that lies inside.
 */
struct expand {
    int32_t factor;
    int32_t low_h, low_w, low_rows; /* low_rows: that a strip can touch, at most */
    int32_t block, n_blocks;        /* output channels in one product; the last may be smaller */
    struct onednn_product *product[MAX_BLOCKS];
    struct onednn_weights *weights[MAX_BLOCKS];
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
    struct conv conv;
    struct expand expand;
};

struct map_layer {
    int32_t h, w, strip_rows;
    int32_t out;
    struct source source[2];
    int32_t n_sources;
    /* steps_merge only: */
    enum format format; /* of the concatenation */
    struct conv product;
    float *bias;
    enum graph_act act;
    int32_t channels, residual;
    size_t acc_at, cat_at; /* in the layer's scratch */
};

struct strip {
    int32_t row0, row1;
};

static struct strip strip_of(const struct map_layer *l, int32_t item)
{
    const int32_t row0 = item * l->strip_rows;
    const int32_t row1 = row0 + l->strip_rows;
    return (struct strip){row0, row1 < l->h ? row1 : l->h};
}

static int32_t count_strips(const struct map_layer *l)
{
    return (l->h + l->strip_rows - 1) / l->strip_rows;
}

static int32_t choose_strip(int32_t h, int32_t w, int32_t channels, int32_t bytes)
{
    const int32_t row = w * channels * 4;
    int32_t rows = row >= bytes ? 1 : bytes / row;
    const int32_t most = (h + MIN_STRIPS - 1) / MIN_STRIPS;
    return rows < most ? rows : most;
}

static void conv_fini(struct conv *c)
{
    for (int32_t i = 0; i < c->n_variants; i++) {
        onednn_product_free(c->variant[i].product);
    }
    onednn_weights_free(c->weights);
}

static void source_fini(struct source *s)
{
    conv_fini(&s->conv);
    for (int32_t i = 0; i < s->expand.n_blocks; i++) {
        onednn_product_free(s->expand.product[i]);
        onednn_weights_free(s->expand.weights[i]);
    }
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
    conv_fini(&l->product);
    free(l->bias);
    free(l);
}

static void map_layer_freep(struct map_layer **layer)
{
    map_layer_free(*layer);
}

/* Running */

/* One strip of one slice on one worker. */
struct piece {
    const struct cpu_plan *plan;
    const struct map_layer *layer;
    int32_t slice, worker;
    struct strip strip;
    size_t pixel0, pixels; /* of the strip */
};

static struct piece piece_of(const struct cpu_plan *plan, const struct map_layer *l, int32_t slice,
                             int32_t item, int32_t worker)
{
    const struct strip strip = strip_of(l, item);
    return (struct piece){.plan = plan,
                          .layer = l,
                          .slice = slice,
                          .worker = worker,
                          .strip = strip,
                          .pixel0 = (size_t)strip.row0 * (size_t)l->w,
                          .pixels = (size_t)(strip.row1 - strip.row0) * (size_t)l->w};
}

static float *piece_scratch(const struct piece *p, size_t offset)
{
    return plan_layer_scratch(p->plan, p->worker, p->layer->acc_at + offset);
}

static bool run_product(const struct piece *p, struct onednn_product *product, const void *in,
                        float *out)
{
    return onednn_run(product, p->worker, in, NULL, out, plan_product_scratch(p->plan, p->worker));
}

/* Finish values [pixels, channels] that lie without gaps. */
static void finish(const struct piece *p, struct epilogue *e, const float *acc)
{
    e->acc = acc;
    e->acc_stride = e->channels;
    p->plan->kernels->epilogue(e);
}

static const struct variant *find_variant(const struct conv *c, int32_t rows, bool top, bool bottom)
{
    for (int32_t i = 0; i < c->n_variants; i++) {
        const struct variant *v = &c->variant[i];
        if (v->rows == rows && v->top == top && v->bottom == bottom) {
            return v;
        }
    }
    return NULL;
}

static bool run_conv(const struct piece *p, const struct source *s, struct epilogue *e)
{
    const bool top = p->strip.row0 == 0;
    const struct variant *v =
        find_variant(&s->conv, p->strip.row1 - p->strip.row0, top, p->strip.row1 == p->layer->h);
    const size_t above = top ? 0 : (size_t)p->layer->w;
    const struct operand in = plan_operand(p->plan, s->tensor, p->slice, p->pixel0 - above, 0);
    float *acc = piece_scratch(p, 0);
    if (v == NULL || !run_product(p, v->product, in.data, acc)) {
        return false;
    }
    finish(p, e, acc);
    return true;
}

static void run_first(const struct piece *p, const struct source *s, struct epilogue *e)
{
    float *acc = piece_scratch(p, 0);
    const struct small_conv c = {.h = p->layer->h,
                                 .w = p->layer->w,
                                 .channels = s->channels,
                                 .row0 = p->strip.row0,
                                 .row1 = p->strip.row1,
                                 .in = plan_values(p->plan, s->tensor, p->slice),
                                 .weight = s->first,
                                 .out = acc};
    p->plan->kernels->conv_from_one(&c);
    finish(p, e, acc);
}

static void run_copy(const struct piece *p, const struct source *s, struct epilogue *e)
{
    float *acc = piece_scratch(p, 0);
    const struct operand in = plan_operand(p->plan, s->tensor, p->slice, p->pixel0, 0);
    p->plan->kernels->load(&in, e->pixels, e->channels, acc);
    finish(p, e, acc);
}

/* The low-resolution row that row `at` of the upsampled map starts from, and the second's weight. */
static int32_t low_row(int32_t at, int32_t factor, float *ret_weight)
{
    const float src = ((float)at + 0.5F) / (float)factor - 0.5F;
    const float clamped = src < 0.0F ? 0.0F : src;
    *ret_weight = clamped - (float)(int32_t)clamped;
    return (int32_t)clamped;
}

static int32_t clamp_index(int32_t i, int32_t n)
{
    return i < 0 ? 0 : (i < n ? i : n - 1);
}

/* Where an expansion works: products, expanded rows, and one row of the result. */
struct expand_scratch {
    float *low;      /* [low_rows * low_w, 9 * block] */
    float *rows;     /* [low_rows, 3, width, block] */
    float *acc;      /* [width, block] */
    int32_t low0;    /* the first low-resolution row */
    size_t row_size; /* width * channels of the block at hand */
};

/* The vertical taps of output row y among the horizontally expanded rows. */
static struct taps column_taps(const struct expand *x, const struct expand_scratch *scratch,
                               int32_t y)
{
    struct taps t = {.n = 0};
    for (int32_t k = 0; k < 3; k++) {
        const int32_t at = y + k - 1;
        if (at < 0 || at >= x->low_h * x->factor) {
            continue;
        }
        float weight = 0.0F;
        const int32_t first = low_row(at, x->factor, &weight);
        const int32_t second = clamp_index(first + 1, x->low_h);
        const float *tap = scratch->rows + (size_t)k * scratch->row_size;
        t.at[t.n] = tap + (size_t)(first - scratch->low0) * 3 * scratch->row_size;
        t.weight[t.n++] = 1.0F - weight;
        t.at[t.n] = tap + (size_t)(second - scratch->low0) * 3 * scratch->row_size;
        t.weight[t.n++] = weight;
    }
    return t;
}

static size_t expand_sizes(const struct expand *x, size_t ret_at[3])
{
    const size_t low = (size_t)x->low_rows * (size_t)x->low_w * 9 * (size_t)x->block;
    const size_t row = (size_t)x->low_w * (size_t)x->factor * (size_t)x->block;
    ret_at[0] = 0;
    ret_at[1] = round_up(low * sizeof(float));
    ret_at[2] = ret_at[1] + round_up((size_t)x->low_rows * 3 * row * sizeof(float));
    return ret_at[2] + round_up(row * sizeof(float));
}

/* One block of output channels of a strip. */
static bool expand_block(const struct piece *p, const struct source *s,
                         struct expand_scratch *scratch, int32_t block, const struct epilogue *to)
{
    const struct expand *x = &s->expand;
    const size_t width = (size_t)x->low_w * (size_t)x->factor;
    const int32_t c0 = block * x->block;
    const struct operand in =
        plan_operand(p->plan, s->tensor, p->slice, (size_t)scratch->low0 * (size_t)x->low_w, 0);
    if (!run_product(p, x->product[block], in.data, scratch->low)) {
        return false;
    }
    struct epilogue e = *to;
    const size_t value = e.out.format == FORMAT_F32 ? 4 : 2;
    e.pixels = width;
    e.channels = (size_t)(s->channels - c0 < x->block ? s->channels - c0 : x->block);
    e.bias = e.bias == NULL ? NULL : e.bias + c0;
    e.out.data = (unsigned char *)e.out.data + (size_t)c0 * value;
    scratch->row_size = width * e.channels;
    const struct expand_rows rows = {.taps = scratch->low,
                                     .channels = e.channels,
                                     .rows = x->low_rows,
                                     .low_w = x->low_w,
                                     .factor = x->factor,
                                     .out = scratch->rows};
    p->plan->kernels->expand_rows(&rows);
    for (int32_t y = p->strip.row0; y < p->strip.row1; y++) {
        const struct taps taps = column_taps(x, scratch, y);
        e.acc_stride = e.channels;
        p->plan->kernels->expand_column(&taps, scratch->acc, &e);
        e.out.data = (unsigned char *)e.out.data + width * e.out.stride * value;
    }
    return true;
}

static bool run_expand(const struct piece *p, const struct source *s, const struct epilogue *to)
{
    const struct expand *x = &s->expand;
    size_t at[3];
    (void)expand_sizes(x, at);
    float weight = 0.0F;
    const int32_t above = p->strip.row0 == 0 ? 0 : p->strip.row0 - 1;
    const int32_t touched = low_row(above, x->factor, &weight);
    struct expand_scratch scratch = {
        .low = piece_scratch(p, at[0]),
        .rows = piece_scratch(p, at[1]),
        .acc = piece_scratch(p, at[2]),
        .low0 = touched + x->low_rows <= x->low_h ? touched : x->low_h - x->low_rows};
    for (int32_t b = 0; b < x->n_blocks; b++) {
        if (!expand_block(p, s, &scratch, b, to)) {
            return false;
        }
    }
    return true;
}

/* Make the piece of a source and leave it in `out`. */
static bool run_source(const struct piece *p, const struct source *s, struct operand out)
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
    switch (s->kind) {
    case SOURCE_CONV:
        return run_conv(p, s, &e);
    case SOURCE_EXPAND:
        return run_expand(p, s, &e);
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
    const struct piece p = piece_of(plan, l, slice, item, worker);
    return run_source(&p, &l->source[0], plan_operand(plan, l->out, slice, p.pixel0, 0));
}

static bool run_merge(struct cpu_plan *plan, const void *layer, int32_t slice, int32_t item,
                      int32_t worker)
{
    const struct map_layer *l = layer;
    const struct piece p = piece_of(plan, l, slice, item, worker);
    const size_t plane = (size_t)l->source[0].channels + (size_t)l->source[1].channels;
    unsigned char *whole = plan_layer_scratch(plan, worker, l->cat_at);
    size_t channel = 0;
    for (int32_t i = 0; i < l->n_sources; i++) {
        const struct operand part = {.data = whole + channel * (l->format == FORMAT_F32 ? 4 : 2),
                                     .format = l->format,
                                     .stride = l->format == FORMAT_SPLIT ? 3 * plane : plane,
                                     .plane = plane};
        if (!run_source(&p, &l->source[i], part)) {
            return false;
        }
        channel += (size_t)l->source[i].channels;
    }
    float *acc = piece_scratch(&p, 0);
    const struct variant *v = find_variant(&l->product, p.strip.row1 - p.strip.row0, false, false);
    if (v == NULL || !run_product(&p, v->product, whole, acc)) {
        return false;
    }
    struct epilogue e = {.pixels = p.pixels,
                         .channels = (size_t)l->channels,
                         .bias = l->bias,
                         .act = l->act,
                         .out = plan_operand(plan, l->out, slice, p.pixel0, 0)};
    if (l->residual != GRAPH_NONE) {
        e.add[0] = plan_operand(plan, l->residual, slice, p.pixel0, 0);
    }
    finish(&p, &e, acc);
    return true;
}

/* Making */

static bool is_bf16(enum format format)
{
    return format != FORMAT_F32;
}

static int32_t terms(enum format format)
{
    return format == FORMAT_SPLIT ? 3 : 1;
}

/* The product for strips like `strip`, unless there is one. */
static int add_variant(struct cpu_plan *plan, struct conv *c, const struct onednn_conv_shape *shape,
                       const void *plain, struct sctd_error *err)
{
    if (find_variant(c, shape->rows, shape->top, shape->bottom) != NULL) {
        return 0;
    }
    struct variant *v = &c->variant[c->n_variants];
    *v = (struct variant){.rows = shape->rows, .top = shape->top, .bottom = shape->bottom};
    int r = onednn_conv_new(&v->product, plan->onednn, shape, plain, &c->weights, err);
    if (r == 0) {
        c->n_variants++;
        plan_need_scratch(plan, v->product, 0);
    }
    return r;
}

/* Products for every kind of strip of the layer; kernel 1 knows no padding. */
static int make_conv(struct cpu_plan *plan, struct conv *c, const struct map_layer *l,
                     const struct graph_op *op, const struct weight_shape *weights,
                     struct sctd_error *err)
{
    void *plain = NULL;
    const bool padded = op->kernel == 3;
    int r = steps_plain_weights(&plain, op, weights, err);
    for (int32_t i = 0; r == 0 && i < count_strips(l); i++) {
        const struct strip strip = strip_of(l, i);
        const struct onednn_conv_shape shape = {.rows = strip.row1 - strip.row0,
                                                .width = l->w,
                                                .in_channels =
                                                    weights->inputs * terms(weights->format),
                                                .out_channels = weights->rows,
                                                .kernel = op->kernel,
                                                .top = padded && strip.row0 == 0,
                                                .bottom = padded && strip.row1 == l->h,
                                                .bf16 = is_bf16(weights->format)};
        r = add_variant(plan, c, &shape, plain, err);
    }
    free(plain);
    return r;
}

/* Nine 1x1 products side by side: [inputs, 9 * block] of output channels c0 ... c0 + block - 1. */
struct block_shape {
    int32_t inputs, c0, block;
    bool bf16;
};

static int pack_block(void **ret_plain, const void *plain, const struct block_shape *shape,
                      struct sctd_error *err)
{
    const size_t value = shape->bf16 ? 2 : 4;
    const size_t inputs = (size_t)shape->inputs;
    const size_t block = (size_t)shape->block;
    unsigned char *to = malloc(inputs * 9 * block * value);
    if (to == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "weights");
    }
    const unsigned char *from =
        (const unsigned char *)plain + (size_t)shape->c0 * inputs * 9 * value;
    for (size_t i = 0; i < inputs * 9 * block; i++) {
        const size_t input = i / (9 * block);
        const size_t tap = i / block % 9;
        const size_t channel = i % block;
        memcpy(to + i * value, from + ((channel * inputs + input) * 9 + tap) * value, value);
    }
    *ret_plain = to;
    return 0;
}

static int add_expand_block(struct cpu_plan *plan, struct expand *x,
                            const struct block_shape *shape, const void *plain,
                            struct sctd_error *err)
{
    const struct onednn_matmul_shape product = {.m = x->low_rows * x->low_w,
                                                .k = shape->inputs,
                                                .n = 9 * shape->block,
                                                .bf16 = shape->bf16};
    void *columns = NULL;
    int r = pack_block(&columns, plain, shape, err);
    if (r < 0) {
        return r;
    }
    const int32_t b = x->n_blocks++;
    r = onednn_matmul_new(&x->product[b], plan->onednn, &product, columns, &x->weights[b], err);
    if (r == 0) {
        plan_need_scratch(plan, x->product[b], 0);
    }
    free(columns);
    return r;
}

/* How many output channels to make at a time. */
static int32_t choose_block(const struct expand *x, int32_t channels)
{
    const int32_t fitting = EXPAND_BYTES / (x->low_rows * x->low_w * 9 * 4) / 16 * 16;
    const int32_t least = (channels + MAX_BLOCKS - 1) / MAX_BLOCKS;
    int32_t block = fitting < 16 ? 16 : fitting;
    block = block < least ? least : block;
    return block < channels ? block : channels;
}

static int32_t expand_low_rows(const struct map_layer *l, const struct expand *x)
{
    int32_t most = 1;
    for (int32_t i = 0; i < count_strips(l); i++) {
        const struct strip strip = strip_of(l, i);
        float weight = 0.0F;
        const int32_t first = low_row(strip.row0 == 0 ? 0 : strip.row0 - 1, x->factor, &weight);
        const int32_t end = strip.row1 < l->h ? strip.row1 : l->h - 1;
        const int32_t last = clamp_index(low_row(end, x->factor, &weight) + 1, x->low_h);
        most = last - first + 1 > most ? last - first + 1 : most;
    }
    return most;
}

static int make_expand(struct cpu_plan *plan, struct source *s, const struct map_layer *l,
                       const struct map_source *from, struct sctd_error *err)
{
    const struct place *low = &plan->place[from->tensor];
    struct expand *x = &s->expand;
    x->factor = from->upsample->factor;
    x->low_h = low->h;
    x->low_w = low->w;
    x->low_rows = expand_low_rows(l, x);
    x->block = choose_block(x, s->channels);

    const struct weight_shape weights = {
        .rows = s->channels, .inputs = low->c, .taps = 9, .format = product_format(low->format)};
    void *plain = NULL;
    int r = steps_plain_weights(&plain, from->conv, &weights, err);
    for (int32_t c0 = 0; r == 0 && c0 < s->channels; c0 += x->block) {
        const struct block_shape shape = {.inputs = weights.inputs * terms(weights.format),
                                          .c0 = c0,
                                          .block = s->channels - c0 < x->block ? s->channels - c0
                                                                               : x->block,
                                          .bf16 = is_bf16(weights.format)};
        r = add_expand_block(plan, x, &shape, plain, err);
    }
    free(plain);
    return r;
}

static int make_first(struct source *s, const struct graph_op *op, struct sctd_error *err)
{
    void *plain = NULL;
    const struct weight_shape weights = {s->channels, 1, 9, FORMAT_F32};
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

/* The scratch that making one strip of the source takes, from l->acc_at on. */
static size_t source_scratch(const struct map_layer *l, const struct source *s)
{
    size_t at[3];
    if (s->kind == SOURCE_EXPAND) {
        return expand_sizes(&s->expand, at);
    }
    return round_up((size_t)l->strip_rows * (size_t)l->w * (size_t)s->channels * sizeof(float));
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
        return make_expand(plan, s, l, from, err);
    }
    if (in->c == 1 && from->conv->kernel == 3) {
        s->kind = SOURCE_FIRST;
        return make_first(s, from->conv, err);
    }
    s->kind = SOURCE_CONV;
    const struct weight_shape weights = {s->channels, in->c, 9, product_format(in->format)};
    return make_conv(plan, &s->conv, l, from->conv, &weights, err);
}

int steps_conv(struct cpu_plan *plan, const struct map_source *source, int32_t skip, int32_t out,
               struct sctd_error *err)
{
    sctd_auto(map_layer_freep) struct map_layer *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "layer");
    }
    const struct place *place = &plan->place[out];
    l->h = place->h;
    l->w = place->w;
    l->out = out;
    /* An expanded strip is made in blocks of channels, so it may be higher, for less overlap. */
    const int32_t bytes = source->upsample != NULL ? 2 * STRIP_BYTES : STRIP_BYTES;
    l->strip_rows = choose_strip(l->h, l->w, place->c, bytes);
    int r = make_source(plan, &l->source[0], l, source, err);
    if (r < 0) {
        return r;
    }
    l->source[0].skip = skip;
    plan_need_scratch(plan, NULL, source_scratch(l, &l->source[0]));
    struct step step = {.run = run_map,
                        .free_layer = map_layer_free,
                        .stage = source->conv->stage,
                        .items = count_strips(l)};
    step.layer = sctd_steal(&l);
    return plan_add_step(plan, &step, err);
}

int steps_merge(struct cpu_plan *plan, const struct graph_op *op, const struct map_source source[2],
                struct sctd_error *err)
{
    sctd_auto(map_layer_freep) struct map_layer *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "layer");
    }
    const struct place *place = &plan->place[op->out];
    l->h = place->h;
    l->w = place->w;
    l->out = op->out;
    l->format = plan->merge_format;
    l->act = op->act;
    l->residual = op->in[2];
    l->channels = place->c;
    l->strip_rows = choose_strip(l->h, l->w, place->c, STRIP_BYTES);
    int r = steps_copy(&l->bias, op->bias, (size_t)place->c, err);
    while (r == 0 && l->n_sources < 2 && source[l->n_sources].tensor != GRAPH_NONE) {
        r = make_source(plan, &l->source[l->n_sources], l, &source[l->n_sources], err);
        l->n_sources++;
    }
    if (r < 0) {
        return r;
    }
    const int32_t inputs = l->source[0].channels + l->source[1].channels;
    const struct weight_shape weights = {place->c, inputs, 1, l->format};
    r = make_conv(plan, &l->product, l, op, &weights, err);
    if (r < 0) {
        return r;
    }
    const size_t pixels = (size_t)l->strip_rows * (size_t)l->w;
    l->acc_at = round_up(pixels * (size_t)inputs * format_bytes(l->format));
    size_t most = round_up(pixels * (size_t)l->channels * sizeof(float));
    for (int32_t i = 0; i < l->n_sources; i++) {
        const size_t need = source_scratch(l, &l->source[i]);
        most = need > most ? need : most;
    }
    plan_need_scratch(plan, NULL, l->acc_at + most);
    struct step step = {.run = run_merge,
                        .free_layer = map_layer_free,
                        .stage = op->stage,
                        .items = count_strips(l)};
    step.layer = sctd_steal(&l);
    return plan_add_step(plan, &step, err);
}
