/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/kernel_kit.h"

#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/backend/cuda/emulator/emulator.h"
#include "engine/backend/cuda/value.h"
#include "engine/base/rng.h"

enum { AROUND = 4096, GUARD = 0x7b, NO_NUMBER = 0xff };

static void *add_operand(struct kernel_kit *kit, size_t bytes, bool is_writable)
{
    const size_t room = (bytes + AROUND - 1) / AROUND * AROUND + 2 * (size_t)AROUND;
    unsigned char *memory = aligned_alloc(AROUND, room);
    assert(memory != NULL && kit->n < KIT_OPERANDS);
    memset(memory, GUARD, room);
    memset(memory + AROUND, NO_NUMBER, bytes);
    kit->operand[kit->n].memory = memory;
    kit->operand[kit->n].bytes = bytes;
    kit->n++;
    emulator_lend(memory + AROUND, bytes, is_writable);
    return memory + AROUND;
}

void *kit_input(struct kernel_kit *kit, int32_t type, size_t values, float size)
{
    void *data = add_operand(kit, values * value_size(type), false);
    for (size_t i = 0; i < values; i++) {
        value_store(data, type, i, size * (2.0F * sctd_rng_uniform(&kit->rng) - 1.0F));
    }
    return data;
}

void *kit_output(struct kernel_kit *kit, int32_t type, size_t values)
{
    return add_operand(kit, values * value_size(type), true);
}

static void check_guard(const unsigned char *at)
{
    for (size_t i = 0; i < AROUND; i++) {
        assert(at[i] == GUARD);
    }
}

void kit_end(struct kernel_kit *kit)
{
    for (int i = 0; i < kit->n; i++) {
        check_guard(kit->operand[i].memory);
        check_guard(kit->operand[i].memory + AROUND + kit->operand[i].bytes);
        free(kit->operand[i].memory);
    }
    kit->n = 0;
    emulator_take_back();
}

void kit_run(void (*run)(const void *arg), const void *arg, void *out, size_t bytes)
{
    static const uint32_t seeds[] = {0, 1, 4, 15};
    unsigned char *first = malloc(bytes);
    assert(first != NULL);
    for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++) {
        memset(out, NO_NUMBER, bytes);
        emulator_set_order(seeds[i]);
        run(arg);
        if (i == 0) {
            memcpy(first, out, bytes);
        }
        assert(memcmp(first, out, bytes) == 0);
    }
    free(first);
}

void kit_same(const void *got, const void *want, size_t bytes)
{
    assert(memcmp(got, want, bytes) == 0);
}

void kit_check(float got, double want, double slack, int32_t type)
{
    const int digits = type == VALUE_F32 ? 24 : type == VALUE_F16 ? 11 : 8;
    const double least = type == VALUE_F16 ? 0x1p-14 : 0x1p-126;
    int exponent = 0;
    (void)frexp(fmax(fabs(want) + slack, least), &exponent);
    const double most = slack + 0.5 * ldexp(1.0, exponent - digits);
    if (!(fabs((double)got - want) <= most)) {
        (void)fprintf(stderr, "%.9g instead of %.9g, which is more than %.3g off\n", (double)got,
                      want, most);
        abort();
    }
}
