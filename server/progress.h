/*
 * progress.h - how far a long job is: a bar on a terminal, lines elsewhere.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * On a terminal one line is drawn over and over, at most ten times a second, and wiped when
 * something else is to be said.  Elsewhere a line is written when a step begins, and at each tenth of it
 * unless the last line is less than a second old.
 *
 * Thread safety: an object belongs to one thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { PROGRESS_TEXT_MAX = 64 };

struct progress {
    FILE *out;
    bool terminal;
    bool drawn; /* a bar stands on the terminal */
    char job[PROGRESS_TEXT_MAX];
    char step[PROGRESS_TEXT_MAX];
    double started_s;  /* the step */
    double reported_s; /* the last time something was drawn or written */
    int64_t reported;  /* tenths of the step */
};

/* out: lent; a terminal is what isatty says it is. */
void progress_init(struct progress *ret_progress, FILE *out);
/* What the following steps belong to: "series 2 of 3". */
void progress_set_job(struct progress *progress, const char *job);
/* `done` of `total` are through in the step: "network", 12, 384.  Called as often as one likes. */
void progress_report(struct progress *progress, const char *step, int64_t done, int64_t total);
/* A line of its own; the bar goes. */
SCTD_PRINTF(2, 3) void progress_say(struct progress *progress, const char *format, ...);
/* The bar goes. */
void progress_clear(struct progress *progress);

#ifdef __cplusplus
}
#endif
