/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/backend/cuda/emulator/machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "engine/backend/cuda/emulator/emulator.h"
#include "engine/backend/cuda/emulator/instructions.h"
#include "engine/base/rng.h"

static struct {
    struct thread *thread; /* [THREADS] */
    struct warp warp[WARPS];
    const struct emulator_launch *launch;
    struct emulator_index block;
    struct thread *now;
    jmp_buf scheduler;
    uint32_t seed;
    struct sctd_rng rng;
} machine;

struct thread *machine_thread(void)
{
    return machine.now;
}

struct thread *machine_thread_at(int number)
{
    return &machine.thread[number];
}

struct warp *machine_warp_at(int number)
{
    return &machine.warp[number];
}

int machine_threads(void)
{
    return (int)machine.launch->threads;
}

void machine_fail(const char *format, ...)
{
    const struct emulator_index b = machine.block;
    va_list args;
    va_start(args, format);
    (void)fprintf(stderr, "kernel: block (%u, %u, %u), thread %d: ", b.x, b.y, b.z,
                  machine.now == NULL ? -1 : machine.now->number);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
    abort(); /* lint-allow: only tests have this library */
}

void emulator_set_order(uint32_t seed)
{
    machine.seed = seed;
}

/* Fibers: makecontext begins one, and then _longjmp changes them without asking the kernel. */

void machine_wait(enum thread_state state)
{
    machine.now->state = state;
    if (_setjmp(machine.now->at) == 0) {
        _longjmp(machine.scheduler, 1);
    }
}

void machine_do(warp_operation *operation)
{
    machine.now->ask.operation = operation;
    machine_wait(AT_WARP);
}

static void live(void)
{
    for (;;) {
        machine.launch->run(machine.launch->arg);
        machine_wait(ENDED);
    }
}

static void resume(struct thread *t)
{
    machine.now = t;
    if (_setjmp(machine.scheduler) == 0) {
        if (t->started) {
            _longjmp(t->at, 1);
        }
        t->started = true;
        (void)setcontext(&t->first);
    }
    machine.now = NULL;
}

static void make_threads(void)
{
    if (machine.thread != NULL) {
        return;
    }
    machine.thread = calloc(THREADS, sizeof *machine.thread);
    unsigned char *stacks = aligned_alloc(STACK, (size_t)THREADS * STACK);
    if (machine.thread == NULL || stacks == NULL) {
        machine_fail("no memory for %d threads", THREADS);
    }
    for (int i = 0; i < THREADS; i++) {
        struct thread *t = &machine.thread[i];
        t->number = i;
        t->warp = i / LANES;
        t->stack = stacks + (size_t)i * STACK;
        (void)getcontext(&t->first);
        t->first.uc_stack.ss_sp = t->stack;
        t->first.uc_stack.ss_size = STACK;
        makecontext(&t->first, live, 0);
    }
}

/* Warps: of those that can run, that of the highest priority does, until none of its lanes can. */

static void draw_priorities(void)
{
    for (int i = 0; i < WARPS; i++) {
        machine.warp[i].priority = machine.seed == 0
                                       ? (uint32_t)(WARPS - i)
                                       : (uint32_t)(sctd_rng_next(&machine.rng) >> 32);
    }
}

static bool can_run(int warp)
{
    for (int i = 0; i < LANES; i++) {
        if (machine.thread[warp * LANES + i].state == RUNS) {
            return true;
        }
    }
    return false;
}

static int next_warp(void)
{
    int best = -1;
    /* The seed says for how long priorities stand, from a few turns to hundreds. */
    if (machine.seed != 0 && sctd_rng_next(&machine.rng) % (2U << machine.seed % 8) == 0) {
        draw_priorities();
    }
    for (int i = 0; i < machine_threads() / LANES; i++) {
        if (can_run(i) && (best < 0 || machine.warp[i].priority > machine.warp[best].priority)) {
            best = i;
        }
    }
    return best;
}

/* What all lanes of a warp have come to, if they have. */
static void settle(struct thread *lane)
{
    int n[ENDED + 1] = {0};
    bool is_same = true;
    for (int i = 0; i < LANES; i++) {
        n[lane[i].state]++;
        is_same = is_same && lane[i].ask.operation == lane[0].ask.operation;
    }
    if (n[AT_WARP] == LANES && is_same) {
        lane[0].ask.operation(lane);
        for (int i = 0; i < LANES; i++) {
            lane[i].state = RUNS;
        }
    } else if (n[AT_BARRIER] == LANES) {
        barrier_arrive(lane);
    } else if (n[RUNS] + n[AT_MBARRIER] == 0 && n[ENDED] < LANES) {
        machine_fail(
            "warp %d: not all lanes reach the same: %d a warp's operation, %d a barrier, %d "
            "the end",
            lane[0].warp, n[AT_WARP], n[AT_BARRIER], n[ENDED]);
    }
}

static void run_warp(int warp)
{
    struct thread *lane = &machine.thread[(size_t)warp * LANES];
    for (int i = 0; i < LANES; i++) {
        struct thread *t = &lane[machine.seed % 2 == 0 ? i : LANES - 1 - i];
        while (t->state == RUNS) {
            resume(t);
        }
    }
    settle(lane);
}

static void begin_block(size_t block)
{
    for (int i = 0; i < machine_threads(); i++) {
        struct thread *t = &machine.thread[i];
        t->state = RUNS;
        memset(t->known, 0, sizeof t->known);
        t->writes = t->fenced = t->groups = 0;
    }
    for (int i = 0; i < WARPS; i++) {
        machine.warp[i] = (struct warp){.clock = 1};
    }
    draw_priorities();
    barrier_begin_block();
    memory_begin_block(block);
}

static void end_block(void)
{
    for (int i = 0; i < machine_threads(); i++) {
        const struct thread *t = &machine.thread[i];
        if (t->state != ENDED) {
            machine_fail("all that has not ended waits: thread %d in state %d, at barrier %d", i,
                         (int)t->state, t->ask.barrier);
        }
        if (t->n_copies > 0) {
            machine_fail("thread %d ends before its copies", i);
        }
    }
    barrier_end_block();
    tensor_end_block();
}

void emulator_run(const struct emulator_launch *launch)
{
    const struct emulator_index n = launch->blocks;
    const size_t blocks = (size_t)n.x * n.y * n.z;
    machine.launch = launch;
    machine.rng.state = machine.seed;
    if (launch->threads == 0 || launch->threads % LANES != 0 || launch->threads > THREADS) {
        machine_fail("%u threads", launch->threads);
    }
    make_threads();
    memory_begin_launch(launch);
    for (size_t i = 0; i < blocks; i++) {
        const size_t block = machine.seed % 2 == 0 ? i : blocks - 1 - i;
        machine.block = (struct emulator_index){
            (unsigned)(block % n.x), (unsigned)(block / n.x % n.y), (unsigned)(block / n.x / n.y)};
        begin_block(block);
        for (int warp = next_warp(); warp >= 0; warp = next_warp()) {
            run_warp(warp);
        }
        end_block();
    }
}

struct emulator_index emulator_thread_index(void)
{
    return (struct emulator_index){(unsigned)machine.now->number, 0, 0};
}

struct emulator_index emulator_block_index(void)
{
    return machine.block;
}

struct emulator_index emulator_block_size(void)
{
    return (struct emulator_index){machine.launch->threads, 1, 1};
}

struct emulator_index emulator_grid_size(void)
{
    return machine.launch->blocks;
}
