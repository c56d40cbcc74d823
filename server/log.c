/* SPDX-License-Identifier: Apache-2.0 */
#include "server/log.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>

#include "server/config.h"

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "engine/base/attr.h"
#include "engine/base/buf.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/base/utf8.h"

enum { LINE_MAX_SIZE = 8192, FIELDS_MAX = 24, KEY_SIZE = 64 };

static enum { TO_TEXT, TO_JSON, TO_JOURNAL } target;

void log_open(enum config_log_format format)
{
    // NOLINTNEXTLINE(concurrency-mt-unsafe): no thread changes the environment
    const bool is_journal = getenv("JOURNAL_STREAM") != NULL;
    target = format == CONFIG_LOG_JSON                 ? TO_JSON
             : format == CONFIG_LOG_AUTO && is_journal ? TO_JOURNAL
                                                       : TO_TEXT;
}

static const char *level_name(enum log_level level)
{
    return level == LOG_LEVEL_ERROR ? "error" : level == LOG_LEVEL_WARNING ? "warning" : "info";
}

static void print_time(char *text, size_t size)
{
    const int64_t ms = sctd_wall_ms();
    const time_t s = (time_t)(ms / 1000);
    struct tm utc;
    char second[32] = "";
    if (gmtime_r(&s, &utc) != NULL) {
        (void)strftime(second, sizeof second, "%Y-%m-%dT%H:%M:%S", &utc);
    }
    (void)snprintf(text, size, "%s.%03dZ", second, (int)(ms % 1000));
}

static bool needs_quotes(const char *text)
{
    return *text == '\0' || strpbrk(text, " \"=\\") != NULL;
}

/* Values may hold what a peer or a file's name says. */
static char *clean_copy(const char *text)
{
    char *copy = strdup(text);
    if (copy != NULL) {
        utf8_clean(copy);
    }
    return copy;
}

static int add_text_field(struct sctd_buf *line, const struct log_field *f, struct sctd_error *err)
{
    if (f->text == NULL) {
        return sctd_buf_printf(line, err, " %s=%" PRId64, f->key, f->number);
    }
    if (!needs_quotes(f->text)) {
        return sctd_buf_printf(line, err, " %s=%s", f->key, f->text);
    }
    int r = sctd_buf_printf(line, err, " %s=\"", f->key);
    for (const char *p = f->text; r == 0 && *p != '\0'; p++) {
        r = sctd_buf_printf(line, err, *p == '"' || *p == '\\' ? "\\%c" : "%c", *p);
    }
    return r == 0 ? sctd_buf_text(line, "\"", err) : r;
}

static int make_text(struct sctd_buf *line, const char *event, const struct log_field *fields,
                     size_t n, struct sctd_error *err)
{
    int r = sctd_buf_text(line, event, err);
    for (size_t i = 0; r == 0 && i < n; i++) {
        r = add_text_field(line, &fields[i], err);
    }
    return r;
}

static int make_json(struct sctd_buf *line, enum log_level level, const char *event,
                     const struct log_field *fields, size_t n, struct sctd_error *err)
{
    char time[48];
    struct json_writer w = json_writer_make(line, false, err);
    print_time(time, sizeof time);
    json_write_object_begin(&w, NULL);
    json_write_string(&w, "time", time);
    json_write_string(&w, "level", level_name(level));
    json_write_string(&w, "event", event);
    for (size_t i = 0; i < n; i++) {
        if (fields[i].text == NULL) {
            json_write_int(&w, fields[i].key, fields[i].number);
        } else {
            json_write_string(&w, fields[i].key, fields[i].text);
        }
    }
    json_write_object_end(&w);
    return json_writer_finish(&w);
}

/* SCTD_KEY=value for each field, beside MESSAGE, PRIORITY and SCTD_EVENT. */
static void send_to_journal(enum log_level level, const char *event, const char *message,
                            const struct log_field *fields, size_t n)
{
    char *text[FIELDS_MAX + 3] = {NULL};
    struct iovec vector[FIELDS_MAX + 3];
    int count = 0;
    int sizes[FIELDS_MAX + 3];
    sizes[count] = asprintf(&text[count], "MESSAGE=%s", message);
    count++;
    sizes[count] = asprintf(&text[count], "PRIORITY=%d", (int)level);
    count++;
    sizes[count] = asprintf(&text[count], "SCTD_EVENT=%s", event);
    count++;
    for (size_t i = 0; i < n && i < FIELDS_MAX; i++) {
        char key[KEY_SIZE];
        (void)snprintf(key, sizeof key, "%s", fields[i].key);
        for (char *p = key; *p != '\0'; p++) {
            *p = (char)toupper((unsigned char)*p);
        }
        sizes[count] = fields[i].text == NULL
                           ? asprintf(&text[count], "SCTD_%s=%" PRId64, key, fields[i].number)
                           : asprintf(&text[count], "SCTD_%s=%s", key, fields[i].text);
        count++;
    }
    int filled = 0;
    for (int i = 0; i < count; i++) {
        if (sizes[i] >= 0) {
            vector[filled++] = (struct iovec){.iov_base = text[i], .iov_len = (size_t)sizes[i]};
        }
    }
    (void)sd_journal_sendv(vector, filled);
    for (int i = 0; i < count; i++) {
        if (sizes[i] >= 0) {
            free(text[i]);
        }
    }
}

static int make_line(struct sctd_buf *line, enum log_level level, const char *event,
                     const struct log_field *fields, size_t n, struct sctd_error *err)
{
    return target == TO_JSON ? make_json(line, level, event, fields, n, err)
                             : make_text(line, event, fields, n, err);
}

static void write_event(enum log_level level, const char *event, const struct log_field *fields,
                        size_t n)
{
    struct sctd_error err = {.code = SCTD_OK};
    sctd_auto(sctd_buf_fini) struct sctd_buf line = sctd_buf_make(LINE_MAX_SIZE);
    int r = make_line(&line, level, event, fields, n, &err);
    if (r < 0) { /* better without its values than not at all */
        sctd_buf_fini(&line);
        line = sctd_buf_make(LINE_MAX_SIZE);
        n = 0;
        r = make_line(&line, level, event, fields, n, &err);
    }
    const char *text = r == 0 ? sctd_buf_get_text(&line) : event;
    if (target == TO_JOURNAL) {
        send_to_journal(level, event, text, fields, n);
    } else if (target == TO_JSON) {
        (void)fprintf(stderr, "%s\n", text);
    } else {
        char time[48];
        print_time(time, sizeof time);
        (void)fprintf(stderr, "%s %-7s %s\n", time, level_name(level), text);
    }
}

void log_event(enum log_level level, const char *event, const struct log_field *fields, size_t n)
{
    struct log_field clean[FIELDS_MAX];
    char *copy[FIELDS_MAX];
    size_t filled = 0;
    for (size_t i = 0; i < n && filled < FIELDS_MAX; i++) {
        copy[filled] = fields[i].text == NULL ? NULL : clean_copy(fields[i].text);
        if (copy[filled] != NULL || fields[i].text == NULL) { /* without memory it is left out */
            clean[filled] = (struct log_field){fields[i].key, copy[filled], fields[i].number};
            filled++;
        }
    }
    write_event(level, event, clean, filled);
    for (size_t i = 0; i < filled; i++) {
        free(copy[i]);
    }
}
