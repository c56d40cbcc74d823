/* SPDX-License-Identifier: Apache-2.0 */
#include "server/evaluate/table.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/engine.h"
#include "server/evaluate/case.h"

enum family { MAE, ME, RMSE, PSNR, SSIM, MS_SSIM, HISTOGRAM, BY_REGION };

static const struct evaluate_column families[BY_REGION] = {
    {"mae", "HU"}, {"me", "HU"},    {"rmse", "HU"},      {"psnr", "dB"},
    {"ssim", ""},  {"ms_ssim", ""}, {"histogram", "HU"},
};

enum single {
    WEPL_MEAN,
    WEPL_ABSOLUTE,
    WEPL_MOST,
    WEPL_PERCENT,
    DICE,
    HD95,
    MSD,
    MLDP,
    MISSING,
    LITRES,
    SINGLES
};

static const struct evaluate_column singles[SINGLES] = {
    {"wepl_mean", "mm"}, {"wepl_absolute", "mm"}, {"wepl_most", "mm"}, {"wepl_percent", "%"},
    {"dice", ""},        {"hd95", "mm"},          {"msd", "mm"},       {"mldp", ""},
    {"missing", "%"},    {"body", "l"},
};

size_t evaluate_table_count(void)
{
    return (size_t)BY_REGION * REGIONS + SINGLES;
}

void evaluate_table_column(struct evaluate_column *ret_column, size_t i)
{
    static char names[BY_REGION * REGIONS][24];
    if (i >= (size_t)BY_REGION * REGIONS) {
        *ret_column = singles[i - (size_t)BY_REGION * REGIONS];
        return;
    }
    *ret_column = families[i / REGIONS];
    (void)snprintf(names[i], sizeof names[i], "%s_%s", families[i / REGIONS].name,
                   regions_name((enum region)(i % REGIONS)));
    ret_column->name = names[i];
}

static double get_by_region(const struct evaluate_case *c, enum family family, size_t region)
{
    switch (family) {
    case MAE:
        return c->image[region].mae;
    case ME:
        return c->image[region].me;
    case RMSE:
        return c->image[region].rmse;
    case PSNR:
        return c->image[region].psnr;
    case SSIM:
        return c->ssim.ssim[region];
    case MS_SSIM:
        return c->ssim.ms_ssim[region];
    case HISTOGRAM:
    case BY_REGION:
        break;
    }
    return c->histogram_distance[region];
}

/* The mean over the labels that have the number. */
static double find_label_mean(const struct evaluate_case *c, enum single which)
{
    double sum = 0.0;
    size_t n = 0;
    for (size_t i = 0; i < c->n_labels; i++) {
        const struct label_metrics *l = &c->label[i];
        double value = l->dice;
        if (which != DICE) {
            value = which == HD95 ? l->hd95_mm : l->msd_mm;
        }
        if (!isnan(value)) {
            sum += value;
            n++;
        }
    }
    return n > 0 ? sum / (double)n : (double)NAN;
}

static double get_single(const struct evaluate_case *c, enum single which)
{
    switch (which) {
    case WEPL_MEAN:
        return c->wepl.mean_mm;
    case WEPL_ABSOLUTE:
        return c->wepl.mean_absolute_mm;
    case WEPL_MOST:
        return c->wepl.most_mm;
    case WEPL_PERCENT:
        return c->wepl.mean_percent;
    case DICE:
    case HD95:
    case MSD:
        return find_label_mean(c, which);
    case MLDP:
        return c->mldp;
    case MISSING:
        return c->missing_percent;
    case LITRES:
    case SINGLES:
        break;
    }
    return c->body_litres;
}

double evaluate_table_value(const struct evaluate_case *c, size_t i)
{
    const size_t first = (size_t)BY_REGION * REGIONS;
    const double value = i < first ? get_by_region(c, (enum family)(i / REGIONS), i % REGIONS)
                                   : get_single(c, (enum single)(i - first));
    return isfinite(value) ? value : (double)NAN;
}

void evaluate_table_spread(struct evaluate_spread *ret_spread, const struct evaluate_row *rows,
                           size_t n, size_t column)
{
    struct evaluate_spread s = {.low = INFINITY, .high = -INFINITY};
    double squares = 0.0;
    for (size_t i = 0; i < n; i++) {
        const double value =
            rows[i].error.code == SCTD_OK ? evaluate_table_value(&rows[i].c, column) : (double)NAN;
        if (isnan(value)) {
            continue;
        }
        /* Welford's: no cancellation */
        s.n++;
        const double off = value - s.mean;
        s.mean += off / (double)s.n;
        squares += off * (value - s.mean);
        s.low = fmin(s.low, value);
        s.high = fmax(s.high, value);
    }
    s.deviation = s.n > 1 ? sqrt(squares / (double)(s.n - 1)) : (double)NAN;
    if (s.n == 0) {
        s.mean = s.low = s.high = (double)NAN;
    }
    *ret_spread = s;
}

/* JSON */

static void write_label(struct json_writer *w, const struct label_metrics *l)
{
    json_write_object_begin(w, NULL);
    json_write_int(w, "label", l->label);
    json_write_int(w, "reference_voxels", (int64_t)l->reference_voxels);
    json_write_int(w, "synthetic_voxels", (int64_t)l->synthetic_voxels);
    json_write_double(w, "dice", l->dice);
    json_write_double(w, "hd95", l->hd95_mm);
    json_write_double(w, "msd", l->msd_mm);
    json_write_object_end(w);
}

static void write_case(struct json_writer *w, const struct evaluate_case *c)
{
    json_write_array_begin(w, "dim");
    for (int a = 0; a < 3; a++) {
        json_write_int(w, NULL, c->dim[a]);
    }
    json_write_array_end(w);
    json_write_array_begin(w, "spacing_mm");
    for (int a = 0; a < 3; a++) {
        json_write_double(w, NULL, c->step[a]);
    }
    json_write_array_end(w);
    json_write_bool(w, "resampled", c->resampled);
    json_write_string(w, "mask", c->mask_given ? "given" : "found");
    json_write_double(w, "seconds", c->seconds);
    json_write_object_begin(w, "voxels");
    for (int region = 0; region < REGIONS; region++) {
        json_write_int(w, regions_name((enum region)region), (int64_t)c->image[region].n);
    }
    json_write_object_end(w);
    json_write_object_begin(w, "metrics");
    for (size_t i = 0; i < evaluate_table_count(); i++) {
        struct evaluate_column column;
        evaluate_table_column(&column, i);
        json_write_double(w, column.name, evaluate_table_value(c, i));
    }
    json_write_object_end(w);
    json_write_array_begin(w, "wepl_by_angle_mm");
    for (int angle = 0; angle < WEPL_ANGLES; angle++) {
        json_write_double(w, NULL, c->wepl.angle_mm[angle]);
    }
    json_write_array_end(w);
    json_write_array_begin(w, "labels");
    for (size_t i = 0; i < c->n_labels; i++) {
        write_label(w, &c->label[i]);
    }
    json_write_array_end(w);
}

static void write_summary(struct json_writer *w, const struct evaluate_row *rows, size_t n)
{
    json_write_object_begin(w, "summary");
    for (size_t i = 0; i < evaluate_table_count(); i++) {
        struct evaluate_column column;
        struct evaluate_spread spread;
        evaluate_table_column(&column, i);
        evaluate_table_spread(&spread, rows, n, i);
        json_write_object_begin(w, column.name);
        json_write_int(w, "n", (int64_t)spread.n);
        json_write_double(w, "mean", spread.mean);
        json_write_double(w, "deviation", spread.deviation);
        json_write_double(w, "low", spread.low);
        json_write_double(w, "high", spread.high);
        json_write_object_end(w);
    }
    json_write_object_end(w);
}

void evaluate_table_write_json(struct json_writer *w, const struct evaluate_row *rows, size_t n)
{
    json_write_array_begin(w, "cases");
    for (size_t i = 0; i < n; i++) {
        json_write_object_begin(w, NULL);
        json_write_string(w, "name", rows[i].c.name);
        if (rows[i].error.code == SCTD_OK) {
            write_case(w, &rows[i].c);
        } else {
            json_write_string(w, "refused", rows[i].error.text);
        }
        json_write_object_end(w);
    }
    json_write_array_end(w);
    if (n > 1) {
        write_summary(w, rows, n);
    }
}

/* CSV (RFC 4180) */

static int write_quoted(struct sctd_buf *buf, const char *text, struct sctd_error *err)
{
    /* a text that begins like a formula is one to a spreadsheet */
    int r =
        sctd_buf_text(buf, strchr("=+-@", text[0]) != NULL && text[0] != '\0' ? "\"'" : "\"", err);
    for (const char *at = text; r == 0 && *at != '\0'; at++) {
        r = sctd_buf_printf(buf, err, *at == '"' ? "\"%c" : "%c", *at);
    }
    return r < 0 ? r : sctd_buf_text(buf, "\"", err);
}

static int write_number(struct sctd_buf *buf, double value, struct sctd_error *err)
{
    return isnan(value) ? sctd_buf_text(buf, ",", err) : sctd_buf_printf(buf, err, ",%.9g", value);
}

static int write_row(struct sctd_buf *buf, const struct evaluate_row *row, struct sctd_error *err)
{
    const bool measured = row->error.code == SCTD_OK;
    int r = write_quoted(buf, row->c.name, err);
    r = r < 0 ? r : sctd_buf_text(buf, ",", err);
    r = r < 0 ? r : write_quoted(buf, measured ? "" : row->error.text, err);
    for (size_t i = 0; r == 0 && i < evaluate_table_count(); i++) {
        r = write_number(buf, measured ? evaluate_table_value(&row->c, i) : (double)NAN, err);
    }
    return r < 0 ? r : sctd_buf_text(buf, "\r\n", err);
}

static int write_spread(struct sctd_buf *buf, const char *name, const struct evaluate_row *rows,
                        size_t n, struct sctd_error *err)
{
    int r = sctd_buf_printf(buf, err, "\"%s\",\"\"", name);
    for (size_t i = 0; r == 0 && i < evaluate_table_count(); i++) {
        struct evaluate_spread spread;
        evaluate_table_spread(&spread, rows, n, i);
        r = write_number(buf, strcmp(name, "mean") == 0 ? spread.mean : spread.deviation, err);
    }
    return r < 0 ? r : sctd_buf_text(buf, "\r\n", err);
}

int evaluate_table_write_csv(struct sctd_buf *buf, const struct evaluate_row *rows, size_t n,
                             struct sctd_error *err)
{
    int r = sctd_buf_text(buf, "name,refused", err);
    for (size_t i = 0; r == 0 && i < evaluate_table_count(); i++) {
        struct evaluate_column column;
        evaluate_table_column(&column, i);
        r = sctd_buf_printf(buf, err, ",%s", column.name);
    }
    r = r < 0 ? r : sctd_buf_text(buf, "\r\n", err);
    for (size_t i = 0; r == 0 && i < n; i++) {
        r = write_row(buf, &rows[i], err);
    }
    if (r == 0 && n > 1) {
        r = write_spread(buf, "mean", rows, n, err);
        r = r < 0 ? r : write_spread(buf, "deviation", rows, n, err);
    }
    return r;
}

/* Text */

static void print_number(double value, FILE *out)
{
    if (isnan(value)) {
        (void)fprintf(out, " %10s", "-");
    } else {
        (void)fprintf(out, " %10.*f", fabs(value) < 10.0 ? 4 : 2, value);
    }
}

static void print_case(const struct evaluate_case *c, FILE *out)
{
    (void)fprintf(out, "%s: %d x %d x %d voxels of %.3g x %.3g x %.3g mm; the body mask was %s\n",
                  c->name, c->dim[0], c->dim[1], c->dim[2], c->step[0], c->step[1], c->step[2],
                  c->mask_given ? "given" : "found in the reference");
    if (c->resampled) {
        (void)fprintf(out, "the synthetic image has another grid and was resampled onto the "
                           "reference's (trilinear)\n");
    }
    if (c->missing_percent > 0.0) {
        (void)fprintf(out, "%.2f %% of the body are not reached by it and count nowhere\n",
                      c->missing_percent);
    }
    (void)fprintf(out, "%-15s", "");
    for (int region = 0; region < REGIONS; region++) {
        (void)fprintf(out, " %10s", regions_name((enum region)region));
    }
    for (size_t i = 0; i < (size_t)BY_REGION * REGIONS; i++) {
        if (i % REGIONS == 0) {
            (void)fprintf(out, "\n%-10s %-4s", families[i / REGIONS].name,
                          families[i / REGIONS].unit);
        }
        print_number(evaluate_table_value(c, i), out);
    }
    (void)fprintf(out, "\n");
    for (int i = 0; i < SINGLES; i++) {
        const double value = get_single(c, (enum single)i);
        if (!isnan(value)) {
            (void)fprintf(out, "%-14s%-2s", singles[i].name, singles[i].unit);
            print_number(value, out);
            (void)fprintf(out, "\n");
        }
    }
    for (size_t i = 0; i < c->n_labels; i++) {
        const struct label_metrics *l = &c->label[i];
        (void)fprintf(out, "label %-5d dice", l->label);
        print_number(l->dice, out);
        (void)fprintf(out, "  hd95 mm");
        print_number(l->hd95_mm, out);
        (void)fprintf(out, "  msd mm");
        print_number(l->msd_mm, out);
        (void)fprintf(out, "\n");
    }
}

void evaluate_table_print(const struct evaluate_row *rows, size_t n, FILE *out)
{
    for (size_t i = 0; i < n; i++) {
        if (rows[i].error.code == SCTD_OK) {
            print_case(&rows[i].c, out);
        } else {
            (void)fprintf(out, "%s: refused: %s\n", rows[i].c.name, rows[i].error.text);
        }
    }
    for (size_t i = 0; n > 1 && i < evaluate_table_count(); i++) {
        struct evaluate_column column;
        struct evaluate_spread spread;
        evaluate_table_column(&column, i);
        evaluate_table_spread(&spread, rows, n, i);
        if (i == 0) {
            (void)fprintf(out, "\n%-18s %3s %10s %10s %10s %10s\n", "", "n", "mean", "deviation",
                          "lowest", "highest");
        }
        if (spread.n > 0) {
            (void)fprintf(out, "%-15s%-3s %3zu", column.name, column.unit, spread.n);
            print_number(spread.mean, out);
            print_number(spread.deviation, out);
            print_number(spread.low, out);
            print_number(spread.high, out);
            (void)fprintf(out, "\n");
        }
    }
}
