/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of devices and pinned memory, and copies between them. */
#undef NDEBUG
#include <assert.h>
#include <driver_types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cuda_runtime_api.h>

#include "tests/support/fake_cuda/fake_cuda.h"
#include "tests/support/fake_cuda/inside.h"

enum {
    ALIGN = 256,
    PAGE = 4096,
    LARGE = 1 << 20, /* from here on pages of its own, with a page behind that nobody may touch */
    MOST_FILLED = 1 << 18 /* of each end of a block; the middle of a huge one stays untouched */
};

enum place { DEVICE, PINNED };

struct block {
    struct block *next;
    enum place place;
    int device;
    unsigned char *data;
    size_t size, mapped; /* mapped 0: from malloc */
};

static struct block *blocks;

static void map(struct block *b)
{
    b->mapped = (b->size + PAGE - 1) / PAGE * PAGE + PAGE;
    unsigned char *pages = mmap(NULL, b->mapped, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert(pages != MAP_FAILED && mprotect(pages + b->mapped - PAGE, PAGE, PROT_NONE) == 0);
    b->data = pages;
}

static void fill(const struct block *b)
{
    const size_t n = b->size < MOST_FILLED ? b->size : MOST_FILLED;
    memset(b->data, fake_cuda.garbage, n);
    memset(b->data + b->size - n, fake_cuda.garbage, n);
}

static void *take_block(enum place place, size_t size)
{
    struct block *b = calloc(1, sizeof *b);
    assert(b != NULL);
    *b = (struct block){.next = blocks, .place = place, .device = fake_device(), .size = size};
    if (size >= LARGE) {
        map(b);
    } else {
        assert(posix_memalign((void **)&b->data, ALIGN, size) == 0);
    }
    fill(b);
    blocks = b;
    return b->data;
}

static struct block **find_link(const void *data, enum place place)
{
    struct block **link = &blocks;
    while (*link != NULL && ((*link)->data != data || (*link)->place != place)) {
        link = &(*link)->next;
    }
    return link;
}

/* Returns its size; 0: there is no such block. */
static size_t give_block(const void *data, enum place place, int *ret_device)
{
    struct block **link = find_link(data, place);
    struct block *b = *link;
    if (b == NULL) {
        return 0;
    }
    const size_t size = b->size;
    *ret_device = b->device;
    *link = b->next;
    if (b->mapped > 0) {
        assert(munmap(b->data, b->mapped) == 0);
    } else {
        free(b->data);
    }
    free(b);
    return size;
}

static const struct block *find_block(const void *data, size_t bytes)
{
    const uintptr_t at = (uintptr_t)data;
    for (const struct block *b = blocks; b != NULL; b = b->next) {
        const uintptr_t from = (uintptr_t)b->data;
        if (at >= from && at - from <= b->size && bytes <= b->size - (at - from)) {
            return b;
        }
    }
    return NULL;
}

bool fake_is_on_device(const void *data, size_t bytes)
{
    const struct block *b = find_block(data, bytes);
    return b != NULL && b->place == DEVICE && b->device == fake_device();
}

static bool is_pinned(const void *data, size_t bytes)
{
    const struct block *b = find_block(data, bytes);
    return b != NULL && b->place == PINNED;
}

/* The start of a function that waits for the device. */
static cudaError_t entered(const char *function)
{
    const cudaError_t e = (cudaError_t)fake_call(FAKE_CUDA, function);
    return e == cudaSuccess ? fake_check_capture() : e;
}

static size_t free_bytes(void)
{
    const struct fake_cuda_device *d = &fake_cuda.device[fake_device()];
    const size_t used = fake_cuda_counts.device_bytes[fake_device()];
    return used < d->total_bytes ? d->total_bytes - used : 0;
}

// NOLINTBEGIN(readability-identifier-naming): CUDA's names
cudaError_t cudaMemGetInfo(size_t *free, size_t *total)
{
    const cudaError_t e = (cudaError_t)fake_call(FAKE_CUDA, __func__);
    if (e == cudaSuccess) {
        fake_touch_device();
        *free = free_bytes();
        *total = fake_cuda.device[fake_device()].total_bytes;
    }
    return e;
}

cudaError_t cudaMalloc(void **devPtr, size_t size)
{
    const cudaError_t e = entered(__func__);
    if (e != cudaSuccess) {
        return e;
    }
    const size_t hidden = fake_cuda.device[fake_device()].hidden_bytes;
    if (size > free_bytes() || hidden > free_bytes() - size) {
        return fake_fail(cudaErrorMemoryAllocation);
    }
    fake_touch_device();
    *devPtr = size == 0 ? NULL : take_block(DEVICE, size);
    size_t *held = &fake_cuda_counts.device_bytes[fake_device()];
    size_t *peak = &fake_cuda_counts.peak_bytes[fake_device()];
    fake_cuda_counts.device_blocks += size == 0 ? 0 : 1;
    *held += size;
    *peak = *held > *peak ? *held : *peak;
    return cudaSuccess;
}

cudaError_t cudaMallocHost(void **ptr, size_t size)
{
    const cudaError_t e = entered(__func__);
    if (e == cudaSuccess) {
        *ptr = take_block(PINNED, size);
        fake_cuda_counts.pinned_blocks++;
    }
    return e;
}

/* Freeing waits for all that may still use the memory. */
static void settle(void)
{
    fake_cuda_counts.frees_while_busy += fake_is_busy() ? 1 : 0;
    (void)fake_drain_device();
}

cudaError_t cudaFree(void *devPtr)
{
    cudaError_t e = entered(__func__);
    int device = 0;
    settle();
    const size_t size = give_block(devPtr, DEVICE, &device);
    if (size > 0) {
        fake_cuda_counts.device_blocks--;
        fake_cuda_counts.device_bytes[device] -= size;
    } else if (e == cudaSuccess && devPtr != NULL) {
        e = fake_fail(cudaErrorInvalidValue);
    }
    return e;
}

cudaError_t cudaFreeHost(void *ptr)
{
    cudaError_t e = entered(__func__);
    int device = 0;
    settle();
    if (give_block(ptr, PINNED, &device) > 0) {
        fake_cuda_counts.pinned_blocks--;
    } else if (e == cudaSuccess && ptr != NULL) {
        e = fake_fail(cudaErrorInvalidValue);
    }
    return e;
}

/* Copies */

struct copy {
    void *to;
    const void *from;
    size_t bytes;
};

static void run_copy(const void *args)
{
    const struct copy *c = args;
    memcpy(c->to, c->from, c->bytes);
}

/* Staged bytes travel behind the arguments. */
static void run_staged(const void *args)
{
    const struct copy *c = args;
    memcpy(c->to, (const unsigned char *)args + sizeof *c, c->bytes);
}

static float duration(size_t bytes)
{
    return 0.001F + (float)bytes * 1e-7F;
}

static cudaError_t start_copy(const struct copy *c, cudaStream_t stream)
{
    return fake_start(stream,
                      &(struct fake_work){
                          .run = run_copy, .args = c, .size = sizeof *c, .ms = duration(c->bytes)});
}

static cudaError_t start_staged(const struct copy *c, cudaStream_t stream)
{
    unsigned char *args = malloc(sizeof *c + c->bytes);
    assert(args != NULL);
    memcpy(args, c, sizeof *c);
    memcpy(args + sizeof *c, c->from, c->bytes);
    const cudaError_t e = fake_start(stream, &(struct fake_work){.run = run_staged,
                                                                 .args = args,
                                                                 .size = sizeof *c + c->bytes,
                                                                 .ms = duration(c->bytes)});
    free(args);
    return e;
}

static bool is_right(const struct copy *c, enum cudaMemcpyKind kind)
{
    const bool to = fake_is_on_device(c->to, c->bytes);
    const bool from = fake_is_on_device(c->from, c->bytes);
    return (kind == cudaMemcpyHostToDevice && to && !from) ||
           (kind == cudaMemcpyDeviceToHost && !to && from) ||
           (kind == cudaMemcpyDeviceToDevice && to && from);
}

/*
 * From memory that is not pinned the bytes are taken at once and arrive later; to it all has arrived when the call
 * returns.
 */
cudaError_t cudaMemcpyAsync(void *dst, const void *src, size_t count, enum cudaMemcpyKind kind,
                            cudaStream_t stream)
{
    const cudaError_t e = (cudaError_t)fake_call(FAKE_CUDA, __func__);
    const struct copy c = {.to = dst, .from = src, .bytes = count};
    if (e != cudaSuccess) {
        return e;
    }
    if (!is_right(&c, kind)) {
        return fake_fail(cudaErrorInvalidValue);
    }
    if (kind == cudaMemcpyHostToDevice && !is_pinned(src, count)) {
        return start_staged(&c, stream);
    }
    const cudaError_t started = start_copy(&c, stream);
    const bool waits = kind == cudaMemcpyDeviceToHost && !is_pinned(dst, count);
    return started == cudaSuccess && waits ? fake_drain(stream) : started;
}

/* As documented: to the device it may return before the last bytes have arrived there, unless they are pinned. */
cudaError_t cudaMemcpy(void *dst, const void *src, size_t count, enum cudaMemcpyKind kind)
{
    const cudaError_t e = entered(__func__);
    const struct copy c = {.to = dst, .from = src, .bytes = count};
    if (e != cudaSuccess) {
        return e;
    }
    if (!is_right(&c, kind)) {
        return fake_fail(cudaErrorInvalidValue);
    }
    const bool staged = kind == cudaMemcpyHostToDevice && !is_pinned(src, count);
    const cudaError_t before = staged ? fake_drain(NULL) : cudaSuccess;
    if (before != cudaSuccess) {
        return before;
    }
    const cudaError_t started = staged ? start_staged(&c, NULL) : start_copy(&c, NULL);
    const bool waits = !staged && kind != cudaMemcpyDeviceToDevice;
    return started == cudaSuccess && waits ? fake_drain(NULL) : started;
}

struct set {
    void *to;
    int value;
    size_t bytes;
};

static void run_set(const void *args)
{
    const struct set *s = args;
    memset(s->to, s->value, s->bytes);
}

static cudaError_t start_set(const struct set *s, cudaStream_t stream)
{
    if (!fake_is_on_device(s->to, s->bytes)) {
        return fake_fail(cudaErrorInvalidValue);
    }
    return fake_start(stream,
                      &(struct fake_work){
                          .run = run_set, .args = s, .size = sizeof *s, .ms = duration(s->bytes)});
}

cudaError_t cudaMemsetAsync(void *devPtr, int value, size_t count, cudaStream_t stream)
{
    const cudaError_t e = (cudaError_t)fake_call(FAKE_CUDA, __func__);
    return e == cudaSuccess ? start_set(&(struct set){devPtr, value, count}, stream) : e;
}

/* The host goes on at once, here too. */
cudaError_t cudaMemset(void *devPtr, int value, size_t count)
{
    const cudaError_t e = entered(__func__);
    return e == cudaSuccess ? start_set(&(struct set){devPtr, value, count}, NULL) : e;
}
// NOLINTEND(readability-identifier-naming)
