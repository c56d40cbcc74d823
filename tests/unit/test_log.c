/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/config.h"
#include "server/log.h"

enum { ROOM = 65536 };

static struct sctd_error err;
static char said[ROOM];

/* What one event wrote to standard error. */
static const char *hear(enum config_log_format format, enum log_level level, const char *event,
                        const struct log_field *fields, size_t n)
{
    int pair[2];
    assert(pipe2(pair, O_CLOEXEC) == 0 && fcntl(pair[1], F_SETPIPE_SZ, ROOM) >= 0);
    const int kept = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
    assert(kept >= 0 && dup2(pair[1], STDERR_FILENO) >= 0);
    log_open(format);
    log_event(level, event, fields, n);
    assert(dup2(kept, STDERR_FILENO) >= 0);
    (void)close(kept);
    (void)close(pair[1]);
    const ssize_t size = read(pair[0], said, sizeof said - 1);
    (void)close(pair[0]);
    assert(size > 0 && said[size - 1] == '\n');
    said[size] = '\0';
    assert(strchr(said, '\n') == said + size - 1); /* one line */
    for (const char *p = said; p < said + size - 1; p++) {
        assert((unsigned char)*p >= 0x20 && *p != 0x7f);
    }
    return said;
}

static void a_line_of_text_has_its_time_level_and_values(void)
{
    const struct log_field fields[] = {log_text("ae", "MR1"), log_number("n", INT64_MIN),
                                       log_text("none", NULL)};
    const char *line = hear(CONFIG_LOG_TEXT, LOG_LEVEL_WARNING, "series-open", fields, 3);
    assert(strlen(line) > 24 && line[10] == 'T' && line[19] == '.' && line[23] == 'Z');
    assert(strcmp(line + 24, " warning series-open ae=MR1 n=-9223372036854775808 none=\"\"\n") ==
           0);
    assert(strcmp(hear(CONFIG_LOG_TEXT, LOG_LEVEL_ERROR, "x", NULL, 0) + 24, " error   x\n") == 0);
}

static void a_text_is_quoted_where_it_must_be(void)
{
    static const struct {
        const char *value, *line;
    } rows[] = {
        {"plain", "plain"},
        {"1.2/3:[]", "1.2/3:[]"},
        {"two words", "\"two words\""},
        {"a=b", "\"a=b\""},
        {"say \"no\"", "\"say \\\"no\\\"\""},
        {"back\\slash", "\"back\\\\slash\""},
        {"caf\xc3\xa9", "caf\xc3\xa9"},
        {"a\nb", "a?b"},
        {"a\nlevel=error", "\"a?level=error\""},
        {"\x1b[2J", "?[2J"},
        {"c\xc2\x9b"
         "1",
         "c??1"}, /* a C1 control in UTF-8 */
        {"\xff\xc3", "??"},
        {"\x7f", "?"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char want[64];
        const struct log_field field = log_text("k", rows[i].value);
        (void)snprintf(want, sizeof want, " info    e k=%s\n", rows[i].line);
        const char *line = hear(CONFIG_LOG_TEXT, LOG_LEVEL_INFO, "e", &field, 1);
        if (strcmp(line + 24, want) != 0) {
            (void)fprintf(stderr, "%s%s", line, want);
        }
        assert(strcmp(line + 24, want) == 0);
    }
}

static struct json *hear_json(const struct log_field *fields, size_t n)
{
    struct json *json = NULL;
    const char *line = hear(CONFIG_LOG_JSON, LOG_LEVEL_ERROR, "series-error", fields, n);
    assert(json_parse(&json, line, strlen(line), &err) == 0);
    return json;
}

static void has(const struct json *json, const char *key, const char *value)
{
    const char *text = NULL;
    assert(json_get_string(&text, json, json_get_root(json), key, &err) == 0);
    assert(strcmp(text, value) == 0);
}

static void a_line_of_json_is_an_object_with_every_value(void)
{
    const struct log_field fields[] = {log_text("reason", "\"quoted\" and \\ and \xc3\xa9"),
                                       log_number("series", INT64_MAX),
                                       log_text("broken", "\xff\n\x1b"), log_text("none", NULL)};
    int64_t series = 0;
    sctd_auto(json_freep) struct json *json = hear_json(fields, 4);
    has(json, "level", "error");
    has(json, "event", "series-error");
    has(json, "reason", "\"quoted\" and \\ and \xc3\xa9");
    has(json, "broken", "???");
    has(json, "none", "");
    assert(json_get_int(&series, json, json_get_root(json), "series", &err) == 0);
    assert(series == INT64_MAX);
}

static void what_is_too_long_leaves_the_event(void)
{
    char *text = malloc(20001);
    assert(text != NULL);
    memset(text, 'x', 20000);
    text[20000] = '\0';
    const struct log_field fields[] = {log_text("short", "1"), log_text("long", text)};
    sctd_auto(json_freep) struct json *json = hear_json(fields, 2);
    has(json, "event", "series-error");
    has(json, "level", "error");
    assert(strcmp(hear(CONFIG_LOG_TEXT, LOG_LEVEL_INFO, "e", fields, 2) + 24, " info    e\n") == 0);
    free(text);
}

static void more_fields_than_there_is_room_for_are_left_out(void)
{
    struct log_field fields[40];
    for (size_t i = 0; i < 40; i++) {
        fields[i] = i % 2 == 0 ? log_text("k", "v w") : log_number("k", 1);
    }
    const char *line = hear(CONFIG_LOG_TEXT, LOG_LEVEL_INFO, "e", fields, 40);
    size_t n = 0;
    for (const char *p = strstr(line, " k="); p != NULL; p = strstr(p + 1, " k=")) {
        n++;
    }
    assert(n == 24);
}

int main(void)
{
    // NOLINTNEXTLINE(concurrency-mt-unsafe): one thread
    (void)unsetenv("JOURNAL_STREAM");
    a_line_of_text_has_its_time_level_and_values();
    a_text_is_quoted_where_it_must_be();
    a_line_of_json_is_an_object_with_every_value();
    what_is_too_long_leaves_the_event();
    more_fields_than_there_is_room_for_are_left_out();
    return 0;
}
