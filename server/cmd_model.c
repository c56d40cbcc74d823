/* SPDX-License-Identifier: Apache-2.0 */
/* sctd model: import, list, show and verify models. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/engine.h"
#include "server/cmd.h"
#include "server/cmd_options.h"
#include "server/selftest.h"

enum {
    LIST_BYTES_MAX = 64 << 20,
    LINES_BYTES_MAX = 64 << 20,
    SIZE_MIN = 16,
    SIZE_MAX_PIXELS = 2048
};

/* The manifest with the directory that it was found in. */
static int print_manifest_json(const struct manifest *manifest, const char *dir,
                               struct sctd_error *err)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf buf = sctd_buf_make(LIST_BYTES_MAX);
    struct json_writer w = json_writer_make(&buf, true, err);
    json_write_object_begin(&w, NULL);
    json_write_string(&w, "dir", dir);
    manifest_write_members(manifest, &w);
    json_write_object_end(&w);
    return cmd_print_json(&w);
}

/* model import */

struct import_words {
    struct model_import_options options;
    struct option_size size;
    int64_t heads;
    bool json;
};

static int parse_import_table(const struct option *table, size_t n, int argc, char **argv,
                              struct sctd_error *err)
{
    const struct options options = {
        .command = "sctd model import",
        .summary =
            "Make a model of a backbone, a generator and a recipe.  What the checkpoints' shapes\n"
            "tell is read from them; every tensor that is missing, extra or unsound is named.",
        .option = table,
        .n = n,
    };
    char **operands = NULL;
    return options_parse(&options, argc, argv, &operands, err);
}

static int parse_import(struct import_words *words, int argc, char **argv, struct sctd_error *err)
{
    struct model_import_options *o = &words->options;
    const struct option table[] = {
        {.name = "backbone",
         .kind = OPTION_TEXT,
         .target = (void *)&o->backbone,
         .argument = "FILE",
         .help = "DINOv3 checkpoint: .pth or safetensors, in Meta's or Hugging Face's naming",
         .required = true},
        {.name = "generator",
         .kind = OPTION_TEXT,
         .target = (void *)&o->generator,
         .argument = "FILE",
         .help = "DGCF generator checkpoint: *_net_G.pth or safetensors",
         .required = true},
        {.name = "recipe",
         .kind = OPTION_TEXT,
         .target = (void *)&o->recipe,
         .argument = "mr|cbct|FILE.json",
         .help = "how volumes are prepared, as the checkpoint was trained",
         .required = true},
        {.name = "name",
         .kind = OPTION_TEXT,
         .target = (void *)&o->name,
         .argument = "NAME",
         .help = "a-z, 0-9, '.', '_', '-'",
         .required = true},
        {.name = "version",
         .kind = OPTION_TEXT,
         .target = (void *)&o->version,
         .argument = "V",
         .help = "the same; a NAME@V that is there is never replaced",
         .required = true},
        {.name = "description",
         .kind = OPTION_TEXT,
         .target = (void *)&o->description,
         .argument = "TEXT",
         .help = "what the model is for"},
        {.name = "quality",
         .kind = OPTION_TEXT,
         .target = (void *)&o->quality,
         .argument = "FILE.json|none|default",
         .help =
             "limits that every sCT of the model must keep, as `sctd model limits` finds them (default: default)"},
        {.name = "size",
         .kind = OPTION_SIZE,
         .target = &words->size,
         .argument = "HxW",
         .help = "size slices are resized to, multiples of 16 (default: 256x256)",
         .min = SIZE_MIN,
         .max = SIZE_MAX_PIXELS},
        {.name = "fusion",
         .kind = OPTION_CHOICE,
         .target = (void *)&o->fusion,
         .argument = "KIND",
         .help = "cnn, gated, se or none (default: told by the tensors' names)",
         .choices = "cnn|gated|se|none"},
        {.name = "heads",
         .kind = OPTION_NUMBER,
         .target = &words->heads,
         .argument = "N",
         .help =
             "heads of the backbone; needed only when the file has no RoPE periods and the heads "
             "are not 64 wide",
         .min = 1,
         .max = 128},
        CMD_MODELS_DIR_OPTION(o->models_dir),
        CMD_JSON_OPTION(words->json),
    };
    int r = parse_import_table(table, sizeof table / sizeof table[0], argc, argv, err);
    o->height = words->size.height;
    o->width = words->size.width;
    o->heads = (int32_t)words->heads;
    return r;
}

static int print_imported(const char *dir, bool json, struct sctd_error *err)
{
    sctd_auto(model_closep) struct model *model = NULL;
    int r = model_open(&model, dir, err);
    if (r < 0) {
        return r;
    }
    const struct manifest *m = model_get_manifest(model);
    if (json) {
        return print_manifest_json(m, dir, err);
    }
    (void)fprintf(stdout,
                  "imported %s@%s: backbone %d x %d (%d heads, %s), generator %d (fusion %s%s), "
                  "%lld bytes, sha256 %.16s, %s\n",
                  m->name, m->version, m->vit.depth, m->vit.dim, m->vit.heads,
                  vit_ffn_name(m->vit.ffn), m->generator.base_channels,
                  fusion_kind_name(m->generator.fusion), m->generator.cnn ? "" : ", no CNN encoder",
                  (long long)m->weights_bytes, m->weights_sha256, dir);
    return 0;
}

static int run_import(int argc, char **argv)
{
    static const char command[] = "sctd model import";
    struct sctd_error err = {.code = SCTD_OK};
    struct import_words words = {.options = {.models_dir = cmd_models_dir()}};
    int r = parse_import(&words, argc, argv, &err);
    if (r != 0) {
        return r == OPTIONS_HELP ? CMD_OK : cmd_fail(command, &err);
    }
    sctd_auto(sctd_buf_fini) struct sctd_buf problems = sctd_buf_make(LINES_BYTES_MAX);
    char dir[SCTD_PATH_MAX];
    r = model_import(dir, &words.options, &problems, &err);
    if (r == 0) {
        r = print_imported(dir, words.json, &err);
    }
    if (r < 0) {
        const int status = cmd_fail(command, &err);
        (void)fputs(sctd_buf_get_text(&problems), stderr);
        return status;
    }
    return CMD_OK;
}

/* model list */

static int print_row(void *arg, const char *dir, const struct manifest *manifest,
                     const struct sctd_error *err)
{
    (void)arg;
    if (manifest == NULL) {
        (void)fprintf(stdout, "%s: %s\n", dir, err->text);
        return 0;
    }
    (void)fprintf(stdout, "%s@%s  %s  %.16s  %s\n", manifest->name, manifest->version,
                  manifest->recipe.modality, manifest->weights_sha256, manifest->description);
    return 0;
}

static int write_row(void *arg, const char *dir, const struct manifest *manifest,
                     const struct sctd_error *err)
{
    struct json_writer *w = arg;
    json_write_object_begin(w, NULL);
    json_write_string(w, "dir", dir);
    if (manifest != NULL) {
        manifest_write_members(manifest, w);
    } else {
        json_write_string(w, "error", err->text);
    }
    json_write_object_end(w);
    return 0;
}

static int list_json(const char *models_dir, struct sctd_error *err)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf buf = sctd_buf_make(LIST_BYTES_MAX);
    struct json_writer w = json_writer_make(&buf, true, err);
    json_write_object_begin(&w, NULL);
    json_write_array_begin(&w, "models");
    int r = model_list(models_dir, write_row, &w, err);
    if (r < 0) {
        return r;
    }
    json_write_array_end(&w);
    json_write_object_end(&w);
    return cmd_print_json(&w);
}

static int run_list(int argc, char **argv)
{
    static const char command[] = "sctd model list";
    const char *models_dir = cmd_models_dir();
    bool json = false;
    const struct option table[] = {CMD_MODELS_DIR_OPTION(models_dir), CMD_JSON_OPTION(json)};
    const struct options options = {
        .command = command,
        .summary = "List the models: name and version, modality, weights' SHA-256, description.",
        .option = table,
        .n = sizeof table / sizeof table[0],
    };
    struct sctd_error err = {.code = SCTD_OK};
    char **operands = NULL;
    int r = options_parse(&options, argc, argv, &operands, &err);
    if (r == OPTIONS_HELP) {
        return CMD_OK;
    }
    if (r == 0) {
        r = json ? list_json(models_dir, &err) : model_list(models_dir, print_row, NULL, &err);
    }
    return r < 0 ? cmd_fail(command, &err) : CMD_OK;
}

/* model show and verify: both take one model */

struct one_words {
    const char *models_dir;
    bool json;
    char dir[SCTD_PATH_MAX];
};

/* Returns OPTIONS_HELP or an error as options_parse and model_resolve do. */
static int parse_one(struct one_words *words, const char *command, const char *summary, int argc,
                     char **argv, struct sctd_error *err)
{
    const struct option table[] = {CMD_MODELS_DIR_OPTION(words->models_dir),
                                   CMD_JSON_OPTION(words->json)};
    const struct options options = {
        .command = command,
        .operands = "NAME[@VERSION]|DIR",
        .summary = summary,
        .option = table,
        .n = sizeof table / sizeof table[0],
        .min_operands = 1,
        .max_operands = 1,
    };
    char **operands = NULL;
    words->models_dir = cmd_models_dir();
    int r = options_parse(&options, argc, argv, &operands, err);
    return r == 0 ? model_resolve(words->dir, words->models_dir, operands[0], err) : r;
}

static void print_network(const struct manifest *m)
{
    const struct vit_config *v = &m->vit;
    const struct generator_config *g = &m->generator;
    (void)fprintf(stdout, "network      %d x %d\n", m->height, m->width);
    (void)fprintf(
        stdout,
        "backbone     width %d, %d blocks, %d heads, %s of %d, %d storage tokens, features "
        "of blocks %d, %d, %d, %d\n",
        v->dim, v->depth, v->heads, vit_ffn_name(v->ffn), v->hidden, v->storage_tokens,
        v->features[0], v->features[1], v->features[2], v->features[3]);
    (void)fprintf(stdout, "generator    %d base channels, fusion %s, levels", g->base_channels,
                  fusion_kind_name(g->fusion));
    for (int i = 0; i < 4; i++) {
        if (g->levels[i]) {
            (void)fprintf(stdout, " %d", i + 1);
        }
    }
    (void)fprintf(stdout, "%s\n", g->cnn ? ", CNN encoder" : ", no CNN encoder");
}

static void print_quality(const struct quality_limits *q)
{
    if (!q->is_set) {
        (void)fprintf(stdout, "quality      no limits: nothing is judged\n");
        return;
    }
    (void)fprintf(
        stdout,
        "quality      at most %g %% not air outside, %g ml void, %g HU jump, %g mm outline, "
        "%g %% cut off, %g %% saturated\n",
        q->air_outside_percent, q->hole_ml, q->slice_jump_hu, q->outline_mm,
        q->field_of_view_percent, q->saturation_percent);
    for (size_t i = 0; i < q->n_tissues; i++) {
        const struct quality_tissue *t = &q->tissue[i];
        (void)fprintf(stdout, "tissue       %s (%g ... %g HU) %g ... %g %% of the body\n", t->name,
                      t->hu_low, t->hu_high, t->percent_low, t->percent_high);
    }
    for (size_t i = 0; i < q->n_intensity; i++) {
        const struct quality_percentile *p = &q->intensity[i];
        (void)fprintf(stdout, "intensity    percentile %g of the source at %g ... %g\n",
                      p->percentile, p->low, p->high);
    }
}

static void print_manifest(const struct manifest *m, const char *dir)
{
    const struct recipe *r = &m->recipe;
    (void)fprintf(stdout, "model        %s@%s (%s)\n", m->name, m->version,
                  m->research_only ? "research" : "product");
    (void)fprintf(stdout, "description  %s\n", m->description);
    (void)fprintf(stdout, "directory    %s\n", dir);
    (void)fprintf(stdout, "weights      %lld bytes, sha256 %s\n", (long long)m->weights_bytes,
                  m->weights_sha256);
    print_network(m);
    (void)fprintf(
        stdout,
        "recipe       %s, clip to %s %g ... %g, x_cnn %g ... %g, x_dino %g ... %g, output %g "
        "... %g HU\n",
        r->modality, r->clip == RECIPE_CLIP_PERCENTILE ? "percentiles" : "values", r->clip_low,
        r->clip_high, r->cnn_low, r->cnn_high, r->dino_low, r->dino_high, r->hu_low, r->hu_high);
    print_quality(&m->quality);
    (void)fprintf(stdout, "from         %s, sha256 %s\n", m->backbone_source.file,
                  m->backbone_source.sha256);
    (void)fprintf(stdout, "from         %s, sha256 %s\n", m->generator_source.file,
                  m->generator_source.sha256);
}

static int run_show(int argc, char **argv)
{
    static const char command[] = "sctd model show";
    struct sctd_error err = {.code = SCTD_OK};
    struct one_words words = {.json = false};
    struct manifest manifest;
    char path[SCTD_PATH_MAX];
    int r = parse_one(&words, command, "Show what a model is.", argc, argv, &err);
    if (r == OPTIONS_HELP) {
        return CMD_OK;
    }
    if (r == 0) {
        r = sctd_path_join(path, words.dir, "manifest.json", &err);
    }
    if (r == 0) {
        r = manifest_read(&manifest, path, &err);
    }
    if (r == 0 && words.json) {
        r = print_manifest_json(&manifest, words.dir, &err);
    } else if (r == 0) {
        print_manifest(&manifest, words.dir);
    }
    return r < 0 ? cmd_fail(command, &err) : CMD_OK;
}

static int print_verdict_json(const char *dir, const struct model *model, int r,
                              const struct sctd_error *verdict, struct sctd_error *err)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf buf = sctd_buf_make(LIST_BYTES_MAX);
    struct json_writer w = json_writer_make(&buf, true, err);
    json_write_object_begin(&w, NULL);
    json_write_string(&w, "dir", dir);
    json_write_bool(&w, "ok", r == 0);
    if (model != NULL) {
        const struct manifest *m = model_get_manifest(model);
        json_write_string(&w, "name", m->name);
        json_write_string(&w, "version", m->version);
        json_write_string(&w, "sha256", m->weights_sha256);
    }
    if (r < 0) {
        json_write_string(&w, "error", verdict->text);
    }
    json_write_object_end(&w);
    return cmd_print_json(&w);
}

static int run_verify(int argc, char **argv)
{
    static const char command[] = "sctd model verify";
    struct sctd_error err = {.code = SCTD_OK};
    struct one_words words = {.json = false};
    int r = parse_one(
        &words, command,
        "Check a model: its manifest, its weights' names and shapes, their SHA-256, and, where outputs are\n"
        "stored beside it, that it computes the same here.",
        argc, argv, &err);
    if (r != 0) {
        return r == OPTIONS_HELP ? CMD_OK : cmd_fail(command, &err);
    }

    sctd_auto(model_closep) struct model *model = NULL;
    r = model_open(&model, words.dir, &err);
    if (r == 0) {
        r = model_verify(model, &err);
    }
    if (r == 0) {
        const struct engine_options as_used = {.precision = NULL};
        struct selftest test;
        r = selftest_run(&test, words.dir, &as_used, &err);
        r = r < 0 ? r : 0; /* without stored outputs the files are all there is to look at */
    }
    if (words.json) {
        struct sctd_error own = {.code = SCTD_OK};
        if (print_verdict_json(words.dir, model, r, &err, &own) < 0) {
            return cmd_fail(command, &own);
        }
    } else if (r == 0) {
        const struct manifest *m = model_get_manifest(model);
        (void)fprintf(stdout, "%s@%s: sound, sha256 %s\n", m->name, m->version, m->weights_sha256);
    }
    return r < 0 ? cmd_fail(command, &err) : CMD_OK;
}

struct selftest_words {
    const char *models_dir, *precision;
    bool write, json;
    char dir[SCTD_PATH_MAX];
};

static int parse_selftest(struct selftest_words *words, int argc, char **argv,
                          struct sctd_error *err)
{
    const struct option table[] = {
        CMD_MODELS_DIR_OPTION(words->models_dir),
        CMD_PRECISION_OPTION(words->precision),
        {.name = "write",
         .kind = OPTION_FLAG,
         .target = &words->write,
         .help = "store what this machine computes in fp32, in the place of what was stored"},
        CMD_JSON_OPTION(words->json),
    };
    const struct options options = {
        .command = "sctd model selftest",
        .operands = "NAME[@VERSION]|DIR",
        .summary =
            "Compare what a model computes here with the outputs that were stored beside it when it was\n"
            "imported or checked: another machine, driver or library must not change an sCT.",
        .option = table,
        .n = sizeof table / sizeof table[0],
        .min_operands = 1,
        .max_operands = 1,
    };
    char **operands = NULL;
    words->models_dir = cmd_models_dir();
    const int r = options_parse(&options, argc, argv, &operands, err);
    return r == 0 ? model_resolve(words->dir, words->models_dir, operands[0], err) : r;
}

static int print_selftest(const struct selftest *test, bool json, struct sctd_error *err)
{
    const struct selftest_distance *found = &test->found;
    const struct selftest_distance *bound = &test->bound;
    if (!json) {
        (void)fprintf(
            stdout,
            "it computes what was stored on %s (%s, %d slices of %d x %d): %.3g HU apart in "
            "the mean, %.3g at the 99.9th percentile, %.3g at most (%.3g, %.3g and %.3g are "
            "allowed)\n",
            test->backend, test->arithmetic, test->slices, test->height, test->width,
            found->mean_hu, found->high_hu, found->max_hu, bound->mean_hu, bound->high_hu,
            bound->max_hu);
        return 0;
    }
    sctd_auto(sctd_buf_fini) struct sctd_buf buf = sctd_buf_make(LINES_BYTES_MAX);
    struct json_writer w = json_writer_make(&buf, true, err);
    json_write_object_begin(&w, NULL);
    json_write_double(&w, "mean_hu", found->mean_hu);
    json_write_double(&w, "p999_hu", found->high_hu);
    json_write_double(&w, "max_hu", found->max_hu);
    json_write_double(&w, "mean_bound_hu", bound->mean_hu);
    json_write_double(&w, "p999_bound_hu", bound->high_hu);
    json_write_double(&w, "max_bound_hu", bound->max_hu);
    json_write_string(&w, "backend", test->backend);
    json_write_string(&w, "arithmetic", test->arithmetic);
    json_write_int(&w, "slices", test->slices);
    json_write_int(&w, "height", test->height);
    json_write_int(&w, "width", test->width);
    json_write_object_end(&w);
    return cmd_print_json(&w);
}

static int run_selftest(int argc, char **argv)
{
    static const char command[] = "sctd model selftest";
    struct sctd_error err = {.code = SCTD_OK};
    struct selftest_words words = {.json = false};
    struct selftest test;
    int r = parse_selftest(&words, argc, argv, &err);
    if (r != 0) {
        return r == OPTIONS_HELP ? CMD_OK : cmd_fail(command, &err);
    }
    const struct engine_options options = {.precision = words.precision};
    r = words.write ? selftest_write(words.dir, &err) : 0;
    r = r < 0 ? r : selftest_run(&test, words.dir, &options, &err);
    if (r == SELFTEST_NONE) {
        r = sctd_error(
            &err, SCTD_EDATA,
            "%.120s: no outputs are stored: store them with --write on a machine that you "
            "trust",
            words.dir);
    }
    r = r < 0 ? r : print_selftest(&test, words.json, &err);
    return r < 0 ? cmd_fail(command, &err) : CMD_OK;
}

static int run_activate(int argc, char **argv)
{
    static const char command[] = "sctd model activate";
    struct sctd_error err = {.code = SCTD_OK};
    struct one_words words = {.json = false};
    int r =
        parse_one(&words, command,
                  "Choose the version that a name without one means.  A running daemon takes it up "
                  "with SIGHUP.",
                  argc, argv, &err);
    if (r != 0) {
        return r == OPTIONS_HELP ? CMD_OK : cmd_fail(command, &err);
    }
    sctd_auto(model_closep) struct model *model = NULL;
    r = model_open(&model, words.dir, &err);
    if (r < 0) {
        return cmd_fail(command, &err);
    }
    const struct manifest *m = model_get_manifest(model);
    r = model_activate(words.models_dir, m->name, m->version, &err);
    if (r < 0) {
        return cmd_fail(command, &err);
    }
    if (words.json) {
        r = print_manifest_json(m, words.dir, &err);
        return r < 0 ? cmd_fail(command, &err) : CMD_OK;
    }
    (void)fprintf(stdout, "\"%s\" means %s@%s now\n", m->name, m->name, m->version);
    return CMD_OK;
}

int cmd_model(int argc, char **argv)
{
    static const struct cmd commands[] = {
        {"import", run_import, "make a model of checkpoints and a recipe"},
        {"list", run_list, "list the models"},
        {"show", run_show, "show what a model is"},
        {"verify", run_verify, "check a model's files against each other"},
        {"selftest", run_selftest, "compare what a model computes here with what was stored"},
        {"limits", cmd_model_limits, "find the limits that sCTs found good keep"},
        {"activate", run_activate, "choose the version that a name without one means"},
        {NULL, NULL, NULL},
    };
    return cmd_dispatch("sctd model", commands, argc, argv);
}
