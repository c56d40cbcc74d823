/* SPDX-License-Identifier: Apache-2.0 */
#include "server/convert.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dicom/sct_writer.h"
#include "dicom/series.h"
#include "dicom/source.h"
#include "dicom/uid.h"
#include "engine/base/buf.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/volume.h"
#include "engine/base/work.h"
#include "engine/engine.h"
#include "server/convert_quality.h"
#include "server/preview.h"

/* Raised whenever the same source and parameters would give other objects. */
enum { RULE = 1 };

enum { PARAMETERS_MAX = 16384, QUALITY_TEXT_MAX = 641 };

/* One conversion on its way. */
struct conversion {
    const struct convert_job *job;
    const struct dicom_series_facts *facts;
    struct dicom_series *series;
    struct volume *volume; /* source, then axial slices, then HU, then the sCT */
    struct orient_plan plan;
    double clip[2]; /* of the source */
    struct preview *preview;
    struct quality *quality; /* NULL: the model has no limits */
    char (*instance_uid)[DICOM_UID_SIZE];
    int32_t n_instances;
    int32_t *nearest;
    struct convert_result result;
};

static void conversion_fini(struct conversion *c)
{
    free(c->nearest);
    free(c->instance_uid);
    preview_free(c->preview);
    quality_free(c->quality);
    volume_free(c->volume);
    dicom_series_free(c->series);
}

const char *convert_stage_name(enum convert_stage stage)
{
    static const char *const names[CONVERT_STAGES] = {"assemble", "orient", "network", "check",
                                                      "write"};
    return names[stage];
}

static void report(const struct conversion *c, enum convert_stage stage, int64_t done,
                   int64_t total)
{
    if (c->job->on_progress != NULL) {
        c->job->on_progress(c->job->arg, stage, done, total);
    }
}

/* Parameters */

static int describe_recipe(struct sctd_buf *buf, const struct manifest *m, struct sctd_error *err)
{
    const struct recipe *r = &m->recipe;
    return sctd_buf_printf(
        buf, err,
        "model %s@%s %s\nsize %dx%d\nrecipe %s clip %d %.17g %.17g cnn %.17g %.17g dino %.17g "
        "%.17g hu %.17g %.17g\n",
        m->name, m->version, m->research_only ? "research" : "product", m->height, m->width,
        r->modality, (int)r->clip, r->clip_low, r->clip_high, r->cnn_low, r->cnn_high, r->dino_low,
        r->dino_high, r->hu_low, r->hu_high);
}

/* What the objects say of their checks depends on the limits. */
static int describe_limits(struct sctd_buf *buf, const struct quality_limits *limits,
                           struct sctd_error *err)
{
    int r = sctd_buf_printf(buf, err, "quality ");
    if (r == 0) {
        struct json_writer w = json_writer_make(buf, false, err);
        json_write_object_begin(&w, NULL);
        quality_limits_write_members(limits, &w);
        json_write_object_end(&w);
        r = json_writer_finish(&w);
    }
    return r == 0 ? sctd_buf_printf(buf, err, "\n") : r;
}

int convert_describe(struct sctd_buf *buf, const struct convert_network *network,
                     const struct convert_options *options, struct sctd_error *err)
{
    const struct sct_options *sct = &options->sct;
    int r = sctd_buf_printf(buf, err, "rule %d\norient %d tilt %g grid %s\narithmetic %s\n", RULE,
                            ORIENT_RULE, ORIENT_MAX_TILT,
                            options->grid == CONVERT_GRID_AXIAL ? "axial" : "source",
                            network->arithmetic);
    if (r == 0) {
        r = describe_recipe(buf, network->manifest, err);
    }
    if (r == 0 && network->manifest->quality.is_set) {
        r = describe_limits(buf, &network->manifest->quality, err);
    }
    if (r == 0) {
        r = sctd_buf_printf(buf, err, "object %s intercept %d number %d description %s%s\n",
                            sct->enhanced ? "enhanced" : "ct", sct->rescale_intercept,
                            sct->series_number_offset, sct->series_description == NULL ? "-" : "=",
                            sct->series_description == NULL ? "" : sct->series_description);
    }
    return r;
}

/* Assembling */

static int assemble(struct conversion *c, struct sctd_error *err)
{
    const struct convert_options *o = c->job->options;
    const struct dicom_series_options options = {
        .modality = c->job->network->manifest->recipe.modality,
        .selector = o->selector,
        .n_selectors = o->n_selectors,
        .spacing_tolerance = o->spacing_tolerance,
        .min_slices = o->min_slices,
    };
    int r = dicom_series_assemble(&c->series, c->job->scan, c->job->series, &options,
                                  &c->result.refusal, err);
    if (r == DICOM_SERIES_REFUSED) {
        return CONVERT_REFUSED;
    }
    if (r == 0) {
        c->volume = dicom_series_take_volume(c->series);
        r = orient_plan_make(&c->plan, dicom_series_get_grid(c->series), ORIENT_MAX_TILT, err);
    }
    if (r == 0) {
        c->result.tilt_degrees = c->plan.tilt_degrees;
        c->result.resampled = c->plan.resampled;
    }
    return r;
}

/* Where the result goes */

static const struct volume_grid *result_grid(const struct conversion *c)
{
    return c->job->options->grid == CONVERT_GRID_AXIAL ? &c->plan.axial : &c->plan.source;
}

static int take_uids(struct conversion *c, const struct convert_uids *uids, struct sctd_error *err)
{
    if (c->n_instances > uids->n) {
        return sctd_error(err, SCTD_EINVAL, "%d slices, but UIDs for %d only", c->n_instances,
                          uids->n);
    }
    (void)snprintf(c->result.series_uid, sizeof c->result.series_uid, "%s", uids->series_uid);
    memcpy(c->instance_uid, uids->instance_uid, (size_t)c->n_instances * sizeof *c->instance_uid);
    return 0;
}

static int make_uids(struct conversion *c, struct sctd_error *err)
{
    const bool enhanced = c->job->options->sct.enhanced;
    c->n_instances = enhanced ? 1 : result_grid(c)->dim[2];
    c->result.instances = c->n_instances;
    c->instance_uid = calloc((size_t)c->n_instances, sizeof *c->instance_uid);
    if (c->instance_uid == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "UIDs of %d instances", c->n_instances);
    }
    if (c->job->uids != NULL) {
        return take_uids(c, c->job->uids, err);
    }
    sctd_auto(sctd_buf_fini) struct sctd_buf parameters = sctd_buf_make(PARAMETERS_MAX);
    int r = convert_describe(&parameters, c->job->network, c->job->options, err);
    if (r < 0) {
        return r;
    }
    const struct dicom_sct_work work = {
        .source_series_uid = c->facts->series_instance_uid,
        .source = dicom_series_get_sources(c->series),
        .n = (size_t)c->plan.source.dim[2],
        .model_sha256 = c->job->network->manifest->weights_sha256,
        .parameters = sctd_buf_get_text(&parameters),
    };
    return dicom_uid_for_sct(c->result.series_uid, c->instance_uid, (size_t)c->n_instances, &work,
                             err);
}

static bool is_checked(const struct conversion *c)
{
    return c->job->network->manifest->quality.is_set;
}

/* What the checks said when the result was made.  A page is there if it needs review, and only then. */
static int recall_report(struct conversion *c, struct sctd_error *err)
{
    int32_t n = 0;
    bool exists = false;
    char page[SCTD_PATH_MAX];
    const struct quality_report *report = &c->result.quality;
    int r = convert_quality_read(&c->result.quality, c->result.series_uid, c->result.folder, err);
    r = r < 0 ? r : convert_quality_page_folder(page, c->job->output, c->result.series_uid, err);
    r = r < 0 ? r : sctd_dir_count(&n, &exists, page, err);
    if (r == 0 && report->needs_review != (n == 1)) {
        r = sctd_error(err, SCTD_EINVAL,
                       "%.160s: its quality page %s: remove both folders, then convert again",
                       c->result.folder, n == 1 ? "contradicts " CONVERT_QUALITY_FILE : "is gone");
    }
    if (r == 0 && report->needs_review) {
        memcpy(c->result.page_folder, page, sizeof page);
    }
    return r;
}

/* A folder is put there only when it is whole, so that one with all the files is the result. */
static int find_place(struct conversion *c, struct sctd_error *err)
{
    int32_t n = 0;
    bool exists = false;
    int r = sctd_path_join(c->result.folder, c->job->output, c->result.series_uid, err);
    if (r == 0) {
        r = sctd_dir_count(&n, &exists, c->result.folder, err);
    }
    if (r < 0) {
        return r;
    }
    if (n == c->n_instances + (is_checked(c) ? 1 : 0)) { /* and the report */
        r = is_checked(c) ? recall_report(c, err) : 0;
        return r < 0 ? r : CONVERT_THERE;
    }
    if (n > 0) {
        return sctd_error(err, SCTD_EINVAL,
                          "%.160s is there and holds something else: move it away or choose "
                          "another output folder",
                          c->result.folder);
    }
    if (exists && rmdir(c->result.folder) != 0) {
        return sctd_error(err, SCTD_EIO, "%.160s: %s", c->result.folder, strerrordesc_np(errno));
    }
    return 0;
}

/* Converting */

/* What stands where the source does not reach: air, or MR's background. */
static float find_outside(const struct conversion *c)
{
    if (strcmp(dicom_series_get_modality(c->series), "CT") == 0) {
        return -1024.0F;
    }
    const int32_t *dim = c->volume->grid.dim;
    const size_t n = (size_t)dim[0] * (size_t)dim[1] * (size_t)dim[2];
    float lowest = c->volume->voxel[0];
    for (size_t i = 1; i < n; i++) {
        lowest = fminf(lowest, c->volume->voxel[i]);
    }
    return lowest;
}

static int prepare(struct conversion *c, struct sctd_error *err)
{
    return c->job->network->prepare(c->job->network->arg, c->volume, c->clip, err);
}

/* The looks at source and slices go on within the stage around them: a job's history has each stage once. */
static void report_look(void *arg)
{
    report(arg, CONVERT_ORIENT, 0, 1);
}

static void report_check(void *arg)
{
    report(arg, CONVERT_CHECK, 0, 1);
}

static int look_at_source(struct conversion *c, struct sctd_error *err)
{
    if (!is_checked(c)) {
        return 0;
    }
    int r = quality_new(&c->quality, c->job->network->manifest, err);
    if (r == 0) {
        quality_set_progress(c->quality, report_look, c);
        r = quality_take_source(c->quality, c->volume, c->clip, err);
    }
    return r;
}

static int look_at_slices(struct conversion *c, struct sctd_error *err)
{
    return c->quality == NULL ? 0 : quality_take_slices(c->quality, c->volume, err);
}

static int judge(struct conversion *c, struct sctd_error *err)
{
    if (c->quality == NULL) {
        return 0;
    }
    report_check(c);
    quality_set_progress(c->quality, report_check, c);
    return quality_judge(&c->result.quality, c->quality, c->volume, err);
}

static int orient_there(struct conversion *c, struct sctd_error *err)
{
    const int64_t slices = c->plan.source.dim[2];
    report(c, CONVERT_ORIENT, 0, slices);
    int r = 0;
    if (c->job->preview != NULL || c->quality != NULL) {
        r = preview_new(&c->preview, &c->plan.source, err);
        if (r == 0) {
            r = preview_take_source(c->preview, c->volume, err);
        }
    }
    const float outside = c->plan.resampled ? find_outside(c) : 0.0F;
    return r == 0 ? orient_to_network(&c->volume, &c->plan, outside, err) : r;
}

static void report_slices(void *arg, int64_t n_done, int64_t n)
{
    report(arg, CONVERT_NETWORK, n_done, n);
}

/* HU that are not resampled any more come as they will be stored. */
static bool is_final(const struct conversion *c)
{
    return !c->plan.resampled &&
           (c->job->options->grid == CONVERT_GRID_SOURCE || c->plan.axial_is_network);
}

static int run_network(struct conversion *c, struct sctd_error *err)
{
    const struct engine_volume_options progress = {
        .on_slices = report_slices, .arg = c, .whole_hu = is_final(c)};
    report(c, CONVERT_NETWORK, 0, c->plan.network.dim[2]);
    return c->job->network->run(c->job->network->arg, c->volume, &progress, err);
}

static int orient_back(struct conversion *c, struct sctd_error *err)
{
    const float air = (float)c->job->network->manifest->recipe.hu_low;
    int r = c->job->options->grid == CONVERT_GRID_AXIAL
                ? orient_to_axial(&c->volume, &c->plan, air, err)
                : orient_to_source(&c->volume, &c->plan, air, err);
    if (r == 0 && c->preview != NULL) {
        r = preview_take_sct(c->preview, c->volume, err);
    }
    return r;
}

/* Writing */

static void report_written(void *arg, int32_t n_written, int32_t n_instances)
{
    report(arg, CONVERT_WRITE, n_written, n_instances);
}

static int find_nearest(struct conversion *c, struct sctd_error *err)
{
    if (c->job->options->grid == CONVERT_GRID_SOURCE) {
        return 0;
    }
    const int32_t n = c->plan.axial.dim[2];
    c->nearest = calloc((size_t)n, sizeof *c->nearest);
    if (c->nearest == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "%d slices", n);
    }
    for (int32_t k = 0; k < n; k++) {
        c->nearest[k] = orient_find_nearest(&c->plan, k);
    }
    return 0;
}

/* The files of the sCT, the report of its checks, and the page of what needs review. */
static int write_files(struct conversion *c, const char *folder, struct sctd_error *err)
{
    const struct quality_report *report = &c->result.quality;
    const struct manifest *m = c->job->network->manifest;
    const struct sct_model model = {
        .name = m->name,
        .version = m->version,
        .sha256 = m->weights_sha256,
        .research_only = m->research_only,
        .software = "sctd " SCTD_VERSION,
        .arithmetic = c->job->network->arithmetic,
    };
    char text[QUALITY_TEXT_MAX];
    convert_quality_describe(report, text, sizeof text);
    const struct sct_quality quality = {.needs_review = report->needs_review, .text = text};
    const struct sct_request request = {
        .hu = c->volume,
        .source = dicom_series_get_sources(c->series),
        .n_sources = (size_t)c->plan.source.dim[2],
        .nearest = c->nearest,
        .series_uid = c->result.series_uid,
        .instance_uid = (const char(*)[DICOM_UID_SIZE])c->instance_uid,
        .model = &model,
        .quality = report->is_checked ? &quality : NULL,
        .options = &c->job->options->sct,
    };
    int r = sct_write_series(&request, folder, report_written, c, err);
    if (r == 0 && report->is_checked) {
        r = convert_quality_write(report, c->result.series_uid, folder, err);
    }
    const struct convert_page page = {
        .report = report,
        .preview = c->preview,
        .sct = &request,
        .n_instances = (size_t)c->n_instances,
    };
    return r == 0 && report->needs_review ? convert_quality_write_page(&page, c->job->output, err)
                                          : r;
}

static void print_size(char *text, size_t size, const char *name, const struct volume_grid *g)
{
    (void)snprintf(text, size, "%s: %d x %d x %d voxels of %.4g x %.4g x %.4g mm", name, g->dim[0],
                   g->dim[1], g->dim[2], g->step[0], g->step[1], g->step[2]);
}

/* UIDs tell which series they are and not whose. */
static int write_preview(const struct conversion *c, struct sctd_error *err)
{
    const struct manifest *m = c->job->network->manifest;
    char model[2 * MANIFEST_NAME_MAX + 64];
    char source[256];
    char sct[256];
    (void)snprintf(model, sizeof model, "sctd %s, model %s@%s%s", SCTD_VERSION, m->name, m->version,
                   m->research_only ? ", for research only" : "");
    print_size(source, sizeof source, dicom_series_get_modality(c->series), &c->plan.source);
    print_size(sct, sizeof sct, "sCT", result_grid(c));
    const char *const title[] = {model, source, c->facts->series_instance_uid, sct,
                                 c->result.series_uid};
    return preview_write(c->preview, c->job->preview, title, sizeof title / sizeof title[0], err);
}

static int write_result(struct conversion *c, struct sctd_error *err)
{
    struct sctd_work work = {.fd = -1};
    report(c, CONVERT_WRITE, 0, c->n_instances);
    int r = find_nearest(c, err);
    if (r == 0 && c->job->preview != NULL) {
        r = write_preview(c, err);
    }
    if (r == 0) {
        r = sctd_dir_make(c->job->output, err);
    }
    if (r == 0 && c->result.quality.needs_review) {
        r = convert_quality_page_folder(c->result.page_folder, c->job->output, c->result.series_uid,
                                        err);
    }
    if (r == 0) {
        r = sctd_work_make(&work, c->job->output, ".convert", err);
    }
    if (r < 0) {
        return r;
    }
    r = write_files(c, work.path, err);
    if (r == 0) {
        r = sctd_work_install(&work, c->result.folder, err);
    }
    if (r < 0) {
        sctd_work_remove(&work);
    }
    return r;
}

/* The steps in their order, each with the stage that its time belongs to. */
static int run_steps(struct conversion *c, struct sctd_error *err)
{
    static const struct {
        int (*run)(struct conversion *c, struct sctd_error *err);
        enum convert_stage stage;
    } steps[] = {
        {assemble, CONVERT_ASSEMBLE},    {make_uids, CONVERT_ASSEMBLE},
        {find_place, CONVERT_WRITE},     {prepare, CONVERT_NETWORK},
        {look_at_source, CONVERT_CHECK}, {orient_there, CONVERT_ORIENT},
        {look_at_slices, CONVERT_CHECK}, {run_network, CONVERT_NETWORK},
        {judge, CONVERT_CHECK},          {orient_back, CONVERT_ORIENT},
        {write_result, CONVERT_WRITE},
    };
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof steps / sizeof steps[0]; i++) {
        const double start_s = sctd_now_s();
        r = steps[i].run(c, err);
        c->result.stage_s[steps[i].stage] += sctd_now_s() - start_s;
    }
    return r;
}

int convert_series(struct convert_result *ret_result, const struct convert_job *job,
                   struct sctd_error *err)
{
    struct dicom_series_facts facts;
    dicom_scan_get_series(job->scan, job->series, &facts);
    sctd_auto(conversion_fini) struct conversion c = {.job = job, .facts = &facts};
    report(&c, CONVERT_ASSEMBLE, 0, facts.frames);
    int r = run_steps(&c, err);
    if (r >= 0) {
        *ret_result = c.result;
    }
    return r;
}
