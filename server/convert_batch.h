/*
 * convert_batch.h - every series of a scan converted or refused, each on its own, and what came of it.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Thread safety: an object belongs to one thread at a time.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "dicom/series.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/convert.h"
#include "server/progress.h"

#ifdef __cplusplus
extern "C" {
#endif

struct convert_batch {
    const struct dicom_scan *scan;
    const struct convert_network *network;
    const struct convert_options *options;
    const char *output;
    const char *preview; /* FILE.png; of several series FILE-1.png and so on; NULL: none */
};

enum convert_outcome {
    CONVERT_OUTCOME_CONVERTED,
    CONVERT_OUTCOME_THERE,   /* was converted before */
    CONVERT_OUTCOME_REFUSED, /* the series is not fit: result.refusal */
    CONVERT_OUTCOME_FAILED,  /* error */
};

/* What came of series i. */
struct convert_row {
    struct dicom_series_facts facts;
    enum convert_outcome outcome;
    struct convert_result result; /* unless it failed */
    struct sctd_error error;      /* if it failed */
    double seconds;
    char preview[SCTD_PATH_MAX]; /* that was written; "": none */
};

/*
 * Convert series 0 ... n - 1 of the scan in their order; rows[n].  A series that fails does not stop the
 * others, unless the device is lost, which they then fail with as well.
 * Returns how many rows are neither converted nor there.
 */
size_t convert_batch_run(struct convert_row *rows, const struct convert_batch *batch,
                         struct progress *progress);

/* How many of the sCTs need review. */
size_t convert_batch_count_reviews(const struct convert_row *rows, size_t n);

/* "converted", "there", "refused", "failed". */
const char *convert_batch_outcome_name(enum convert_outcome outcome);

/* A table for people, and below it what each row is, in a line. */
void convert_batch_print(const struct convert_row *rows, size_t n, FILE *out);
/* The same facts as member "series" of an object. */
void convert_batch_write(const struct convert_row *rows, size_t n, struct json_writer *w);

#ifdef __cplusplus
}
#endif
