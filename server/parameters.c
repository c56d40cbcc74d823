/* SPDX-License-Identifier: Apache-2.0 */
#include "server/parameters.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "dicom/series.h"
#include "engine/base/attr.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/base/sha256.h"
#include "engine/engine.h"
#include "server/config.h"
#include "server/convert.h"

enum { WORK_MAX = 16384 };

static int hash_work(char ret_hex[SHA256_HEX_SIZE], const struct parameters *parameters,
                     const struct manifest *manifest, struct sctd_error *err)
{
    struct dicom_selector selector[PARAMETERS_SELECT_MAX];
    struct convert_options options;
    sctd_auto(sctd_buf_fini) struct sctd_buf text = sctd_buf_make(WORK_MAX);
    const struct convert_network network = {.manifest = manifest,
                                            .arithmetic = parameters->precision};
    int r = parameters_to_options(&options, selector, parameters, err);
    if (r == 0) {
        r = convert_describe(&text, &network, &options, err);
    }
    if (r == 0) {
        sha256_hex_of(text.data, text.size, ret_hex);
    }
    return r;
}

static int copy(char *to, size_t size, const char *text, const char *what, struct sctd_error *err)
{
    if (strlen(text) >= size) {
        return sctd_error(err, SCTD_EINVAL, "%s \"%.40s...\": at most %zu characters", what, text,
                          size - 1);
    }
    (void)snprintf(to, size, "%s", text);
    return 0;
}

int parameters_make(struct parameters *ret_parameters, const struct config_rule *rule,
                    const char *precision, const struct manifest *manifest, struct sctd_error *err)
{
    struct parameters p = {
        .axial = rule->grid == CONFIG_GRID_AXIAL,
        .series_number_offset = rule->series_number_offset,
        .rescale_intercept = rule->rescale_intercept,
        .is_checked = manifest->quality.is_set,
    };
    if (rule->select_count > PARAMETERS_SELECT_MAX) {
        return sctd_error(err, SCTD_EINVAL, "rule %.64s: at most %d conditions in select",
                          rule->name, PARAMETERS_SELECT_MAX);
    }
    int r = copy(p.precision, sizeof p.precision, precision, "precision", err);
    for (uint32_t i = 0; r == 0 && i < rule->select_count; i++) {
        r = copy(p.select[p.n_select++], sizeof p.select[0], rule->select[i], "select", err);
    }
    if (r == 0 && rule->series_description != NULL) {
        r = copy(p.series_description, sizeof p.series_description, rule->series_description,
                 "series_description", err);
    }
    if (r == 0) {
        r = hash_work(p.work_sha256, &p, manifest, err);
    }
    if (r == 0) {
        *ret_parameters = p;
    }
    return r;
}

int parameters_write(struct sctd_buf *text, const struct parameters *parameters,
                     struct sctd_error *err)
{
    struct json_writer w = json_writer_make(text, false, err);
    json_write_object_begin(&w, NULL);
    json_write_string(&w, "precision", parameters->precision);
    json_write_string(&w, "grid", parameters->axial ? "axial" : "source");
    json_write_array_begin(&w, "select");
    for (size_t i = 0; i < parameters->n_select; i++) {
        json_write_string(&w, NULL, parameters->select[i]);
    }
    json_write_array_end(&w);
    json_write_string(&w, "series_description", parameters->series_description);
    json_write_int(&w, "series_number_offset", parameters->series_number_offset);
    json_write_int(&w, "rescale_intercept", parameters->rescale_intercept);
    if (parameters->is_checked) {
        json_write_bool(&w, "checked", true);
    }
    json_write_string(&w, "work_sha256", parameters->work_sha256);
    json_write_object_end(&w);
    return json_writer_finish(&w);
}

static int read_text(char *to, size_t size, const struct json *json, const char *key,
                     struct sctd_error *err)
{
    const char *text = NULL;
    int r = json_get_string(&text, json, json_get_root(json), key, err);
    return r < 0 ? r : copy(to, size, text, key, err);
}

static int read_i32(int32_t *to, const struct json *json, const char *key, struct sctd_error *err)
{
    int64_t value = 0;
    int r = json_get_int(&value, json, json_get_root(json), key, err);
    if (r == 0 && (value < INT32_MIN || value > INT32_MAX)) {
        r = sctd_error(err, SCTD_EDATA, "%s is out of range", key);
    }
    *to = (int32_t)value;
    return r;
}

static int read_select(struct parameters *p, const struct json *json, struct sctd_error *err)
{
    const struct json_node *array = NULL;
    int r = json_get_array(&array, json, json_get_root(json), "select", err);
    if (r < 0) {
        return r;
    }
    for (const struct json_node *n = json_first(json, array); r == 0 && n != NULL;
         n = json_next(json, n)) {
        if (n->type != JSON_STRING || p->n_select == PARAMETERS_SELECT_MAX) {
            return sctd_error(err, SCTD_EDATA, "select is not a list of conditions");
        }
        r = copy(p->select[p->n_select++], sizeof p->select[0], n->string, "select", err);
    }
    return r;
}

static int read_fields(struct parameters *p, const struct json *json, struct sctd_error *err)
{
    char grid[8] = "";
    int r = read_text(p->precision, sizeof p->precision, json, "precision", err);
    r = r < 0 ? r : read_text(grid, sizeof grid, json, "grid", err);
    r = r < 0 ? r : read_select(p, json, err);
    r = r < 0 ? r
              : read_text(p->series_description, sizeof p->series_description, json,
                          "series_description", err);
    r = r < 0 ? r : read_i32(&p->series_number_offset, json, "series_number_offset", err);
    r = r < 0 ? r : read_i32(&p->rescale_intercept, json, "rescale_intercept", err);
    if (r == 0 && json_find(json, json_get_root(json), "checked") != NULL) {
        r = json_get_bool(&p->is_checked, json, json_get_root(json), "checked", err);
    }
    r = r < 0 ? r : read_text(p->work_sha256, sizeof p->work_sha256, json, "work_sha256", err);
    if (r == 0) {
        p->axial = strcmp(grid, "axial") == 0;
    }
    return r == 0 && !p->axial && strcmp(grid, "source") != 0
               ? sctd_error(err, SCTD_EDATA, "grid \"%s\" is none", grid)
               : r;
}

int parameters_read(struct parameters *ret_parameters, const char *text, struct sctd_error *err)
{
    struct parameters p = {.n_select = 0};
    sctd_auto(json_freep) struct json *json = NULL;
    int r = json_parse(&json, text, strlen(text), err);
    if (r == 0) {
        r = read_fields(&p, json, err);
    }
    if (r < 0) {
        sctd_error_prefix(err, "the job's parameters");
        return r == SCTD_EINVAL ? sctd_error(err, SCTD_EDATA, "the job's parameters are damaged")
                                : r;
    }
    *ret_parameters = p;
    return 0;
}

int parameters_to_options(struct convert_options *ret_options, struct dicom_selector *selector,
                          const struct parameters *parameters, struct sctd_error *err)
{
    for (size_t i = 0; i < parameters->n_select; i++) {
        int r = dicom_selector_parse(&selector[i], parameters->select[i], err);
        if (r < 0) {
            return r;
        }
    }
    *ret_options = (struct convert_options){
        .selector = selector,
        .n_selectors = parameters->n_select,
        .grid = parameters->axial ? CONVERT_GRID_AXIAL : CONVERT_GRID_SOURCE,
        .sct = {.series_description = parameters->series_description[0] == '\0'
                                          ? NULL
                                          : parameters->series_description,
                .series_number_offset = parameters->series_number_offset,
                .rescale_intercept = parameters->rescale_intercept},
    };
    return 0;
}

int parameters_check(const struct parameters *parameters, const struct manifest *manifest,
                     struct sctd_error *err)
{
    char hex[SHA256_HEX_SIZE];
    int r = hash_work(hex, parameters, manifest, err);
    if (r == 0 && strcmp(hex, parameters->work_sha256) != 0) {
        r = sctd_error(err, SCTD_EDATA,
                       "the model's manifest or the program changed since the job was made: its "
                       "result would be another one; reprocess the series instead");
    }
    return r;
}
