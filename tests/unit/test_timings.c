/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "db/jobs.h"
#include "server/timings.h"

enum { LINES_MAX = 32 };
static struct db_transition lines[LINES_MAX];
static struct db_history history = {lines, 0};

static void add(int64_t at_ms, const char *destination, const char *from, const char *to,
                const char *reason)
{
    assert(history.n < LINES_MAX);
    struct db_transition *t = &lines[history.n++];
    *t = (struct db_transition){.at_ms = at_ms};
    (void)snprintf(t->destination, sizeof t->destination, "%s", destination);
    (void)snprintf(t->from, sizeof t->from, "%s", from);
    (void)snprintf(t->to, sizeof t->to, "%s", to);
    (void)snprintf(t->reason, sizeof t->reason, "%s", reason);
}

static int near(double a, double b)
{
    return fabs(a - b) < 1e-9;
}

static void each_stage_of_the_last_attempt_is_told(void)
{
    struct db_job job = {.state = DB_JOB_DONE, .created_ms = 1000, .ended_ms = 30000};
    struct timings t;
    history.n = 0;
    add(1000, "", "queued", "queued", "complete");
    add(2000, "", "queued", "running", "claimed");
    add(2500, "", "running", "running", "network");
    add(4000, "", "running", "retry", "a worker died");
    add(9000, "", "retry", "running", "claimed");
    add(9100, "", "running", "running", "start");
    add(9200, "", "running", "running", "load");
    add(9700, "", "running", "running", "assemble");
    add(10000, "", "running", "running", "orient");
    add(10100, "", "running", "running", "priority 5 to 1");
    add(10500, "", "running", "running", "network");
    add(14300, "", "running", "running", "check");
    add(14500, "", "running", "running", "write");
    add(15000, "", "running", "delivering", "written");
    add(15000, "pacs", "waiting", "queued", "");
    add(21000, "pacs", "sending", "committing", "");
    add(30000, "pacs", "committing", "done", "");
    timings_of(&job, &history, &t);
    assert(near(t.queue_s, 8) && near(t.load_s, 0.5) && near(t.assemble_s, 0.3));
    assert(near(t.convert_s, 4.3) && near(t.check_s, 0.2) && near(t.write_s, 0.5) &&
           near(t.deliver_s, 6));
    assert(near(t.commit_s, 9) && near(t.total_s, 29));
}

static void what_was_held_is_delivered_from_its_acceptance_on(void)
{
    struct db_job job = {.state = DB_JOB_DONE, .created_ms = 1000, .ended_ms = 3616000};
    struct timings t;
    history.n = 0;
    add(2000, "", "queued", "running", "claimed");
    add(10000, "", "running", "running", "write");
    add(11000, "", "running", "delivering", "written, held for review");
    add(3611000, "", "delivering", "delivering", "accepted: by somebody");
    add(3611000, "pacs", "waiting", "queued", "the result was accepted");
    add(3616000, "pacs", "sending", "done", "");
    timings_of(&job, &history, &t);
    assert(near(t.write_s, 1) && near(t.deliver_s, 5));
}

static void what_has_not_happened_is_not_told(void)
{
    struct db_job job = {.state = DB_JOB_QUEUED, .created_ms = 1000};
    struct timings t;
    history.n = 0;
    add(1000, "", "queued", "queued", "complete");
    timings_of(&job, &history, &t);
    assert(isnan(t.queue_s) && isnan(t.convert_s) && isnan(t.total_s) && isnan(t.deliver_s));
    add(3000, "", "queued", "running", "claimed");
    add(3100, "", "running", "running", "assemble");
    job.state = DB_JOB_RUNNING;
    timings_of(&job, &history, &t);
    assert(near(t.queue_s, 2) && isnan(t.assemble_s) && isnan(t.total_s));
}

static void a_clock_that_steps_back_makes_nothing_negative(void)
{
    struct db_job job = {.state = DB_JOB_DONE, .created_ms = 9000, .ended_ms = 500};
    struct timings t;
    history.n = 0;
    add(9000, "", "queued", "running", "claimed");
    add(8000, "", "running", "running", "network");
    add(7000, "", "running", "done", "written");
    timings_of(&job, &history, &t);
    assert(near(t.queue_s, 0) && near(t.convert_s, 0) && near(t.total_s, 0));
}

int main(void)
{
    each_stage_of_the_last_attempt_is_told();
    what_was_held_is_delivered_from_its_acceptance_on();
    what_has_not_happened_is_not_told();
    a_clock_that_steps_back_makes_nothing_negative();
    return 0;
}
