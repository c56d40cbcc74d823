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

static bool run_conv(const struct cpu_plan *plan, const struct map_layer *l, const struct source *s,
                     int32_t slice, struct strip strip, int32_t worker, struct epilogue *e)
{
    const bool top = strip.row0 == 0;
    const struct variant *v =
        find_variant(&s->conv, strip.row1 - strip.row0, top, strip.row1 == l->h);
    const int32_t first_row = top ? 0 : strip.row0 - 1;
    const struct operand in =
        plan_operand(plan, s->tensor, slice, (size_t)first_row * (size_t)l->w, 0);
    float *acc = plan_layer_scratch(plan, worker, l->acc_at);
    if (v == NULL ||
        !onednn_run(v->product, worker, in.data, NULL, acc, plan_product_scratch(plan, worker))) {
        return false;
    }
    e->acc = acc;
    e->acc_stride = e->channels;
    plan->kernels->epilogue(e);
    return true;
}

static void run_first(const struct cpu_plan *plan, const struct map_layer *l,
                      const struct source *s, int32_t slice, struct strip strip, int32_t worker,
                      struct epilogue *e)
{
    float *acc = plan_layer_scratch(plan, worker, l->acc_at);
    const struct small_conv c = {.h = l->h,
                                 .w = l->w,
                                 .channels = s->channels,
                                 .row0 = strip.row0,
                                 .row1 = strip.row1,
                                 .in = plan_values(plan, s->tensor, slice),
                                 .weight = s->first,
                                 .out = acc};
    plan->kernels->conv_from_one(&c);
    e->acc = acc;
    e->acc_stride = e->channels;
    plan->kernels->epilogue(e);
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

/* Sum the vertical taps of output row y from the horizontally expanded rows, [low_rows, 3, width]. */
static void expand_column(const struct cpu_plan *plan, const struct expand *x, int32_t low0,
                          const float *rows, size_t row_size, int32_t y, float *acc)
{
    const int32_t height = x->low_h * x->factor;
    memset(acc, 0, row_size * sizeof *acc);
    for (int32_t k = 0; k < 3; k++) {
        const int32_t at = y + k - 1;
        if (at < 0 || at >= height) {
            continue;
        }
        float weight = 0.0F;
        const int32_t first = low_row(at, x->factor, &weight);
        const int32_t second = clamp_index(first + 1, x->low_h);
        const size_t tap = (size_t)k;
        plan->kernels->add_scaled(acc, rows + ((size_t)(first - low0) * 3 + tap) * row_size,
                                  1.0F - weight, row_size);
        plan->kernels->add_scaled(acc, rows + ((size_t)(second - low0) * 3 + tap) * row_size,
                                  weight, row_size);
    }
}

struct expand_scratch {
    float *low;  /* [low_rows * low_w, 9 * block] */
    float *rows; /* [low_rows, 3, width, block] */
    float *acc;  /* [width, block] */
};

static size_t expand_sizes(const struct expand *x, size_t ret_at[3])
{
    const size_t low = (size_t)x->low_rows * (size_t)x->low_w * 9 * (size_t)x->block;
    const size_t row = (size_t)x->low_w * (size_t)x->factor * (size_t)x->block;
    ret_at[0] = 0;
    ret_at[1] = round_up(low * sizeof(float));
    ret_at[2] = ret_at[1] + round_up((size_t)x->low_rows * 3 * row * sizeof(float));
    return ret_at[2] + round_up(row * sizeof(float));
}

/* One block of output channels of a strip, from the products in scratch->low. */
static void expand_block(const struct cpu_plan *plan, const struct expand *x,
                         const struct expand_scratch *scratch, int32_t low0, struct strip strip,
                         const struct epilogue *to)
{
    const size_t channels = to->channels;
    const size_t width = (size_t)x->low_w * (size_t)x->factor;
    for (int32_t i = 0; i < x->low_rows * 3; i++) {
        const size_t row = (size_t)(i / 3) * (size_t)x->low_w;
        const struct expand_row e = {.taps = scratch->low + row * 9 * channels +
                                             (size_t)(i % 3) * 3 * channels,
                                     .tap_stride = 9 * channels,
                                     .channels = channels,
                                     .low_w = x->low_w,
                                     .factor = x->factor,
                                     .out = scratch->rows + (size_t)i * width * channels};
        plan->kernels->expand_row(&e);
    }
    struct epilogue e = *to;
    e.pixels = width;
    e.acc = scratch->acc;
    e.acc_stride = channels;
    const size_t value = e.out.format == FORMAT_F32 ? 4 : 2;
    for (int32_t y = strip.row0; y < strip.row1; y++) {
        expand_column(plan, x, low0, scratch->rows, width * channels, y, scratch->acc);
        plan->kernels->epilogue(&e);
        e.out.data = (unsigned char *)e.out.data + width * e.out.stride * value;
    }
}

static bool run_expand(const struct cpu_plan *plan, const struct map_layer *l,
                       const struct source *s, int32_t slice, struct strip strip, int32_t worker,
                       const struct epilogue *to)
{
    const struct expand *x = &s->expand;
    size_t at[3];
    (void)expand_sizes(x, at);
    const struct expand_scratch scratch = {
        .low = plan_layer_scratch(plan, worker, l->acc_at + at[0]),
        .rows = plan_layer_scratch(plan, worker, l->acc_at + at[1]),
        .acc = plan_layer_scratch(plan, worker, l->acc_at + at[2])};
    float weight = 0.0F;
    const int32_t touched = low_row(strip.row0 == 0 ? 0 : strip.row0 - 1, x->factor, &weight);
    const int32_t low0 = touched + x->low_rows <= x->low_h ? touched : x->low_h - x->low_rows;
    const struct operand in =
        plan_operand(plan, s->tensor, slice, (size_t)low0 * (size_t)x->low_w, 0);
    for (int32_t b = 0; b < x->n_blocks; b++) {
        const int32_t c0 = b * x->block;
        if (!onednn_run(x->product[b], worker, in.data, NULL, scratch.low,
                        plan_product_scratch(plan, worker))) {
            return false;
        }
        struct epilogue e = *to;
        const size_t value = e.out.format == FORMAT_F32 ? 4 : 2;
        e.channels = (size_t)(s->channels - c0 < x->block ? s->channels - c0 : x->block);
        e.bias = e.bias == NULL ? NULL : e.bias + c0;
        e.out.data = (unsigned char *)e.out.data + (size_t)c0 * value;
        expand_block(plan, x, &scratch, low0, strip, &e);
    }
    return true;
}

static void run_copy(const struct cpu_plan *plan, const struct map_layer *l, const struct source *s,
                     int32_t slice, struct strip strip, int32_t worker, struct epilogue *e)
{
    float *acc = plan_layer_scratch(plan, worker, l->acc_at);
    const struct operand in =
        plan_operand(plan, s->tensor, slice, (size_t)strip.row0 * (size_t)l->w, 0);
    plan->kernels->load(&in, e->pixels, e->channels, acc);
    e->acc = acc;
    e->acc_stride = e->channels;
    plan->kernels->epilogue(e);
}

/* Make a strip of a source and leave it in `out`. */
static bool run_source(const struct cpu_plan *plan, const struct map_layer *l,
                       const struct source *s, int32_t slice, struct strip strip, int32_t worker,
                       struct operand out)
{
    const size_t pixel0 = (size_t)strip.row0 * (size_t)l->w;
    struct epilogue e = {.pixels = (size_t)(strip.row1 - strip.row0) * (size_t)l->w,
                         .channels = (size_t)s->channels,
                         .bias = s->bias,
                         .act = s->act,
                         .out = out};
    if (s->residual != GRAPH_NONE) {
        e.add[0] = plan_operand(plan, s->residual, slice, pixel0, 0);
    }
    if (s->skip != GRAPH_NONE) {
        e.add[1] = plan_operand(plan, s->skip, slice, pixel0, 0);
    }
    switch (s->kind) {
    case SOURCE_CONV:
        return run_conv(plan, l, s, slice, strip, worker, &e);
    case SOURCE_EXPAND:
        return run_expand(plan, l, s, slice, strip, worker, &e);
    case SOURCE_FIRST:
        run_first(plan, l, s, slice, strip, worker, &e);
        return true;
    case SOURCE_COPY:
        run_copy(plan, l, s, slice, strip, worker, &e);
        return true;
    }
    return false;
}

static bool run_map(struct cpu_plan *plan, const void *layer, int32_t slice, int32_t item,
                    int32_t worker)
{
    const struct map_layer *l = layer;
    const struct strip strip = strip_of(l, item);
    const size_t pixel0 = (size_t)strip.row0 * (size_t)l->w;
    return run_source(plan, l, &l->source[0], slice, strip, worker,
                      plan_operand(plan, l->out, slice, pixel0, 0));
}

static bool run_merge(struct cpu_plan *plan, const void *layer, int32_t slice, int32_t item,
                      int32_t worker)
{
    const struct map_layer *l = layer;
    const struct strip strip = strip_of(l, item);
    const size_t pixel0 = (size_t)strip.row0 * (size_t)l->w;
    const size_t plane = (size_t)(l->source[0].channels + l->source[1].channels);
    struct operand cat = {.data = plan_layer_scratch(plan, worker, l->cat_at),
                          .format = l->format,
                          .stride = l->format == FORMAT_SPLIT ? 3 * plane : plane,
                          .plane = plane};
    void *whole = cat.data;
    for (int32_t i = 0; i < l->n_sources; i++) {
        if (!run_source(plan, l, &l->source[i], slice, strip, worker, cat)) {
            return false;
        }
        const size_t value = cat.format == FORMAT_F32 ? 4 : 2;
        cat.data = (unsigned char *)cat.data + (size_t)l->source[i].channels * value;
    }
    float *acc = plan_layer_scratch(plan, worker, l->acc_at);
    const struct variant *v = find_variant(&l->product, strip.row1 - strip.row0, false, false);
    if (v == NULL ||
        !onednn_run(v->product, worker, whole, NULL, acc, plan_product_scratch(plan, worker))) {
        return false;
    }
    struct epilogue e = {.pixels = (size_t)(strip.row1 - strip.row0) * (size_t)l->w,
                         .channels = (size_t)l->channels,
                         .acc = acc,
                         .acc_stride = (size_t)l->channels,
                         .bias = l->bias,
                         .act = l->act,
                         .out = plan_operand(plan, l->out, slice, pixel0, 0)};
    if (l->residual != GRAPH_NONE) {
        e.add[0] = plan_operand(plan, l->residual, slice, pixel0, 0);
    }
    plan->kernels->epilogue(&e);
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

/* Products for every kind of strip of the layer; kernel 1 knows no padding. */
static int make_conv(struct cpu_plan *plan, struct conv *c, const struct map_layer *l,
                     const struct graph_op *op, int32_t inputs, int32_t channels,
                     enum format format, struct sctd_error *err)
{
    void *plain = NULL;
    const int32_t kernel = op->kernel;
    int r = steps_plain_weights(&plain, op, channels, inputs, kernel * kernel, format, err);
    for (int32_t i = 0; r == 0 && i < count_strips(l); i++) {
        const struct strip strip = strip_of(l, i);
        const struct onednn_conv_shape shape = {.rows = strip.row1 - strip.row0,
                                                .width = l->w,
                                                .in_channels = inputs * terms(format),
                                                .out_channels = channels,
                                                .kernel = kernel,
                                                .top = kernel == 3 && strip.row0 == 0,
                                                .bottom = kernel == 3 && strip.row1 == l->h,
                                                .bf16 = is_bf16(format)};
        if (find_variant(c, shape.rows, shape.top, shape.bottom) != NULL) {
            continue;
        }
        struct variant *v = &c->variant[c->n_variants];
        *v = (struct variant){.rows = shape.rows, .top = shape.top, .bottom = shape.bottom};
        r = onednn_conv_new(&v->product, plan->onednn, &shape, plain, &c->weights, err);
        if (r == 0) {
            c->n_variants++;
            plan_need_scratch(plan, v->product, 0);
        }
    }
    free(plain);
    return r;
}

/* The columns [inputs * terms, 9 * block] of output channels c0 ... c0 + block - 1. */
static int pack_block(void **ret_plain, const void *plain, int32_t inputs, int32_t c0,
                      int32_t block, bool bf16, struct sctd_error *err)
{
    const size_t value = bf16 ? 2 : 4;
    const size_t columns = 9 * (size_t)block;
    unsigned char *to = malloc((size_t)inputs * columns * value);
    if (to == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "weights");
    }
    for (size_t i = 0; i < (size_t)inputs; i++) {
        for (size_t column = 0; column < columns; column++) {
            const size_t co = (size_t)c0 + column % (size_t)block;
            const size_t tap = column / (size_t)block;
            const unsigned char *from = plain;
            memcpy(to + (i * columns + column) * value,
                   from + ((co * (size_t)inputs + i) * 9 + tap) * value, value);
        }
    }
    *ret_plain = to;
    return 0;
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
    const enum format format = product_format(low->format);
    x->factor = from->upsample->factor;
    x->low_h = low->h;
    x->low_w = low->w;
    x->low_rows = expand_low_rows(l, x);
    const int32_t per_channel = x->low_rows * x->low_w * 9 * 4;
    const int32_t fitting = EXPAND_BYTES / per_channel / 16 * 16;
    const int32_t least = (s->channels + MAX_BLOCKS - 1) / MAX_BLOCKS;
    x->block = fitting < 16 ? 16 : fitting;
    x->block = x->block < least ? least : x->block;
    x->block = x->block < s->channels ? x->block : s->channels;

    void *plain = NULL;
    const int32_t inputs = low->c * terms(format);
    int r = steps_plain_weights(&plain, from->conv, s->channels, low->c, 9, format, err);
    for (int32_t c0 = 0; r == 0 && c0 < s->channels; c0 += x->block) {
        const int32_t block = s->channels - c0 < x->block ? s->channels - c0 : x->block;
        const struct onednn_matmul_shape shape = {
            .m = x->low_rows * x->low_w, .k = inputs, .n = 9 * block, .bf16 = is_bf16(format)};
        void *columns = NULL;
        r = pack_block(&columns, plain, inputs, c0, block, shape.bf16, err);
        if (r == 0) {
            const int32_t b = x->n_blocks++;
            r = onednn_matmul_new(&x->product[b], plan->onednn, &shape, columns, &x->weights[b],
                                  err);
            if (r == 0) {
                plan_need_scratch(plan, x->product[b], 0);
            }
        }
        free(columns);
    }
    free(plain);
    return r;
}

static int make_first(struct source *s, const struct graph_op *op, struct sctd_error *err)
{
    void *plain = NULL;
    int r = steps_plain_weights(&plain, op, s->channels, 1, 9, FORMAT_F32, err);
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
    return make_conv(plan, &s->conv, l, from->conv, in->c, s->channels, product_format(in->format),
                     err);
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
    r = make_conv(plan, &l->product, l, op, inputs, place->c, l->format, err);
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
