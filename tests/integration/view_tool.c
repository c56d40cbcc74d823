/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Viewers without the rest of the daemon: subjects from lists of files, and deadlines as short as a test wants.
 * usage: view_tool --sctd PROGRAM --spool DIR --results DIR --pictures DIR [OPTION]...
 * Reads commands, one a line, and answers each with "ok" or "no CODE REASON"; what becomes of a request comes later, as
 * one JSON object a line.
 *     subject KEY LIST [PARAMETERS]     LIST: a file of lines "F NAME" and "R NAME"
 *     picture ID KEY IMAGE PLANE SLICE CENTRE WIDTH MAX_WIDTH MAX_HEIGHT    written to DIR/ID.png
 *     facts ID KEY     histogram ID KEY BINS     forget ID     drain
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uv.h>

#include "engine/base/attr.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "server/config.h"
#include "server/log.h"
#include "server/options.h"
#include "server/view_messages.h"
#include "server/view_subject.h"
#include "server/viewers.h"
#include "server/worker_list.h"

enum { LINE_SIZE = 1 << 12, WORDS = 16, SUBJECTS = 16, IDS = 4096, NAME_SIZE = 256 };

struct tool {
    uv_loop_t loop;
    uv_poll_t input;
    struct viewers *viewers;
    const char *pictures;
    struct viewers_subject subject[SUBJECTS];
    size_t n_subjects;
    char line[LINE_SIZE];
    size_t size;
    char id[IDS]; /* their addresses stand for who asks */
};
static struct tool tool;

static void check(int r, const struct sctd_error *err)
{
    if (r != 0) {
        (void)fprintf(stderr, "view_tool: %d %s\n", r, err->text);
        abort();
    }
}

/* Answers */

static void write_image(struct json_writer *w, const struct view_image_facts *image)
{
    json_write_object_begin(w, NULL);
    json_write_bool(w, "is_there", image->is_there);
    json_write_string(w, "reason", image->reason);
    json_write_bool(w, "is_hu", image->is_hu);
    json_write_double(w, "low", image->low);
    json_write_double(w, "high", image->high);
    json_write_double(w, "centre", image->centre);
    json_write_double(w, "width", image->width);
    json_write_object_end(w);
}

static void write_facts(struct json_writer *w, const struct view_facts *facts)
{
    json_write_string(w, "modality", facts->modality);
    json_write_double(w, "tilt_degrees", facts->tilt_degrees);
    json_write_bool(w, "is_resampled", facts->is_resampled);
    json_write_array_begin(w, "image");
    for (int i = 0; i < VIEW_VOLUMES; i++) {
        write_image(w, &facts->image[i]);
    }
    json_write_array_end(w);
    json_write_array_begin(w, "plane");
    for (int p = 0; p < VIEW_PLANES; p++) {
        json_write_object_begin(w, NULL);
        json_write_string(w, "name", view_plane_name((enum view_plane)p));
        json_write_int(w, "slices", facts->plane[p].slices);
        json_write_double(w, "slice_mm", facts->plane[p].slice_mm);
        json_write_int(w, "width", facts->plane[p].width);
        json_write_int(w, "height", facts->plane[p].height);
        json_write_double(w, "pixel_mm", facts->plane[p].pixel_mm);
        json_write_object_end(w);
    }
    json_write_array_end(w);
}

static void write_histogram(struct json_writer *w, const struct view_histogram *histogram)
{
    json_write_array_begin(w, "histogram");
    for (int i = 0; i < VIEW_VOLUMES; i++) {
        json_write_object_begin(w, NULL);
        json_write_double(w, "low", histogram->low[i]);
        json_write_double(w, "high", histogram->high[i]);
        json_write_int(w, "below", histogram->below[i]);
        json_write_int(w, "above", histogram->above[i]);
        json_write_array_begin(w, "count");
        for (int32_t bin = 0; bin < histogram->bins; bin++) {
            json_write_int(w, NULL, histogram->count[i][bin]);
        }
        json_write_array_end(w);
        json_write_object_end(w);
    }
    json_write_array_end(w);
}

static void on_done(void *arg, const struct viewers_answer *answer)
{
    static const char *const names[] = {[VIEWERS_OK] = "ok",
                                        [VIEWERS_ABSENT] = "absent",
                                        [VIEWERS_REFUSED] = "refused",
                                        [VIEWERS_UNAVAILABLE] = "unavailable"};
    const int id = (int)((char *)arg - tool.id);
    struct sctd_error err = {.code = SCTD_OK};
    sctd_auto(sctd_buf_fini) struct sctd_buf text = sctd_buf_make(1 << 20);
    struct json_writer w = json_writer_make(&text, false, &err);
    json_write_object_begin(&w, NULL);
    json_write_int(&w, "id", id);
    json_write_string(&w, "status", names[answer->status]);
    json_write_string(&w, "reason", answer->reason);
    if (answer->png != NULL) {
        char path[SCTD_PATH_MAX];
        (void)snprintf(path, sizeof path, "%.3000s/%d.png", tool.pictures, id);
        check(sctd_file_replace(path, answer->png, answer->png_size, &err), &err);
        json_write_int(&w, "width", answer->width);
        json_write_int(&w, "height", answer->height);
    } else if (answer->histogram != NULL) {
        write_histogram(&w, answer->histogram);
    } else if (answer->facts != NULL) {
        write_facts(&w, answer->facts);
    }
    json_write_object_end(&w);
    check(json_writer_finish(&w), &err);
    (void)printf("%s\n", sctd_buf_get_text(&text));
}

/* Commands */

static void add_name(char ***list, size_t *n, const char *name)
{
    char **grown = (char **)realloc((void *)*list, (*n + 1) * sizeof *grown);
    if (grown == NULL) {
        abort();
    }
    *list = grown;
    grown[(*n)++] = strdup(name);
}

static void add_subject(char **word)
{
    struct viewers_subject *subject = &tool.subject[tool.n_subjects++ % SUBJECTS];
    char kind = 0;
    char name[NAME_SIZE];
    view_subject_fini(subject);
    (void)snprintf(subject->key, sizeof subject->key, "%s", word[1]);
    (void)snprintf(subject->parameters, sizeof subject->parameters, "%s",
                   word[3] == NULL ? "" : word[3]);
    FILE *f = fopen(word[2], "re");
    while (f != NULL && fscanf(f, " %c %255s", &kind, name) == 2) {
        struct worker_list *list = &subject->list;
        if (kind == 'F') {
            add_name(&list->file, &list->n_files, name);
        } else {
            add_name(&list->result, &list->n_results, name);
        }
    }
    if (f != NULL) {
        (void)fclose(f);
    }
}

static const struct viewers_subject *find_subject(const char *key)
{
    for (size_t i = 0; i < SUBJECTS; i++) {
        if (strcmp(tool.subject[i].key, key) == 0) {
            return &tool.subject[i];
        }
    }
    abort();
}

static int32_t number(const char *word)
{
    return (int32_t)strtol(word, NULL, 10);
}

static int ask(char **word, size_t n, struct sctd_error *err)
{
    struct view_request request = {.kind = VIEW_FACTS};
    if (strcmp(word[0], "picture") == 0 && n == 10) {
        request = (struct view_request){.kind = VIEW_PICTURE,
                                        .image = number(word[3]),
                                        .plane = number(word[4]),
                                        .slice = number(word[5]),
                                        .centre = strtod(word[6], NULL),
                                        .width = strtod(word[7], NULL),
                                        .max_width = number(word[8]),
                                        .max_height = number(word[9])};
    } else if (strcmp(word[0], "histogram") == 0 && n == 4) {
        request = (struct view_request){.kind = VIEW_HISTOGRAM, .bins = number(word[3])};
    }
    return viewers_ask(tool.viewers, find_subject(word[2]), &request, on_done,
                       &tool.id[number(word[1]) % IDS], err);
}

static void obey(char *line)
{
    char *word[WORDS] = {NULL};
    size_t n = 0;
    struct sctd_error err = {.code = SCTD_OK};
    char *rest = NULL;
    int r = 0;
    for (char *w = strtok_r(line, " ", &rest); w != NULL && n < WORDS;
         w = strtok_r(NULL, " ", &rest)) {
        word[n++] = w;
    }
    if (n >= 3 && strcmp(word[0], "subject") == 0) {
        add_subject(word);
    } else if (n == 2 && strcmp(word[0], "forget") == 0) {
        viewers_forget(tool.viewers, &tool.id[number(word[1]) % IDS]);
    } else if (n == 1 && strcmp(word[0], "drain") == 0) {
        viewers_drain(tool.viewers);
    } else if (n >= 3) {
        r = ask(word, n, &err);
    } else {
        abort();
    }
    if (r == 0) {
        (void)printf("ok\n");
    } else {
        (void)printf("no %d %s\n", r, err.text);
    }
}

static void on_input(uv_poll_t *poll, int status, int events)
{
    (void)events;
    const ssize_t got =
        status < 0 ? -1 : read(STDIN_FILENO, tool.line + tool.size, LINE_SIZE - 1 - tool.size);
    if (got <= 0) {
        (void)uv_poll_stop(poll);
        viewers_drain(tool.viewers);
        return;
    }
    tool.size += (size_t)got;
    tool.line[tool.size] = '\0';
    for (char *end = strchr(tool.line, '\n'); end != NULL; end = strchr(tool.line, '\n')) {
        *end = '\0';
        obey(tool.line);
        tool.size -= (size_t)(end + 1 - tool.line);
        memmove(tool.line, end + 1, tool.size + 1);
    }
}

static void drained(void *arg)
{
    (void)arg;
    (void)printf("{\"drained\": true}\n");
    viewers_free(tool.viewers);
    uv_close((uv_handle_t *)&tool.input, NULL);
}

struct numbers {
    int64_t n, queue, idle_ms, deadline_ms, memory_mib;
};

static void run(const struct viewers_options *options, const struct numbers *numbers)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct viewers_options o = *options;
    const struct viewers_hooks hooks = {.drained = drained};
    (void)uv_loop_init(&tool.loop);
    o.loop = &tool.loop;
    o.n = (int)numbers->n;
    o.queue = (int)numbers->queue;
    o.idle_ms = (int)numbers->idle_ms;
    o.deadline_ms = (int)numbers->deadline_ms;
    o.memory_mib = (int32_t)numbers->memory_mib;
    check(viewers_new(&tool.viewers, &o, &hooks, &err), &err);
    (void)uv_poll_init(&tool.loop, &tool.input, STDIN_FILENO);
    (void)uv_poll_start(&tool.input, UV_READABLE, on_input);
    (void)uv_run(&tool.loop, UV_RUN_DEFAULT);
    check(uv_loop_close(&tool.loop), &err);
}

int main(int argc, char **argv)
{
    struct viewers_options o = {.loop = NULL};
    struct numbers numbers = {0};
    struct sctd_error err = {.code = SCTD_OK};
    char **operands = NULL;
    const int64_t most = INT32_MAX;
    const struct option table[] = {
        {.name = "sctd", .kind = OPTION_TEXT, .target = (void *)&o.program, .required = true},
        {.name = "spool", .kind = OPTION_TEXT, .target = (void *)&o.spool, .required = true},
        {.name = "results", .kind = OPTION_TEXT, .target = (void *)&o.results, .required = true},
        {.name = "pictures",
         .kind = OPTION_TEXT,
         .target = (void *)&tool.pictures,
         .required = true},
        {.name = "viewers", .kind = OPTION_NUMBER, .target = &numbers.n, .max = most},
        {.name = "queue", .kind = OPTION_NUMBER, .target = &numbers.queue, .max = most},
        {.name = "idle-ms", .kind = OPTION_NUMBER, .target = &numbers.idle_ms, .max = most},
        {.name = "deadline-ms", .kind = OPTION_NUMBER, .target = &numbers.deadline_ms, .max = most},
        {.name = "memory-mib", .kind = OPTION_NUMBER, .target = &numbers.memory_mib, .max = most},
    };
    const struct options options = {
        .command = "view_tool", .summary = "", .option = table, .n = sizeof table / sizeof *table};
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    check(options_parse(&options, argc, argv, &operands, &err), &err);
    log_open(CONFIG_LOG_JSON);
    run(&o, &numbers);
    for (size_t i = 0; i < SUBJECTS; i++) {
        view_subject_fini(&tool.subject[i]);
    }
    return 0;
}
