/* SPDX-License-Identifier: Apache-2.0 */
/* What threads wait for each other with, and what they know of each other then. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/backend/cuda/emulator/instructions.h"
#include "engine/backend/cuda/emulator/machine.h"

enum { BARRIERS = 16, MBARRIERS = 64 };

static struct {
    int threads, come; /* that it is for; 0: nobody is there */
    bool has_come[WARPS], waits[WARPS];
    uint32_t known[CLOCKS];
} barrier[BARRIERS];

static struct mbarrier {
    const uint64_t *at;
    uint32_t arrivals, left, time;
    uint32_t known[CLOCKS], passed_on[CLOCKS]; /* by who has come; and to who has waited */
} mbarrier[MBARRIERS];
static int n_mbarriers;

static void learn(uint32_t known[CLOCKS], const uint32_t more[CLOCKS])
{
    for (int i = 0; i < CLOCKS; i++) {
        known[i] = known[i] > more[i] ? known[i] : more[i];
    }
}

/* All lanes of a warp see what each has done and seen. */
static void meet(struct thread *lane)
{
    struct warp *w = machine_warp_at(lane[0].warp);
    lane[0].known[lane[0].warp] = w->clock++;
    for (int i = 1; i < LANES; i++) {
        learn(lane[0].known, lane[i].known);
    }
    for (int i = 1; i < LANES; i++) {
        memcpy(lane[i].known, lane[0].known, sizeof lane[i].known);
    }
}

void emulator_sync_warp(void)
{
    machine_do(meet);
}

void barrier_begin_block(void)
{
    n_mbarriers = 0;
}

void barrier_end_block(void)
{
    for (int i = 0; i < BARRIERS; i++) {
        if (barrier[i].come > 0) {
            machine_fail("barrier %d is left with %d threads", i, barrier[i].come);
        }
    }
}

static void open_barrier(int id)
{
    for (int w = 0; w < WARPS; w++) {
        for (int i = 0; i < LANES && barrier[id].waits[w]; i++) {
            struct thread *t = machine_thread_at(w * LANES + i);
            learn(t->known, barrier[id].known);
            t->state = RUNS;
        }
    }
    memset(&barrier[id], 0, sizeof barrier[id]);
}

void barrier_arrive(struct thread *lane)
{
    const struct request *ask = &lane[0].ask;
    const int id = ask->barrier;
    const int w = lane[0].warp;
    for (int i = 1; i < LANES; i++) {
        const struct request *other = &lane[i].ask;
        if (other->barrier != id || other->threads != ask->threads ||
            other->goes_on != ask->goes_on) {
            machine_fail("warp %d comes to several barriers", w);
        }
    }
    if (barrier[id].come > 0 && barrier[id].threads != ask->threads) {
        machine_fail("barrier %d is for %d and for %d threads", id, barrier[id].threads,
                     ask->threads);
    }
    if (barrier[id].has_come[w]) {
        machine_fail("warp %d comes to barrier %d for the second time", w, id);
    }
    meet(lane);
    learn(barrier[id].known, lane[0].known);
    barrier[id].threads = ask->threads;
    barrier[id].come += LANES;
    barrier[id].has_come[w] = true;
    barrier[id].waits[w] = !ask->goes_on;
    for (int i = 0; i < LANES && ask->goes_on; i++) {
        lane[i].state = RUNS;
    }
    if (barrier[id].come == barrier[id].threads) {
        open_barrier(id);
    }
}

static void come(int id, int threads, bool goes_on)
{
    struct request *ask = &machine_thread()->ask;
    if (id < 0 || id >= BARRIERS || threads <= 0 || threads % LANES != 0 ||
        threads > machine_threads()) {
        machine_fail("barrier %d for %d threads", id, threads);
    }
    ask->barrier = id;
    ask->threads = threads;
    ask->goes_on = goes_on;
    machine_wait(AT_BARRIER);
}

void emulator_barrier_wait(int id, int threads)
{
    come(id, threads, false);
}

void emulator_barrier_go_on(int id, int threads)
{
    come(id, threads, true);
}

static struct mbarrier *find_mbarrier(const uint64_t *at)
{
    for (int i = 0; i < n_mbarriers; i++) {
        if (mbarrier[i].at == at) {
            memory_read(machine_thread(), at, sizeof *at); /* it was made before */
            return &mbarrier[i];
        }
    }
    machine_fail("no mbarrier was made there");
}

void emulator_mbarrier_init(uint64_t *at, uint32_t arrivals)
{
    if (n_mbarriers == MBARRIERS) {
        machine_fail("more than %d mbarriers", MBARRIERS);
    }
    memory_write(machine_thread(), at, sizeof *at);
    mbarrier[n_mbarriers] = (struct mbarrier){.at = at, .arrivals = arrivals, .left = arrivals};
    n_mbarriers++;
}

void emulator_mbarrier_arrive(uint64_t *at)
{
    struct mbarrier *b = find_mbarrier(at);
    learn(b->known, machine_thread()->known);
    b->left--;
    if (b->left > 0) {
        return;
    }
    b->left = b->arrivals;
    b->time++;
    memcpy(b->passed_on, b->known, sizeof b->known);
    for (int i = 0; i < machine_threads(); i++) {
        struct thread *t = machine_thread_at(i);
        if (t->state == AT_MBARRIER && t->ask.mbarrier == at) {
            t->state = RUNS;
        }
    }
}

void emulator_mbarrier_wait(uint64_t *at, uint32_t time)
{
    struct thread *t = machine_thread();
    struct mbarrier *b = find_mbarrier(at);
    t->ask.mbarrier = at;
    while ((b->time & 1U) == (time & 1U)) { /* all that the hardware looks at */
        machine_wait(AT_MBARRIER);
    }
    if (b->time != time + 1) {
        machine_fail("waits for time %u of an mbarrier, which is at %u", time, b->time);
    }
    learn(t->known, b->passed_on);
}
