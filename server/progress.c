/* SPDX-License-Identifier: Apache-2.0 */
#include "server/progress.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/clock.h"

enum { BAR = 30 };

static void set_text(char text[PROGRESS_TEXT_MAX], const char *to)
{
    (void)snprintf(text, PROGRESS_TEXT_MAX, "%s", to);
}

void progress_init(struct progress *ret_progress, FILE *out)
{
    *ret_progress = (struct progress){.out = out, .terminal = isatty(fileno(out)) == 1};
}

void progress_set_job(struct progress *progress, const char *job)
{
    progress_clear(progress);
    set_text(progress->job, job);
    progress->step[0] = '\0';
}

/* What is left, from how long the part that is through took. */
static void print_rest(const struct progress *p, double now_s, int64_t done, int64_t total)
{
    const double taken_s = now_s - p->started_s;
    if (done > 0 && done < total && taken_s > 1.0) {
        const double rest_s = taken_s / (double)done * (double)(total - done);
        (void)fprintf(p->out, ", %.0f s left", rest_s);
    }
}

static void draw(struct progress *p, double now_s, int64_t done, int64_t total)
{
    const int64_t filled = total > 0 ? done * BAR / total : 0;
    char bar[BAR + 1];
    for (int64_t i = 0; i < BAR; i++) {
        bar[i] = i < filled ? '#' : '.';
    }
    bar[BAR] = '\0';
    /* back to the start of the line, wipe it */
    (void)fprintf(p->out, "\r\033[K%s: %s [%s] %lld of %lld", p->job, p->step, bar, (long long)done,
                  (long long)total);
    print_rest(p, now_s, done, total);
    (void)fflush(p->out);
    p->drawn = true;
    p->reported_s = now_s;
}

static void write_line(struct progress *p, double now_s, int64_t done, int64_t total)
{
    (void)fprintf(p->out, "%s: %s", p->job, p->step);
    if (done > 0) {
        (void)fprintf(p->out, ", %lld of %lld", (long long)done, (long long)total);
        print_rest(p, now_s, done, total);
    }
    (void)fputc('\n', p->out);
    (void)fflush(p->out);
    p->reported_s = now_s;
}

void progress_report(struct progress *progress, const char *step, int64_t done, int64_t total)
{
    const double now_s = sctd_now_s();
    const int64_t tenth = total > 0 ? done * 10 / total : 0;
    const bool begins = strncmp(progress->step, step, PROGRESS_TEXT_MAX - 1) != 0;
    if (begins) {
        set_text(progress->step, step);
        progress->started_s = now_s;
    }
    if (progress->terminal) {
        if (begins || done == total || now_s - progress->reported_s >= 0.1) {
            draw(progress, now_s, done, total);
        }
    } else if (begins || (tenth > progress->reported && done < total &&
                          now_s - progress->reported_s >= 1.0)) {
        write_line(progress, now_s, done, total);
    }
    progress->reported = tenth;
}

void progress_clear(struct progress *progress)
{
    if (progress->drawn) {
        (void)fputs("\r\033[K", progress->out);
        (void)fflush(progress->out);
        progress->drawn = false;
    }
}

void progress_say(struct progress *progress, const char *format, ...)
{
    va_list args;
    progress_clear(progress);
    va_start(args, format);
    (void)vfprintf(progress->out, format, args);
    va_end(args);
    (void)fputc('\n', progress->out);
    (void)fflush(progress->out);
}
