/*
 * table.h - what cases came to, as JSON, CSV and text, with mean and deviation.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every number of a case has a column with a name ("mae_body").  The deviation is that of a sample (n - 1).  A number
 * that there is not (a tissue without a voxel, equal images' PSNR) is null in JSON, empty in CSV, "-" in text.
 *
 * Thread safety: pure functions.
 */
#pragma once

#include <stddef.h>
#include <stdio.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/evaluate/case.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What came of one pair. */
struct evaluate_row {
    struct evaluate_case c; /* if error.code is SCTD_OK; else only its name */
    struct sctd_error error;
};

struct evaluate_column {
    const char *name, *unit;
};

size_t evaluate_table_count(void);
void evaluate_table_column(struct evaluate_column *ret_column, size_t i);
/* NAN: there is none. */
double evaluate_table_value(const struct evaluate_case *c, size_t i);

struct evaluate_spread {
    size_t n;
    double mean, deviation, low, high; /* NAN where n is too small for it */
};
void evaluate_table_spread(struct evaluate_spread *ret_spread, const struct evaluate_row *rows,
                           size_t n, size_t column);

/* Members "cases" and, of several, "summary" of an object that is open. */
void evaluate_table_write_json(struct json_writer *w, const struct evaluate_row *rows, size_t n);
/* Errors: SCTD_ENOMEM, SCTD_EINVAL (the buffer's maximum). */
SCTD_NODISCARD int evaluate_table_write_csv(struct sctd_buf *buf, const struct evaluate_row *rows,
                                            size_t n, struct sctd_error *err);
void evaluate_table_print(const struct evaluate_row *rows, size_t n, FILE *out);

#ifdef __cplusplus
}
#endif
