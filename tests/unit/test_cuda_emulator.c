/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the emulator must find in a kernel: each kernel here is sound, and once it is not.
 */
#undef NDEBUG
#include <assert.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/backend/cuda/emulator/emulator.h"
#include "engine/backend/cuda/emulator/instructions.h"
#include "engine/backend/cuda/emulator/machine.h"

enum { BLOCK = 2 * LANES, MEMORY = 8192, FAR = 4096, STEP = 16 };

static uint32_t *lent; /* [BLOCK], and as many behind them that were not lent */

/* What the compiler says of a kernel's loads and stores. */

static void load(const void *p)
{
    memory_read(machine_thread(), p, 4);
}

static void store(void *p)
{
    memory_write(machine_thread(), p, 4);
}

static size_t number(void)
{
    return (size_t)machine_thread()->number;
}

/* A word, or 16 bytes, of shared memory. */
static void *word(size_t i)
{
    return emulator_launched_memory() + 4 * i;
}

static void *row(size_t i)
{
    return emulator_launched_memory() + STEP * i;
}

static void sync_threads(bool there)
{
    if (there) {
        emulator_barrier_wait(0, BLOCK);
    }
}

/* Each thread's word has been written, and everybody knows it. */
static void begin_words(void)
{
    store(word(number()));
    sync_threads(true);
}

/* Shared memory */

static void read_after_write(bool is_sound)
{
    begin_words();
    store(word(number()));
    sync_threads(is_sound);
    load(word(BLOCK - 1 - number()));
}

static void write_after_read(bool is_sound)
{
    begin_words();
    load(word(BLOCK - 1 - number()));
    sync_threads(is_sound);
    store(word(number()));
}

static void read_in_a_warp(bool is_sound)
{
    begin_words();
    store(word(number()));
    if (is_sound) {
        emulator_sync_warp();
    }
    load(word(number() ^ 1U));
}

/* That a warp's lanes meet says nothing of the other warp. */
static void read_of_another_warp(bool is_sound)
{
    begin_words();
    store(word(number()));
    emulator_sync_warp();
    load(word(is_sound ? number() ^ 1U : number() ^ LANES));
}

static void read_of_nothing(bool is_sound)
{
    store(word(number()));
    load(word(number() + (is_sound ? 0 : BLOCK)));
}

static void write_outside(bool is_sound)
{
    store(word(number() + MEMORY / 4 - BLOCK + (is_sound ? 0 : 1)));
}

static void named_barrier(bool is_sound)
{
    /* The second warp writes and goes on; the first waits, and reads. */
    begin_words();
    if (number() >= LANES) {
        store(word(number()));
        emulator_barrier_go_on(is_sound ? 1 : 2, is_sound ? BLOCK : LANES);
    } else {
        emulator_barrier_wait(1, is_sound ? BLOCK : LANES);
        load(word(number() + LANES));
    }
}

/* What was lent */

static void read_beyond(bool is_sound)
{
    load(&lent[number() + (is_sound ? 0 : 1)]);
}

static void write_the_same(bool is_sound)
{
    store(&lent[is_sound ? number() : number() / 2]);
}

static void count(bool is_sound)
{
    (void)emulator_atomic_add(&lent[is_sound ? 0 : BLOCK], 1);
}

/* Who comes where */

static void shuffle_of_half(bool is_sound)
{
    if (is_sound || number() % 2 == 0) {
        assert(emulator_shuffle((uint32_t)number(), 3) % LANES == 3);
    }
}

static void barrier_of_one_warp(bool is_sound)
{
    if (is_sound || number() < LANES) {
        sync_threads(true);
    }
}

static void barrier_left(bool is_sound)
{
    if (is_sound || number() < LANES) {
        emulator_barrier_go_on(3, BLOCK);
    }
}

static void barrier_twice(bool is_sound)
{
    emulator_barrier_go_on(3, BLOCK);
    if (!is_sound && number() < LANES) {
        emulator_barrier_go_on(3, BLOCK);
    }
    if (number() >= LANES) {
        emulator_sync_warp();
    }
}

static uint64_t *make_mbarrier(uint32_t arrivals)
{
    uint64_t *at = row(FAR / STEP);
    if (number() == 0) {
        emulator_mbarrier_init(at, arrivals);
    }
    sync_threads(true);
    return at;
}

static void mbarrier_short(bool is_sound)
{
    uint64_t *at = make_mbarrier(2);
    if (number() == 0 || (is_sound && number() == LANES)) {
        emulator_mbarrier_arrive(at);
    }
    emulator_mbarrier_wait(at, 0);
}

static void mbarrier_overrun(bool is_sound)
{
    uint64_t *at = make_mbarrier(1);
    for (int i = 0; number() == 0 && i < (is_sound ? 1 : 3); i++) {
        emulator_mbarrier_arrive(at);
    }
    sync_threads(true);
    emulator_mbarrier_wait(at, 0);
}

static void mbarrier_orders(bool is_sound)
{
    begin_words();
    uint64_t *at = make_mbarrier(1);
    if (number() < LANES) {
        store(word(number()));
        if (is_sound) {
            emulator_sync_warp();
        }
        if (number() == 0) {
            emulator_mbarrier_arrive(at);
        }
    } else {
        emulator_mbarrier_wait(at, 0);
        load(word(number() - LANES));
    }
}

/* Copies */

static void copy_of_another(bool is_sound)
{
    emulator_copy(row(number()), &lent[number() / 4 * 4], true);
    emulator_copy_commit();
    emulator_copy(row(BLOCK + number()), NULL, false);
    emulator_copy_commit();
    emulator_copy_wait(is_sound ? 1 : 2);
    sync_threads(true);
    load(row(BLOCK - 1 - number()));
    emulator_copy_wait_all();
}

static void copy_left(bool is_sound)
{
    emulator_copy(row(number()), lent, true);
    if (is_sound) {
        emulator_copy_wait_all();
    }
}

static void copy_from_between(bool is_sound)
{
    emulator_copy(row(number()), &lent[is_sound ? 4 : 1], true);
    emulator_copy_wait_all();
}

/* Matrices and products */

static void matrices(bool is_sound)
{
    uint32_t to[4];
    const size_t lane = number() % LANES;
    store(row(number() * 2));
    for (size_t i = 0; i < 8; i++) {
        store(word(number() * 8 + i));
    }
    emulator_sync_warp();
    emulator_load_matrices(to, row(number() / LANES * 2 * LANES + (is_sound ? lane : 2 * lane)),
                           false);
}

enum product_fault {
    SOUND,
    NO_PROXY_FENCE,
    NO_FENCE,
    LATE_REGISTERS,
    NO_COMMIT,
    NO_WAIT,
    EARLY_REGISTERS,
    EARLY_WRITE
};

static void multiply(enum product_fault fault)
{
    float sum[SUMS];
    uint32_t left[4] = {0};
    memory_write(machine_thread(), sum, sizeof sum);
    memset(sum, 0, sizeof sum);
    memory_write_row(machine_thread(), row(number()));
    memory_write_row(machine_thread(), row(number() + 2 * (size_t)BLOCK));
    if (fault != NO_PROXY_FENCE) {
        emulator_fence_for_products();
    }
    emulator_barrier_wait(0, 2 * BLOCK);
    if (fault != NO_FENCE) {
        emulator_warpgroup_begin();
    }
    if (fault == LATE_REGISTERS) {
        store(&sum[5]);
    }
    emulator_warpgroup_multiply(sum, left, emulator_matrix_at(row(0), 128, 256));
    if (fault != NO_COMMIT) {
        emulator_warpgroup_commit();
    }
    if (fault == EARLY_REGISTERS) {
        load(&sum[63]);
    }
    if (fault == EARLY_WRITE) {
        emulator_sync_warp();
        store(row(0));
    }
    if (fault != NO_WAIT) {
        emulator_warpgroup_wait();
    }
}

/* Running them */

struct kernel {
    void (*run)(bool is_sound);
    const char *says;
};

static const struct kernel kernels[] = {
    {read_after_write, "a race: "},
    {write_after_read, "a race: "},
    {read_in_a_warp, "a race: "},
    {read_of_another_warp, "a race: "},
    {read_of_nothing, "nothing was written to"},
    {write_outside, "outside its shared memory"},
    {named_barrier, "a race: "},
    {read_beyond, "not lent"},
    {write_the_same, "another thread has been"},
    {count, "not lent"},
    {shuffle_of_half, "not all lanes reach"},
    {barrier_of_one_warp, "has not ended waits"},
    {barrier_left, "barrier 3 is left with"},
    {barrier_twice, "barrier 3 "},
    {mbarrier_short, "has not ended waits"},
    {mbarrier_overrun, "waits for time 0"},
    {mbarrier_orders, "a race: "},
    {copy_of_another, "has not been waited for"},
    {copy_left, "ends before its copies"},
    {copy_from_between, "no multiple of 16"},
    {matrices, "the same banks"},
};

static const char *const product_says[] = {
    [NO_PROXY_FENCE] = "without a fence",
    [NO_FENCE] = "a product without a fence",
    [LATE_REGISTERS] = "written after the fence",
    [NO_COMMIT] = "not committed",
    [NO_WAIT] = "products that not all",
    [EARLY_REGISTERS] = "registers of a product that runs",
    [EARLY_WRITE] = "a race: writes what a product",
};

struct call {
    void (*run)(bool is_sound);
    bool is_sound;
    enum product_fault fault;
};

static void run_kernel(const void *arg)
{
    const struct call *call = arg;
    call->run(call->is_sound);
}

static void run_product(const void *arg)
{
    const struct call *call = arg;
    multiply(call->fault);
}

static void launch(const struct call *call)
{
    const struct emulator_launch l = {
        .run = call->run != NULL ? run_kernel : run_product,
        .arg = call,
        .arg_bytes = sizeof *call,
        .blocks = {1, 1, 1},
        .threads = call->run != NULL ? BLOCK : 2 * BLOCK,
        .memory_bytes = MEMORY,
    };
    emulator_run(&l);
}

/* In a process of its own, which ends with these words. */
static void expect_end(const struct call *call, const char *says)
{
    int ends[2];
    char text[1024] = {0};
    size_t n = 0;
    int status = 0;
    assert(pipe(ends) == 0);
    const pid_t child = fork();
    assert(child >= 0);
    if (child == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        launch(call);
        _exit(0);
    }
    (void)close(ends[1]);
    for (ssize_t got = 1; got > 0 && n < sizeof text - 1; n += (size_t)got) {
        got = read(ends[0], text + n, sizeof text - 1 - n);
        assert(got >= 0);
    }
    (void)close(ends[0]);
    assert(waitpid(child, &status, 0) == child);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT || strstr(text, says) == NULL) {
        (void)fprintf(stderr, "not \"%s\" but \"%s\"\n", says, text);
        abort();
    }
}

static void what_is_wrong_is_found_in_every_order(uint32_t seed)
{
    emulator_set_order(seed);
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
        launch(&(struct call){kernels[i].run, true, SOUND});
        expect_end(&(struct call){kernels[i].run, false, SOUND}, kernels[i].says);
    }
    launch(&(struct call){NULL, true, SOUND});
    for (int fault = NO_PROXY_FENCE; fault <= EARLY_WRITE; fault++) {
        expect_end(&(struct call){NULL, false, (enum product_fault)fault}, product_says[fault]);
    }
}

int main(void)
{
    lent = aligned_alloc(STEP, sizeof *lent * 2 * BLOCK);
    assert(lent != NULL);
    memset(lent, 0, sizeof *lent * 2 * BLOCK);
    emulator_lend(lent, BLOCK * sizeof *lent, true);
    for (uint32_t seed = 0; seed < 6; seed++) {
        what_is_wrong_is_found_in_every_order(seed);
    }
    emulator_take_back();
    free(lent);
    return 0;
}
