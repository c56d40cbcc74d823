/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/reply.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/base/utf8.h"
#include "server/http/stream.h"
#include "server/log.h"

enum { DETAIL_SIZE = 400, RETRY_S = 5 };

void reply_init(struct reply *reply)
{
    *reply = (struct reply){.status = 200, .type = REPLY_JSON};
    reply->body = sctd_buf_make(REPLY_BYTES_MAX);
}

void reply_fini(struct reply *reply)
{
    sctd_buf_fini(&reply->body);
    stream_free(reply->stream);
    reply->stream = NULL;
}

const char *reply_status_words(int status)
{
    static const struct {
        int status;
        const char *words;
    } table[] = {
        {200, "OK"},
        {204, "No Content"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {409, "Conflict"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {429, "Too Many Requests"},
        {500, "Internal Server Error"},
        {503, "Service Unavailable"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (table[i].status == status) {
            return table[i].words;
        }
    }
    return "Error";
}

/* The last resort is an empty body: the status still says what it is. */
static void write_problem(struct reply *reply, const char *detail)
{
    struct sctd_error err = {.code = SCTD_OK};
    sctd_buf_fini(&reply->body);
    struct json_writer w = json_writer_make(&reply->body, false, &err);
    json_write_object_begin(&w, NULL);
    json_write_string(&w, "type", "about:blank");
    json_write_string(&w, "title", reply_status_words(reply->status));
    json_write_int(&w, "status", reply->status);
    json_write_string(&w, "detail", detail);
    json_write_object_end(&w);
    if (json_writer_finish(&w) < 0) {
        sctd_buf_fini(&reply->body);
    }
}

void reply_problem(struct reply *reply, int status, const char *format, ...)
{
    char detail[DETAIL_SIZE];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(detail, sizeof detail, format, args);
    va_end(args);
    utf8_clean(detail); /* a cut may have split a character */
    reply->status = status;
    reply->type = REPLY_PROBLEM;
    write_problem(reply, detail);
}

void reply_error(struct reply *reply, const struct sctd_error *err)
{
    LOG_ERROR("http", log_text("reason", err->text));
    const bool may_pass = err->code == SCTD_ENOMEM;
    reply->retry_after_s = may_pass ? RETRY_S : 0;
    reply_problem(reply, may_pass ? 503 : 500, "%s", err->text);
}

struct json_writer reply_begin_json(struct reply *reply, struct sctd_error *err)
{
    sctd_buf_fini(&reply->body);
    struct json_writer w = json_writer_make(&reply->body, false, err);
    json_write_object_begin(&w, NULL);
    return w;
}

void reply_end_json(struct reply *reply, struct json_writer *w)
{
    json_write_object_end(w);
    if (json_writer_finish(w) < 0) {
        reply_error(reply, w->err);
    }
}

void reply_done(struct reply *reply, const char *text)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct json_writer w = reply_begin_json(reply, &err);
    json_write_bool(&w, "done", true);
    json_write_string(&w, "detail", text);
    reply_end_json(reply, &w);
}

void reply_write_time(struct json_writer *w, const char *key, int64_t wall_ms)
{
    enum { SECOND_MS = 1000 };
    const int64_t since = wall_ms > 0 ? wall_ms : 0;
    const time_t seconds = (time_t)(since / SECOND_MS);
    struct tm parts;
    char text[64];
    char whole[96];
    if (gmtime_r(&seconds, &parts) == NULL ||
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts) == 0) {
        json_write_null(w, key);
        return;
    }
    (void)snprintf(whole, sizeof whole, "%s.%03dZ", text, (int)(since % SECOND_MS));
    json_write_string(w, key, whole);
}

void reply_write_time_or_null(struct json_writer *w, const char *key, int64_t wall_ms)
{
    if (wall_ms == 0) {
        json_write_null(w, key);
    } else {
        reply_write_time(w, key, wall_ms);
    }
}
