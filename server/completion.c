/* SPDX-License-Identifier: Apache-2.0 */
#include "server/completion.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/instances.h"

enum { SLICES_MIN = 4 };
#define TOLERANCE 0.01 /* of the stack's mean spacing */

static int compare_members(const void *a, const void *b)
{
    const struct db_member *const *x = (const struct db_member *const *)a;
    const struct db_member *const *y = (const struct db_member *const *)b;
    const int stacks = strcmp((*x)->stack, (*y)->stack);
    if (stacks != 0) {
        return stacks;
    }
    return ((*x)->slice_mm > (*y)->slice_mm) - ((*x)->slice_mm < (*y)->slice_mm);
}

/* member[n]: one stack, by position. */
static bool is_uniform(const struct db_member *const *member, size_t n)
{
    if (n < SLICES_MIN) {
        return false;
    }
    const double mean = (member[n - 1]->slice_mm - member[0]->slice_mm) / (double)(n - 1);
    for (size_t i = 1; i < n; i++) {
        const double step = member[i]->slice_mm - member[i - 1]->slice_mm;
        if (!isfinite(mean) || !(mean > 0.0) || fabs(step - mean) > TOLERANCE * mean) {
            return false;
        }
    }
    return true;
}

static bool are_uniform(const struct db_member *const *member, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t end = i + 1;
        while (end < n && strcmp(member[end]->stack, member[i]->stack) == 0) {
            end++;
        }
        if (!is_uniform(member + i, end - i)) {
            return false;
        }
        i = end;
    }
    return true;
}

bool completion_is_closed(const struct db_member_list *members)
{
    const struct db_member **single =
        (const struct db_member **)malloc((members->n + 1) * sizeof *single);
    size_t n = 0;
    if (single == NULL) {
        return false;
    }
    bool is_placed = members->n > 0;
    for (size_t i = 0; i < members->n; i++) {
        if (members->member[i].frames == 1) {
            single[n++] = &members->member[i];
            is_placed = is_placed && isfinite(members->member[i].slice_mm);
        }
    }
    if (is_placed) {
        qsort((void *)single, n, sizeof *single, compare_members);
        is_placed = are_uniform(single, n);
    }
    free((void *)single);
    return is_placed;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

__attribute__((format(printf, 3, 4))) static void
complete(struct completion *c, enum db_evidence evidence, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(c->reason, sizeof c->reason, format, args);
    va_end(args);
    c->is_complete = true;
    c->evidence = evidence;
}

/* What a peer said that the series will hold.  false: nothing, or not all of it is there. */
static bool judge_expected(const struct completion_view *view, struct completion *c)
{
    const struct db_series *s = view->series;
    if (s->expected_by == DB_EVIDENCE_NONE || s->missing > 0 || s->instances < s->expected) {
        return false;
    }
    complete(c, s->expected_by, "all %d instances that the %s lists are there", s->expected,
             db_evidence_name(s->expected_by));
    return true;
}

void completion_judge(const struct completion_view *view, struct completion *ret_completion)
{
    struct completion *c = ret_completion;
    const struct db_series *s = view->series;
    *c = (struct completion){.again_ms = INT64_MAX};
    if (judge_expected(view, c)) {
        return;
    }
    const int64_t quiet_ms = view->now_ms - view->study_last_ms;
    const int64_t closed_at_ms = view->last_ms + view->closed_quiet_ms;
    if (s->expected_by != DB_EVIDENCE_NONE) {
        c->is_held = quiet_ms >= view->quiet_ms;
        c->again_ms = c->is_held ? INT64_MAX : view->study_last_ms + view->quiet_ms;
        (void)snprintf(c->reason, sizeof c->reason,
                       "%d of %d instances that the %s lists are there", s->instances, s->expected,
                       db_evidence_name(s->expected_by));
        return;
    }
    const bool may_close = !view->is_sending && !view->was_broken;
    if (may_close && view->now_ms >= closed_at_ms && completion_is_closed(view->members)) {
        complete(c, DB_EVIDENCE_GEOMETRY, "released, and %d instances lie evenly without a gap",
                 s->instances);
    } else if (quiet_ms >= view->quiet_ms) {
        complete(c, DB_EVIDENCE_QUIET, "nothing of the study came for %" PRId64 " s%s",
                 quiet_ms / 1000, view->was_broken ? "; an association that sent to it broke" : "");
    } else {
        c->again_ms = view->study_last_ms + view->quiet_ms;
        if (may_close && view->now_ms < closed_at_ms) {
            c->again_ms = earlier(c->again_ms, closed_at_ms);
        }
    }
}
