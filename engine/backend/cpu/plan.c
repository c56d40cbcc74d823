/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/backend/cpu/plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

enum {
    ALIGNMENT = 64,
    TILE_ROWS = 16, /* of which a product may read some beyond a tensor's last */
};

static unsigned char *slice_data(const struct cpu_plan *plan, int32_t tensor, int32_t slice)
{
    const struct place *p = &plan->place[tensor];
    return plan->arena + p->offset + (size_t)(slice % p->slices) * p->bytes;
}

/* The inputs and the output are the caller's buffers; nobody writes to the inputs. */
static unsigned char *io_data(const struct cpu_plan *plan, int32_t tensor, int32_t slice)
{
    const struct place *p = &plan->place[tensor];
    const size_t at = (size_t)(plan->slice0 + slice) * (size_t)p->h * (size_t)p->w;
    union {
        const float *in;
        float *out;
    } data = {.out = plan->io->y};
    if (tensor == GRAPH_X_CNN) {
        data.in = plan->io->x_cnn;
    } else if (tensor == GRAPH_X_DINO) {
        data.in = plan->io->x_dino;
    }
    return (unsigned char *)(data.out + at);
}

struct operand plan_operand(const struct cpu_plan *plan, int32_t tensor, int32_t slice,
                            size_t pixel, size_t channel)
{
    const struct place *p = &plan->place[tensor];
    const bool io = tensor == GRAPH_X_CNN || tensor == GRAPH_X_DINO || tensor == plan->y;
    const size_t channels = (size_t)p->c;
    const size_t stride = p->format == FORMAT_SPLIT ? 3 * channels : channels;
    const size_t whole = (size_t)p->h * (size_t)p->w * channels;
    const size_t value = p->format == FORMAT_F32 ? 4 : 2;
    unsigned char *data = io ? io_data(plan, tensor, slice) : slice_data(plan, tensor, slice);
    return (struct operand){.data = data + (pixel * stride + channel) * value,
                            .format = p->format,
                            .stride = stride,
                            .plane = p->format == FORMAT_PAIR ? whole : channels};
}

float *plan_values(const struct cpu_plan *plan, int32_t tensor, int32_t slice)
{
    return plan_operand(plan, tensor, slice, 0, 0).data;
}

void *plan_product_scratch(const struct cpu_plan *plan, int32_t worker)
{
    return plan->scratch + (size_t)worker * (plan->onednn_scratch + plan->layer_scratch);
}

void *plan_layer_scratch(const struct cpu_plan *plan, int32_t worker, size_t offset)
{
    return (unsigned char *)plan_product_scratch(plan, worker) + plan->onednn_scratch + offset;
}

void plan_need_scratch(struct cpu_plan *plan, const struct onednn_product *product, size_t bytes)
{
    const size_t product_bytes = product == NULL ? 0 : round_up(onednn_get_scratch(product));
    if (product_bytes > plan->onednn_scratch) {
        plan->onednn_scratch = product_bytes;
    }
    if (round_up(bytes) > plan->layer_scratch) {
        plan->layer_scratch = round_up(bytes);
    }
}

int plan_add_step(struct cpu_plan *plan, const struct step *step, struct sctd_error *err)
{
    if (plan->n_steps == CPU_MAX_STEPS) {
        step->free_layer(step->layer);
        return sctd_error(err, SCTD_ENOMEM, "more than %d steps", CPU_MAX_STEPS);
    }
    plan->step[plan->n_steps++] = *step;
    return 0;
}

/* Maps are kept for map_group slices; what the transformer makes, for all and until they are done. */
static void share_out(struct cpu_plan *plan)
{
    while (plan->first_map < plan->n_steps && plan->step[plan->first_map].stage == GRAPH_VIT) {
        plan->first_map++;
    }
    for (int32_t i = 0; i < plan->n_tensors; i++) {
        struct place *p = &plan->place[i];
        p->slices = p->first < plan->first_map ? plan->group : plan->map_group;
        if (p->first < plan->first_map && p->last >= plan->first_map) {
            p->last = CPU_MAX_STEPS;
        }
    }
}

static size_t bytes_of(const struct place *p)
{
    return p->bytes * (size_t)p->slices;
}

static bool overlap(const struct place *a, const struct place *b)
{
    return a->used && b->used && a->first <= b->last && b->first <= a->last;
}

/* The lowest offset at which tensor t collides with no placed tensor that lives at the same time. */
static size_t find_offset(const struct cpu_plan *plan, int32_t t, const bool *placed)
{
    const struct place *mine = &plan->place[t];
    const size_t size = bytes_of(mine);
    size_t offset = 0;
    for (int32_t i = 0; i < plan->n_tensors; i++) {
        const struct place *p = &plan->place[i];
        const size_t p_size = bytes_of(p);
        if (placed[i] && overlap(mine, p) && offset < p->offset + p_size &&
            p->offset < offset + size) {
            offset = p->offset + p_size;
            i = -1;
        }
    }
    return offset;
}

/* The largest tensor without a place, or GRAPH_NONE. */
static int32_t largest_unplaced(const struct cpu_plan *plan, const bool *placed)
{
    int32_t best = GRAPH_NONE;
    for (int32_t i = 0; i < plan->n_tensors; i++) {
        const struct place *p = &plan->place[i];
        if (!placed[i] && p->used && (best == GRAPH_NONE || p->bytes > plan->place[best].bytes)) {
            best = i;
        }
    }
    return best;
}

static size_t tile_bytes(const struct place *p)
{
    return TILE_ROWS * (size_t)p->c * format_bytes(p->format);
}

int plan_allocate(struct cpu_plan *plan, struct sctd_error *err)
{
    bool *placed = calloc((size_t)plan->n_tensors, sizeof *placed);
    if (placed == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "arena plan");
    }
    share_out(plan);
    size_t total = ALIGNMENT;
    for (;;) {
        const int32_t t = largest_unplaced(plan, placed);
        if (t == GRAPH_NONE) {
            break;
        }
        plan->place[t].offset = find_offset(plan, t, placed);
        placed[t] = true;
        const size_t end =
            plan->place[t].offset + bytes_of(&plan->place[t]) + tile_bytes(&plan->place[t]);
        total = end > total ? end : total;
    }
    free(placed);
    const size_t scratch = (plan->onednn_scratch + plan->layer_scratch + ALIGNMENT) *
                           (size_t)pool_get_threads(plan->pool);
    plan->arena = aligned_alloc(ALIGNMENT, round_up(total));
    plan->scratch = aligned_alloc(ALIGNMENT, round_up(scratch));
    if (plan->arena == NULL || plan->scratch == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "activations of %zu MiB",
                          (total + scratch) / ((size_t)1024 * 1024));
    }
    return 0;
}
