/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/model/section.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/json.h"

int section_place(int r, const char *name, struct sctd_error *err)
{
    if (r < 0 && *name != '\0') {
        char text[sizeof err->text];
        (void)snprintf(text, sizeof text, "%s", err->text);
        return sctd_error(err, SCTD_EDATA, "%s: %.200s", name, text);
    }
    return r;
}

int section_open(struct section *ret_section, const struct section *parent, const char *key,
                 const char *name, struct sctd_error *err)
{
    const struct json_node *node = NULL;
    int r = json_get_object(&node, parent->json, parent->node, key, err);
    if (r < 0) {
        return section_place(r, parent->name, err);
    }
    *ret_section = (struct section){parent->json, node, name};
    return 0;
}

int section_check_keys(const struct section *s, const char *const *known, size_t n,
                       struct sctd_error *err)
{
    return section_place(json_check_keys(s->json, s->node, known, n, err), s->name, err);
}

int section_get_int64(int64_t *ret_value, const struct section *s, const char *key,
                      struct sctd_error *err)
{
    return section_place(json_get_int(ret_value, s->json, s->node, key, err), s->name, err);
}

int section_get_int(int32_t *ret_value, const struct section *s, const char *key,
                    struct sctd_error *err)
{
    int64_t value = 0;
    int r = section_get_int64(&value, s, key, err);
    if (r < 0) {
        return r;
    }
    if (value < INT32_MIN || value > INT32_MAX) {
        return section_place(sctd_error(err, SCTD_EDATA, "\"%s\" is %lld", key, (long long)value),
                             s->name, err);
    }
    *ret_value = (int32_t)value;
    return 0;
}

int section_get_number(double *ret_value, const struct section *s, const char *key,
                       struct sctd_error *err)
{
    return section_place(json_get_number(ret_value, s->json, s->node, key, err), s->name, err);
}

int section_get_bool(bool *ret_value, const struct section *s, const char *key,
                     struct sctd_error *err)
{
    return section_place(json_get_bool(ret_value, s->json, s->node, key, err), s->name, err);
}

int section_get_text(char *ret_text, size_t size, const struct section *s, const char *key,
                     struct sctd_error *err)
{
    const char *text = NULL;
    int r = section_place(json_get_string(&text, s->json, s->node, key, err), s->name, err);
    if (r < 0) {
        return r;
    }
    const size_t length = strlen(text);
    if (length >= size) {
        return section_place(sctd_error(err, SCTD_EDATA, "\"%s\" has %zu bytes, at most %zu may be",
                                        key, length, size - 1),
                             s->name, err);
    }
    memcpy(ret_text, text, length + 1);
    return 0;
}

int section_get_word(int *ret_index, const struct section *s, const char *key,
                     const char *const *words, int n, struct sctd_error *err)
{
    char text[32];
    int r = section_get_text(text, sizeof text, s, key, err);
    if (r < 0) {
        return r;
    }
    for (int i = 0; i < n; i++) {
        if (strcmp(text, words[i]) == 0) {
            *ret_index = i;
            return 0;
        }
    }
    return section_place(
        sctd_error(err, SCTD_EDATA, "\"%s\" is \"%s\", which is not known", key, text), s->name,
        err);
}

int section_get_array(const struct json_node *ret_element[], size_t n, const struct section *s,
                      const char *key, enum json_type type, struct sctd_error *err)
{
    const struct json_node *array = NULL;
    int r = section_place(json_get_array(&array, s->json, s->node, key, err), s->name, err);
    if (r < 0) {
        return r;
    }
    size_t i = 0;
    const struct json_node *e = json_first(s->json, array);
    for (; e != NULL && i < n; e = json_next(s->json, e)) {
        const bool fits = e->type == type || (type == JSON_DOUBLE && e->type == JSON_INT);
        if (!fits) {
            break;
        }
        ret_element[i++] = e;
    }
    if (i < n || e != NULL) {
        return section_place(sctd_error(err, SCTD_EDATA, "\"%s\" must hold %zu %s", key, n,
                                        type == JSON_BOOL  ? "booleans"
                                        : type == JSON_INT ? "whole numbers"
                                                           : "numbers"),
                             s->name, err);
    }
    return 0;
}

int section_get_range(double *ret_low, double *ret_high, const struct section *s, const char *key,
                      struct sctd_error *err)
{
    const struct json_node *element[2] = {NULL, NULL};
    int r = section_get_array(element, 2, s, key, JSON_DOUBLE, err);
    if (r < 0) {
        return r;
    }
    *ret_low = element[0]->number;
    *ret_high = element[1]->number;
    return 0;
}

int section_parse_root(struct json **ret_json, const char *text, size_t size, size_t max,
                       struct sctd_error *err)
{
    if (size > max) {
        return sctd_error(err, SCTD_EDATA, "%zu bytes, at most %zu may be", size, max);
    }
    sctd_auto(json_freep) struct json *json = NULL;
    int r = json_parse(&json, text, size, err);
    if (r < 0) {
        return r;
    }
    if (json_get_root(json)->type != JSON_OBJECT) {
        return sctd_error(err, SCTD_EDATA, "not a JSON object");
    }
    *ret_json = sctd_steal(&json);
    return 0;
}

/* The end of the path, which is enough to tell the file and leaves room for the reason. */
static int in_file(int r, const char *path, struct sctd_error *err)
{
    const size_t length = strlen(path);
    const size_t shown = 100;
    char text[sizeof err->text];
    if (r >= 0 || r == SCTD_ENOMEM) {
        return r;
    }
    (void)snprintf(text, sizeof text, "%s", err->text);
    return sctd_error(err, SCTD_EDATA, "%s%s: %.130s", length > shown ? "..." : "",
                      length > shown ? path + length - shown : path, text);
}

int section_read_file(void *ret, section_parse_fn parse, const char *path, struct sctd_error *err)
{
    struct sctd_map map = {NULL, 0};
    int r = sctd_map_open(&map, path, err);
    if (r < 0) {
        return r;
    }
    r = in_file(parse(ret, map.data, map.size, err), path, err);
    sctd_map_close(&map);
    return r;
}
