/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/outline.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "engine/base/error.h"
#include "engine/image/resize.h"

/* Air that was found and whose neighbours were not looked at yet. */
struct flood {
    const float *value;
    struct resize_size size;
    float least;
    bool *is_air;   /* [rows, columns], owned */
    int32_t *waits; /* [rows * columns], owned: each pixel waits once at most */
    size_t n;
};

static void flood_fini(struct flood *flood)
{
    free(flood->is_air);
    free(flood->waits);
}

static void reach(struct flood *f, int32_t row, int32_t column)
{
    if (row < 0 || row >= f->size.rows || column < 0 || column >= f->size.columns) {
        return;
    }
    const int32_t at = row * f->size.columns + column;
    if (!f->is_air[at] && !(f->value[at] >= f->least)) {
        f->is_air[at] = true;
        f->waits[f->n++] = at;
    }
}

static void run(struct flood *f)
{
    for (int32_t row = 0; row < f->size.rows; row++) {
        reach(f, row, 0);
        reach(f, row, f->size.columns - 1);
    }
    for (int32_t column = 0; column < f->size.columns; column++) {
        reach(f, 0, column);
        reach(f, f->size.rows - 1, column);
    }
    while (f->n > 0) {
        const int32_t at = f->waits[--f->n];
        const int32_t row = at / f->size.columns;
        const int32_t column = at % f->size.columns;
        reach(f, row - 1, column);
        reach(f, row + 1, column);
        reach(f, row, column - 1);
        reach(f, row, column + 1);
    }
}

static bool is_air(const struct flood *f, int32_t row, int32_t column)
{
    return row >= 0 && row < f->size.rows && column >= 0 && column < f->size.columns &&
           f->is_air[row * f->size.columns + column];
}

static int flood_init(struct flood *f, struct sctd_error *err)
{
    const size_t n = (size_t)f->size.rows * (size_t)f->size.columns;
    f->is_air = calloc(n, sizeof *f->is_air);
    f->waits = malloc(n * sizeof *f->waits);
    if (f->is_air == NULL || f->waits == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "an outline of %d x %d", f->size.columns, f->size.rows);
    }
    return 0;
}

int outline_find(bool *ret_is_on, const float *value, struct resize_size size, float least,
                 struct sctd_error *err)
{
    sctd_auto(flood_fini) struct flood f = {.value = value, .size = size, .least = least};
    int r = flood_init(&f, err);
    if (r < 0) {
        return r;
    }
    run(&f);
    for (int32_t row = 0; row < size.rows; row++) {
        for (int32_t column = 0; column < size.columns; column++) {
            *ret_is_on++ = !is_air(&f, row, column) &&
                           (is_air(&f, row - 1, column) || is_air(&f, row + 1, column) ||
                            is_air(&f, row, column - 1) || is_air(&f, row, column + 1));
        }
    }
    return 0;
}

int outline_find_inside(bool *ret_is_inside, const float *value, struct resize_size size,
                        float least, struct sctd_error *err)
{
    sctd_auto(flood_fini) struct flood f = {.value = value, .size = size, .least = least};
    int r = flood_init(&f, err);
    if (r < 0) {
        return r;
    }
    run(&f);
    const size_t n = (size_t)size.rows * (size_t)size.columns;
    for (size_t i = 0; i < n; i++) {
        ret_is_inside[i] = !f.is_air[i];
    }
    return 0;
}
