/* SPDX-License-Identifier: Apache-2.0 */
/* sctd evaluate: how far synthetic CTs are from their references. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/engine.h"
#include "server/cmd.h"
#include "server/cmd_options.h"
#include "server/evaluate/case.h"
#include "server/evaluate/pairs.h"
#include "server/evaluate/report.h"
#include "server/evaluate/table.h"
#include "server/options.h"

static const char command[] = "sctd evaluate";

enum { FACTS_MAX = 256 << 20 };

struct words {
    struct evaluate_files files;
    const char *pairs, *report, *model, *models_dir;
    struct option_list force;
    int64_t threads;
    bool json;
};

struct work {
    const struct words *words;
    struct evaluate_options options;
    struct evaluate_pair *pair;
    struct evaluate_row *rows;
    size_t n, refused;
};

static void work_fini(struct work *work)
{
    for (size_t i = 0; work->rows != NULL && i < work->n; i++) {
        evaluate_case_fini(&work->rows[i].c);
    }
    free(work->rows);
    free(work->pair);
    engine_close(work->options.mldp);
}

static int parse_force(unsigned *ret_force, const struct option_list *list, struct sctd_error *err)
{
    static const struct {
        const char *name;
        unsigned bit;
    } checks[] = {{"patient", EVALUATE_FORCE_PATIENT},
                  {"frame", EVALUATE_FORCE_FRAME},
                  {"units", EVALUATE_FORCE_UNITS}};
    unsigned force = 0;
    for (size_t i = 0; i < list->n; i++) {
        unsigned bit = 0;
        for (size_t c = 0; c < sizeof checks / sizeof checks[0]; c++) {
            bit = strcmp(list->item[i], checks[c].name) == 0 ? checks[c].bit : bit;
        }
        if (bit == 0) {
            return sctd_error(err, SCTD_EINVAL, "--force %.40s: patient, frame and units can be",
                              list->item[i]);
        }
        force |= bit;
    }
    *ret_force = force;
    return 0;
}

static int check_words(const struct words *words, struct sctd_error *err)
{
    const struct evaluate_files *files = &words->files;
    const bool is_pair = files->reference != NULL && files->synthetic != NULL;
    const bool is_any = files->reference != NULL || files->synthetic != NULL ||
                        files->mask != NULL || files->reference_labels != NULL ||
                        files->synthetic_labels != NULL;
    if (words->pairs != NULL ? is_any : !is_pair) {
        return sctd_error(err, SCTD_EINVAL,
                          "give --reference and --synthetic, or --pairs alone: see --help");
    }
    if ((files->reference_labels == NULL) != (files->synthetic_labels == NULL)) {
        return sctd_error(
            err, SCTD_EINVAL,
            "--labels needs two files: those of the reference and of the synthetic CT");
    }
    return 0;
}

static int open_model(struct work *work, struct sctd_error *err)
{
    char dir[SCTD_PATH_MAX];
    const struct engine_options options = {.precision = "fp32",
                                           .threads = (int32_t)work->words->threads};
    int r = model_resolve(dir, work->words->models_dir, work->words->model, err);
    return r < 0 ? r : mldp_open(&work->options.mldp, dir, &options, err);
}

static int find_cases(struct work *work, struct sctd_error *err)
{
    work->n = 1;
    int r = work->words->pairs == NULL
                ? 0
                : evaluate_pairs_find(&work->pair, &work->n, work->words->pairs, err);
    if (r < 0) {
        return r;
    }
    work->rows = calloc(work->n, sizeof *work->rows);
    return work->rows == NULL ? sctd_error(err, SCTD_ENOMEM, "%zu cases", work->n) : 0;
}

/* A case that is refused does not stop the others; what is wrong with the machine does. */
static int run_cases(struct work *work, struct sctd_error *err)
{
    for (size_t i = 0; i < work->n; i++) {
        struct evaluate_row *row = &work->rows[i];
        const bool is_batch = work->pair != NULL;
        const char *name = is_batch ? work->pair[i].name : "case";
        int r =
            evaluate_case_run(&row->c, name, is_batch ? &work->pair[i].files : &work->words->files,
                              &work->options, &row->error);
        if (r < 0 && (r != SCTD_EDATA || !is_batch)) {
            *err = row->error;
            return r;
        }
        if (r < 0) {
            (void)snprintf(row->c.name, sizeof row->c.name, "%s", name);
            work->refused++;
        }
        if (is_batch) {
            (void)fprintf(stderr, "case %zu of %zu: %s: %s\n", i + 1, work->n, name,
                          r < 0 ? row->error.text : "evaluated");
        }
    }
    return 0;
}

static int evaluate(struct work *work, struct sctd_error *err)
{
    int r = check_words(work->words, err);
    r = r < 0 ? r : parse_force(&work->options.force, &work->words->force, err);
    work->options.pictures = work->words->report != NULL;
    if (r == 0 && work->words->model != NULL) {
        r = open_model(work, err);
    }
    r = r < 0 ? r : find_cases(work, err);
    return r < 0 ? r : run_cases(work, err);
}

static int print(const struct work *work, struct sctd_error *err)
{
    if (!work->words->json) {
        evaluate_table_print(work->rows, work->n, stdout);
        return 0;
    }
    sctd_auto(sctd_buf_fini) struct sctd_buf buf = sctd_buf_make(FACTS_MAX);
    struct json_writer w = json_writer_make(&buf, true, err);
    json_write_object_begin(&w, NULL);
    json_write_int(&w, "refused", (int64_t)work->refused);
    evaluate_table_write_json(&w, work->rows, work->n);
    json_write_object_end(&w);
    return cmd_print_json(&w);
}

static size_t add_image_options(struct option *table, struct words *words)
{
    const struct option rows[] = {
        {.name = "reference",
         .kind = OPTION_TEXT,
         .target = (void *)&words->files.reference,
         .argument = "CT",
         .help = "the CT: a folder with one DICOM series, or a .nii, .nii.gz, .mha or .mhd file"},
        {.name = "synthetic",
         .kind = OPTION_TEXT,
         .target = (void *)&words->files.synthetic,
         .argument = "SCT",
         .help = "the synthetic CT, likewise; resampled where its grid is another"},
        {.name = "mask",
         .kind = OPTION_TEXT,
         .target = (void *)&words->files.mask,
         .argument = "FILE",
         .help = "the body, above 0; without it, it is found in the reference"},
        {.name = "labels",
         .kind = OPTION_TEXT,
         .target = (void *)&words->files.reference_labels,
         .argument = "REF SYN",
         .help = "label maps of the organs in both, such as TotalSegmentator's: whole numbers in "
                 "two files"},
        {.name = "pairs",
         .kind = OPTION_TEXT,
         .target = (void *)&words->pairs,
         .argument = "DIR",
         .help = "instead: a folder of cases, each a folder with reference and synthetic (or ct "
                 "and sct), and mask, reference_labels and synthetic_labels where there are any"},
    };
    memcpy(table, rows, sizeof rows);
    return sizeof rows / sizeof rows[0];
}

static int parse(struct words *words, int argc, char **argv, struct sctd_error *err)
{
    struct option table[16];
    size_t n = add_image_options(table, words);
    struct option model = CMD_MODEL_OPTION(words->model);
    model.required = false;
    model.help = "measures the perceptual distance MLDP too, with this model's DINOv3 backbone";
    const struct option rows[] = {
        model,
        CMD_MODELS_DIR_OPTION(words->models_dir),
        CMD_THREADS_OPTION(words->threads),
        {.name = "force",
         .kind = OPTION_LIST,
         .target = &words->force,
         .argument = "CHECK",
         .help = "leave out a check: patient, frame (of reference) or units; may be repeated"},
        {.name = "report",
         .kind = OPTION_TEXT,
         .target = (void *)&words->report,
         .argument = "DIR",
         .help = "gets report.html, cases.csv and cases.json"},
        CMD_JSON_OPTION(words->json),
    };
    memcpy(table + n, rows, sizeof rows);
    n += sizeof rows / sizeof rows[0];
    const struct options options = {
        .command = command,
        .summary = "Measure how far a synthetic CT is from the CT: HU, structure, organs, depth in "
                   "water.\n"
                   "docs/evaluate.md says how each number is defined.  The exit status is 0 if "
                   "every case\nwas measured, 1 if one was refused.",
        .option = table,
        .n = n,
        .operands = "",
        .max_operands = 1,
    };
    char **operands = NULL;
    int r = options_parse(&options, argc, argv, &operands, err);
    if (r == 0) {
        words->files.synthetic_labels = operands[0]; /* the second word of --labels */
    }
    return r;
}

int cmd_evaluate(int argc, char **argv)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct words words = {.models_dir = cmd_models_dir()};
    int r = parse(&words, argc, argv, &err);
    if (r == OPTIONS_HELP) {
        return CMD_OK;
    }
    sctd_auto(work_fini) struct work work = {.words = &words};
    r = r < 0 ? r : evaluate(&work, &err);
    if (r == 0 && words.report != NULL) {
        r = evaluate_report_write(words.report, work.rows, work.n, &err);
    }
    r = r < 0 ? r : print(&work, &err);
    if (r < 0) {
        return cmd_fail(command, &err);
    }
    return work.refused == 0 ? CMD_OK : CMD_FAILED;
}
