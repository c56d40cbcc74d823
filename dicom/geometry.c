/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/geometry.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "dicom/refusal.h"
#include "dicom/series.h"

/* A distance of this many medians is taken for a missing slice, a smaller one for unevenness. */
#define GAP_FROM              1.5
#define ORIENTATION_TOLERANCE 1e-3
#define PLANE_TOLERANCE       1e-4

static double dot(const double a[3], const double b[3])
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

static void cross(double ret[3], const double a[3], const double b[3])
{
    ret[0] = a[1] * b[2] - a[2] * b[1];
    ret[1] = a[2] * b[0] - a[0] * b[2];
    ret[2] = a[0] * b[1] - a[1] * b[0];
}

static void normalise(double a[3])
{
    const double length = sqrt(dot(a, a));
    for (int i = 0; i < 3; i++) {
        a[i] /= length;
    }
}

bool dicom_geometry_axes(double ret_axis[3][3], const double orientation[6])
{
    double row[3] = {orientation[0], orientation[1], orientation[2]};
    double column[3] = {orientation[3], orientation[4], orientation[5]};
    /* also false for NAN */
    if (!(fabs(sqrt(dot(row, row)) - 1) <= ORIENTATION_TOLERANCE) ||
        !(fabs(sqrt(dot(column, column)) - 1) <= ORIENTATION_TOLERANCE) ||
        !(fabs(dot(row, column)) <= ORIENTATION_TOLERANCE)) {
        return false;
    }
    normalise(row);
    normalise(column);
    /* Each takes half of what is not square; a second turn removes what the first leaves. */
    for (int turn = 0; turn < 2; turn++) {
        const double half = dot(row, column) / 2;
        const double was[3] = {row[0], row[1], row[2]};
        for (int i = 0; i < 3; i++) {
            row[i] -= half * column[i];
            column[i] -= half * was[i];
        }
        normalise(row);
        normalise(column);
    }
    for (int i = 0; i < 3; i++) {
        ret_axis[0][i] = row[i];
        ret_axis[1][i] = column[i];
    }
    cross(ret_axis[2], row, column);
    normalise(ret_axis[2]);
    return true;
}

static int compare_places(const void *a, const void *b)
{
    const struct dicom_slice_place *x = a;
    const struct dicom_slice_place *y = b;
    if (x->along < y->along || x->along > y->along) {
        return x->along < y->along ? -1 : 1;
    }
    return (x->index > y->index) - (x->index < y->index);
}

void dicom_geometry_sort(struct dicom_slice_place *place, size_t n, const double normal[3])
{
    for (size_t i = 0; i < n; i++) {
        place[i].along = dot(place[i].position, normal);
    }
    if (n > 0) {
        qsort(place, n, sizeof *place, compare_places);
    }
}

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double distance_after(const struct dicom_slice_place *place, size_t i)
{
    return place[i + 1].along - place[i].along;
}

/* The lower median of the distances, without memory: the distance that half of all are not above. */
static double median_distance(const struct dicom_slice_place *place, size_t n)
{
    enum { SAMPLES_MAX = 1024 };
    double distance[SAMPLES_MAX];
    const size_t all = n - 1;
    const size_t samples = all < SAMPLES_MAX ? all : SAMPLES_MAX;
    for (size_t i = 0; i < samples; i++) {
        distance[i] = distance_after(place, i * all / samples);
    }
    qsort(distance, samples, sizeof *distance, compare_doubles);
    return distance[(samples - 1) / 2];
}

static bool refuse_gaps(struct dicom_refusal *ret_refusal, const struct dicom_slice_place *place,
                        size_t n, double median)
{
    size_t gaps = 0;
    size_t first = 0;
    for (size_t i = 0; i + 1 < n; i++) {
        if (distance_after(place, i) >= GAP_FROM * median) {
            first = gaps == 0 ? i : first;
            gaps++;
        }
    }
    if (gaps == 0) {
        return false;
    }
    const double missing = round(distance_after(place, first) / median) - 1;
    char more[64] = "";
    if (gaps > 1) {
        (void)snprintf(more, sizeof more, " and in %zu more places", gaps - 1);
    }
    if (missing > 1) {
        (void)dicom_refusal_set(ret_refusal, DICOM_REFUSAL_MISSING_SLICE,
                                "%.0f missing slices between %.1f and %.1f mm%s", missing,
                                place[first].along, place[first + 1].along, more);
    } else {
        (void)dicom_refusal_set(ret_refusal, DICOM_REFUSAL_MISSING_SLICE,
                                "missing slice between %.1f and %.1f mm%s", place[first].along,
                                place[first + 1].along, more);
    }
    return true;
}

static bool refuse_uneven(struct dicom_refusal *ret_refusal, const struct dicom_slice_place *place,
                          size_t n, double median, double tolerance)
{
    for (size_t i = 0; i + 1 < n; i++) {
        const double distance = distance_after(place, i);
        if (fabs(distance - median) > tolerance * median) {
            (void)dicom_refusal_set(ret_refusal, DICOM_REFUSAL_UNEVEN_SPACING,
                                    "slices at %.2f and %.2f mm are %.3f mm apart, others %.3f mm",
                                    place[i].along, place[i + 1].along, distance, median);
            return true;
        }
    }
    return false;
}

bool dicom_geometry_fit(double *ret_step, struct dicom_refusal *ret_refusal,
                        const struct dicom_slice_place *place, size_t n, const double axis[3][3],
                        double tolerance)
{
    const double median = median_distance(place, n);
    const double step = (place[n - 1].along - place[0].along) / (double)(n - 1);
    /* Slices in a slanted stack are sheared, whatever their distances along the normal. */
    for (size_t i = 1; i < n; i++) {
        double from_first[3];
        for (int k = 0; k < 3; k++) {
            from_first[k] = place[i].position[k] - place[0].position[k];
        }
        const double along = dot(from_first, axis[2]);
        const double aside = hypot(dot(from_first, axis[0]), dot(from_first, axis[1]));
        if (aside > fmax(DICOM_SAME_POSITION_MM, PLANE_TOLERANCE * fabs(along))) {
            (void)dicom_refusal_set(
                ret_refusal, DICOM_REFUSAL_GANTRY_TILT,
                "the slice at %.1f mm is shifted within its plane by %.2f mm against "
                "the slice at %.1f mm",
                place[i].along, aside, place[0].along);
            return false;
        }
    }
    if (refuse_gaps(ret_refusal, place, n, median) ||
        refuse_uneven(ret_refusal, place, n, median, tolerance)) {
        return false;
    }
    for (size_t i = 1; i < n; i++) {
        const double off = place[i].along - place[0].along - (double)i * step;
        if (fabs(off) > fmax(DICOM_SAME_POSITION_MM, tolerance * step)) {
            (void)dicom_refusal_set(
                ret_refusal, DICOM_REFUSAL_UNEVEN_SPACING,
                "the slice at %.2f mm is %.3f mm from where even spacing puts it", place[i].along,
                off);
            return false;
        }
    }
    *ret_step = step;
    return true;
}
