/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "dicom/geometry.h"
#include "dicom/series.h"

enum { SLICES = 6 };
#define TOLERANCE 0.01

static const double axial[6] = {1, 0, 0, 0, 1, 0};

/* Slices 2.5 mm apart along z, the last first. */
static void make_places(struct dicom_slice_place place[SLICES])
{
    for (size_t i = 0; i < SLICES; i++) {
        place[i] = (struct dicom_slice_place){
            .position = {-10, 20, -5 + 2.5 * (double)(SLICES - 1 - i)}, .index = i};
    }
}

/* Sort and fit; the refusal's code, or -1 with the step. */
static int fit(double *ret_step, struct dicom_slice_place *place, size_t n, double tolerance)
{
    double axis[3][3];
    struct dicom_refusal refusal = {.text = ""};
    *ret_step = 0;
    assert(dicom_geometry_axes(axis, axial));
    dicom_geometry_sort(place, n, axis[2]);
    if (dicom_geometry_fit(ret_step, &refusal, place, n, (const double(*)[3])axis, tolerance)) {
        return -1;
    }
    assert(refusal.text[0] != '\0');
    return (int)refusal.code;
}

static void axes_are_unit_vectors_at_right_angles(void)
{
    /* 30 degrees about x, rounded to six digits */
    static const double rounded[6] = {1, 0, 0, 0, 0.866025, 0.5};
    double axis[3][3];
    assert(dicom_geometry_axes(axis, rounded));
    assert(fabs(axis[1][1] - sqrt(3) / 2) < 1e-6 && fabs(axis[1][2] - 0.5) < 1e-6);
    assert(fabs(axis[2][1] + 0.5) < 1e-6 && fabs(axis[2][2] - sqrt(3) / 2) < 1e-6);
    for (int i = 0; i < 9; i++) {
        const double *a = axis[i / 3];
        const double *b = axis[i % 3];
        const double dot = a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
        assert(fabs(dot - (i / 3 == i % 3 ? 1 : 0)) < 1e-12);
    }
}

static void the_normal_is_row_by_column(void)
{
    static const struct {
        double orientation[6], normal[3];
    } cases[] = {
        {{1, 0, 0, 0, 1, 0}, {0, 0, 1}},  {{-1, 0, 0, 0, 1, 0}, {0, 0, -1}},
        {{0, 1, 0, 1, 0, 0}, {0, 0, -1}}, {{0, 1, 0, 0, 0, -1}, {-1, 0, 0}},
        {{1, 0, 0, 0, 0, -1}, {0, 1, 0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double axis[3][3];
        assert(dicom_geometry_axes(axis, cases[i].orientation));
        assert(fabs(axis[2][0] - cases[i].normal[0]) < 1e-12);
        assert(fabs(axis[2][1] - cases[i].normal[1]) < 1e-12);
        assert(fabs(axis[2][2] - cases[i].normal[2]) < 1e-12);
    }
}

static void what_is_no_pair_of_directions_is_refused(void)
{
    static const double bad[][6] = {
        {0, 0, 0, 0, 1, 0},   {1, 0, 0, 1, 0, 0},   {1.01, 0, 0, 0, 1, 0},
        {1, 0, 0, 0, 0.9, 0}, {1, 0, 0, 0.1, 1, 0}, {(double)NAN, 0, 0, 0, 1, 0},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        double axis[3][3];
        assert(!dicom_geometry_axes(axis, bad[i]));
    }
}

static void slices_are_sorted_along_the_normal(void)
{
    struct dicom_slice_place place[SLICES];
    double step = 0;
    make_places(place);
    assert(fit(&step, place, SLICES, TOLERANCE) == -1 && fabs(step - 2.5) < 1e-12);
    for (size_t i = 0; i < SLICES; i++) {
        assert(place[i].index == SLICES - 1 - i);
        assert(fabs(place[i].along - (-5 + 2.5 * (double)i)) < 1e-12);
    }
    static const double down[3] = {0, 0, -1};
    dicom_geometry_sort(place, SLICES, down);
    assert(place[0].index == 0 && fabs(place[0].along + 7.5) < 1e-12);
    dicom_geometry_sort(place, 0, down);
}

static void equal_positions_stay_in_the_order_of_their_index(void)
{
    struct dicom_slice_place place[3] = {{.index = 2}, {.index = 0}, {.index = 1}};
    static const double up[3] = {0, 0, 1};
    dicom_geometry_sort(place, 3, up);
    assert(place[0].index == 0 && place[1].index == 1 && place[2].index == 2);
}

static void two_slices_have_a_step(void)
{
    struct dicom_slice_place place[2] = {{.position = {0, 0, 3}}, {.position = {0, 0, 4.25}}};
    double step = 0;
    assert(fit(&step, place, 2, TOLERANCE) == -1 && fabs(step - 1.25) < 1e-12);
}

static void a_gap_is_a_missing_slice(void)
{
    struct dicom_slice_place place[SLICES];
    double step = 0;
    make_places(place);
    place[0].position[2] += 2.5;
    assert(fit(&step, place, SLICES, TOLERANCE) == DICOM_REFUSAL_MISSING_SLICE && step < 1e-12);
    make_places(place);
    place[0].position[2] += 0.49 * 2.5; /* less than half a slice more is unevenness */
    assert(fit(&step, place, SLICES, TOLERANCE) == DICOM_REFUSAL_UNEVEN_SPACING);
}

static void unevenness_is_measured_against_the_median(void)
{
    static const double off[] = {0.009, 0.011, 0.019, 0.021};
    static const bool even_by_1_percent[] = {true, false, false, false};
    static const bool even_by_2_percent[] = {true, true, true, false};
    for (size_t i = 0; i < sizeof off / sizeof *off; i++) {
        struct dicom_slice_place place[SLICES];
        double step = 0;
        make_places(place);
        place[3].position[2] += off[i] * 2.5;
        const bool by_1 = fit(&step, place, SLICES, 0.01) == -1;
        const bool by_2 = fit(&step, place, SLICES, 0.02) == -1;
        assert(by_1 == even_by_1_percent[i] && by_2 == even_by_2_percent[i]);
    }
}

static void drifting_slices_are_uneven(void)
{
    struct dicom_slice_place place[SLICES];
    double step = 0;
    make_places(place);
    for (size_t i = 0; i < 3; i++) { /* the upper three, each 0.9 % more than the one below */
        place[i].position[2] += 0.009 * 2.5 * (double)(3 - i);
    }
    assert(fit(&step, place, SLICES, TOLERANCE) == DICOM_REFUSAL_UNEVEN_SPACING);
}

static void a_slanted_stack_is_tilted(void)
{
    for (int axis = 0; axis < 2; axis++) {
        struct dicom_slice_place place[SLICES];
        double step = 0;
        make_places(place);
        for (size_t i = 0; i < SLICES; i++) {
            place[i].position[axis] += 0.02 * (double)i;
        }
        assert(fit(&step, place, SLICES, TOLERANCE) == DICOM_REFUSAL_GANTRY_TILT);
        make_places(place);
        place[2].position[axis] += 0.009; /* what rounding may do */
        assert(fit(&step, place, SLICES, TOLERANCE) == -1);
    }
}

int main(void)
{
    axes_are_unit_vectors_at_right_angles();
    the_normal_is_row_by_column();
    what_is_no_pair_of_directions_is_refused();
    slices_are_sorted_along_the_normal();
    equal_positions_stay_in_the_order_of_their_index();
    two_slices_have_a_step();
    a_gap_is_a_missing_slice();
    unevenness_is_measured_against_the_median();
    drifting_slices_are_uneven();
    a_slanted_stack_is_tilted();
    return 0;
}
