/*
 * diagnosis.h - the troubles of the last days in plain words: what happened, how often, and what to do.
 *
 * Kept in memory, one line for each kind of trouble with each peer; the oldest make place.
 *
 * Thread safety: the loop's thread.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

enum diagnosis_severity { DIAGNOSIS_INFO, DIAGNOSIS_WARNING, DIAGNOSIS_ERROR };
const char *diagnosis_severity_name(enum diagnosis_severity severity); /* "info" ...; never NULL */

enum { DIAGNOSIS_MAX = 64 };

struct diagnosis_line {
    char kind[33]; /* "called_ae" */
    char peer[65]; /* an address, or "" */
    char ae_title[17];
    char title[200], mend[400];
    enum diagnosis_severity severity;
    int64_t count, last_ms; /* last: wall clock */
};

struct diagnosis;

/* *ret_diagnosis: freed by diagnosis_free.  Errors: SCTD_ENOMEM. */
SCTD_NODISCARD int diagnosis_new(struct diagnosis **ret_diagnosis, struct sctd_error *err);
void diagnosis_free(struct diagnosis *diagnosis); /* NULL is a no-op */

/* It happened again: a line of the same kind, peer and AE title is replaced, and its count goes on. */
void diagnosis_note(struct diagnosis *diagnosis, const struct diagnosis_line *line,
                    int64_t wall_ms);

/* A peer was turned away: reason as front_door_reason_name gives it; text: why, for people. */
void diagnosis_rejected(struct diagnosis *diagnosis, const char *reason, const char *peer,
                        const char *calling_ae, const char *text, int64_t wall_ms);

/* An association was let in, and no presentation context of it could be accepted. */
void diagnosis_no_contexts(struct diagnosis *diagnosis, const char *peer, const char *calling_ae,
                           int64_t wall_ms);

/* The lines, the latest first.  Returns how many; *ret_lines is valid until the next note. */
size_t diagnosis_list(struct diagnosis *diagnosis, const struct diagnosis_line **ret_lines);

#ifdef __cplusplus
}
#endif
