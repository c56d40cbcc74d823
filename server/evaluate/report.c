/* SPDX-License-Identifier: Apache-2.0 */
#include "server/evaluate/report.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/engine.h"
#include "server/evaluate/case.h"
#include "server/evaluate/markup.h"
#include "server/evaluate/plots.h"
#include "server/evaluate/table.h"

enum { REPORT_MAX = 1 << 30 };

static const char head[] =
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
    "<meta name=\"viewport\" content=\"width=device-width\">"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; "
    "style-src 'unsafe-inline'\">"
    "<title>Synthetic CT: evaluation</title>\n<style>"
    "body{font:15px/1.5 system-ui,sans-serif;color:#1c2430;background:#f5f6f8;margin:0}"
    "main{max-width:1020px;margin:0 auto;padding:24px}"
    "h1{font-size:24px;margin:0 0 4px}h2{font-size:19px;margin:0 0 8px}h3{font-size:15px;margin:18px 0 6px}"
    "section{background:#fff;border:1px solid #dde1e7;border-radius:8px;padding:20px;margin:18px 0}"
    "table{border-collapse:collapse;font-variant-numeric:tabular-nums}"
    "th,td{padding:3px 12px;text-align:right;border-bottom:1px solid #e6e9ee;white-space:nowrap}"
    "th{font-weight:600;color:#48525f}th:first-child,td:first-child{text-align:left}"
    ".scroll{overflow-x:auto}.note{color:#5a6472}"
    ".warn{background:#fff4d6;border-left:4px solid #b7791f;padding:6px 10px;margin:8px 0}"
    ".bad{background:#fde8e8;border-left:4px solid #b42318;padding:6px 10px;margin:8px 0}"
    ".plots{display:flex;flex-wrap:wrap;gap:12px}figure{margin:0;flex:1 1 420px;max-width:480px}"
    "figure.wide{max-width:100%;flex-basis:100%}"
    "svg{width:100%;height:auto}img{max-width:100%;background:#000;display:block}"
    "svg text{font:11px system-ui,sans-serif;fill:#5a6472}svg .title{font-size:13px;font-weight:600;fill:#1c2430}"
    "svg .grid{stroke:#e6e9ee}svg .zero{stroke:#5a6472;stroke-dasharray:4 3}"
    "svg polyline{fill:none;stroke-width:1.6}svg polyline.reference{stroke:#5a6472}"
    "svg polyline.synthetic{stroke:#0b66c3}svg circle.synthetic{fill:#0b66c3;fill-opacity:.75}"
    "svg text.key{font-weight:600}svg text.key.synthetic{fill:#0b66c3}"
    "@media print{body{background:#fff}section{break-inside:avoid-page;border:0}}"
    "</style></head>\n<body><main>\n";

static void put_number(struct markup *m, double value)
{
    if (isnan(value)) {
        markup_put(m, "<td>&ndash;</td>");
    } else {
        markup_put(m, "<td>%.*f</td>", fabs(value) < 10.0 ? 4 : 2, value);
    }
}

/* Dots for what is looked at first. */
static void put_spreads(struct markup *m, const struct evaluate_row *rows, size_t n)
{
    static const char shown[] = " mae_body psnr_body ms_ssim_body wepl_percent ";
    for (size_t i = 0; i < evaluate_table_count(); i++) {
        struct evaluate_column column;
        char word[40];
        evaluate_table_column(&column, i);
        (void)snprintf(word, sizeof word, " %s ", column.name);
        if (strstr(shown, word) != NULL) {
            evaluate_plots_spread(m, rows, n, i);
        }
    }
}

/* Mean and deviation of every number. */
static void put_summary(struct markup *m, const struct evaluate_row *rows, size_t n)
{
    markup_put(m, "<section><h2>All cases</h2><div class=\"plots\">");
    put_spreads(m, rows, n);
    markup_put(m,
               "</div><div class=\"scroll\"><table><tr><th>number</th><th>unit</th><th>cases</th>"
               "<th>mean</th><th>deviation</th><th>lowest</th><th>highest</th></tr>\n");
    for (size_t i = 0; i < evaluate_table_count(); i++) {
        struct evaluate_column column;
        struct evaluate_spread spread;
        evaluate_table_column(&column, i);
        evaluate_table_spread(&spread, rows, n, i);
        if (spread.n == 0) {
            continue;
        }
        markup_put(m, "<tr><td>%s</td><td>%s</td><td>%zu</td>", column.name, column.unit, spread.n);
        put_number(m, spread.mean);
        put_number(m, spread.deviation);
        put_number(m, spread.low);
        put_number(m, spread.high);
        markup_put(m, "</tr>\n");
    }
    markup_put(m, "</table></div></section>\n");
}

/* Numbers by region: columns that end in _REGION come in the order of the regions. */
static void put_metrics(struct markup *m, const struct evaluate_case *c)
{
    markup_put(m, "<div class=\"scroll\"><table><tr><th></th>");
    for (int region = 0; region < REGIONS; region++) {
        markup_put(m, "<th>%s</th>", regions_name((enum region)region));
    }
    markup_put(m, "</tr>\n<tr><td>voxels</td>");
    for (int region = 0; region < REGIONS; region++) {
        markup_put(m, "<td>%zu</td>", c->image[region].n);
    }
    markup_put(m, "</tr>");
    size_t i = 0;
    struct evaluate_column column;
    evaluate_table_column(&column, 0);
    while (strstr(column.name, "_whole") != NULL) {
        const int length = (int)(strlen(column.name) - strlen("_whole"));
        markup_put(m, "\n<tr><td>%.*s %s</td>", length, column.name, column.unit);
        for (int region = 0; region < REGIONS; region++) {
            put_number(m, evaluate_table_value(c, i++));
        }
        markup_put(m, "</tr>");
        evaluate_table_column(&column, i);
    }
    markup_put(m, "</table></div>\n<h3>Of the whole case</h3><table>");
    for (; i < evaluate_table_count(); i++) {
        const double value = evaluate_table_value(c, i);
        evaluate_table_column(&column, i);
        if (!isnan(value)) {
            markup_put(m, "<tr><td>%s</td>", column.name);
            put_number(m, value);
            markup_put(m, "<td>%s</td></tr>\n", column.unit);
        }
    }
    markup_put(m, "</table>\n");
}

static void put_labels(struct markup *m, const struct evaluate_case *c)
{
    if (c->n_labels == 0) {
        return;
    }
    markup_put(m, "<h3>Organs</h3><div class=\"scroll\"><table><tr><th>label</th><th>voxels, "
                  "reference</th><th>voxels, synthetic</th><th>Dice</th><th>HD95 mm</th><th>MSD "
                  "mm</th></tr>\n");
    for (size_t i = 0; i < c->n_labels; i++) {
        const struct label_metrics *l = &c->label[i];
        markup_put(m, "<tr><td>%d</td><td>%zu</td><td>%zu</td>", l->label, l->reference_voxels,
                   l->synthetic_voxels);
        put_number(m, l->dice);
        put_number(m, l->hd95_mm);
        put_number(m, l->msd_mm);
        markup_put(m, "</tr>\n");
    }
    markup_put(m, "</table></div>\n");
}

static void put_pictures(struct markup *m, const struct evaluate_case *c)
{
    markup_put(m, "<h3>Worst slices</h3><p class=\"note\">Reference, synthetic (-160 to 240 HU), "
                  "and their difference: blue too low, red too high, full at 300 HU.</p>\n");
    for (size_t i = 0; i < c->n_pictures; i++) {
        const struct evaluate_picture *p = &c->picture[i];
        markup_put(m, "<figure class=\"wide\"><img alt=\"slice %d\" src=\"", p->slice + 1);
        markup_put_png(m, p->png, p->size);
        markup_put(m, "\"><figcaption>slice %d of %d: MAE %.1f HU</figcaption></figure>\n",
                   p->slice + 1, c->dim[2], c->slice_mae[p->slice]);
    }
}

static void put_case(struct markup *m, const struct evaluate_case *c)
{
    markup_put(m, "<section><h2>");
    markup_put_text(m, c->name);
    markup_put(
        m,
        "</h2><p class=\"note\">%d &times; %d &times; %d voxels of %.3g &times; %.3g &times; "
        "%.3g mm. The body mask was %s.</p>\n",
        c->dim[0], c->dim[1], c->dim[2], c->step[0], c->step[1], c->step[2],
        c->mask_given ? "given" : "found in the reference");
    if (c->resampled) {
        markup_put(m, "<p class=\"warn\">The synthetic image has another grid and was resampled "
                      "onto the reference's (trilinear).</p>\n");
    }
    if (c->missing_percent > 0.0) {
        markup_put(m,
                   "<p class=\"warn\">%.2f %% of the body are not reached by the synthetic image "
                   "and count nowhere.</p>\n",
                   c->missing_percent);
    }
    put_metrics(m, c);
    put_labels(m, c);
    markup_put(m, "<h3>Plots</h3><div class=\"plots\">");
    evaluate_plots_histogram(m, c);
    evaluate_plots_slices(m, c);
    evaluate_plots_angles(m, c);
    markup_put(m, "</div>\n");
    put_pictures(m, c);
    markup_put(m, "</section>\n");
}

static int write_page(struct sctd_buf *buf, const struct evaluate_row *rows, size_t n,
                      struct sctd_error *err)
{
    struct markup m = {.buf = buf, .err = err};
    m.failed = sctd_buf_text(buf, head, err);
    markup_put(&m,
               "<h1>Synthetic CT against CT</h1><p class=\"note\">%zu %s, measured by sctd %s. No "
               "number here is a dose; docs/evaluate.md says what each one is.</p>\n",
               n, n == 1 ? "case" : "cases", SCTD_VERSION);
    if (n > 1) {
        put_summary(&m, rows, n);
    }
    for (size_t i = 0; i < n; i++) {
        if (rows[i].error.code == SCTD_OK) {
            put_case(&m, &rows[i].c);
            continue;
        }
        markup_put(&m, "<section><h2>");
        markup_put_text(&m, rows[i].c.name);
        markup_put(&m, "</h2><p class=\"bad\">Refused: ");
        markup_put_text(&m, rows[i].error.text);
        markup_put(&m, "</p></section>\n");
    }
    markup_put(&m, "</main></body></html>\n");
    return m.failed;
}

static int write_json(struct sctd_buf *buf, const struct evaluate_row *rows, size_t n,
                      struct sctd_error *err)
{
    struct json_writer w = json_writer_make(buf, true, err);
    json_write_object_begin(&w, NULL);
    evaluate_table_write_json(&w, rows, n);
    json_write_object_end(&w);
    return json_writer_finish(&w);
}

int evaluate_report_write(const char *dir, const struct evaluate_row *rows, size_t n,
                          struct sctd_error *err)
{
    static const struct {
        const char *name;
        int (*write)(struct sctd_buf *buf, const struct evaluate_row *rows, size_t n,
                     struct sctd_error *err);
    } files[] = {{"report.html", write_page},
                 {"cases.csv", evaluate_table_write_csv},
                 {"cases.json", write_json}};
    int r = sctd_dir_make(dir, err);
    for (size_t i = 0; r == 0 && i < sizeof files / sizeof files[0]; i++) {
        sctd_auto(sctd_buf_fini) struct sctd_buf buf = sctd_buf_make(REPORT_MAX);
        char path[SCTD_PATH_MAX];
        r = sctd_path_join(path, dir, files[i].name, err);
        r = r < 0 ? r : files[i].write(&buf, rows, n, err);
        r = r < 0 ? r : sctd_file_replace(path, buf.data, buf.size, err);
    }
    return r;
}
