/* SPDX-License-Identifier: Apache-2.0 */
#include "server/viewer.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/child.h"
#include "server/frame.h"
#include "server/memory_file.h"
#include "server/view_draw.h"
#include "server/view_messages.h"
#include "server/view_scene.h"
#include "server/worker_list.h"

enum { SEND_TIMEOUT_MS = 10000, POLL_MS = 1000 };

struct viewer {
    int fd;
    struct frame_reader parent;
    bool has_subject;
    struct view_scene scene;
};

static int say(const struct viewer *viewer, const struct view_message *message, int passed_fd,
               struct sctd_error *err)
{
    return view_messages_send(viewer->fd, message, passed_fd, SEND_TIMEOUT_MS, err);
}

/* The subject */

/* Paths of names below a folder. */
struct paths {
    char **path; /* [n], owned */
    size_t n;
};

static void paths_fini(struct paths *paths)
{
    for (size_t i = 0; i < paths->n; i++) {
        free(paths->path[i]);
    }
    free((void *)paths->path);
}

static int paths_init(struct paths *paths, const char *folder, char *const *name, size_t n,
                      struct sctd_error *err)
{
    paths->path = (char **)calloc(n + 1, sizeof *paths->path);
    for (; paths->path != NULL && paths->n < n; paths->n++) {
        if (asprintf(&paths->path[paths->n], "%s/%s", folder, name[paths->n]) < 0) {
            break;
        }
    }
    return paths->path != NULL && paths->n == n ? 0 : sctd_error(err, SCTD_ENOMEM, "%zu paths", n);
}

static int load(struct viewer *viewer, const struct view_subject_message *subject, int list_fd,
                struct sctd_error *err)
{
    sctd_auto(worker_list_fini) struct worker_list list = {.n_uids = 0};
    sctd_auto(paths_fini) struct paths source = {.n = 0};
    sctd_auto(paths_fini) struct paths sct = {.n = 0};
    int r = worker_list_read(&list, list_fd, err);
    r = r < 0 ? r : paths_init(&source, subject->spool, list.file, list.n_files, err);
    r = r < 0 ? r : paths_init(&sct, subject->results, list.result, list.n_results, err);
    if (r < 0) {
        return r;
    }
    const struct view_files files = {
        .source = (const char *const *)source.path,
        .n_source = source.n,
        .sct = (const char *const *)sct.path,
        .n_sct = sct.n,
        .parameters = subject->parameters,
    };
    return view_scene_load(&viewer->scene, &files, err);
}

/* What does not fit into the memory that it may have is a fact too. */
static void describe_failure(struct view_scene *scene, const struct sctd_error *why)
{
    for (int i = 0; i < VIEW_VOLUMES; i++) {
        scene->facts.image[i] = (struct view_image_facts){.is_there = false};
        (void)snprintf(scene->facts.image[i].reason, VIEW_REASON_SIZE, "%.200s%s", why->text,
                       why->code == SCTD_ENOMEM ? ": more memory than a viewer may have" : "");
    }
}

static int take_subject(struct viewer *viewer, const struct view_subject_message *subject,
                        int list_fd, struct sctd_error *err)
{
    struct sctd_error why = {.code = SCTD_OK};
    struct view_message message = {.type = VIEW_TYPE_LOADED};
    viewer->has_subject = true;
    int r = child_limit_to(subject->memory_mib, err);
    if (r < 0) {
        return r;
    }
    if (load(viewer, subject, list_fd, &why) < 0) {
        describe_failure(&viewer->scene, &why);
    }
    message.loaded = viewer->scene.facts;
    return say(viewer, &message, -1, err);
}

/* Answers */

static int say_no(const struct viewer *viewer, const struct view_no *no, struct sctd_error *err)
{
    const struct view_message message = {.type = VIEW_TYPE_NO, .no = *no};
    return say(viewer, &message, -1, err);
}

static int say_bytes(const struct viewer *viewer, const struct view_message *message,
                     const void *bytes, size_t size, struct sctd_error *err)
{
    int fd = -1;
    int r = memory_file_seal(&fd, bytes, size, err);
    if (r == 0) {
        r = say(viewer, message, fd, err);
        (void)close(fd);
    }
    return r;
}

static int answer_picture(const struct viewer *viewer, const struct view_request *request,
                          struct sctd_error *err)
{
    struct view_drawing drawing = {.png = NULL};
    struct view_no no = {.is_absent = false};
    struct view_message message = {.type = VIEW_TYPE_PICTURE};
    int r = view_draw(&drawing, &no, &viewer->scene, request, err);
    if (r == SCTD_ENOMEM) {
        (void)snprintf(no.reason, sizeof no.reason, "%.200s: more memory than a viewer may have",
                       err->text);
        r = VIEW_DRAW_NO;
    }
    if (r == VIEW_DRAW_NO) {
        return say_no(viewer, &no, err);
    }
    if (r < 0) {
        return r;
    }
    message.picture = (struct view_picture){drawing.width, drawing.height, (int64_t)drawing.size};
    r = say_bytes(viewer, &message, drawing.png, drawing.size, err);
    free(drawing.png);
    return r;
}

static int answer_histogram(const struct viewer *viewer, const struct view_request *request,
                            struct sctd_error *err)
{
    const struct view_message message = {.type = VIEW_TYPE_HISTOGRAM};
    struct view_histogram histogram;
    view_draw_histogram(&histogram, &viewer->scene, request->bins);
    return say_bytes(viewer, &message, &histogram, sizeof histogram, err);
}

/* Why nothing is there: what is asked for, else the source. */
static const char *find_reason(const struct view_scene *scene, const struct view_request *request)
{
    const bool is_sct = request->kind == VIEW_PICTURE && request->image == VIEW_SCT;
    return scene->facts.image[is_sct ? VIEW_SCT : VIEW_SOURCE].reason;
}

static int answer(const struct viewer *viewer, const struct view_request *request,
                  struct sctd_error *err)
{
    struct view_message facts = {.type = VIEW_TYPE_LOADED};
    const struct view_scene *scene = &viewer->scene;
    if (scene->volume[VIEW_SOURCE] == NULL && scene->volume[VIEW_SCT] == NULL) {
        struct view_no no = {.is_absent = false};
        (void)snprintf(no.reason, sizeof no.reason, "%s", find_reason(scene, request));
        return say_no(viewer, &no, err);
    }
    switch (request->kind) {
    case VIEW_PICTURE:
        return answer_picture(viewer, request, err);
    case VIEW_HISTOGRAM:
        return answer_histogram(viewer, request, err);
    default:
        facts.loaded = scene->facts;
        return say(viewer, &facts, -1, err);
    }
}

/* The loop */

static int take_message(struct viewer *viewer, const struct json *json, int list_fd,
                        struct sctd_error *err)
{
    struct view_message message;
    int r = view_messages_read(&message, json, err);
    if (r < 0) {
        return r;
    }
    if (message.type == VIEW_TYPE_SUBJECT && !viewer->has_subject && list_fd >= 0) {
        return take_subject(viewer, &message.subject, list_fd, err);
    }
    if (message.type == VIEW_TYPE_ASK && viewer->has_subject) {
        return answer(viewer, &message.ask, err);
    }
    return sctd_error(err, SCTD_EDATA, "the parent sent no subject and no request");
}

static int serve(struct viewer *viewer, const volatile sig_atomic_t *stop, struct sctd_error *err)
{
    while (*stop == 0) {
        sctd_auto(json_freep) struct json *json = NULL;
        int r = frame_wait(&viewer->parent, POLL_MS, &json, err);
        if (r == FRAME_MORE) {
            continue;
        }
        if (r == FRAME_END) {
            return 0;
        }
        const int list_fd = frame_take_fd(&viewer->parent);
        r = r < 0 ? r : take_message(viewer, json, list_fd, err);
        if (list_fd >= 0) {
            (void)close(list_fd);
        }
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

int viewer_run(int frame_fd, const volatile sig_atomic_t *stop, struct sctd_error *err)
{
    const struct view_message ready = {.type = VIEW_TYPE_READY};
    struct viewer viewer = {.fd = frame_fd};
    frame_reader_init(&viewer.parent, frame_fd);
    int r = say(&viewer, &ready, -1, err);
    r = r < 0 ? r : serve(&viewer, stop, err);
    view_scene_fini(&viewer.scene);
    frame_reader_fini(&viewer.parent);
    return r;
}
