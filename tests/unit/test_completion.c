/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "db/instances.h"
#include "server/completion.h"

enum { MEMBERS_MAX = 64, QUIET_MS = 60000, CLOSED_QUIET_MS = 5000, LAST_MS = 1000000 };

static struct db_member member[MEMBERS_MAX];
static struct db_member_list members = {.member = member};

static void begin(void)
{
    members.n = 0;
}

static void add(const char *stack, double slice_mm, int32_t frames)
{
    assert(members.n < MEMBERS_MAX);
    struct db_member *m = &member[members.n++];
    *m = (struct db_member){.slice_mm = slice_mm, .frames = frames};
    (void)snprintf(m->stack, sizeof m->stack, "%s", stack);
}

/* Slices from 0 to n - 1, `step` mm apart, in an order that is not theirs. */
static void add_stack(const char *stack, int n, double step)
{
    for (int i = 0; i < n; i++) {
        add(stack, step * (i * 7 % n), 1);
    }
}

static void even_stacks_without_a_gap_are_closed(void)
{
    begin();
    add_stack("", 4, 2.5);
    assert(completion_is_closed(&members));
    begin();
    add_stack("", 11, -0.7);
    assert(completion_is_closed(&members));
    begin(); /* two echoes at the same places, and another direction with another spacing */
    add_stack("e1", 8, 3.0);
    add_stack("e2", 8, 3.0);
    add_stack("cor", 5, 9.0);
    assert(completion_is_closed(&members));
}

static void what_is_not_closed(void)
{
    begin();
    assert(!completion_is_closed(&members));
    begin();
    add_stack("", 3, 2.5); /* too few to tell */
    assert(!completion_is_closed(&members));
    begin();
    add_stack("", 20, 2.5);
    member[3].slice_mm = 20 * 2.5; /* moved to the end: a gap within */
    assert(!completion_is_closed(&members));
    begin();
    add_stack("", 20, 2.5);
    add("", 5.0, 1); /* twice at one place */
    assert(!completion_is_closed(&members));
    begin();
    add_stack("a", 20, 2.5);
    add_stack("b", 3, 2.5); /* one of the stacks has only begun */
    assert(!completion_is_closed(&members));
    begin();
    add_stack("", 20, 0.0); /* all at one place */
    assert(!completion_is_closed(&members));
}

static void positions_that_are_no_numbers_are_not_closed(void)
{
    begin();
    add_stack("", 8, 2.5);
    member[2].slice_mm = (double)NAN;
    assert(!completion_is_closed(&members));
    member[2].slice_mm = (double)INFINITY;
    assert(!completion_is_closed(&members));
    begin(); /* their distance is no number */
    add("", -1.7e308, 1);
    add("", -0.5e308, 1);
    add("", 0.5e308, 1);
    add("", 1.7e308, 1);
    assert(!completion_is_closed(&members));
}

static void spacing_may_vary_by_one_percent(void)
{
    static const struct {
        double shift_mm;
        bool closed;
    } rows[] = {{0.0, true}, {0.0095, true}, {-0.0095, true}, {0.0105, false}, {-0.0105, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin();
        add_stack("", 9, 1.0);
        for (size_t k = 0; k < members.n; k++) { /* both neighbours change, the mean does not */
            member[k].slice_mm += fabs(member[k].slice_mm - 4.0) < 0.5 ? rows[i].shift_mm : 0.0;
        }
        assert(completion_is_closed(&members) == rows[i].closed);
    }
}

static void multi_frame_instances_are_closed_in_themselves(void)
{
    begin();
    add("", (double)NAN, 40);
    assert(completion_is_closed(&members));
    add_stack("", 3, 1.0);
    assert(!completion_is_closed(&members));
    add("", 3.0, 1);
    assert(completion_is_closed(&members));
}

/* What is judged, before a row changes it: 20 even slices, released, just come. */
struct scene {
    struct db_series series;
    struct completion_view view;
};

static struct scene *make_scene(void)
{
    static struct scene s;
    begin();
    add_stack("", 20, 1.0);
    s.series = (struct db_series){.instances = 20, .expected_by = DB_EVIDENCE_NONE};
    s.view = (struct completion_view){.series = &s.series,
                                      .members = &members,
                                      .last_ms = LAST_MS,
                                      .study_last_ms = LAST_MS,
                                      .now_ms = LAST_MS,
                                      .quiet_ms = QUIET_MS,
                                      .closed_quiet_ms = CLOSED_QUIET_MS};
    return &s;
}

static struct completion judge(const struct scene *s)
{
    struct completion c;
    completion_judge(&s->view, &c);
    assert(c.is_complete == (c.evidence != DB_EVIDENCE_NONE));
    assert(!c.is_held || !c.is_complete);
    assert(c.again_ms > s->view.now_ms); /* else it would be looked at without end */
    assert(!c.is_complete || c.reason[0] != '\0');
    return c;
}

static void every_list_that_is_there_completes_at_once(void)
{
    static const struct {
        enum db_evidence by;
        const char *reason;
    } rows[] = {
        {DB_EVIDENCE_COMMITMENT, "all 20 instances that the commitment lists are there"},
        {DB_EVIDENCE_MPPS, "all 20 instances that the mpps lists are there"},
        {DB_EVIDENCE_COUNT, "all 20 instances that the count lists are there"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct scene *s = make_scene();
        s->series.expected_by = rows[i].by;
        s->series.expected = 20;
        s->series.missing = rows[i].by == DB_EVIDENCE_COUNT ? -1 : 0;
        s->view.is_sending = s->view.was_broken = true; /* nothing is better evidence than a list */
        const struct completion c = judge(s);
        assert(c.is_complete && c.evidence == rows[i].by);
        assert(strcmp(c.reason, rows[i].reason) == 0);
    }
}

static void what_a_list_misses_is_waited_for_whatever_the_silence(void)
{
    struct scene *s = make_scene();
    s->series.expected_by = DB_EVIDENCE_MPPS;
    s->series.expected = 21;
    s->series.missing = 1;
    struct completion c = judge(s);
    assert(!c.is_complete && !c.is_held && c.again_ms == LAST_MS + QUIET_MS);
    s->view.now_ms = LAST_MS + QUIET_MS - 1;
    assert(!judge(s).is_held);
    s->view.now_ms = LAST_MS + 100 * (int64_t)QUIET_MS;
    c = judge(s);
    assert(!c.is_complete && c.is_held && c.again_ms == INT64_MAX);
    assert(strcmp(c.reason, "20 of 21 instances that the mpps lists are there") == 0);

    s->series.expected_by = DB_EVIDENCE_COUNT; /* only a count */
    s->series.missing = -1;
    assert(judge(s).is_held);
    s->series.instances = 21;
    assert(judge(s).evidence == DB_EVIDENCE_COUNT);

    s->series.expected_by = DB_EVIDENCE_MPPS; /* as many, but other ones */
    s->series.missing = 1;
    assert(judge(s).is_held);
}

static void a_released_even_series_is_complete_after_the_short_silence(void)
{
    struct scene *s = make_scene();
    struct completion c = judge(s);
    assert(!c.is_complete && c.again_ms == LAST_MS + CLOSED_QUIET_MS);
    s->view.now_ms = LAST_MS + CLOSED_QUIET_MS - 1;
    assert(!judge(s).is_complete);
    s->view.now_ms = LAST_MS + CLOSED_QUIET_MS;
    c = judge(s);
    assert(c.evidence == DB_EVIDENCE_GEOMETRY);
    assert(strcmp(c.reason, "released, and 20 instances lie evenly without a gap") == 0);
    /* another series of the study still comes: its own silence counts */
    s->view.study_last_ms = s->view.now_ms;
    assert(judge(s).evidence == DB_EVIDENCE_GEOMETRY);
}

static void everything_else_waits_for_the_long_silence_of_its_study(void)
{
    for (int why = 0; why < 3; why++) {
        struct scene *s = make_scene();
        s->view.is_sending = why == 0;
        s->view.was_broken = why == 1;
        member[5].slice_mm += why == 2 ? 0.3 : 0.0;
        s->view.study_last_ms = LAST_MS + 30000;
        s->view.now_ms = LAST_MS + 2 * CLOSED_QUIET_MS;
        struct completion c = judge(s);
        assert(!c.is_complete && c.again_ms == LAST_MS + 30000 + QUIET_MS);
        s->view.now_ms = LAST_MS + 30000 + QUIET_MS - 1;
        assert(!judge(s).is_complete);
        s->view.now_ms++;
        c = judge(s);
        assert(c.evidence == DB_EVIDENCE_QUIET);
        assert(strstr(c.reason, "nothing of the study came for 60 s") == c.reason);
        assert((strstr(c.reason, "broke") != NULL) == (why == 1));
    }
}

int main(void)
{
    even_stacks_without_a_gap_are_closed();
    what_is_not_closed();
    positions_that_are_no_numbers_are_not_closed();
    spacing_may_vary_by_one_percent();
    multi_frame_instances_are_closed_in_themselves();
    every_list_that_is_there_completes_at_once();
    what_a_list_misses_is_waited_for_whatever_the_silence();
    a_released_even_series_is_complete_after_the_short_silence();
    everything_else_waits_for_the_long_silence_of_its_study();
    return 0;
}
