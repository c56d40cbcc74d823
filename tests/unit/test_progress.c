/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "server/progress.h"

enum { TEXT_MAX = 65536 };

/* What a run of reports leaves on `terminal` or not. */
static void run(char text[TEXT_MAX], bool terminal)
{
    FILE *out = tmpfile();
    assert(out != NULL);
    struct progress p;
    progress_init(&p, out);
    assert(!p.terminal); /* a file is none */
    p.terminal = terminal;
    progress_set_job(&p, "series 1 of 2");
    for (int i = 0; i <= 400; i++) {
        progress_report(&p, "network", i, 400);
    }
    progress_report(&p, "write", 0, 3);
    progress_say(&p, "series 1 of 2: %s", "converted");
    progress_clear(&p);
    assert(fseek(out, 0, SEEK_SET) == 0);
    text[fread(text, 1, TEXT_MAX - 1, out)] = '\0';
    (void)fclose(out);
}

static int count(const char *text, const char *word)
{
    int n = 0;
    for (const char *at = strstr(text, word); at != NULL; at = strstr(at + 1, word)) {
        n++;
    }
    return n;
}

static void lines_are_written_once_a_step_where_it_is_quick(void)
{
    static char text[TEXT_MAX];
    run(text, false);
    assert(strcmp(text, "series 1 of 2: network\n"
                        "series 1 of 2: write\n"
                        "series 1 of 2: converted\n") == 0);
}

static void bar_is_drawn_seldom_and_wiped_before_a_line(void)
{
    static char text[TEXT_MAX];
    run(text, true);
    assert(count(text, "\r\033[K") < 20);
    assert(strstr(text, "network [..............................] 0 of 400") != NULL);
    assert(strstr(text, "network [##############################] 400 of 400") != NULL);
    const char *last = strrchr(text, '\r');
    assert(last != NULL && strcmp(last, "\r\033[Kseries 1 of 2: converted\n") == 0);
}

static void nothing_to_count_is_no_division_by_zero(void)
{
    struct progress p;
    progress_init(&p, stderr);
    p.terminal = true;
    progress_report(&p, "read", 0, 0);
    progress_clear(&p);
}

int main(void)
{
    lines_are_written_once_a_step_where_it_is_quick();
    bar_is_drawn_seldom_and_wiped_before_a_line();
    nothing_to_count_is_no_division_by_zero();
    return 0;
}
