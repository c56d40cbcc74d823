/* SPDX-License-Identifier: Apache-2.0 */
#include "server/timings.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "db/deliveries.h"
#include "db/jobs.h"

static double seconds(int64_t from_ms, int64_t to_ms)
{
    enum { SECOND_MS = 1000 };
    return to_ms > from_ms ? (double)(to_ms - from_ms) / SECOND_MS : 0;
}

static void add(double *sum_s, double s)
{
    *sum_s = isnan(*sum_s) ? s : *sum_s + s;
}

static double *find_stage(struct timings *t, const char *stage)
{
    const struct {
        const char *name;
        double *sum_s;
    } stages[] = {{"load", &t->load_s},      {"assemble", &t->assemble_s},
                  {"orient", &t->convert_s}, {"network", &t->convert_s},
                  {"check", &t->check_s},    {"write", &t->write_s}};
    for (size_t i = 0; i < sizeof stages / sizeof *stages; i++) {
        if (strcmp(stages[i].name, stage) == 0) {
            return stages[i].sum_s;
        }
    }
    return NULL;
}

static bool is_of_job(const struct db_transition *t)
{
    return t->destination[0] == '\0';
}

/* The last claim; n: there was none. */
static size_t find_claim(const struct db_history *history)
{
    const char *running = db_job_state_name(DB_JOB_RUNNING);
    for (size_t i = history->n; i > 0; i--) {
        const struct db_transition *t = &history->transition[i - 1];
        if (is_of_job(t) && strcmp(t->to, running) == 0 && strcmp(t->from, running) != 0) {
            return i - 1;
        }
    }
    return history->n;
}

/* The stages of the last attempt; returns when the files were written, 0: they were not. */
static int64_t sum_stages(struct timings *t, const struct db_history *history, size_t claim)
{
    const char *running = db_job_state_name(DB_JOB_RUNNING);
    double *stage = NULL;
    int64_t since_ms = history->transition[claim].at_ms;
    for (size_t i = claim + 1; i < history->n; i++) {
        const struct db_transition *line = &history->transition[i];
        if (!is_of_job(line) || strcmp(line->from, running) != 0) {
            continue;
        }
        const bool goes_on = strcmp(line->to, running) == 0;
        double *next = goes_on ? find_stage(t, line->reason) : NULL;
        if (goes_on && next == NULL) {
            continue; /* a change of priority */
        }
        if (stage != NULL) {
            add(stage, seconds(since_ms, line->at_ms));
        }
        stage = next;
        since_ms = line->at_ms;
        if (!goes_on) {
            const bool written = strcmp(line->to, db_job_state_name(DB_JOB_DELIVERING)) == 0 ||
                                 strcmp(line->to, db_job_state_name(DB_JOB_DONE)) == 0;
            return written ? line->at_ms : 0;
        }
    }
    return 0;
}

/* When the last delivery had all stored; 0: none had. */
static int64_t find_stored(const struct db_history *history)
{
    const char *committing = db_delivery_state_name(DB_DELIVERY_COMMITTING);
    const char *done = db_delivery_state_name(DB_DELIVERY_DONE);
    int64_t stored_ms = 0;
    for (size_t i = 0; i < history->n; i++) {
        const struct db_transition *t = &history->transition[i];
        if (!is_of_job(t) && strcmp(t->from, committing) != 0 &&
            (strcmp(t->to, committing) == 0 || strcmp(t->to, done) == 0)) {
            stored_ms = t->at_ms;
        }
    }
    return stored_ms;
}

/* When the last delivery could begin: its files were written, or what was held was accepted; 0: none could. */
static int64_t find_queued(const struct db_history *history)
{
    const char *waiting = db_delivery_state_name(DB_DELIVERY_WAITING);
    const char *queued = db_delivery_state_name(DB_DELIVERY_QUEUED);
    int64_t queued_ms = 0;
    for (size_t i = 0; i < history->n; i++) {
        const struct db_transition *t = &history->transition[i];
        if (!is_of_job(t) && strcmp(t->from, waiting) == 0 && strcmp(t->to, queued) == 0) {
            queued_ms = t->at_ms;
        }
    }
    return queued_ms;
}

void timings_of(const struct db_job *job, const struct db_history *history,
                struct timings *ret_timings)
{
    const double none = (double)NAN;
    struct timings t = {none, none, none, none, none, none, none, none, none};
    const size_t claim = find_claim(history);
    if (claim < history->n) {
        t.queue_s = seconds(job->created_ms, history->transition[claim].at_ms);
        const int64_t written_ms = sum_stages(&t, history, claim);
        const int64_t stored_ms = find_stored(history);
        const int64_t queued_ms = find_queued(history);
        if (written_ms != 0 && stored_ms != 0) {
            t.deliver_s = seconds(queued_ms > written_ms ? queued_ms : written_ms, stored_ms);
        }
        if (stored_ms != 0 && job->state == DB_JOB_DONE) {
            t.commit_s = seconds(stored_ms, job->ended_ms);
        }
    }
    if (job->ended_ms != 0) {
        t.total_s = seconds(job->created_ms, job->ended_ms);
    }
    *ret_timings = t;
}
