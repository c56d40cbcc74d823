/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/backend/cpu/onednn.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <dnnl.h>

enum { ALIGNMENT = 64 };

struct onednn {
    dnnl_engine_t engine;
    int32_t workers;
    dnnl_stream_t *stream; /* [workers] */
};

struct onednn_weights {
    dnnl_memory_desc_t layout;
    dnnl_memory_t memory;
    void *data;
};

/* oneDNN's handles for one worker's buffers. */
struct slot {
    dnnl_memory_t first, second, out, scratch;
};

struct onednn_product {
    struct onednn *onednn;
    dnnl_primitive_t primitive;
    dnnl_memory_t weights; /* borrowed; NULL if given at run time */
    size_t scratch_bytes;
    struct slot *slot; /* [workers] */
};

void onednn_enter_thread(void)
{
    /* Debian's oneDNN threads with OpenMP; another build has no such function to call. */
    void *symbol = dlsym(RTLD_DEFAULT, "omp_set_num_threads");
    if (symbol != NULL) {
        void (*set_threads)(int) = NULL;
        memcpy((void *)&set_threads, (const void *)&symbol, sizeof symbol);
        set_threads(1);
    }
}

enum onednn_isa onednn_get_isa(void)
{
    const unsigned isa = (unsigned)dnnl_get_effective_cpu_isa();
    const unsigned amx = (unsigned)dnnl_cpu_isa_avx512_core_amx;
    const unsigned bf16 = (unsigned)dnnl_cpu_isa_avx512_core_bf16;
    if ((isa & amx) == amx) {
        return ONEDNN_AMX;
    }
    return (isa & bf16) == bf16 ? ONEDNN_BF16 : ONEDNN_NO_BF16;
}

int onednn_open(struct onednn **ret_onednn, int32_t workers, struct sctd_error *err)
{
    struct onednn *o = calloc(1, sizeof *o);
    if (o == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "onednn");
    }
    o->stream = (dnnl_stream_t *)calloc((size_t)workers, sizeof(dnnl_stream_t));
    o->workers = workers;
    if (o->stream == NULL) {
        onednn_close(o);
        return sctd_error(err, SCTD_ENOMEM, "onednn");
    }
    bool ok = dnnl_engine_create(&o->engine, dnnl_cpu, 0) == dnnl_success;
    for (int32_t i = 0; ok && i < workers; i++) {
        ok =
            dnnl_stream_create(&o->stream[i], o->engine, dnnl_stream_default_flags) == dnnl_success;
    }
    if (!ok) {
        onednn_close(o);
        return sctd_error(err, SCTD_EDEVICE, "onednn does not start on this processor");
    }
    *ret_onednn = o;
    return 0;
}

void onednn_close(struct onednn *onednn)
{
    if (onednn == NULL) {
        return;
    }
    for (int32_t i = 0; onednn->stream != NULL && i < onednn->workers; i++) {
        if (onednn->stream[i] != NULL) {
            (void)dnnl_stream_destroy(onednn->stream[i]);
        }
    }
    if (onednn->engine != NULL) {
        (void)dnnl_engine_destroy(onednn->engine);
    }
    free((void *)onednn->stream);
    free(onednn);
}

static void destroy_memory(dnnl_memory_t memory)
{
    if (memory != NULL) {
        (void)dnnl_memory_destroy(memory);
    }
}

void onednn_weights_free(struct onednn_weights *weights)
{
    if (weights == NULL) {
        return;
    }
    destroy_memory(weights->memory);
    free(weights->data);
    free(weights);
}

void onednn_product_free(struct onednn_product *product)
{
    if (product == NULL) {
        return;
    }
    for (int32_t i = 0; product->slot != NULL && i < product->onednn->workers; i++) {
        destroy_memory(product->slot[i].first);
        destroy_memory(product->slot[i].second);
        destroy_memory(product->slot[i].out);
        destroy_memory(product->slot[i].scratch);
    }
    if (product->primitive != NULL) {
        (void)dnnl_primitive_destroy(product->primitive);
    }
    free(product->slot);
    free(product);
}

/* Bring plain weights into the layout that the primitive wants. */
static dnnl_status_t reorder(struct onednn *o, struct onednn_weights *w,
                             const dnnl_memory_desc_t *from, const void *plain)
{
    void *source = NULL;
    memcpy((void *)&source, (const void *)&plain,
           sizeof source); /* oneDNN reads it, but takes no const pointer */
    dnnl_memory_t memory = NULL;
    dnnl_primitive_desc_t desc = NULL;
    dnnl_primitive_t primitive = NULL;
    dnnl_stream_t stream = NULL;
    dnnl_status_t s = dnnl_memory_create(&memory, from, o->engine, source);
    if (s == dnnl_success) {
        s = dnnl_reorder_primitive_desc_create(&desc, from, o->engine, &w->layout, o->engine, NULL);
    }
    if (s == dnnl_success) {
        s = dnnl_primitive_create(&primitive, desc);
    }
    if (s == dnnl_success) {
        s = dnnl_stream_create(&stream, o->engine, dnnl_stream_default_flags);
    }
    if (s == dnnl_success) {
        const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, memory}, {DNNL_ARG_TO, w->memory}};
        s = dnnl_primitive_execute(primitive, stream, 2, args);
    }
    if (stream != NULL) {
        (void)dnnl_stream_destroy(stream);
    }
    if (primitive != NULL) {
        (void)dnnl_primitive_destroy(primitive);
    }
    if (desc != NULL) {
        (void)dnnl_primitive_desc_destroy(desc);
    }
    destroy_memory(memory);
    return s;
}

static int pack(struct onednn_weights **ret_weights, struct onednn *o,
                const dnnl_memory_desc_t *layout, const dnnl_memory_desc_t *from, const void *plain,
                struct sctd_error *err)
{
    struct onednn_weights *w = calloc(1, sizeof *w);
    if (w == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "packed weights");
    }
    w->layout = *layout;
    const size_t size = dnnl_memory_desc_get_size(layout);
    w->data = aligned_alloc(ALIGNMENT, (size + ALIGNMENT) / ALIGNMENT * ALIGNMENT);
    if (w->data == NULL) {
        onednn_weights_free(w);
        return sctd_error(err, SCTD_ENOMEM, "packed weights of %zu bytes", size);
    }
    dnnl_status_t s = dnnl_memory_create(&w->memory, layout, o->engine, w->data);
    if (s == dnnl_success) {
        s = reorder(o, w, from, plain);
    }
    if (s != dnnl_success) {
        onednn_weights_free(w);
        return sctd_error(err, SCTD_EINVAL, "onednn cannot pack weights: status %d", (int)s);
    }
    *ret_weights = w;
    return 0;
}

/* What the two kinds of product need to become one. */
struct recipe_of_product {
    dnnl_primitive_desc_t desc;
    dnnl_memory_desc_t first, second, out; /* second: plain layout of the weights */
    const void *plain;                     /* constant weights, or NULL */
    bool constant;
};

static int make_slots(struct onednn_product *p, const struct recipe_of_product *r,
                      const dnnl_memory_desc_t *scratch, struct sctd_error *err)
{
    const int32_t workers = p->onednn->workers;
    dnnl_engine_t engine = p->onednn->engine;
    p->slot = calloc((size_t)workers, sizeof *p->slot);
    if (p->slot == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "onednn product");
    }
    dnnl_status_t s = dnnl_success;
    for (int32_t i = 0; s == dnnl_success && i < workers; i++) {
        struct slot *slot = &p->slot[i];
        s = dnnl_memory_create(&slot->first, &r->first, engine, DNNL_MEMORY_NONE);
        if (s == dnnl_success && !r->constant) {
            s = dnnl_memory_create(&slot->second, &r->second, engine, DNNL_MEMORY_NONE);
        }
        if (s == dnnl_success) {
            s = dnnl_memory_create(&slot->out, &r->out, engine, DNNL_MEMORY_NONE);
        }
        if (s == dnnl_success) {
            s = dnnl_memory_create(&slot->scratch, scratch, engine, DNNL_MEMORY_NONE);
        }
    }
    return s == dnnl_success ? 0 : sctd_error(err, SCTD_ENOMEM, "onednn memory: status %d", (int)s);
}

static int fill_product(struct onednn_product *p, const struct recipe_of_product *r,
                        struct onednn_weights **io_weights, struct sctd_error *err)
{
    if (r->constant && *io_weights == NULL) {
        const dnnl_memory_desc_t *layout =
            dnnl_primitive_desc_query_md(r->desc, dnnl_query_weights_md, 0);
        int result = pack(io_weights, p->onednn, layout, &r->second, r->plain, err);
        if (result < 0) {
            return result;
        }
    }
    p->weights = r->constant ? (*io_weights)->memory : NULL;
    if (dnnl_primitive_create(&p->primitive, r->desc) != dnnl_success) {
        return sctd_error(err, SCTD_ENOMEM, "onednn primitive");
    }
    const dnnl_memory_desc_t *scratch =
        dnnl_primitive_desc_query_md(r->desc, dnnl_query_scratchpad_md, 0);
    p->scratch_bytes = dnnl_memory_desc_get_size(scratch);
    return make_slots(p, r, scratch, err);
}

/* Make a product from its primitive descriptor, which is taken over. */
static int finish(struct onednn_product **ret_product, struct onednn *o,
                  const struct recipe_of_product *r, struct onednn_weights **io_weights,
                  struct sctd_error *err)
{
    int result = 0;
    struct onednn_product *p = calloc(1, sizeof *p);
    if (p == NULL) {
        result = sctd_error(err, SCTD_ENOMEM, "onednn product");
    } else {
        p->onednn = o;
        result = fill_product(p, r, io_weights, err);
    }
    (void)dnnl_primitive_desc_destroy(r->desc);
    if (result < 0) {
        onednn_product_free(p);
        return result;
    }
    *ret_product = p;
    return 0;
}

static dnnl_status_t user_scratch(dnnl_primitive_attr_t *ret_attr)
{
    const dnnl_status_t s = dnnl_primitive_attr_create(ret_attr);
    return s != dnnl_success
               ? s
               : dnnl_primitive_attr_set_scratchpad_mode(*ret_attr, dnnl_scratchpad_mode_user);
}

/* Create the primitive descriptor of a described operation. */
static dnnl_status_t describe(dnnl_primitive_desc_t *ret_desc, const_dnnl_op_desc_t operation,
                              dnnl_engine_t engine)
{
    dnnl_primitive_attr_t attr = NULL;
    dnnl_status_t s = user_scratch(&attr);
    if (s == dnnl_success) {
        s = dnnl_primitive_desc_create(ret_desc, operation, attr, engine, NULL);
    }
    if (attr != NULL) {
        (void)dnnl_primitive_attr_destroy(attr);
    }
    return s;
}

int onednn_conv_new(struct onednn_product **ret_product, struct onednn *onednn,
                    const struct onednn_conv_shape *shape, const void *plain,
                    struct onednn_weights **io_weights, struct sctd_error *err)
{
    const dnnl_data_type_t type = shape->bf16 ? dnnl_bf16 : dnnl_f32;
    const int32_t pad = shape->kernel / 2;
    const int32_t top = shape->top ? pad : 0;
    const int32_t bottom = shape->bottom ? pad : 0;
    const dnnl_dims_t src = {1, shape->in_channels, shape->rows + 2 * pad - top - bottom,
                             shape->width};
    const dnnl_dims_t weights = {shape->out_channels, shape->in_channels, shape->kernel,
                                 shape->kernel};
    const dnnl_dims_t dst = {1, shape->out_channels, shape->rows, shape->width};
    const dnnl_dims_t stride = {1, 1};
    const dnnl_dims_t before = {top, pad};
    const dnnl_dims_t after = {bottom, pad};

    struct recipe_of_product r = {.plain = plain, .constant = true};
    dnnl_memory_desc_t wanted;
    dnnl_convolution_desc_t conv;
    (void)dnnl_memory_desc_init_by_tag(&r.first, 4, src, type, dnnl_nhwc);
    (void)dnnl_memory_desc_init_by_tag(&r.second, 4, weights, type, dnnl_oihw);
    (void)dnnl_memory_desc_init_by_tag(&r.out, 4, dst, dnnl_f32, dnnl_nhwc);
    (void)dnnl_memory_desc_init_by_tag(&wanted, 4, weights, type, dnnl_format_tag_any);
    if (*io_weights != NULL) {
        wanted = (*io_weights)->layout;
    }
    dnnl_status_t s =
        dnnl_convolution_forward_desc_init(&conv, dnnl_forward_inference, dnnl_convolution_direct,
                                           &r.first, &wanted, NULL, &r.out, stride, before, after);
    if (s == dnnl_success) {
        s = describe(&r.desc, &conv, onednn->engine);
    }
    if (s != dnnl_success) {
        return sctd_error(err, SCTD_EINVAL, "onednn has no %dx%d convolution %d -> %d: status %d",
                          shape->kernel, shape->kernel, shape->in_channels, shape->out_channels,
                          (int)s);
    }
    return finish(ret_product, onednn, &r, io_weights, err);
}

static int matmul_new(struct onednn_product **ret_product, struct onednn *onednn,
                      const struct onednn_matmul_shape *shape, struct recipe_of_product *r,
                      struct onednn_weights **io_weights, struct sctd_error *err)
{
    const dnnl_data_type_t type = shape->bf16 ? dnnl_bf16 : dnnl_f32;
    const dnnl_dims_t first = {shape->m, shape->k};
    const dnnl_dims_t second = {shape->k, shape->n};
    const dnnl_dims_t out = {shape->m, shape->n};
    dnnl_memory_desc_t wanted;
    dnnl_matmul_desc_t matmul;
    (void)dnnl_memory_desc_init_by_tag(&r->first, 2, first, type, dnnl_ab);
    (void)dnnl_memory_desc_init_by_tag(&r->second, 2, second, type,
                                       shape->transposed ? dnnl_ba : dnnl_ab);
    (void)dnnl_memory_desc_init_by_tag(&r->out, 2, out, dnnl_f32, dnnl_ab);
    (void)dnnl_memory_desc_init_by_tag(&wanted, 2, second, type, dnnl_format_tag_any);
    if (!r->constant) {
        wanted = r->second;
    } else if (*io_weights != NULL) {
        wanted = (*io_weights)->layout;
    }
    dnnl_status_t s = dnnl_matmul_desc_init(&matmul, &r->first, &wanted, NULL, &r->out);
    if (s == dnnl_success) {
        s = describe(&r->desc, &matmul, onednn->engine);
    }
    if (s != dnnl_success) {
        return sctd_error(err, SCTD_EINVAL, "onednn has no product %d x %d x %d: status %d",
                          shape->m, shape->k, shape->n, (int)s);
    }
    return finish(ret_product, onednn, r, io_weights, err);
}

int onednn_matmul_new(struct onednn_product **ret_product, struct onednn *onednn,
                      const struct onednn_matmul_shape *shape, const void *plain,
                      struct onednn_weights **io_weights, struct sctd_error *err)
{
    struct recipe_of_product r = {.plain = plain, .constant = true};
    return matmul_new(ret_product, onednn, shape, &r, io_weights, err);
}

int onednn_matmul_free_new(struct onednn_product **ret_product, struct onednn *onednn,
                           const struct onednn_matmul_shape *shape, struct sctd_error *err)
{
    struct recipe_of_product r = {.constant = false};
    struct onednn_weights *none = NULL;
    return matmul_new(ret_product, onednn, shape, &r, &none, err);
}

size_t onednn_get_scratch(const struct onednn_product *product)
{
    return product->scratch_bytes;
}

static bool bind(dnnl_memory_t memory, const void *data)
{
    void *handle = NULL;
    memcpy((void *)&handle, (const void *)&data, sizeof handle);
    return dnnl_memory_set_data_handle(memory, handle) == dnnl_success;
}

bool onednn_run(struct onednn_product *product, int32_t worker, const void *first,
                const void *second, float *out, void *scratch)
{
    const struct slot *slot = &product->slot[worker];
    if (!bind(slot->first, first) || !bind(slot->out, out) || !bind(slot->scratch, scratch)) {
        return false;
    }
    if (slot->second != NULL && !bind(slot->second, second)) {
        return false;
    }
    const dnnl_exec_arg_t args[] = {
        {DNNL_ARG_SRC, slot->first},
        {DNNL_ARG_WEIGHTS, product->weights != NULL ? product->weights : slot->second},
        {DNNL_ARG_DST, slot->out},
        {DNNL_ARG_SCRATCHPAD, slot->scratch},
    };
    return dnnl_primitive_execute(product->primitive, product->onednn->stream[worker], 4, args) ==
           dnnl_success;
}
