/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/ssim.h"

#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/image/regions.h"

enum { W = SSIM_WINDOW, RADIUS = W / 2, SCALES = 5, SHORTEST = 97, MOMENTS = 5 };

static const double scale_weight[SCALES] = {0.0448, 0.2856, 0.3001, 0.2363, 0.1333};

/* The images on one scale.  The first reads those of the caller. */
struct scale {
    const struct ssim_images *images; /* NULL: value and regions hold what there is */
    bool masked;                      /* outside the body both images are the lowest value */
    int32_t before[3]; /* voxels by which the images were extended at their beginning */
    int32_t dim[3];
    double *value[2]; /* owned; [dim[2], dim[1], dim[0]] */
    uint8_t *regions; /* owned */
};

static void scale_fini(struct scale *scale)
{
    free(scale->value[0]);
    free(scale->value[1]);
    free(scale->regions);
}

static int32_t clamp_index(int32_t at, int32_t dim)
{
    if (at < 0) {
        return 0;
    }
    return at < dim ? at : dim - 1;
}

/* Where row j of slice k begins in the caller's images. */
static size_t find_row(const struct scale *s, int32_t j, int32_t k)
{
    const int32_t *dim = s->images->dim;
    const size_t row = (size_t)clamp_index(j - s->before[1], dim[1]);
    const size_t slice = (size_t)clamp_index(k - s->before[2], dim[2]);
    return (slice * (size_t)dim[1] + row) * (size_t)dim[0];
}

static size_t find_own_row(const struct scale *s, int32_t j, int32_t k)
{
    return ((size_t)k * (size_t)s->dim[1] + (size_t)j) * (size_t)s->dim[0];
}

static uint8_t get_regions(const struct scale *s, int32_t i, int32_t j, int32_t k)
{
    if (s->images == NULL) {
        return s->regions[find_own_row(s, j, k) + (size_t)i];
    }
    const int32_t column = clamp_index(i - s->before[0], s->images->dim[0]);
    return s->images->regions[find_row(s, j, k) + (size_t)column];
}

/* Row j of slice k of both images: [dim[0]] each. */
static void load_row(double *const ret_row[2], const struct scale *s, int32_t j, int32_t k)
{
    const size_t columns = (size_t)s->dim[0];
    if (s->images == NULL) {
        for (int image = 0; image < 2; image++) {
            memcpy(ret_row[image], s->value[image] + find_own_row(s, j, k),
                   columns * sizeof(double));
        }
        return;
    }
    const struct ssim_images *from = s->images;
    const size_t row = find_row(s, j, k);
    for (int32_t i = 0; i < s->dim[0]; i++) {
        const size_t at = row + (size_t)clamp_index(i - s->before[0], from->dim[0]);
        const bool hidden = s->masked && (from->regions[at] >> REGION_BODY & 1) == 0;
        const double low = from->range.low;
        const double high = from->range.high;
        ret_row[0][i] = hidden ? 0.0 : fmin(fmax((double)from->reference[at], low), high) - low;
        ret_row[1][i] = hidden ? 0.0 : fmin(fmax((double)from->synthetic[at], low), high) - low;
    }
}

/* Sums over windows, as a window moves through the volume.  Only windows that lie inside it count. */
struct windows {
    size_t columns, rows; /* of windows in a slice */
    double *row[2];       /* [dim[0]] */
    double *across;       /* [W rows][MOMENTS][columns]: sums along rows */
    double *down;         /* [MOMENTS][columns]: sums over the last W rows of them */
    double *slice;        /* [W slices][MOMENTS][rows][columns] */
    double *total;        /* [MOMENTS][rows][columns]: sums over the last W slices */
};

static void windows_fini(struct windows *w)
{
    free(w->row[0]);
    free(w->row[1]);
    free(w->across);
    free(w->down);
    free(w->slice);
    free(w->total);
}

static int windows_init(struct windows *w, const struct scale *s, struct sctd_error *err)
{
    const size_t columns = (size_t)s->dim[0];
    w->columns = columns - (W - 1);
    w->rows = (size_t)s->dim[1] - (W - 1);
    const size_t plane = w->columns * w->rows * MOMENTS;
    w->row[0] = malloc(columns * sizeof(double));
    w->row[1] = malloc(columns * sizeof(double));
    w->across = malloc((size_t)W * MOMENTS * w->columns * sizeof(double));
    w->down = malloc(MOMENTS * w->columns * sizeof(double));
    w->slice = malloc(W * plane * sizeof(double));
    w->total = calloc(plane, sizeof(double));
    if (w->row[0] == NULL || w->row[1] == NULL || w->across == NULL || w->down == NULL ||
        w->slice == NULL || w->total == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "structural similarity of %d x %d x %d", s->dim[0],
                          s->dim[1], s->dim[2]);
    }
    return 0;
}

/* sums [MOMENTS][columns]: of x, y, xx, yy and xy along the rows that are loaded. */
static void sum_across(double *sums, const struct windows *w)
{
    const double *x = w->row[0];
    const double *y = w->row[1];
    double sum[MOMENTS] = {0.0};
    for (size_t i = 0; i < w->columns + W - 1; i++) {
        const double in[MOMENTS] = {x[i], y[i], x[i] * x[i], y[i] * y[i], x[i] * y[i]};
        for (int m = 0; m < MOMENTS; m++) {
            sum[m] += in[m];
        }
        if (i < W - 1) {
            continue;
        }
        const size_t first = i - (W - 1);
        const double out[MOMENTS] = {x[first], y[first], x[first] * x[first], y[first] * y[first],
                                     x[first] * y[first]};
        for (size_t m = 0; m < MOMENTS; m++) {
            sums[m * w->columns + first] = sum[m];
            sum[m] -= out[m];
        }
    }
}

static void add_to(double *to, const double *what, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        to[i] += what[i];
    }
}

static void take_from(double *to, const double *what, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        to[i] -= what[i];
    }
}

/* The sums of slice k, and the totals with it instead of slice k - W. */
static void sum_slice(struct windows *w, const struct scale *s, int32_t k)
{
    const size_t row = MOMENTS * w->columns;
    const size_t plane = w->rows * w->columns;
    double *slice = w->slice + (size_t)(k % W) * MOMENTS * plane;
    if (k >= W) {
        take_from(w->total, slice, MOMENTS * plane);
    }
    memset(w->down, 0, row * sizeof(double));
    for (int32_t j = 0; j < s->dim[1]; j++) {
        double *across = w->across + (size_t)(j % W) * row;
        if (j >= W) {
            take_from(w->down, across, row);
        }
        load_row(w->row, s, j, k);
        sum_across(across, w);
        add_to(w->down, across, row);
        for (size_t m = 0; j >= W - 1 && m < MOMENTS; m++) {
            memcpy(slice + m * plane + (size_t)(j - (W - 1)) * w->columns, w->down + m * w->columns,
                   w->columns * sizeof(double));
        }
    }
    add_to(w->total, slice, MOMENTS * plane);
}

/* What the windows of a scale come to. */
struct means {
    double sum[2][1U << REGIONS]; /* of SSIM, of (L C S)^w; by set of regions */
    size_t n[1U << REGIONS];
};

struct formula {
    double c1, c2, c3;
    double weight;
    bool ssim, ms_ssim; /* which of the two is wanted */
};

static void evaluate(struct means *means, const double moment[MOMENTS], const struct formula *f,
                     unsigned set)
{
    const double voxels = (double)W * W * W;
    const double sample = voxels / (voxels - 1.0);
    const double mx = moment[0] / voxels;
    const double my = moment[1] / voxels;
    const double vx = sample * (moment[2] / voxels - mx * mx);
    const double vy = sample * (moment[3] / voxels - my * my);
    const double c = sample * (moment[4] / voxels - mx * my);
    const double luminance = (2.0 * mx * my + f->c1) / (mx * mx + my * my + f->c1);
    means->n[set]++;
    if (f->ssim) {
        means->sum[0][set] += luminance * (2.0 * c + f->c2) / (vx + vy + f->c2);
    }
    if (f->ms_ssim) {
        const double deviations = sqrt(fmax(vx, 0.0)) * sqrt(fmax(vy, 0.0));
        const double contrast = (2.0 * deviations + f->c2) / (vx + vy + f->c2);
        const double structure = (c + f->c3) / (deviations + f->c3);
        const double product = fmax(luminance, 0.0) * fmax(contrast, 0.0) * fmax(structure, 0.0);
        means->sum[1][set] += pow(product, f->weight);
    }
}

/* The windows that end in slice k. */
static void evaluate_slice(struct means *means, const struct windows *w, const struct scale *s,
                           const struct formula *f, int32_t k)
{
    const size_t plane = w->rows * w->columns;
    for (size_t at = 0; at < plane; at++) {
        double moment[MOMENTS];
        for (size_t m = 0; m < MOMENTS; m++) {
            moment[m] = w->total[m * plane + at];
        }
        const int32_t i = (int32_t)(at % w->columns) + RADIUS;
        const int32_t j = (int32_t)(at / w->columns) + RADIUS;
        evaluate(means, moment, f, get_regions(s, i, j, k - RADIUS) % (1U << REGIONS));
    }
}

static int scan(struct means *ret_means, const struct scale *s, const struct formula *f,
                struct sctd_error *err)
{
    sctd_auto(windows_fini) struct windows w = {.columns = 0};
    int r = windows_init(&w, s, err);
    *ret_means = (struct means){.n = {0}};
    for (int32_t k = 0; r == 0 && k < s->dim[2]; k++) {
        sum_slice(&w, s, k);
        if (k >= W - 1) {
            evaluate_slice(ret_means, &w, s, f, k);
        }
    }
    return r;
}

static double find_mean(const struct means *means, int of, unsigned region)
{
    double sum = 0.0;
    size_t n = 0;
    for (unsigned set = 0; set < 1U << REGIONS; set++) {
        if ((set >> region & 1U) != 0) {
            sum += means->sum[of][set];
            n += means->n[set];
        }
    }
    return n > 0 ? sum / (double)n : (double)NAN;
}

/* out [columns]: an eighth of each value and of the one before it. */
static void add_eighths(double *out, const double *row, size_t columns)
{
    out[0] += row[0] * 0.125;
    for (size_t i = 1; i < columns; i++) {
        out[i] += (row[2 * i - 1] + row[2 * i]) * 0.125;
    }
}

/* The next scale's row j of slice k: the mean of up to four rows, and of neighbours within them. */
static void halve_rows(const struct scale *to, const struct scale *from, double *const row[2],
                       int32_t j, int32_t k)
{
    const size_t at = find_own_row(to, j, k);
    for (int of_four = 0; of_four < 4; of_four++) {
        const int32_t from_j = 2 * j - (of_four & 1);
        const int32_t from_k = 2 * k - (of_four >> 1);
        if (from_j < 0 || from_k < 0) {
            continue;
        }
        load_row(row, from, from_j, from_k);
        add_eighths(to->value[0] + at, row[0], (size_t)to->dim[0]);
        add_eighths(to->value[1] + at, row[1], (size_t)to->dim[0]);
    }
    for (int32_t i = 0; i < to->dim[0]; i++) {
        to->regions[at + (size_t)i] = get_regions(from, 2 * i, 2 * j, 2 * k);
    }
}

/* Replace a scale by the next one. */
static int halve(struct scale *scale, struct sctd_error *err)
{
    sctd_auto(scale_fini) struct scale next = {.images = NULL};
    size_t n = 1;
    for (int a = 0; a < 3; a++) {
        next.dim[a] = (scale->dim[a] + 1) / 2;
        n *= (size_t)next.dim[a];
    }
    double *row[2] = {calloc((size_t)scale->dim[0], sizeof(double)),
                      calloc((size_t)scale->dim[0], sizeof(double))};
    next.value[0] = calloc(n, sizeof(double));
    next.value[1] = calloc(n, sizeof(double));
    next.regions = malloc(n);
    const bool made = row[0] != NULL && row[1] != NULL && next.value[0] != NULL &&
                      next.value[1] != NULL && next.regions != NULL;
    for (int32_t k = 0; made && k < next.dim[2]; k++) {
        for (int32_t j = 0; j < next.dim[1]; j++) {
            halve_rows(&next, scale, row, j, k);
        }
    }
    free(row[0]);
    free(row[1]);
    if (!made) {
        return sctd_error(err, SCTD_ENOMEM, "a scale of %zu voxels", n);
    }
    const struct scale old = *scale;
    *scale = next;
    next = old;
    return 0;
}

static struct formula make_formula(const struct ssim_images *images)
{
    const double peak = images->range.high - images->range.low;
    return (struct formula){.c1 = 0.01 * peak * 0.01 * peak,
                            .c2 = 0.03 * peak * 0.03 * peak,
                            .c3 = 0.03 * peak * 0.03 * peak / 2.0};
}

static bool is_wide(const int32_t dim[3], int32_t least)
{
    return dim[0] >= least && dim[1] >= least && dim[2] >= least;
}

/* One half of the work: the whole image, or what needs the image masked. */
struct pass {
    const struct ssim_images *images;
    bool masked;
    struct ssim result;
    int r;
    struct sctd_error err;
};

/* SSIM where it is not a by-product of the first of the five scales. */
static int run_one_scale(struct pass *p, struct means *means, struct sctd_error *err)
{
    struct scale scale = {.images = p->images, .masked = p->masked};
    memcpy(scale.dim, p->images->dim, sizeof scale.dim);
    struct formula f = make_formula(p->images);
    f.ssim = true;
    *means = (struct means){.n = {0}};
    return is_wide(scale.dim, W) ? scan(means, &scale, &f, err) : 0;
}

static int run_pass(struct pass *p, struct sctd_error *err)
{
    sctd_auto(scale_fini) struct scale scale = {.images = p->images, .masked = p->masked};
    for (int a = 0; a < 3; a++) {
        const int32_t dim = p->images->dim[a];
        scale.dim[a] = dim < SHORTEST ? SHORTEST : dim;
        scale.before[a] = (scale.dim[a] - dim) / 2;
    }
    struct means one = {.n = {0}};
    struct means means = {.n = {0}};
    const bool extended = !is_wide(p->images->dim, SHORTEST);
    int r = extended ? run_one_scale(p, &one, err) : 0;
    for (unsigned region = 0; region < REGIONS; region++) {
        p->result.ms_ssim[region] = 1.0;
    }
    for (int level = 0; r == 0 && level < SCALES; level++) {
        struct formula f = make_formula(p->images);
        f.ssim = level == 0 && !extended;
        f.ms_ssim = true;
        f.weight = scale_weight[level];
        r = level == 0 ? 0 : halve(&scale, err);
        r = r < 0 ? r : scan(&means, &scale, &f, err);
        if (f.ssim) {
            one = means;
        }
        for (unsigned region = 0; r == 0 && region < REGIONS; region++) {
            const double mean = find_mean(&means, 1, region);
            p->result.ms_ssim[region] *= isnan(mean) ? mean : fmin(mean, 1.0);
        }
    }
    for (unsigned region = 0; r == 0 && region < REGIONS; region++) {
        p->result.ssim[region] = find_mean(&one, 0, region);
    }
    return r;
}

static void *pass_main(void *arg)
{
    struct pass *p = arg;
    p->r = run_pass(p, &p->err);
    return NULL;
}

int ssim_find(struct ssim *ret_ssim, const struct ssim_images *images, struct sctd_error *err)
{
    struct pass whole = {.images = images};
    struct pass body = {.images = images, .masked = true};
    pthread_t thread;
    const bool threaded = pthread_create(&thread, NULL, pass_main, &whole) == 0;
    (void)pass_main(&body);
    if (threaded) {
        (void)pthread_join(thread, NULL);
    } else {
        (void)pass_main(&whole);
    }
    if (whole.r < 0 || body.r < 0) {
        *err = whole.r < 0 ? whole.err : body.err;
        return whole.r < 0 ? whole.r : body.r;
    }
    *ret_ssim = body.result;
    ret_ssim->ssim[REGION_WHOLE] = whole.result.ssim[REGION_WHOLE];
    ret_ssim->ms_ssim[REGION_WHOLE] = whole.result.ms_ssim[REGION_WHOLE];
    return 0;
}
