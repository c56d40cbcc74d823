/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/model/quality_limits.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/model/section.h"

enum { BYTES_MAX = 65536, PLACE_SIZE = 48 };

/* Beyond what any CT can hold. */
static const double hu_max = 32767.0;

/* The limits that are one number each, in the order of the file. */
static const struct scalar {
    const char *key;
    size_t offset;
    double max, usual;
} scalars[] = {
    {"air_outside_percent", offsetof(struct quality_limits, air_outside_percent), 100.0, 2.0},
    {"hole_ml", offsetof(struct quality_limits, hole_ml), 1e5, 10.0},
    {"slice_jump_hu", offsetof(struct quality_limits, slice_jump_hu), 65534.0, 75.0},
    {"outline_mm", offsetof(struct quality_limits, outline_mm), 1e4, 15.0},
    {"field_of_view_percent", offsetof(struct quality_limits, field_of_view_percent), 100.0, 5.0},
    {"saturation_percent", offsetof(struct quality_limits, saturation_percent), 100.0, 2.0},
};
enum { SCALARS = sizeof scalars / sizeof scalars[0] };

static void set(struct quality_limits *limits, const struct scalar *scalar, double value)
{
    memcpy((char *)limits + scalar->offset, &value, sizeof value);
}

static double value_of(const struct quality_limits *limits, const struct scalar *scalar)
{
    double value = 0.0;
    memcpy(&value, (const char *)limits + scalar->offset, sizeof value);
    return value;
}

void quality_limits_default(struct quality_limits *ret_limits)
{
    struct quality_limits limits = {.is_set = true};
    for (size_t i = 0; i < SCALARS; i++) {
        set(&limits, &scalars[i], scalars[i].usual);
    }
    *ret_limits = limits;
}

/* Reading */

/* The elements of an array of at most `max`; *ret_n: how many. */
static int find_elements(const struct json_node **ret_first, size_t *ret_n, const struct section *s,
                         const char *key, size_t max, struct sctd_error *err)
{
    const struct json_node *array = NULL;
    int r = section_place(json_get_array(&array, s->json, s->node, key, err), s->name, err);
    if (r < 0) {
        return r;
    }
    if (array->count > max) {
        return section_place(sctd_error(err, SCTD_EDATA,
                                        "\"%s\" has %u elements, at most %zu may be", key,
                                        array->count, max),
                             s->name, err);
    }
    *ret_first = json_first(s->json, array);
    *ret_n = array->count;
    return 0;
}

static int read_tissue(struct quality_tissue *tissue, const struct section *s,
                       struct sctd_error *err)
{
    static const char *const known[] = {"name", "hu", "percent"};
    int r = SECTION_CHECK_KEYS(s, known, err);
    if (r == 0) {
        r = section_get_text(tissue->name, sizeof tissue->name, s, "name", err);
    }
    if (r == 0) {
        r = section_get_range(&tissue->hu_low, &tissue->hu_high, s, "hu", err);
    }
    if (r == 0) {
        r = section_get_range(&tissue->percent_low, &tissue->percent_high, s, "percent", err);
    }
    return r;
}

static int read_percentile(struct quality_percentile *percentile, const struct section *s,
                           struct sctd_error *err)
{
    static const char *const known[] = {"percentile", "range"};
    int r = SECTION_CHECK_KEYS(s, known, err);
    if (r == 0) {
        r = section_get_number(&percentile->percentile, s, "percentile", err);
    }
    if (r == 0) {
        r = section_get_range(&percentile->low, &percentile->high, s, "range", err);
    }
    return r;
}

static int read_tissues(struct quality_limits *limits, const struct section *s,
                        struct sctd_error *err)
{
    const struct json_node *node = NULL;
    int r = find_elements(&node, &limits->n_tissues, s, "tissues", QUALITY_TISSUES_MAX, err);
    for (size_t i = 0; r == 0 && i < limits->n_tissues; i++) {
        char name[PLACE_SIZE];
        (void)snprintf(name, sizeof name, "quality.tissues[%zu]", i);
        const struct section tissue = {s->json, node, name};
        r = read_tissue(&limits->tissue[i], &tissue, err);
        node = json_next(s->json, node);
    }
    return r;
}

static int read_intensity(struct quality_limits *limits, const struct section *s,
                          struct sctd_error *err)
{
    const struct json_node *node = NULL;
    int r =
        find_elements(&node, &limits->n_intensity, s, "intensity", QUALITY_PERCENTILES_MAX, err);
    for (size_t i = 0; r == 0 && i < limits->n_intensity; i++) {
        char name[PLACE_SIZE];
        (void)snprintf(name, sizeof name, "quality.intensity[%zu]", i);
        const struct section percentile = {s->json, node, name};
        r = read_percentile(&limits->intensity[i], &percentile, err);
        node = json_next(s->json, node);
    }
    return r;
}

int quality_limits_parse(struct quality_limits *ret_limits, const struct json *json,
                         const struct json_node *node, struct sctd_error *err)
{
    const char *known[SCALARS + 2] = {"tissues", "intensity"};
    const struct section s = {json, node, "quality"};
    struct quality_limits limits = {.is_set = true};
    for (size_t i = 0; i < SCALARS; i++) {
        known[2 + i] = scalars[i].key;
    }
    int r = SECTION_CHECK_KEYS(&s, known, err);
    for (size_t i = 0; r == 0 && i < SCALARS; i++) {
        double value = 0.0;
        r = section_get_number(&value, &s, scalars[i].key, err);
        set(&limits, &scalars[i], value);
    }
    if (r == 0) {
        r = read_tissues(&limits, &s, err);
    }
    if (r == 0) {
        r = read_intensity(&limits, &s, err);
    }
    if (r == 0) {
        r = quality_limits_check(&limits, err);
    }
    if (r == 0) {
        *ret_limits = limits;
    }
    return r;
}

static int parse_text(void *ret_limits, const char *text, size_t size, struct sctd_error *err)
{
    sctd_auto(json_freep) struct json *json = NULL;
    int r = section_parse_root(&json, text, size, BYTES_MAX, err);
    return r < 0 ? r : quality_limits_parse(ret_limits, json, json_get_root(json), err);
}

int quality_limits_read(struct quality_limits *ret_limits, const char *path, struct sctd_error *err)
{
    return section_read_file(ret_limits, parse_text, path, err);
}

/* Checking */

static bool is_within(double low, double high, double least, double most)
{
    return isfinite(low) && isfinite(high) && low >= least && high <= most && low <= high;
}

static bool is_name(const char *name)
{
    const char first = name[0];
    const bool starts = (first >= 'a' && first <= 'z') || (first >= '0' && first <= '9');
    const size_t length = strnlen(name, QUALITY_NAME_SIZE);
    return starts && length < QUALITY_NAME_SIZE &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") == length;
}

static int check_tissue(const struct quality_limits *limits, size_t i, struct sctd_error *err)
{
    const struct quality_tissue *tissue = &limits->tissue[i];
    if (!is_name(tissue->name)) {
        return sctd_error(err, SCTD_EDATA,
                          "quality.tissues[%zu].name is \"%.32s\", expected [a-z0-9][a-z0-9._-]*",
                          i, tissue->name);
    }
    for (size_t k = 0; k < i; k++) {
        if (strcmp(limits->tissue[k].name, tissue->name) == 0) {
            return sctd_error(err, SCTD_EDATA, "quality.tissues: two are called \"%s\"",
                              tissue->name);
        }
    }
    if (!is_within(tissue->hu_low, tissue->hu_high, -hu_max, hu_max) ||
        !(tissue->hu_low < tissue->hu_high)) {
        return sctd_error(err, SCTD_EDATA,
                          "quality.tissues[%zu].hu is %g to %g, expected a rising range within "
                          "+-%g",
                          i, tissue->hu_low, tissue->hu_high, hu_max);
    }
    if (!is_within(tissue->percent_low, tissue->percent_high, 0.0, 100.0)) {
        return sctd_error(err, SCTD_EDATA,
                          "quality.tissues[%zu].percent is %g to %g, expected a range within 0 to "
                          "100",
                          i, tissue->percent_low, tissue->percent_high);
    }
    return 0;
}

static int check_percentile(const struct quality_limits *limits, size_t i, struct sctd_error *err)
{
    const struct quality_percentile *p = &limits->intensity[i];
    if (!is_within(p->percentile, p->percentile, 0.0, 100.0) ||
        (i > 0 && !(limits->intensity[i - 1].percentile < p->percentile))) {
        return sctd_error(err, SCTD_EDATA,
                          "quality.intensity[%zu].percentile is %g, expected rising ones of 0 to "
                          "100",
                          i, p->percentile);
    }
    if (!is_within(p->low, p->high, 0.0, 1.0)) {
        return sctd_error(err, SCTD_EDATA,
                          "quality.intensity[%zu].range is %g to %g, expected a range within 0 to "
                          "1",
                          i, p->low, p->high);
    }
    return 0;
}

int quality_limits_check(const struct quality_limits *limits, struct sctd_error *err)
{
    int r = 0;
    if (!limits->is_set) {
        return 0;
    }
    for (size_t i = 0; i < SCALARS; i++) {
        const double value = value_of(limits, &scalars[i]);
        if (!is_within(value, value, 0.0, scalars[i].max)) {
            return sctd_error(err, SCTD_EDATA, "quality.%s is %g, expected 0 to %g", scalars[i].key,
                              value, scalars[i].max);
        }
    }
    if (limits->n_tissues > QUALITY_TISSUES_MAX || limits->n_intensity > QUALITY_PERCENTILES_MAX) {
        return sctd_error(err, SCTD_EDATA, "quality: at most %d tissues and %d percentiles may be",
                          (int)QUALITY_TISSUES_MAX, (int)QUALITY_PERCENTILES_MAX);
    }
    for (size_t i = 0; r == 0 && i < limits->n_tissues; i++) {
        r = check_tissue(limits, i, err);
    }
    for (size_t i = 0; r == 0 && i < limits->n_intensity; i++) {
        r = check_percentile(limits, i, err);
    }
    return r;
}

/* Writing */

static void write_range(struct json_writer *writer, const char *key, double low, double high)
{
    json_write_array_begin(writer, key);
    json_write_double(writer, NULL, low);
    json_write_double(writer, NULL, high);
    json_write_array_end(writer);
}

void quality_limits_write_members(const struct quality_limits *limits, struct json_writer *writer)
{
    for (size_t i = 0; i < SCALARS; i++) {
        json_write_double(writer, scalars[i].key, value_of(limits, &scalars[i]));
    }
    json_write_array_begin(writer, "tissues");
    for (size_t i = 0; i < limits->n_tissues; i++) {
        const struct quality_tissue *tissue = &limits->tissue[i];
        json_write_object_begin(writer, NULL);
        json_write_string(writer, "name", tissue->name);
        write_range(writer, "hu", tissue->hu_low, tissue->hu_high);
        write_range(writer, "percent", tissue->percent_low, tissue->percent_high);
        json_write_object_end(writer);
    }
    json_write_array_end(writer);
    json_write_array_begin(writer, "intensity");
    for (size_t i = 0; i < limits->n_intensity; i++) {
        const struct quality_percentile *percentile = &limits->intensity[i];
        json_write_object_begin(writer, NULL);
        json_write_double(writer, "percentile", percentile->percentile);
        write_range(writer, "range", percentile->low, percentile->high);
        json_write_object_end(writer);
    }
    json_write_array_end(writer);
}
