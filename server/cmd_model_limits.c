/* SPDX-License-Identifier: Apache-2.0 */
/* sctd model limits: what a model's sCTs must keep to, from those that were found good. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/engine.h"
#include "server/cmd.h"
#include "server/options.h"

enum { MARGIN_USUAL = 25, MARGIN_MAX = 1000, REPORTS_MAX = 100000 };

struct words {
    int64_t margin;
    bool loose;
};

static int add_file(struct quality_cohort *cohort, const char *path, struct sctd_error *err)
{
    struct sctd_map map = {NULL, 0};
    struct quality_report report;
    int r = sctd_map_open(&map, path, err);
    if (r < 0) {
        return r;
    }
    r = quality_report_read(&report, map.data, map.size, err);
    r = r < 0 ? r : quality_cohort_add(cohort, &report, err);
    sctd_map_close(&map);
    if (r < 0) {
        sctd_error_prefix(err, "%.80s", path);
    }
    return r;
}

static int print_limits(const struct quality_limits *limits, struct sctd_error *err)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf buf = sctd_buf_make(MANIFEST_BYTES_MAX);
    struct json_writer w = json_writer_make(&buf, true, err);
    json_write_object_begin(&w, NULL);
    quality_limits_write_members(limits, &w);
    json_write_object_end(&w);
    return cmd_print_json(&w);
}

static int work(void *args, char **operands, struct sctd_error *err)
{
    const struct words *words = args;
    struct quality_cohort cohort = quality_cohort_make((double)words->margin, words->loose);
    struct quality_limits limits;
    int r = 0;
    for (size_t i = 0; r == 0 && operands[i] != NULL; i++) {
        r = add_file(&cohort, operands[i], err);
    }
    r = r < 0 ? r : quality_cohort_find(&limits, &cohort, err);
    return r < 0 ? r : print_limits(&limits, err);
}

int cmd_model_limits(int argc, char **argv)
{
    struct words words = {.margin = MARGIN_USUAL};
    const struct option table[] = {
        {.name = "margin",
         .kind = OPTION_NUMBER,
         .target = &words.margin,
         .argument = "PERCENT",
         .help = "how much wider than what was seen (default: 25)",
         .min = 0,
         .max = MARGIN_MAX},
        {.name = "loose",
         .kind = OPTION_FLAG,
         .target = &words.loose,
         .help =
             "let limits be wider than the default ones, and take reports that are beyond those"},
    };
    const struct options options = {
        .command = "sctd model limits",
        .operands = "REPORT.json...",
        .summary =
            "Find the limits of a model's sCTs: those that cover a cohort that was found good.  Reads the\n"
            "checks that sctd leaves with each sCT, prints what `sctd model import --quality` reads.",
        .option = table,
        .n = sizeof table / sizeof table[0],
        .min_operands = 1,
        .max_operands = REPORTS_MAX,
    };
    return cmd_run(&options, argc, argv, work, &words);
}
