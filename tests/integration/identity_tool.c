/* SPDX-License-Identifier: Apache-2.0 */
/* sctd convert with a network that passes what the source holds through as HU, and checks what it is given. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dicom/series.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/base/volume.h"
#include "engine/engine.h"
#include "server/cmd.h"
#include "server/cmd_options.h"
#include "server/convert.h"
#include "server/convert_batch.h"
#include "server/progress.h"

struct identity_args {
    struct option_list input;
    const char *output, *modality, *grid, *preview, *mode;
};

static struct manifest manifest = {
    .name = "identity",
    .version = "1",
    .research_only = true,
    .weights_sha256 = "1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d",
    .height = 16,
    .width = 16,
    .recipe = {.clip = RECIPE_CLIP_FIXED, .hu_low = -1024.0, .hu_high = 2000.0},
};

static int see(void *arg, const struct volume *source, double ret_clip[2], struct sctd_error *err)
{
    const struct identity_args *args = arg;
    (void)source;
    ret_clip[0] = -1024.0;
    ret_clip[1] = 2000.0;
    return strcmp(args->mode, "refuse") == 0 ? sctd_error(err, SCTD_EDATA, "no contrast") : 0;
}

/* Rows run to the left, columns to the back, slices to the head: within the tilt allowed. */
static bool is_axial(const struct volume_grid *grid)
{
    const double least = 0.9848077530; /* the cosine of 10 degrees */
    return grid->axis[0][0] >= least && grid->axis[1][1] >= least && grid->axis[2][2] >= least;
}

static int pass(void *arg, struct volume *slices, const struct engine_volume_options *progress,
                struct sctd_error *err)
{
    const struct identity_args *args = arg;
    if (!is_axial(&slices->grid)) {
        return sctd_error(err, SCTD_EINVAL, "the network was given slices that are not axial");
    }
    for (int64_t k = 0; k < slices->grid.dim[2]; k++) {
        progress->on_slices(progress->arg, k + 1, slices->grid.dim[2]);
    }
    return strcmp(args->mode, "lost") == 0 ? sctd_error(err, SCTD_EDEVICE, "the device is lost")
                                           : 0;
}

static int convert(struct identity_args *args, struct sctd_error *err)
{
    const struct convert_network network = {
        .manifest = &manifest, .arithmetic = "identity", .prepare = see, .run = pass, .arg = args};
    const struct convert_options options = {
        .grid = strcmp(args->grid, "axial") == 0 ? CONVERT_GRID_AXIAL : CONVERT_GRID_SOURCE};
    sctd_auto(dicom_scan_freep) struct dicom_scan *scan = NULL;
    int r = dicom_scan_paths(&scan, args->input.item, args->input.n, err);
    if (r < 0) {
        return r;
    }
    const size_t n = dicom_scan_get_series_count(scan);
    struct convert_row *rows = calloc(n + 1, sizeof *rows);
    if (rows == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "%zu series", n);
    }
    struct progress progress;
    progress_init(&progress, stderr);
    const struct convert_batch batch = {.scan = scan,
                                        .network = &network,
                                        .options = &options,
                                        .output = args->output,
                                        .preview = args->preview};
    (void)convert_batch_run(rows, &batch, &progress);
    struct sctd_buf buf = sctd_buf_make(1 << 24);
    struct json_writer w = json_writer_make(&buf, true, err);
    json_write_object_begin(&w, NULL);
    convert_batch_write(rows, n, &w);
    json_write_object_end(&w);
    r = cmd_print_json(&w);
    sctd_buf_fini(&buf);
    free(rows);
    return r;
}

int main(int argc, char **argv)
{
    struct identity_args args = {.modality = "MR", .grid = "source", .mode = "pass"};
    const struct option table[] = {
        {.name = "input", .kind = OPTION_LIST, .target = &args.input, .required = true},
        {.name = "output", .kind = OPTION_TEXT, .target = (void *)&args.output, .required = true},
        {.name = "modality", .kind = OPTION_TEXT, .target = (void *)&args.modality},
        {.name = "grid",
         .kind = OPTION_CHOICE,
         .target = (void *)&args.grid,
         .choices = "source|axial"},
        {.name = "preview", .kind = OPTION_TEXT, .target = (void *)&args.preview},
        {.name = "mode",
         .kind = OPTION_CHOICE,
         .target = (void *)&args.mode,
         .choices = "pass|refuse|lost"},
    };
    const struct options options = {.command = "identity_tool",
                                    .summary = "Convert without changing a value.",
                                    .option = table,
                                    .n = sizeof table / sizeof table[0]};
    struct sctd_error err = {.code = SCTD_OK};
    char **operands = NULL;
    int r = options_parse(&options, argc, argv, &operands, &err);
    if (r == 0) {
        (void)snprintf(manifest.recipe.modality, sizeof manifest.recipe.modality, "%s",
                       args.modality);
        r = convert(&args, &err);
    }
    return r < 0 ? cmd_fail("identity_tool", &err) : CMD_OK;
}
