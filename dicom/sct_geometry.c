/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/sct_geometry.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "dicom/attributes.h"
#include "dicom/ds.h"
#include "dicom/sct_source.h"
#include "dicom/tags.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/volume.h"

enum { MAX_VALUES = 6, MAX_TEXT = 1024 };

void sct_geometry_fini(struct sct_plane *plane)
{
    dicom_attributes_fini(&plane->set);
}

static int set_numbers(struct dicom_attributes *to, uint32_t tag, const double *value, size_t n,
                       struct sctd_error *err)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf text = sctd_buf_make(MAX_TEXT);
    for (size_t i = 0; i < n; i++) {
        char one[DICOM_DS_SIZE];
        int r = dicom_ds_format(one, value[i], err);
        if (r == 0) {
            r = sctd_buf_printf(&text, err, "%s%s", i == 0 ? "" : "\\", one);
        }
        if (r < 0) {
            return r;
        }
    }
    return dicom_attributes_set(to, tag, "DS", text.data, text.size, err);
}

/* Append a component as it is if the standard allows it, else the decimal nearest to it. */
static int add_component(struct sctd_buf *text, double *ret_value, const char *from, size_t size,
                         struct sctd_error *err)
{
    int r = dicom_ds_parse(ret_value, from, size, err);
    if (r < 0) {
        return r;
    }
    if (dicom_ds_is_valid(from, size)) {
        return sctd_buf_append(text, from, size, err);
    }
    char written[DICOM_DS_SIZE];
    r = dicom_ds_format(written, *ret_value, err);
    return r < 0 ? r : sctd_buf_text(text, written, err);
}

/* Read the n values of an attribute and put it into the plane. */
static int take_numbers(struct sct_plane *plane, double *ret_value,
                        const struct dicom_attribute *from, size_t n, struct sctd_error *err)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf text = sctd_buf_make(MAX_TEXT);
    const char *at = from->value;
    const char *const end = from->value + from->size;
    for (size_t i = 0; i < n; i++) {
        const char *stop = at == NULL ? NULL : memchr(at, '\\', (size_t)(end - at));
        if (at == NULL || (stop == NULL) != (i + 1 == n)) {
            return sctd_error(err, SCTD_EDATA, "(%04x,%04x) of a source has not %zu values",
                              from->tag >> 16, from->tag & 0xffffU, n);
        }
        int r = i == 0 ? 0 : sctd_buf_text(&text, "\\", err);
        if (r == 0) {
            r = add_component(&text, &ret_value[i], at, (size_t)((stop == NULL ? end : stop) - at),
                              err);
        }
        if (r < 0) {
            return r;
        }
        at = stop == NULL ? NULL : stop + 1;
    }
    return dicom_attributes_set(&plane->set, from->tag, "DS", text.data, text.size, err);
}

static int take_from_source(struct sct_plane *plane, double ret_value[3][MAX_VALUES],
                            const struct sct_source *source, int32_t frame, struct sctd_error *err)
{
    static const struct {
        uint32_t sequence, tag;
        size_t n;
    } parts[] = {{TAG_PLANE_POSITION_SEQUENCE, TAG_IMAGE_POSITION_PATIENT, 3},
                 {TAG_PLANE_ORIENTATION_SEQUENCE, TAG_IMAGE_ORIENTATION_PATIENT, 6},
                 {TAG_PIXEL_MEASURES_SEQUENCE, TAG_PIXEL_SPACING, 2}};
    sctd_auto(dicom_attributes_fini) struct dicom_attributes raw = {0};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        int r = sct_source_copy_of_frame(&raw, source, frame, parts[i].sequence, parts[i].tag, err);
        if (r == SCT_SOURCE_ABSENT) {
            return sctd_error(err, SCTD_EDATA, "a source has no (%04x,%04x)", parts[i].tag >> 16,
                              parts[i].tag & 0xffffU);
        }
        if (r == 0) {
            r = take_numbers(plane, ret_value[i], dicom_attributes_find(&raw, parts[i].tag),
                             parts[i].n, err);
        }
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static void set_normal(struct sct_plane *plane, const double row[3], const double column[3])
{
    double normal[3] = {row[1] * column[2] - row[2] * column[1],
                        row[2] * column[0] - row[0] * column[2],
                        row[0] * column[1] - row[1] * column[0]};
    const double length =
        sqrt(normal[0] * normal[0] + normal[1] * normal[1] + normal[2] * normal[2]);
    for (size_t i = 0; i < 3; i++) {
        plane->normal[i] = length > 0 ? normal[i] / length : 0;
    }
}

int sct_geometry_of_source(struct sct_plane *ret_plane, const struct sct_source *source,
                           int32_t frame, struct sctd_error *err)
{
    struct sct_plane plane = {0};
    double value[3][MAX_VALUES] = {{0}};
    int r = take_from_source(&plane, value, source, frame, err);
    if (r < 0) {
        sct_geometry_fini(&plane);
        return r;
    }
    memcpy(plane.position, value[0], sizeof plane.position);
    set_normal(&plane, value[1], value[1] + 3);
    *ret_plane = plane;
    return 0;
}

static void get_position(double ret_position[3], const struct volume_grid *grid, int32_t k)
{
    for (size_t i = 0; i < 3; i++) {
        ret_position[i] = grid->origin[i] + k * grid->step[2] * grid->axis[2][i];
    }
}

int sct_geometry_of_grid(struct sct_plane *ret_plane, const struct volume_grid *grid, int32_t k,
                         struct sctd_error *err)
{
    struct sct_plane plane = {0};
    double orientation[6];
    memcpy(orientation, grid->axis[0], 3 * sizeof *orientation);
    memcpy(orientation + 3, grid->axis[1], 3 * sizeof *orientation);
    const double spacing[2] = {grid->step[1], grid->step[0]}; /* between rows, between columns */
    get_position(plane.position, grid, k);
    set_normal(&plane, grid->axis[0], grid->axis[1]);
    int r = set_numbers(&plane.set, TAG_IMAGE_POSITION_PATIENT, plane.position, 3, err);
    if (r == 0) {
        r = set_numbers(&plane.set, TAG_IMAGE_ORIENTATION_PATIENT, orientation, 6, err);
    }
    if (r == 0) {
        r = set_numbers(&plane.set, TAG_PIXEL_SPACING, spacing, 2, err);
    }
    if (r < 0) {
        sct_geometry_fini(&plane);
        return r;
    }
    *ret_plane = plane;
    return 0;
}

int sct_geometry_check(const struct sct_plane *plane, const struct volume_grid *grid, int32_t k,
                       struct sctd_error *err)
{
    double position[3];
    get_position(position, grid, k);
    for (size_t axis = 0; axis < 3; axis++) {
        double off = 0;
        for (size_t i = 0; i < 3; i++) {
            off += (plane->position[i] - position[i]) * grid->axis[axis][i];
        }
        if (!(fabs(off) < grid->step[axis] / 2)) {
            return sctd_error(err, SCTD_EDATA, "slice %d lies %.3f mm from its source", (int)k,
                              off);
        }
    }
    return 0;
}

int sct_geometry_add_location(struct dicom_attributes *to, const struct sct_plane *plane,
                              struct sctd_error *err)
{
    const double location = plane->position[0] * plane->normal[0] +
                            plane->position[1] * plane->normal[1] +
                            plane->position[2] * plane->normal[2];
    return set_numbers(to, TAG_SLICE_LOCATION, &location, 1, err);
}

int sct_geometry_add_steps(struct dicom_attributes *to, const struct volume_grid *grid,
                           struct sctd_error *err)
{
    int r = set_numbers(to, TAG_SLICE_THICKNESS, &grid->step[2], 1, err);
    return r < 0 ? r : set_numbers(to, TAG_SPACING_BETWEEN_SLICES, &grid->step[2], 1, err);
}
