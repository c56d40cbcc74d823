/*
 * doctor.h - whether all is there that the daemon needs: each thing looked at, and what to do where one is wrong.
 *
 * Thread safety: one for a process.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum doctor_outcome { DOCTOR_GOOD, DOCTOR_WARNING, DOCTOR_BAD };
const char *doctor_outcome_name(enum doctor_outcome outcome); /* "ok", "warning", "failed" */

struct doctor_finding {
    enum doctor_outcome outcome;
    char subject[96]; /* "destination pacs" */
    char text[512];   /* what was found, and the mend */
};

typedef void (*doctor_fn)(void *arg, const struct doctor_finding *finding);

/* Look at everything that the configuration names; `on_finding` is called for each.  Returns the worst of them. */
enum doctor_outcome doctor_run(const char *config_path, doctor_fn on_finding, void *arg);

#ifdef __cplusplus
}
#endif
