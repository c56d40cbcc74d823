/* SPDX-License-Identifier: Apache-2.0 */
/* sctd convert: files in, files out. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dicom/series.h"
#include "engine/base/buf.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/parse.h"
#include "engine/engine.h"
#include "server/cmd.h"
#include "server/cmd_options.h"
#include "server/convert.h"
#include "server/convert_batch.h"
#include "server/convert_engine.h"
#include "server/progress.h"

static const char command[] = "sctd convert";

enum { SELECTORS_MAX = 16, OPTIONS_MAX = 32, FACTS_MAX = 64 << 20 };

struct convert_args {
    const char *model, *models_dir, *output, *preview, *grid, *backend, *precision;
    const char *description, *intercept, *tolerance;
    struct option_list input, select;
    int64_t threads, batch, gpu_memory_mib, number_offset, min_slices;
    bool enhanced, json;
};

/* What the words mean, and what came of them. */
struct convert_run {
    const struct convert_args *args;
    char model_dir[SCTD_PATH_MAX];
    struct dicom_selector selector[SELECTORS_MAX];
    struct convert_options options;
    struct dicom_scan *scan;
    struct convert_engine engine;
    struct convert_row *rows;
    size_t n, without, reviews;
    double scan_s, load_s;
};

static void convert_run_fini(struct convert_run *run)
{
    free(run->rows);
    convert_engine_close(&run->engine);
    dicom_scan_free(run->scan);
}

/* Words */

static int parse_selectors(struct convert_run *run, struct sctd_error *err)
{
    const struct option_list *select = &run->args->select;
    if (select->n > SELECTORS_MAX) {
        return sctd_error(err, SCTD_EINVAL, "%zu times --select: at most %d are possible",
                          select->n, SELECTORS_MAX);
    }
    int r = 0;
    for (size_t i = 0; r == 0 && i < select->n; i++) {
        r = dicom_selector_parse(&run->selector[i], select->item[i], err);
    }
    return r;
}

static int parse_tolerance(double *ret_fraction, const char *percent, struct sctd_error *err)
{
    double value = 0.0;
    int r = sctd_parse_f64(&value, percent, err);
    if (r < 0 || !(value > 0.0 && value <= 20.0)) {
        return sctd_error(err, SCTD_EINVAL,
                          "--spacing-tolerance %.40s: give a percentage above 0, at most 20",
                          percent);
    }
    *ret_fraction = value / 100.0;
    return 0;
}

static int read_words(struct convert_run *run, struct sctd_error *err)
{
    const struct convert_args *args = run->args;
    double tolerance = 0.0;
    int r = parse_selectors(run, err);
    if (r == 0 && args->tolerance != NULL) {
        r = parse_tolerance(&tolerance, args->tolerance, err);
    }
    if (r == 0) {
        r = model_resolve(run->model_dir, args->models_dir, args->model, err);
    }
    run->options = (struct convert_options){
        .selector = run->selector,
        .n_selectors = args->select.n,
        .spacing_tolerance = tolerance,
        .min_slices = (int32_t)args->min_slices,
        .grid = strcmp(args->grid, "axial") == 0 ? CONVERT_GRID_AXIAL : CONVERT_GRID_SOURCE,
        .sct = {.series_description = args->description,
                .series_number_offset = (int32_t)args->number_offset,
                .rescale_intercept = strcmp(args->intercept, "-1024") == 0 ? -1024 : 0,
                .enhanced = args->enhanced},
    };
    return r;
}

/* Running */

static int scan(struct convert_run *run, struct sctd_error *err)
{
    const double start_s = sctd_now_s();
    const struct option_list *input = &run->args->input;
    int r = dicom_scan_paths(&run->scan, input->item, input->n, err);
    if (r < 0) {
        return r;
    }
    run->scan_s = sctd_now_s() - start_s;
    run->n = dicom_scan_get_series_count(run->scan);
    if (run->n == 0) {
        return sctd_error(err, SCTD_EDATA,
                          "no DICOM series at or below %.100s: %zu files are no DICOM images",
                          input->item[0], dicom_scan_get_skipped(run->scan));
    }
    run->rows = calloc(run->n, sizeof *run->rows);
    return run->rows == NULL ? sctd_error(err, SCTD_ENOMEM, "%zu series", run->n) : 0;
}

static int load(struct convert_run *run, struct sctd_error *err)
{
    const double start_s = sctd_now_s();
    const struct engine_options options = {
        .backend = run->args->backend,
        .precision = run->args->precision,
        .threads = (int32_t)run->args->threads,
        .batch = (int32_t)run->args->batch,
        .gpu_memory_mib = (int32_t)run->args->gpu_memory_mib,
    };
    int r = convert_engine_open(&run->engine, run->model_dir, &options, err);
    run->load_s = sctd_now_s() - start_s;
    return r;
}

static int convert(struct convert_run *run, struct sctd_error *err)
{
    int r = read_words(run, err);
    if (r == 0) {
        r = scan(run, err);
    }
    if (r == 0) {
        r = load(run, err);
    }
    if (r < 0) {
        return r;
    }
    struct progress progress;
    progress_init(&progress, stderr);
    const struct convert_batch batch = {
        .scan = run->scan,
        .network = &run->engine.network,
        .options = &run->options,
        .output = run->args->output,
        .preview = run->args->preview,
    };
    run->without = convert_batch_run(run->rows, &batch, &progress);
    run->reviews = convert_batch_count_reviews(run->rows, run->n);
    return 0;
}

/* Printing */

static int print_json(const struct convert_run *run, struct sctd_error *err)
{
    const struct manifest *m = run->engine.network.manifest;
    sctd_auto(sctd_buf_fini) struct sctd_buf buf = sctd_buf_make(FACTS_MAX);
    struct json_writer w = json_writer_make(&buf, true, err);
    json_write_object_begin(&w, NULL);
    json_write_string(&w, "model", m->name);
    json_write_string(&w, "version", m->version);
    json_write_string(&w, "sha256", m->weights_sha256);
    json_write_string(&w, "arithmetic", run->engine.network.arithmetic);
    json_write_double(&w, "scan_seconds", run->scan_s);
    json_write_double(&w, "load_seconds", run->load_s);
    json_write_int(&w, "files_skipped", (int64_t)dicom_scan_get_skipped(run->scan));
    json_write_int(&w, "series_without_sct", (int64_t)run->without);
    json_write_int(&w, "series_that_need_review", (int64_t)run->reviews);
    convert_batch_write(run->rows, run->n, &w);
    json_write_object_end(&w);
    return cmd_print_json(&w);
}

static int print(const struct convert_run *run, struct sctd_error *err)
{
    if (run->args->json) {
        return print_json(run, err);
    }
    convert_batch_print(run->rows, run->n, stdout);
    const size_t skipped = dicom_scan_get_skipped(run->scan);
    if (skipped > 0) {
        (void)fprintf(stdout, "%zu files that are no DICOM images were passed over\n", skipped);
    }
    return 0;
}

/* Options */

/* What is read, and what is made of it. */
static size_t add_source_options(struct option *table, struct convert_args *args)
{
    const struct option rows[] = {
        CMD_MODEL_OPTION(args->model),
        {.name = "input",
         .kind = OPTION_LIST,
         .target = &args->input,
         .argument = "PATH",
         .help = "a DICOM file, or a folder that is searched with those below it; may be repeated",
         .required = true},
        {.name = "output",
         .kind = OPTION_TEXT,
         .target = (void *)&args->output,
         .argument = "DIR",
         .help = "gets a folder for each sCT, named by its Series Instance UID",
         .required = true},
        {.name = "select",
         .kind = OPTION_LIST,
         .target = &args->select,
         .argument = "KEY=VALUE",
         .help = "picks one volume of a mixed series, such as echo=1 or dixon=in-phase; may be "
                 "repeated, all must hold"},
        {.name = "spacing-tolerance",
         .kind = OPTION_TEXT,
         .target = (void *)&args->tolerance,
         .argument = "PERCENT",
         .help = "how far slice spacings may differ from their median; default 1"},
        {.name = "min-slices",
         .kind = OPTION_NUMBER,
         .target = &args->min_slices,
         .argument = "N",
         .help = "a series of fewer is refused; default 4",
         .min = 1,
         .max = 65535},
    };
    memcpy(table, rows, sizeof rows);
    return sizeof rows / sizeof rows[0];
}

/* What the sCT looks like. */
static size_t add_sct_options(struct option *table, struct convert_args *args)
{
    const struct option rows[] = {
        {.name = "grid",
         .kind = OPTION_CHOICE,
         .target = (void *)&args->grid,
         .argument = "GRID",
         .help = "source: the source's own slices (default); axial: slices along the patient's "
                 "axes with square pixels",
         .choices = "source|axial"},
        {.name = "preview",
         .kind = OPTION_TEXT,
         .target = (void *)&args->preview,
         .argument = "FILE.png",
         .help = "a picture of source and sCT; of several series FILE-1.png and so on"},
        {.name = "series-description",
         .kind = OPTION_TEXT,
         .target = (void *)&args->description,
         .argument = "TEXT",
         .help = "of the sCT; default \"sCT \" and the source's"},
        {.name = "series-number-offset",
         .kind = OPTION_NUMBER,
         .target = &args->number_offset,
         .argument = "N",
         .help = "added to the source's Series Number; default 1000",
         .min = 1,
         .max = 1000000},
        {.name = "rescale-intercept",
         .kind = OPTION_CHOICE,
         .target = (void *)&args->intercept,
         .argument = "N",
         .help = "0 (default) or -1024",
         .choices = "0|-1024"},
        {.name = "enhanced",
         .kind = OPTION_FLAG,
         .target = &args->enhanced,
         .help = "write one Enhanced CT instance instead of one CT Image a slice"},
    };
    memcpy(table, rows, sizeof rows);
    return sizeof rows / sizeof rows[0];
}

static size_t add_engine_options(struct option *table, struct convert_args *args)
{
    const struct option rows[] = {
        CMD_PRECISION_OPTION(args->precision),
        CMD_BACKEND_OPTION(args->backend),
        CMD_THREADS_OPTION(args->threads),
        CMD_BATCH_OPTION(args->batch),
        CMD_GPU_MEMORY_OPTION(args->gpu_memory_mib),
        CMD_MODELS_DIR_OPTION(args->models_dir),
        CMD_JSON_OPTION(args->json),
    };
    memcpy(table, rows, sizeof rows);
    return sizeof rows / sizeof rows[0];
}

static int parse(struct convert_args *args, int argc, char **argv, struct sctd_error *err)
{
    struct option table[OPTIONS_MAX];
    size_t n = add_source_options(table, args);
    n += add_sct_options(table + n, args);
    n += add_engine_options(table + n, args);
    const struct options options = {
        .command = command,
        .summary =
            "Turn the MR or CT series found in files into synthetic CT series beside them.\n"
            "Each series is converted or refused on its own; the exit status is 0 if all have "
            "their sCT\nand none needs review.",
        .option = table,
        .n = n,
    };
    char **operands = NULL;
    return options_parse(&options, argc, argv, &operands, err);
}

int cmd_convert(int argc, char **argv)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct convert_args args = {.models_dir = cmd_models_dir(),
                                .backend = "auto",
                                .precision = "auto",
                                .grid = "source",
                                .intercept = "0"};
    int r = parse(&args, argc, argv, &err);
    if (r == OPTIONS_HELP) {
        return CMD_OK;
    }
    sctd_auto(convert_run_fini) struct convert_run run = {.args = &args};
    if (r == 0) {
        r = convert(&run, &err);
    }
    if (r == 0) {
        r = print(&run, &err);
    }
    if (r < 0) {
        return cmd_fail(command, &err);
    }
    return run.without == 0 && run.reviews == 0 ? CMD_OK : CMD_FAILED;
}
