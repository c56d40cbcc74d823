/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recipe's kernels, in the emulator, against their bodies bit for bit.
 */
#undef NDEBUG
#include <assert.h>
#include <driver_types.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/backend/cuda/body_recipe.h"
#include "engine/backend/cuda/device/kernels.h"
#include "engine/backend/cuda/value.h"

#include "tests/support/kernel_kit.h"

enum {
    VALUES = 3001,
    ROWS = 9,
    COLUMNS = 13,
    TO_ROWS = 16,
    TO_COLUMNS = 11,
    SLICES = 3,
    CHUNK = 4
};

/* Half of the values are one, as in images. */
static float *air_and_others(struct kernel_kit *kit, size_t n)
{
    float *value = kit_input(kit, VALUE_F32, n, 1000.0F);
    for (size_t i = 0; i < n; i += 2) {
        value[i] = 0.0F;
    }
    return value;
}

/* With so many multiprocessors: as many blocks as there is work for, or fewer. */
static void expect_counts(int multiprocessors, const uint32_t *upper, int32_t n_upper)
{
    struct kernel_kit kit = {.rng = {2}};
    const size_t bins = (size_t)(n_upper == 0 ? 1 : n_upper) * RECIPE_BINS;
    uint32_t *expected = calloc(bins, sizeof *expected);
    struct recipe_count_args a = {.value = air_and_others(&kit, VALUES), .n_upper = n_upper};
    assert(expected != NULL);
    for (int32_t t = 0; t < n_upper; t++) {
        a.upper[t] = upper[t];
    }
    for (size_t i = 0; i < VALUES; i++) {
        const int32_t bin = recipe_bin(&a, i);
        if (bin != RECIPE_NO_BIN) {
            expected[bin]++;
        }
    }
    a.count = kit_output(&kit, VALUE_F32, bins);
    memset(a.count, 0, bins * sizeof *a.count);
    assert(kernels_start_count(&a, VALUES, multiprocessors, NULL) == cudaSuccess);
    kit_same(a.count, expected, bins * sizeof *expected);
    kit_end(&kit);
    free(expected);
}

static void all_values_are_counted(void)
{
    const uint32_t upper[] = {0x8000, 0xc400};
    expect_counts(132, NULL, 0);
    expect_counts(1, NULL, 0);
    expect_counts(132, upper, 2);
}

static const struct recipe_sizes sizes = {ROWS, COLUMNS, TO_ROWS, TO_COLUMNS};

static void start_in(const void *arg)
{
    const size_t items = (size_t)CHUNK * TO_ROWS * TO_COLUMNS;
    assert(kernels_start_in(arg, items, NULL) == cudaSuccess);
}

static void slices_come_in_and_the_chunk_is_filled_up(void)
{
    struct kernel_kit kit = {.rng = {4}};
    const double from[2] = {-500.0, 700.0};
    const size_t items = (size_t)CHUNK * TO_ROWS * TO_COLUMNS;
    struct recipe_in_args a = {.slices = SLICES, .size = sizes, .clip = {-500.0F, 700.0F}};
    a.volume = air_and_others(&kit, (size_t)SLICES * ROWS * COLUMNS);
    a.cnn = recipe_map_of(from, (const double[2]){-1.0, 1.0});
    a.dino = recipe_map_of(from, (const double[2]){0.0, 1.0});
    a.x_cnn = kit_output(&kit, VALUE_F32, items);
    a.x_dino = kit_output(&kit, VALUE_F32, items);
    struct recipe_in_args host = a;
    host.x_cnn = kit_output(&kit, VALUE_F32, items);
    host.x_dino = kit_output(&kit, VALUE_F32, items);
    for (size_t item = 0; item < items; item++) {
        recipe_in_body(&host, item);
    }
    kit_run(start_in, &a, a.x_cnn, items * sizeof(float));
    kit_same(a.x_cnn, host.x_cnn, items * sizeof(float));
    kit_same(a.x_dino, host.x_dino, items * sizeof(float));
    kit_end(&kit);
}

static void start_out(const void *arg)
{
    const size_t items = (size_t)SLICES * TO_ROWS * TO_COLUMNS;
    assert(kernels_start_out(arg, items, NULL) == cudaSuccess);
}

static void expect_hu(int32_t whole)
{
    struct kernel_kit kit = {.rng = {6}};
    const size_t items = (size_t)SLICES * TO_ROWS * TO_COLUMNS;
    const int32_t type = whole != 0 ? VALUE_F16 : VALUE_F32; /* of their size */
    struct recipe_out_args a = {.size = sizes, .whole = whole};
    a.y = kit_input(&kit, VALUE_F32, (size_t)SLICES * ROWS * COLUMNS, 30.0F);
    a.map = recipe_map_of((const double[2]){-1.0, 1.0}, (const double[2]){-1024.0, 3071.0});
    a.hu = kit_output(&kit, type, items);
    struct recipe_out_args host = a;
    host.hu = kit_output(&kit, type, items);
    for (size_t item = 0; item < items; item++) {
        recipe_out_body(&host, item);
    }
    kit_run(start_out, &a, a.hu, items * value_size(type));
    kit_same(a.hu, host.hu, items * value_size(type));
    kit_end(&kit);
}

static void hu_come_out_as_numbers_and_whole(void)
{
    expect_hu(0);
    expect_hu(1);
}

static uint32_t find_bad(float value, size_t at)
{
    struct kernel_kit kit = {.rng = {8}};
    float *x = kit_input(&kit, VALUE_F32, VALUES, 1.0F);
    uint32_t *bad = kit_output(&kit, VALUE_F32, 1);
    *bad = 0;
    x[at] = value;
    x[VALUES / 2] = value; /* two threads may find something at once */
    assert(kernels_start_finite(x, VALUES, bad, NULL) == cudaSuccess);
    const uint32_t found = *bad;
    kit_end(&kit);
    return found;
}

static void what_is_not_finite_is_found(void)
{
    assert(find_bad(1.0F, 0) == 0);
    assert(find_bad(INFINITY, 0) == 1);
    assert(find_bad(-INFINITY, VALUES - 1) == 1);
    assert(find_bad(NAN, 256) == 1);
}

int main(void)
{
    all_values_are_counted();
    slices_come_in_and_the_chunk_is_filled_up();
    hu_come_out_as_numbers_and_whole();
    what_is_not_finite_is_found();
    return 0;
}
