/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies to shared memory, and matrices: what lane has which value of a fragment is written as the PTX ISA tells it, so
 * that the kernels are tested against it and not against themselves.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/backend/cuda/emulator/instructions.h"
#include "engine/backend/cuda/emulator/machine.h"
#include "engine/backend/cuda/value.h"

enum { ROW = 16, DEPTH = 16, COLUMNS = 8, WIDE_COLUMNS = 128, GROUP_WARPS = 4, WINDOW = 1024 };

/* Copies */

void emulator_copy(void *to, const void *from, bool there)
{
    struct thread *t = machine_thread();
    if (there && (uintptr_t)from % ROW != 0) {
        machine_fail("a copy from %p, which is no multiple of %d", from, ROW);
    }
    if (there) {
        memory_read(t, from, ROW);
    }
    memory_begin_copy(t, to);
    if (t->n_copies == t->room_copies) {
        t->room_copies = 2 * t->room_copies + 16;
        struct copy *more = realloc(t->copy, t->room_copies * sizeof *t->copy);
        if (more == NULL) {
            machine_fail("no memory");
        }
        t->copy = more;
    }
    t->copy[t->n_copies++] = (struct copy){to, there ? from : NULL, t->groups};
}

void emulator_copy_commit(void)
{
    machine_thread()->groups++;
}

/* End the copies of the first `groups` groups. */
static void end_copies(struct thread *t, uint32_t groups)
{
    size_t left = 0;
    for (size_t i = 0; i < t->n_copies; i++) {
        const struct copy *c = &t->copy[i];
        if (c->group >= groups) {
            t->copy[left++] = *c;
            continue;
        }
        memory_end_copy(t, c->to);
        if (c->from == NULL) {
            memset(c->to, 0, ROW);
        } else {
            memcpy(c->to, c->from, ROW);
        }
    }
    t->n_copies = left;
}

void emulator_copy_wait(uint32_t left)
{
    struct thread *t = machine_thread();
    end_copies(t, t->groups > left ? t->groups - left : 0);
}

void emulator_copy_wait_all(void)
{
    end_copies(machine_thread(), UINT32_MAX);
}

void emulator_fence_for_products(void)
{
    machine_thread()->fenced = machine_thread()->writes;
}

/* What passes between lanes */

static void shuffle(struct thread *lane)
{
    uint32_t value[LANES];
    for (int i = 0; i < LANES; i++) {
        value[i] = lane[i].ask.value;
    }
    for (int i = 0; i < LANES; i++) {
        lane[i].ask.value = value[lane[i].ask.source % LANES];
    }
}

uint32_t emulator_shuffle(uint32_t value, uint32_t source)
{
    struct request *ask = &machine_thread()->ask;
    ask->value = value;
    ask->source = source;
    machine_do(shuffle);
    return ask->value;
}

static void match(struct thread *lane)
{
    for (int i = 0; i < LANES; i++) {
        lane[i].ask.source = 0;
        for (int k = 0; k < LANES; k++) {
            lane[i].ask.source |= (uint32_t)(lane[k].ask.value == lane[i].ask.value) << k;
        }
    }
}

uint32_t emulator_match(uint32_t value)
{
    struct request *ask = &machine_thread()->ask;
    ask->value = value;
    machine_do(match);
    return ask->source;
}

/* Four matrices [8][8] of 16 bits: lane l names row l % 8 of matrix l / 8. */

/* Where in its matrix a lane has its value i of two. */
static int place_of(int lane, int i, bool is_turned)
{
    const int row = is_turned ? lane % 4 * 2 + i : lane / 4;
    return row * 8 + (is_turned ? lane / 4 : lane % 4 * 2 + i);
}

static void check_banks(const struct thread *lane)
{
    for (int matrix = 0; matrix < 4; matrix++) {
        unsigned used = 0;
        for (int row = matrix * 8; row < matrix * 8 + 8; row++) {
            used |= 1U << (uintptr_t)lane[row].ask.row / ROW % 8;
        }
        if (used != 0xffU) {
            machine_fail("warp %d: rows of a matrix are in the same banks", lane[0].warp);
        }
    }
}

static void load_matrices(struct thread *lane)
{
    check_banks(lane);
    for (int i = 0; i < LANES; i++) {
        memory_read_row(&lane[i], lane[i].ask.row);
    }
    for (int i = 0; i < 2 * 4 * LANES; i++) {
        const int matrix = i / 2 % 4;
        const int at = place_of(i / 8, i % 2, lane[0].ask.type != 0);
        const uint16_t *row = lane[matrix * 8 + at / 8].ask.row;
        uint32_t *word = &lane[i / 8].ask.words[matrix];
        *word = i % 2 == 0 ? row[at % 8] : *word | (uint32_t)row[at % 8] << 16;
    }
}

static void store_matrices_turned(struct thread *lane)
{
    check_banks(lane);
    for (int i = 0; i < LANES; i++) {
        memory_write_row(&lane[i], lane[i].ask.to_row);
    }
    for (int i = 0; i < 2 * 4 * LANES; i++) {
        const int matrix = i / 2 % 4;
        const int at = place_of(i / 8, i % 2, true);
        uint16_t *row = lane[matrix * 8 + at / 8].ask.to_row;
        row[at % 8] = (uint16_t)(lane[i / 8].ask.left[matrix] >> i % 2 * 16 & 0xffffU);
    }
}

void emulator_load_matrices(uint32_t to[4], const void *row, bool is_turned)
{
    struct thread *t = machine_thread();
    memory_write(t, to, 4 * sizeof *to);
    t->ask.words = to;
    t->ask.row = row;
    t->ask.type = is_turned;
    machine_do(load_matrices);
}

void emulator_store_matrices_turned(void *row, const uint32_t from[4])
{
    struct thread *t = machine_thread();
    memory_read(t, from, 4 * sizeof *from);
    t->ask.left = from;
    t->ask.row = row;
    t->ask.to_row = row;
    machine_do(store_matrices_turned);
}

/* Products.  PTX ISA, "Matrix Fragments for mma.m16n8k16" and for wgmma: a lane is 4 group + in_group. */

static float half_of(const uint32_t *pairs, int i, int type)
{
    return value_of_16((uint16_t)(pairs[i / 2] >> i % 2 * 16 & 0xffffU), type);
}

/* Value i of a0 ... a7. */
static void take_left(float a[DEPTH][DEPTH], int lane, const uint32_t *left, int type)
{
    for (int i = 0; i < 8; i++) {
        const int row = lane / 4 + (i < 2 || (i >= 4 && i < 6) ? 0 : 8);
        const int column = lane % 4 * 2 + (i & 1) + (i >= 4 ? 8 : 0);
        a[row][column] = half_of(left, i, type);
    }
}

static void add_product(struct thread *lane)
{
    float a[DEPTH][DEPTH];
    float b[DEPTH][COLUMNS];
    const int type = lane[0].ask.type;
    for (int l = 0; l < LANES; l++) {
        take_left(a, l, lane[l].ask.left, type);
        for (int i = 0; i < 4; i++) {
            b[l % 4 * 2 + (i & 1) + (i >= 2 ? 8 : 0)][l / 4] = half_of(lane[l].ask.right, i, type);
        }
    }
    for (int i = 0; i < 4 * LANES; i++) {
        const int l = i / 4;
        const float *row = a[l / 4 + (i % 4 < 2 ? 0 : 8)];
        double sum = (double)lane[l].ask.sum[i % 4];
        for (int k = 0; k < DEPTH; k++) {
            sum += (double)row[k] * (double)b[k][l % 4 * 2 + (i & 1)];
        }
        lane[l].ask.sum[i % 4] = (float)sum;
    }
}

void emulator_add_product(float sum[4], const uint32_t left[4], const uint32_t right[2], int type)
{
    struct thread *t = machine_thread();
    memory_write(t, sum, 4 * sizeof *sum);
    memory_read(t, left, 4 * sizeof *left);
    memory_read(t, right, 2 * sizeof *right);
    t->ask.sum = sum;
    t->ask.left = left;
    t->ask.right = right;
    t->ask.type = type;
    machine_do(add_product);
}

/* Products of a warpgroup: each of its warps has 16 rows and asks on its own. */

uint64_t emulator_matrix_at(const void *p, uint32_t halves, uint32_t groups)
{
    const uintptr_t at = (uintptr_t)p - (uintptr_t)emulator_launched_memory() + WINDOW;
    return (uint64_t)(at >> 4) | (uint64_t)(halves >> 4) << 16 | (uint64_t)(groups >> 4) << 32;
}

/* Where the eight values of rows 8 half ... of column `column` lie; PTX ISA, "Matrix Descriptor Format". */
static const void *matrix_row(uint64_t matrix, int column, int half)
{
    const size_t start = (size_t)(matrix & 0x3fffU) << 4;
    const size_t halves = (size_t)(matrix >> 16 & 0x3fffU) << 4;
    const size_t groups = (size_t)(matrix >> 32 & 0x3fffU) << 4;
    const size_t at =
        start + (size_t)(column / 8) * groups + (size_t)(column % 8) * ROW + (size_t)half * halves;
    return emulator_launched_memory() + at - WINDOW;
}

static void begin_products(struct thread *lane)
{
    machine_warp_at(lane[0].warp)->may_multiply = true;
    for (int i = 0; i < LANES; i++) {
        memset(lane[i].touched, 0, sizeof lane[i].touched);
    }
}

void emulator_warpgroup_begin(void)
{
    machine_do(begin_products);
}

static void check_fenced(const struct thread *t, const void *registers, size_t words)
{
    const size_t first = (size_t)((const unsigned char *)registers - t->stack) / 4;
    for (size_t i = first; i < first + words; i++) {
        if ((t->touched[i / 64] >> i % 64 & 1) != 0) {
            machine_fail("thread %d: a product's registers were written after the fence",
                         t->number);
        }
    }
}

static void start_product(struct thread *lane)
{
    struct warp *w = machine_warp_at(lane[0].warp);
    const uint64_t right = lane[0].ask.matrix;
    if (!w->may_multiply || lane[0].n_products == PRODUCTS) {
        machine_fail("warp %d: a product without a fence, or one too many", lane[0].warp);
    }
    if ((right & 0xffffc000c000c000U) != 0) {
        machine_fail("a descriptor with bits that we do not use: %016lx", right);
    }
    for (int i = 0; i < LANES; i++) {
        struct thread *t = &lane[i];
        if (t->ask.matrix != right) {
            machine_fail("warp %d: several right operands", t->warp);
        }
        check_fenced(t, t->ask.sum, SUMS);
        check_fenced(t, t->ask.left, 4);
        t->product[t->n_products++] = (struct product){t->ask.sum, t->ask.left, right};
    }
    for (int i = 0; i < 2 * WIDE_COLUMNS; i++) {
        memory_read_for_product(lane, matrix_row(right, i / 2, i % 2));
    }
    w->is_open = true;
    w->products++;
}

void emulator_warpgroup_multiply(float *sum, const uint32_t left[4], uint64_t right)
{
    struct request *ask = &machine_thread()->ask;
    ask->sum = sum;
    ask->left = left;
    ask->matrix = right;
    machine_do(start_product);
}

static void commit_products(struct thread *lane)
{
    machine_warp_at(lane[0].warp)->is_open = false;
}

void emulator_warpgroup_commit(void)
{
    machine_do(commit_products);
}

static void multiply(struct thread *lane, int n)
{
    static float a[DEPTH][DEPTH];
    static float b[DEPTH][WIDE_COLUMNS];
    static double sum[DEPTH][WIDE_COLUMNS];
    for (int i = 0; i < 2 * WIDE_COLUMNS; i++) {
        const uint16_t *row = matrix_row(lane[0].product[n].right, i / 2, i % 2);
        for (int k = 0; k < 8; k++) {
            b[i % 2 * 8 + k][i / 2] = value_of_f16(row[k]);
        }
        memory_end_product_read(lane, row);
    }
    for (int l = 0; l < LANES; l++) {
        take_left(a, l, lane[l].product[n].left, VALUE_F16);
        for (int i = 0; i < SUMS; i++) {
            sum[l / 4 + i / 2 % 2 * 8][i / 4 * 8 + l % 4 * 2 + i % 2] =
                (double)lane[l].product[n].sum[i];
        }
    }
    for (int i = 0; i < DEPTH * DEPTH; i++) {
        for (int column = 0; column < WIDE_COLUMNS; column++) {
            sum[i / DEPTH][column] +=
                (double)a[i / DEPTH][i % DEPTH] * (double)b[i % DEPTH][column];
        }
    }
    for (int l = 0; l < LANES; l++) {
        for (int i = 0; i < SUMS; i++) {
            lane[l].product[n].sum[i] =
                (float)sum[l / 4 + i / 2 % 2 * 8][i / 4 * 8 + l % 4 * 2 + i % 2];
        }
    }
}

static void wait_for_products(struct thread *lane)
{
    struct warp *w = machine_warp_at(lane[0].warp);
    if (w->is_open) {
        machine_fail("warp %d waits for products that it has not committed", lane[0].warp);
    }
    w->batches++;
    w->may_multiply = false;
    for (int n = 0; n < lane[0].n_products; n++) {
        multiply(lane, n);
    }
    for (int i = 0; i < LANES; i++) {
        lane[i].known[WARPS + lane[0].warp] = w->batches;
        lane[i].n_products = 0;
    }
}

void emulator_warpgroup_wait(void)
{
    machine_do(wait_for_products);
}

void tensor_end_block(void)
{
    for (int i = 0; i < WARPS; i++) {
        if (machine_warp_at(i)->products !=
                machine_warp_at(i / GROUP_WARPS * GROUP_WARPS)->products ||
            machine_thread_at(i * LANES)->n_products > 0) {
            machine_fail("warp %d: products that not all of its group start, or wait for", i);
        }
    }
}
