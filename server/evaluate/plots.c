/* SPDX-License-Identifier: Apache-2.0 */
#include "server/evaluate/plots.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/engine.h"
#include "server/evaluate/case.h"
#include "server/evaluate/markup.h"
#include "server/evaluate/table.h"

enum { WIDTH = 460, HEIGHT = 220, LEFT = 48, RIGHT = 12, TOP = 30, BOTTOM = 34, TICKS = 5 };
enum { BIN_HU = 16, SHOWN_LOW = -1024, SHOWN_HIGH = 2048 };

/* From values to the drawing. */
struct axes {
    double x0, x1, y0, y1;
};

static double place_x(const struct axes *a, double x)
{
    return LEFT + (x - a->x0) / (a->x1 - a->x0) * (WIDTH - LEFT - RIGHT);
}

static double place_y(const struct axes *a, double y)
{
    return HEIGHT - BOTTOM - (y - a->y0) / (a->y1 - a->y0) * (HEIGHT - TOP - BOTTOM);
}

/* A step of 1, 2 or 5 times a power of ten that divides a range into about TICKS. */
static double find_step(double range)
{
    const double raw = range / TICKS;
    const double power = pow(10.0, floor(log10(raw)));
    const double share = raw / power;
    if (share > 5.0) {
        return 10.0 * power;
    }
    return power * (share > 2.0 ? 5.0 : share > 1.0 ? 2.0 : 1.0);
}

static void begin(struct markup *m, const struct axes *a, const char *title, const char *x_name)
{
    markup_put(m,
               "<figure><svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">"
               "<text class=\"title\" x=\"%d\" y=\"16\">%s</text>",
               WIDTH, HEIGHT, title, LEFT, title);
    const double x_step = fmax(find_step(a->x1 - a->x0), 1.0); /* all of them count something */
    const double y_step = find_step(a->y1 - a->y0);
    const int32_t y_last = (int32_t)floor(a->y1 / y_step + 1e-9);
    const int32_t x_last = (int32_t)floor(a->x1 / x_step + 1e-9);
    for (int32_t tick = (int32_t)ceil(a->y0 / y_step); tick <= y_last; tick++) {
        const double y = tick * y_step;
        markup_put(m,
                   "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>"
                   "<text class=\"tick\" text-anchor=\"end\" x=\"%d\" y=\"%.1f\">%.6g</text>",
                   LEFT, WIDTH - RIGHT, place_y(a, y), place_y(a, y), LEFT - 6, place_y(a, y) + 4.0,
                   y);
    }
    for (int32_t tick = (int32_t)ceil(a->x0 / x_step); tick <= x_last; tick++) {
        const double x = tick * x_step;
        markup_put(m, "<text class=\"tick\" text-anchor=\"middle\" x=\"%.1f\" y=\"%d\">%.6g</text>",
                   place_x(a, x), HEIGHT - BOTTOM + 15, x);
    }
    markup_put(m, "<text class=\"tick\" text-anchor=\"middle\" x=\"%d\" y=\"%d\">%s</text>",
               (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 4, x_name);
}

static void end(struct markup *m)
{
    markup_put(m, "</svg></figure>\n");
}

static double find_share(const struct hu_histogram *h, int32_t low)
{
    uint64_t n = 0;
    for (int32_t hu = low; hu < low + BIN_HU; hu++) {
        n += h->count[hu - HU_HISTOGRAM_FIRST];
    }
    return 100.0 * (double)n / (double)(h->n > 0 ? h->n : 1);
}

void evaluate_plots_histogram(struct markup *m, const struct evaluate_case *c)
{
    static const char *const lines[2] = {"reference", "synthetic"};
    struct axes a = {.x0 = SHOWN_LOW, .x1 = SHOWN_HIGH, .y0 = 0.0, .y1 = 1e-3};
    for (int image = 0; image < 2; image++) {
        for (int32_t hu = SHOWN_LOW; hu < SHOWN_HIGH; hu += BIN_HU) {
            a.y1 = fmax(a.y1, sqrt(find_share(&c->histogram[image], hu)));
        }
    }
    begin(m, &a, "HU in the body: root of % of voxels in 16 HU", "HU");
    for (int image = 0; image < 2; image++) {
        markup_put(m, "<polyline class=\"%s\" points=\"", lines[image]);
        for (int32_t hu = SHOWN_LOW; hu < SHOWN_HIGH; hu += BIN_HU) {
            markup_put(m, "%.1f,%.1f ", place_x(&a, hu + BIN_HU / 2.0),
                       place_y(&a, sqrt(find_share(&c->histogram[image], hu))));
        }
        markup_put(m, "\"/><text class=\"key %s\" text-anchor=\"end\" x=\"%d\" y=\"%d\">%s</text>",
                   lines[image], WIDTH - RIGHT, TOP + 14 + 16 * image, lines[image]);
    }
    end(m);
}

void evaluate_plots_slices(struct markup *m, const struct evaluate_case *c)
{
    struct axes a = {.x0 = 1.0, .x1 = fmax(2.0, c->dim[2]), .y0 = 0.0, .y1 = 1e-3};
    for (int32_t k = 0; k < c->dim[2]; k++) {
        a.y1 = isnan(c->slice_mae[k]) ? a.y1 : fmax(a.y1, c->slice_mae[k]);
    }
    begin(m, &a, "MAE in the body by slice, HU", "slice");
    for (int32_t k = 0; k < c->dim[2]; k++) {
        if (!isnan(c->slice_mae[k])) {
            markup_put(m, "<circle class=\"synthetic\" r=\"2\" cx=\"%.1f\" cy=\"%.1f\"/>",
                       place_x(&a, k + 1), place_y(&a, c->slice_mae[k]));
        }
    }
    end(m);
}

void evaluate_plots_angles(struct markup *m, const struct evaluate_case *c)
{
    double most = 1e-3;
    for (int i = 0; i < WEPL_ANGLES; i++) {
        most = isnan(c->wepl.angle_mm[i]) ? most : fmax(most, fabs(c->wepl.angle_mm[i]));
    }
    const struct axes a = {.x0 = 0.0, .x1 = 360.0, .y0 = -most, .y1 = most};
    begin(m, &a, "Depth in water by gantry angle: difference, mm", "degrees");
    markup_put(m, "<line class=\"zero\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>", LEFT,
               WIDTH - RIGHT, place_y(&a, 0.0), place_y(&a, 0.0));
    markup_put(m, "<polyline class=\"synthetic\" points=\"");
    for (int i = 0; i <= WEPL_ANGLES; i++) {
        const double mm = c->wepl.angle_mm[i % WEPL_ANGLES];
        if (!isnan(mm)) {
            markup_put(m, "%.1f,%.1f ", place_x(&a, i * WEPL_DEGREES), place_y(&a, mm));
        }
    }
    markup_put(m, "\"/>");
    end(m);
}

void evaluate_plots_spread(struct markup *m, const struct evaluate_row *rows, size_t n,
                           size_t column)
{
    struct evaluate_column named;
    struct evaluate_spread spread;
    evaluate_table_column(&named, column);
    evaluate_table_spread(&spread, rows, n, column);
    if (spread.n == 0) {
        return;
    }
    const double margin = fmax(0.1 * (spread.high - spread.low), 1e-6 + 1e-3 * fabs(spread.high));
    const struct axes a = {
        .x0 = 0.5, .x1 = (double)n + 0.5, .y0 = spread.low - margin, .y1 = spread.high + margin};
    begin(m, &a, named.name, "case");
    markup_put(m, "<line class=\"zero\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>", LEFT,
               WIDTH - RIGHT, place_y(&a, spread.mean), place_y(&a, spread.mean));
    for (size_t i = 0; i < n; i++) {
        const double value =
            rows[i].error.code == SCTD_OK ? evaluate_table_value(&rows[i].c, column) : (double)NAN;
        if (!isnan(value)) {
            markup_put(m, "<circle class=\"synthetic\" r=\"4\" cx=\"%.1f\" cy=\"%.1f\"><title>",
                       place_x(&a, (double)(i + 1)), place_y(&a, value));
            markup_put_text(m, rows[i].c.name);
            markup_put(m, ": %.6g</title></circle>", value);
        }
    }
    end(m);
}
