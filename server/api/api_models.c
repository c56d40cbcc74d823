/* SPDX-License-Identifier: Apache-2.0 */
/* The models that are imported, and whether they are what they should be. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/utf8.h"
#include "engine/engine.h"
#include "server/api/act.h"
#include "server/api/context.h"
#include "server/control.h"
#include "server/http/listener.h"
#include "server/http/reply.h"
#include "server/http/request.h"
#include "server/policy.h"
#include "server/tool.h"

enum { CARD_MAX = 64 << 10, VERIFY_MS = 120000 };
static const char card_file[] = "MODEL_CARD.md";

static bool is_in_use(const struct policy *policy, const char *dir)
{
    for (uint32_t i = 0; i < policy->config->rules_count; i++) {
        if (strcmp(policy->model[i].dir, dir) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether a rule that names no version gets this one. */
static bool is_active(const struct api *api, const char *dir, const char *name)
{
    char path[SCTD_PATH_MAX];
    struct sctd_error err = {.code = SCTD_OK};
    return model_resolve(path, api->node.models_dir, name, &err) == 0 && strcmp(path, dir) == 0;
}

/* NAME@VERSION out of a folder's path. */
static void split(const char *dir, char name[MANIFEST_NAME_MAX], char version[MANIFEST_NAME_MAX])
{
    const char *base = strrchr(dir, '/');
    base = base == NULL ? dir : base + 1;
    const size_t n = strcspn(base, "@");
    (void)snprintf(name, MANIFEST_NAME_MAX, "%.*s", (int)n, base);
    (void)snprintf(version, MANIFEST_NAME_MAX, "%s", base[n] == '@' ? base + n + 1 : "");
}

static void write_model(struct json_writer *w, const struct api *api, const char *dir,
                        const struct manifest *manifest, const char *error)
{
    const struct manifest none = {.height = 0};
    const struct manifest *m = manifest == NULL ? &none : manifest;
    char name[MANIFEST_NAME_MAX];
    char version[MANIFEST_NAME_MAX];
    split(dir, name, version);
    json_write_string(w, "name", name);
    json_write_string(w, "version", version);
    json_write_bool(w, "active", is_active(api, dir, name));
    json_write_bool(w, "in_use", is_in_use(api->policy, dir));
    json_write_string(w, "error", error);
    json_write_string(w, "description", m->description);
    json_write_string(w, "weights_sha256", m->weights_sha256);
    json_write_int(w, "weights_bytes", m->weights_bytes);
    json_write_string(w, "modality", m->recipe.modality);
    json_write_int(w, "width", m->width);
    json_write_int(w, "height", m->height);
    json_write_bool(w, "research_only", m->research_only);
}

struct listing {
    struct json_writer w;
    const struct api *api;
};

static int list_one(void *arg, const char *dir, const struct manifest *manifest,
                    const struct sctd_error *err)
{
    struct listing *listing = arg;
    json_write_object_begin(&listing->w, NULL);
    write_model(&listing->w, listing->api, dir, manifest, manifest == NULL ? err->text : "");
    json_write_object_end(&listing->w);
    return 0;
}

void api_models(struct request *request)
{
    struct api *api = api_of(request);
    struct sctd_error err = {.code = SCTD_OK};
    struct listing listing = {.w = reply_begin_json(&request->reply, &err), .api = api};
    json_write_array_begin(&listing.w, "items");
    if (model_list(api->node.models_dir, list_one, &listing, &err) < 0) {
        reply_error(&request->reply, &err);
        return;
    }
    json_write_array_end(&listing.w);
    reply_end_json(&request->reply, &listing.w);
}

/* The folder of the model in the path; the reply says so where there is none. */
static bool find_model(struct request *request, char dir[SCTD_PATH_MAX])
{
    char name[MANIFEST_NAME_MAX];
    char version[MANIFEST_NAME_MAX];
    struct sctd_error err = {.code = SCTD_OK};
    split(request->found.name, name, version);
    if (manifest_is_name(name) && manifest_is_name(version) &&
        model_resolve(dir, api_of(request)->node.models_dir, request->found.name, &err) == 0) {
        return true;
    }
    reply_problem(&request->reply, 404, "there is no model \"%.130s\" (NAME@VERSION)",
                  request->found.name);
    return false;
}

/* Beside its files, or one for all models of the folder. */
static bool open_card(struct sctd_map *map, const char *dir, const char *models_dir)
{
    char path[SCTD_PATH_MAX];
    struct sctd_error err = {.code = SCTD_OK};
    if (sctd_path_join(path, dir, card_file, &err) == 0 && sctd_map_open(map, path, &err) == 0) {
        return true;
    }
    return sctd_path_join(path, models_dir, card_file, &err) == 0 &&
           sctd_map_open(map, path, &err) == 0;
}

static void write_card(struct json_writer *w, const char *dir, const char *models_dir)
{
    struct sctd_map map;
    if (!open_card(&map, dir, models_dir)) {
        json_write_string(w, "card", "");
        return;
    }
    static char text[CARD_MAX + 1];
    (void)snprintf(text, sizeof text, "%.*s", (int)(map.size < CARD_MAX ? map.size : CARD_MAX),
                   map.data == NULL ? "" : (const char *)map.data);
    sctd_map_close(&map);
    json_write_string(w, "card", utf8_is_text(text) ? text : "");
}

void api_model(struct request *request)
{
    char dir[SCTD_PATH_MAX];
    char path[SCTD_PATH_MAX];
    struct manifest manifest;
    struct sctd_error err = {.code = SCTD_OK};
    struct sctd_error why = {.code = SCTD_OK};
    if (!find_model(request, dir)) {
        return;
    }
    int r = sctd_path_join(path, dir, "manifest.json", &err);
    const bool sound = r == 0 && manifest_read(&manifest, path, &why) == 0;
    struct json_writer w = reply_begin_json(&request->reply, &err);
    write_model(&w, api_of(request), dir, sound ? &manifest : NULL, why.text);
    write_card(&w, dir, api_of(request)->node.models_dir);
    if (sound) {
        json_write_object_begin(&w, "manifest");
        manifest_write_members(&manifest, &w);
        json_write_object_end(&w);
    } else {
        json_write_null(&w, "manifest");
    }
    reply_end_json(&request->reply, &w);
}

void api_model_activate(struct request *request)
{
    struct api *api = api_of(request);
    char dir[SCTD_PATH_MAX];
    char name[MANIFEST_NAME_MAX];
    char version[MANIFEST_NAME_MAX];
    char reason[CONTROL_TEXT_SIZE];
    struct sctd_error err = {.code = SCTD_OK};
    if (!act_read_reason(request, reason, sizeof reason) || !find_model(request, dir)) {
        return;
    }
    split(request->found.name, name, version);
    if (model_activate(api->node.models_dir, name, version, &err) < 0) {
        reply_error(&request->reply, &err);
        return;
    }
    char subject[65];
    (void)snprintf(subject, sizeof subject, "%.64s", request->found.name);
    api_note(request, "model-activate", subject, reason);
    api->node.reload(api->node.arg);
    reply_done(&request->reply, "rules that name no version get it from now on");
}

static void on_verified(void *arg, int status, const char *text)
{
    struct request *request = arg;
    struct sctd_error err = {.code = SCTD_OK};
    api_tasks_end(api_of(request), request);
    struct json_writer w = reply_begin_json(&request->reply, &err);
    json_write_bool(&w, "ok", status == 0);
    json_write_string(&w, "detail", text);
    reply_end_json(&request->reply, &w);
    listener_answer(request);
}

static void forget_tool(void *task)
{
    tool_forget(task);
}

void api_model_verify(struct request *request)
{
    struct api *api = api_of(request);
    struct tool *tool = NULL;
    char dir[SCTD_PATH_MAX];
    char reason[CONTROL_TEXT_SIZE];
    struct sctd_error err = {.code = SCTD_OK};
    if (!act_read_reason(request, reason, sizeof reason) || !find_model(request, dir)) {
        return;
    }
    if (!api_tasks_have_room(api)) {
        request->reply.retry_after_s = 1;
        reply_problem(&request->reply, 503, "too much is being looked at: try again");
        return;
    }
    const char *const words[] = {
        "model", "verify", "--json", "--models-dir", api->node.models_dir, request->found.name,
        NULL};
    const struct tool_options options = {.loop = api->node.loop,
                                         .program = api->node.program,
                                         .words = words,
                                         .timeout_ms = VERIFY_MS};
    if (tool_start(&tool, &options, on_verified, request, &err) < 0) {
        reply_error(&request->reply, &err);
        return;
    }
    api_tasks_begin(api, request, tool, forget_tool);
    request->reply.is_later = true;
}
