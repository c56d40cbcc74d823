/*
 * timings.h - how long each stage of a job took, told by its history.
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "db/jobs.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Seconds, never negative though the wall clock may have stepped; NAN: not yet, or it was not there. */
struct timings {
    double queue_s;    /* from its creation to the last claim: failed attempts and pauses count */
    double load_s;     /* of the last attempt: the model, where it was not loaded yet */
    double assemble_s; /* files to a volume */
    double convert_s;  /* orientation and network */
    double check_s;    /* of the sCT, where the model has limits */
    double write_s;
    double
        deliver_s; /* from written, or accepted if it was held, to the last instance stored at the last destination */
    double commit_s; /* from there to the end */
    double total_s;  /* from its creation to its end */
};

void timings_of(const struct db_job *job, const struct db_history *history,
                struct timings *ret_timings);

#ifdef __cplusplus
}
#endif
