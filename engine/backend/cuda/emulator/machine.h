/*
 * machine.h - the emulated block: its threads and warps, and what they wait for.
 *
 * What comes before what is known by clocks.  A warp's clock counts the times that all its lanes met; a thread knows
 * of each warp up to which time it sees what that warp has done.  That knowledge passes on where the hardware makes
 * memory visible: at __syncwarp and at barriers of all kinds.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <ucontext.h>

#include "engine/backend/cuda/emulator/instructions.h"

enum {
    LANES = 32,
    WARPS = 16, /* the most of a block */
    THREADS = WARPS * LANES,
    CLOCKS = 2 * WARPS, /* of warps, then of the products that each has started */
    STACK = 64 << 10,   /* bytes of a thread */
    STACK_WORDS = STACK / 4,
    PRODUCTS = 64, /* the most that run together for a warp */
    SUMS = 64,     /* a lane's of such a product */
};

enum thread_state { RUNS, AT_WARP, AT_BARRIER, AT_MBARRIER, ENDED };

struct thread;

/* An operation of a warp: called once, with the first of its lanes, when all have asked for it. */
typedef void warp_operation(struct thread *lane);

/* What a thread asks for: of its warp, or at a barrier. */
struct request {
    warp_operation *operation;
    const void *row; /* 16 bytes of shared memory, that come in */
    void *to_row;    /* or go out */
    uint32_t *words; /* that come in or go out */
    float *sum;
    const uint32_t *left, *right;
    uint64_t matrix;
    uint32_t value, source;
    int type;
    int barrier, threads;
    bool goes_on;
    const void *mbarrier;
};

/* 16 bytes on their way to shared memory. */
struct copy {
    void *to;
    const void *from; /* NULL: zeros */
    uint32_t group;
};

/* A lane's part of a product that its warp has started. */
struct product {
    float *sum;
    const uint32_t *left;
    uint64_t right;
};

struct thread {
    enum thread_state state;
    int number, warp;
    struct request ask;
    uint32_t known[CLOCKS];

    uint32_t writes, fenced; /* to shared memory: how many, and up to which a fence came after */
    struct copy *copy;
    size_t n_copies, room_copies;
    uint32_t groups; /* of copies, closed */

    struct product product[PRODUCTS]; /* those that run */
    int n_products;
    uint64_t touched[STACK_WORDS / 64]; /* words of its stack, since the last wgmma.fence */

    unsigned char *stack;
    bool started;
    ucontext_t first;
    jmp_buf at;
};

struct warp {
    uint32_t clock, priority;
    bool may_multiply, is_open; /* after wgmma.fence; has products that are not committed */
    uint32_t batches;           /* of products, waited for */
    long products;              /* of the block */
};

/* The running thread; NULL while no kernel runs. */
struct thread *machine_thread(void);
/* Of the block. */
struct thread *machine_thread_at(int number);
struct warp *machine_warp_at(int number);
int machine_threads(void);

/* Let others run until somebody sets the running thread's state to RUNS. */
void machine_wait(enum thread_state state);
/* The same until all lanes of its warp have asked for `operation`, which is done then. */
void machine_do(warp_operation *operation);

/* Say what the kernel does wrong, and end. */
_Noreturn void machine_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* barrier.c: for each block; and a warp whose lanes have all come to a barrier. */
void barrier_begin_block(void);
void barrier_end_block(void);
void barrier_arrive(struct thread *lane);

/* memory.c: for each launch and block, of which number `block` runs. */
void memory_begin_launch(const struct emulator_launch *of);
void memory_begin_block(size_t block);
void memory_read(struct thread *t, const void *p, size_t size);
void memory_write(struct thread *t, const void *p, size_t size);
/* 16 bytes of shared memory at a multiple of 16.  A product may read them until memory_end_product_read. */
void memory_read_row(struct thread *t, const void *row);
void memory_write_row(struct thread *t, void *row);
void memory_read_for_product(struct thread *t, const void *row);
void memory_end_product_read(struct thread *t, const void *row);
/* A copy to 16 bytes begins, and has ended. */
void memory_begin_copy(struct thread *t, void *row);
void memory_end_copy(struct thread *t, void *row);

/* statics.c: the static variable that `address` is in. */
struct range {
    uintptr_t first;
    size_t bytes;
};

struct range statics_find(const void *address);

/* tensor.c */
void tensor_end_block(void);
