/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What kernels read and write: their own stack (a GPU's registers), what was lent to them, and shared memory, which is
 * `launched` and whatever static variables they have.  Of each word of shared memory it is known who wrote it and
 * who has read it since.  The compiler calls what is below for every load and store (-fsanitize=thread).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/backend/cuda/emulator/emulator.h"
#include "engine/backend/cuda/emulator/instructions.h"
#include "engine/backend/cuda/emulator/machine.h"

enum { REGIONS = 16, LAUNCHED = 227 << 10, ROW = 16, MANY = LANES };

/* The program's own variables, where the linker has put them. */
extern unsigned char memory_program[] __asm__("__executable_start");
extern unsigned char memory_statics[] __asm__("__bss_start");
extern unsigned char memory_end[] __asm__("_end");

/* What was lent; of each two bytes, which thread of the launch, counted from 1, has written and last read them. */
static struct region {
    const unsigned char *first;
    size_t bytes;
    bool is_writable;
    uint32_t *writer, *reader;
} region[REGIONS];
static int n_regions;

/* Four bytes of shared memory; no kernel of ours has threads that share them. */
struct word {
    uint32_t block; /* that it is about */
    int16_t writer; /* thread */
    bool is_written, is_copying;
    uint32_t clock, number;    /* of the writer's warp; of its writes */
    uint32_t read[CLOCKS];     /* clock of the last read; UINT32_MAX: a product reads it now */
    unsigned char lane[WARPS]; /* whose that was; MANY: not only one's */
};

static _Alignas(1024) unsigned char launched[LAUNCHED];
static struct word *word; /* of all static variables */
static const struct emulator_launch *launch;
static uint32_t blocks; /* that have begun, of all launches */
static uint32_t first_thread;
static struct range
    own; /* the kernel's static variable, when it has been seen; a kernel has one at most */

unsigned char *emulator_launched_memory(void)
{
    return launched;
}

void emulator_lend(const void *data, size_t bytes, bool is_writable)
{
    if (n_regions == REGIONS) {
        machine_fail("more than %d regions", REGIONS);
    }
    struct region *r = &region[n_regions++];
    r->first = data;
    r->bytes = bytes;
    r->is_writable = is_writable;
    r->writer = is_writable ? calloc(bytes + 2, sizeof *r->writer) : NULL;
    if (is_writable && r->writer == NULL) {
        machine_fail("no memory");
    }
    r->reader = is_writable ? r->writer + bytes / 2 + 1 : NULL;
}

void emulator_take_back(void)
{
    while (n_regions > 0) {
        free(region[--n_regions].writer);
    }
}

void memory_begin_launch(const struct emulator_launch *of)
{
    launch = of;
    own = (struct range){0, 0};
    if (launch->memory_bytes > LAUNCHED) {
        machine_fail("%zu bytes of shared memory", launch->memory_bytes);
    }
    if (word == NULL) {
        word = calloc((size_t)(memory_end - memory_statics) / 4 + 1, sizeof *word);
    }
    if (word == NULL) {
        machine_fail("no memory");
    }
    for (int i = 0; i < n_regions; i++) {
        if (region[i].is_writable) {
            memset(region[i].writer, 0, (region[i].bytes + 2) * sizeof *region[i].writer);
        }
    }
}

void memory_begin_block(size_t block)
{
    blocks++;
    first_thread = (uint32_t)block * launch->threads + 1;
}

static struct region *find_region(const unsigned char *p, size_t size)
{
    for (int i = 0; i < n_regions; i++) {
        struct region *r = &region[i];
        if (p >= r->first && p + size <= r->first + r->bytes) {
            return r;
        }
    }
    return NULL;
}

/* Its own stack */

static bool overlaps(const void *a, size_t a_bytes, const void *b, size_t b_bytes)
{
    return (uintptr_t)a < (uintptr_t)b + b_bytes && (uintptr_t)b < (uintptr_t)a + a_bytes;
}

static void reach_registers(struct thread *t, const unsigned char *p, size_t size, bool is_write)
{
    for (int i = 0; i < t->n_products; i++) {
        const struct product *m = &t->product[i];
        if (overlaps(p, size, m->sum, SUMS * sizeof *m->sum) ||
            overlaps(p, size, m->left, 4 * sizeof *m->left)) {
            machine_fail("touches registers of a product that runs");
        }
    }
    const size_t first = (size_t)(p - t->stack) / 4;
    const size_t last = ((size_t)(p - t->stack) + size - 1) / 4;
    for (size_t i = first; is_write && i <= last; i++) {
        t->touched[i / 64] |= 1UL << i % 64;
    }
}

/* Shared memory */

static struct word *word_at(const unsigned char *p)
{
    struct word *w = &word[(p - memory_statics) / 4];
    if (w->block != blocks) {
        memset(w, 0, sizeof *w);
        w->block = blocks;
    }
    return w;
}

static void check_written(const struct thread *t, const struct word *w)
{
    if (!w->is_written) {
        machine_fail("reads shared memory that nothing was written to");
    }
    if (w->is_copying) {
        machine_fail("reads what a copy has not been waited for, of thread %d", w->writer);
    }
    if (w->writer != t->number && w->clock > t->known[w->writer / LANES]) {
        machine_fail("a race: reads what thread %d writes", w->writer);
    }
}

static void read_word(struct thread *t, struct word *w)
{
    const unsigned char lane = (unsigned char)(t->number % LANES);
    check_written(t, w);
    const bool by_others = w->read[t->warp] > t->known[t->warp] && w->lane[t->warp] != lane;
    w->lane[t->warp] = by_others ? MANY : lane;
    w->read[t->warp] = machine_warp_at(t->warp)->clock;
}

static void write_word(struct thread *t, struct word *w)
{
    if (w->is_copying) {
        machine_fail("writes where a copy of thread %d goes", w->writer);
    }
    if (w->is_written && w->writer != t->number && w->clock > t->known[w->writer / LANES]) {
        machine_fail("a race: writes what thread %d writes", w->writer);
    }
    for (int i = 0; i < CLOCKS; i++) {
        if (w->read[i] > t->known[i] && !(i == t->warp && w->lane[i] == t->number % LANES)) {
            machine_fail("a race: writes what %s of warp %d read%s",
                         i < WARPS ? "a lane" : "a product", i % WARPS,
                         w->read[i] == UINT32_MAX ? " now" : "");
        }
    }
    memset(w->read, 0, sizeof w->read);
    w->is_written = true;
    w->writer = (int16_t)t->number;
    w->clock = machine_warp_at(t->warp)->clock;
    w->number = ++t->writes;
}

static bool is_launched(const unsigned char *p)
{
    return p >= launched && p < launched + LAUNCHED;
}

/* A test's static variable is none. */
static bool is_shared(const unsigned char *p)
{
    return is_launched(p) || (p >= memory_statics && p < memory_end && find_region(p, 1) == NULL);
}

static bool is_within(struct range r, const void *p, size_t size)
{
    return (uintptr_t)p - r.first < r.bytes && size <= r.first + r.bytes - (uintptr_t)p;
}

static void reach_shared(struct thread *t, const unsigned char *p, size_t size, bool is_write)
{
    struct range room = {(uintptr_t)launched, launch->memory_bytes};
    if (!is_launched(p)) {
        own = own.bytes == 0 && is_shared(p) ? statics_find(p) : own;
        room = own;
    }
    if (!is_within(room, p, size)) {
        machine_fail("%zu bytes at %p, outside its shared memory", size, (const void *)p);
    }
    for (const unsigned char *at = p - (uintptr_t)p % 4; at < p + size; at += 4) {
        if (is_write) {
            write_word(t, word_at(at));
        } else {
            read_word(t, word_at(at));
        }
    }
}

static void reach_row(struct thread *t, const void *row, bool is_write)
{
    if ((uintptr_t)row % ROW != 0) {
        machine_fail("a row of shared memory is not at %d bytes", ROW);
    }
    reach_shared(t, row, ROW, is_write);
}

void memory_read_row(struct thread *t, const void *row)
{
    reach_row(t, row, false);
}

void memory_write_row(struct thread *t, void *row)
{
    reach_row(t, row, true);
}

void memory_begin_copy(struct thread *t, void *row)
{
    reach_row(t, row, true);
    for (int i = 0; i < ROW; i += 4) {
        word_at((unsigned char *)row + i)->is_copying = true;
    }
}

void memory_end_copy(struct thread *t, void *row)
{
    for (int i = 0; i < ROW; i += 4) {
        word_at((unsigned char *)row + i)->is_copying = false;
    }
    reach_row(t, row, true);
}

void memory_read_for_product(struct thread *t, const void *row)
{
    const unsigned char *p = row;
    if (p < launched || p + ROW > launched + launch->memory_bytes) {
        machine_fail("a product reads outside its shared memory");
    }
    for (int i = 0; i < ROW; i += 4) {
        struct word *w = word_at(p + i);
        check_written(t, w);
        if (w->number > machine_thread_at(w->writer)->fenced) {
            machine_fail("a product reads what thread %d wrote without a fence", w->writer);
        }
        w->read[WARPS + t->warp] = UINT32_MAX;
    }
}

void memory_end_product_read(struct thread *t, const void *row)
{
    for (int i = 0; i < ROW; i += 4) {
        word_at((const unsigned char *)row + i)->read[WARPS + t->warp] =
            machine_warp_at(t->warp)->batches;
    }
}

/* What was lent */

static void reach_lent(const struct thread *t, const unsigned char *p, size_t size, bool is_write)
{
    const struct region *r = find_region(p, size);
    if (r == NULL || (is_write && !r->is_writable)) {
        machine_fail("%s %zu bytes at %p, which were not lent for it",
                     is_write ? "writes" : "reads", size, (const void *)p);
    }
    const uint32_t me = first_thread + (uint32_t)t->number;
    const size_t first = (size_t)(p - r->first) / 2;
    for (size_t i = first; r->is_writable && i < first + (size + 1) / 2; i++) {
        const uint32_t writer = r->writer[i];
        const uint32_t reader = r->reader[i];
        if ((writer != 0 && writer != me) || (is_write && reader != 0 && reader != me)) {
            machine_fail("a race: %s byte %zu of what was lent, where another thread has been",
                         is_write ? "writes" : "reads", 2 * i);
        }
        *(is_write ? &r->writer[i] : &r->reader[i]) = me;
    }
}

/* All of it */

static void reach(struct thread *t, const void *address, size_t size, bool is_write)
{
    const unsigned char *p = address;
    if (p >= t->stack && p + size <= t->stack + STACK) {
        reach_registers(t, p, size, is_write);
    } else if (is_shared(p)) {
        reach_shared(t, p, size, is_write);
    } else if (!is_write && ((p >= memory_program && p < memory_statics) ||
                             overlaps(p, size, launch->arg, launch->arg_bytes))) {
        return; /* constants */
    } else {
        reach_lent(t, p, size, is_write);
    }
}

void memory_read(struct thread *t, const void *p, size_t size)
{
    reach(t, p, size, false);
}

void memory_write(struct thread *t, const void *p, size_t size)
{
    reach(t, p, size, true);
}

static void check_atomic(const uint32_t *at)
{
    const struct region *r = find_region((const unsigned char *)at, sizeof *at);
    if (r == NULL || !r->is_writable || (uintptr_t)at % sizeof *at != 0) {
        machine_fail("changes %p, which was not lent for it", (const void *)at);
    }
}

uint32_t emulator_atomic_add(uint32_t *at, uint32_t value)
{
    check_atomic(at);
    *at += value;
    return *at - value;
}

uint32_t emulator_atomic_exchange(uint32_t *at, uint32_t value)
{
    check_atomic(at);
    const uint32_t before = *at;
    *at = value;
    return before;
}

/* What the compiler calls; the host's own code runs in no thread. */

static void note(const void *p, size_t size, size_t align, bool is_write)
{
    struct thread *t = machine_thread();
    if (t == NULL) {
        return;
    }
    if ((uintptr_t)p % align != 0) {
        machine_fail("%zu bytes at %p, which is no multiple", size, p);
    }
    reach(t, p, size, is_write);
}

#define NOTE(name, size, align, is_write)                                                          \
    void memory_note_##name(const void *p) __asm__("__tsan_" #name);                               \
    void memory_note_##name(const void *p)                                                         \
    {                                                                                              \
        note(p, size, align, is_write);                                                            \
    }

NOTE(read1, 1, 1, false)
NOTE(read2, 2, 2, false)
NOTE(read4, 4, 4, false)
NOTE(read8, 8, 8, false)
NOTE(read16, 16, 16, false)
NOTE(write1, 1, 1, true)
NOTE(write2, 2, 2, true)
NOTE(write4, 4, 4, true)
NOTE(write8, 8, 8, true)
NOTE(write16, 16, 16, true)
NOTE(unaligned_read2, 2, 1, false)
NOTE(unaligned_read4, 4, 1, false)
NOTE(unaligned_read8, 8, 1, false)
NOTE(unaligned_read16, 16, 1, false)
NOTE(unaligned_write2, 2, 1, true)
NOTE(unaligned_write4, 4, 1, true)
NOTE(unaligned_write8, 8, 1, true)
NOTE(unaligned_write16, 16, 1, true)

void memory_note_read_range(const void *p, size_t size) __asm__("__tsan_read_range");
void memory_note_read_range(const void *p, size_t size)
{
    note(p, size, 1, false);
}

void memory_note_write_range(const void *p, size_t size) __asm__("__tsan_write_range");
void memory_note_write_range(const void *p, size_t size)
{
    note(p, size, 1, true);
}

void memory_note_init(void) __asm__("__tsan_init");
void memory_note_init(void)
{
}

void memory_note_entry(const void *caller) __asm__("__tsan_func_entry");
void memory_note_entry(const void *caller)
{
    (void)caller;
}

void memory_note_exit(void) __asm__("__tsan_func_exit");
void memory_note_exit(void)
{
}
