/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/selector.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "dicom/instance.h"
#include "dicom/series.h"
#include "engine/base/error.h"
#include "engine/base/parse.h"

static const char *const key_names[DICOM_SELECTOR_KEYS] = {
    [DICOM_SELECT_IMAGE_TYPE] = "image-type",
    [DICOM_SELECT_ECHO] = "echo",
    [DICOM_SELECT_TEMPORAL] = "temporal-position",
    [DICOM_SELECT_DIXON] = "dixon",
    [DICOM_SELECT_B_VALUE] = "b-value",
    [DICOM_SELECT_STACK] = "stack",
};

/* Values of Image Type and Frame Type that scanners write (PS3.3 C.8.13.3.1, and vendors' own). */
static const struct {
    const char *value, *dixon;
} dixon_words[] = {
    {"W", "water"},
    {"WATER", "water"},
    {"F", "fat"},
    {"FAT", "fat"},
    {"IP", "in-phase"},
    {"IN_PHASE", "in-phase"},
    {"INPHASE", "in-phase"},
    {"OP", "opposed-phase"},
    {"OPP_PHASE", "opposed-phase"},
    {"OUT_PHASE", "opposed-phase"},
    {"OUT_OF_PHASE", "opposed-phase"},
    {"OPPOSED_PHASE", "opposed-phase"},
};

const char *dicom_selector_key_name(enum dicom_selector_key key)
{
    return key_names[key];
}

/* The length of the first of the values that a backslash separates; *ret_next: the rest, or NULL. */
static size_t cut_value(const char *text, const char **ret_next)
{
    const char *stop = strchr(text, '\\');
    *ret_next = stop == NULL ? NULL : stop + 1;
    size_t n = stop == NULL ? strlen(text) : (size_t)(stop - text);
    while (n > 0 && text[n - 1] == ' ') {
        n--;
    }
    return n;
}

static const char *find_dixon_word(const char *value, size_t n)
{
    for (size_t i = 0; i < sizeof dixon_words / sizeof *dixon_words; i++) {
        if (strlen(dixon_words[i].value) == n && memcmp(dixon_words[i].value, value, n) == 0) {
            return dixon_words[i].dixon;
        }
    }
    return NULL;
}

static const char *find_dixon(const char *image_type)
{
    for (const char *at = image_type; at != NULL;) {
        const char *next = NULL;
        const size_t n = cut_value(at, &next);
        const char *dixon = find_dixon_word(at, n);
        if (dixon != NULL) {
            return dixon;
        }
        at = next;
    }
    return "";
}

/* Each value of the pattern is "*" or the value in its place; values beyond the pattern do not matter. */
static bool matches_image_type(const char *pattern, const char *image_type)
{
    while (pattern != NULL) {
        if (image_type == NULL) {
            return false;
        }
        const char *pattern_next = NULL;
        const char *type_next = NULL;
        const size_t n = cut_value(pattern, &pattern_next);
        const size_t m = cut_value(image_type, &type_next);
        const bool any = n == 1 && *pattern == '*';
        if (!any && (n != m || memcmp(pattern, image_type, n) != 0)) {
            return false;
        }
        pattern = pattern_next;
        image_type = type_next;
    }
    return true;
}

static void describe_whole(char *ret_value, size_t room, int32_t number)
{
    if (number != DICOM_NO_NUMBER) {
        (void)snprintf(ret_value, room, "%d", number);
    }
}

void dicom_selector_describe(char *ret_value, size_t room, enum dicom_selector_key key,
                             const struct dicom_frame *frame)
{
    ret_value[0] = '\0';
    switch (key) {
    case DICOM_SELECT_IMAGE_TYPE:
        (void)snprintf(ret_value, room, "%s", frame->image_type);
        break;
    case DICOM_SELECT_ECHO:
        describe_whole(ret_value, room, frame->echo_number);
        break;
    case DICOM_SELECT_TEMPORAL:
        describe_whole(ret_value, room, frame->temporal_position);
        break;
    case DICOM_SELECT_DIXON:
        (void)snprintf(ret_value, room, "%s", find_dixon(frame->image_type));
        break;
    case DICOM_SELECT_B_VALUE:
        if (!isnan(frame->b_value)) {
            (void)snprintf(ret_value, room, "%g", frame->b_value);
        }
        break;
    case DICOM_SELECT_STACK:
        (void)snprintf(ret_value, room, "%s", frame->stack);
        break;
    }
    if (ret_value[0] == '\0') {
        (void)snprintf(ret_value, room, "%s", DICOM_SELECTOR_NONE);
    }
}

bool dicom_selector_matches(const struct dicom_selector *selector, const struct dicom_frame *frame)
{
    char value[DICOM_IMAGE_TYPE_SIZE];
    dicom_selector_describe(value, sizeof value, selector->key, frame);
    if (selector->key == DICOM_SELECT_IMAGE_TYPE) {
        return matches_image_type(selector->value, value);
    }
    return strcmp(value, selector->value) == 0;
}

static bool is_dixon(const char *value)
{
    for (size_t i = 0; i < sizeof dixon_words / sizeof *dixon_words; i++) {
        if (strcmp(dixon_words[i].dixon, value) == 0) {
            return true;
        }
    }
    return false;
}

/* Numbers in the form in which frames are described. */
static int normalise_value(struct dicom_selector *selector, const char *value,
                           struct sctd_error *err)
{
    int64_t whole = 0;
    double number = 0;
    int r = 0;
    if (value[0] == '\0' || strlen(value) >= sizeof selector->value) {
        return sctd_error(err, SCTD_EINVAL, "the value of %s has 1 to %zu characters",
                          key_names[selector->key], sizeof selector->value - 1);
    }
    (void)snprintf(selector->value, sizeof selector->value, "%s", value);
    if (strcmp(value, DICOM_SELECTOR_NONE) == 0) {
        return 0;
    }
    switch (selector->key) {
    case DICOM_SELECT_ECHO:
    case DICOM_SELECT_TEMPORAL:
        r = sctd_parse_i64(&whole, value, -INT32_MAX, INT32_MAX, err);
        describe_whole(selector->value, sizeof selector->value, (int32_t)whole);
        break;
    case DICOM_SELECT_B_VALUE:
        r = sctd_parse_f64(&number, value, err);
        (void)snprintf(selector->value, sizeof selector->value, "%g", number);
        break;
    case DICOM_SELECT_DIXON:
        if (!is_dixon(value)) {
            r = sctd_error(err, SCTD_EINVAL,
                           "dixon is water, fat, in-phase or opposed-phase, not \"%.64s\"", value);
        }
        break;
    case DICOM_SELECT_IMAGE_TYPE:
    case DICOM_SELECT_STACK:
        break;
    }
    return r;
}

int dicom_selector_parse(struct dicom_selector *ret_selector, const char *text,
                         struct sctd_error *err)
{
    struct dicom_selector selector = {.value = ""};
    const char *equals = strchr(text, '=');
    const size_t n = equals == NULL ? 0 : (size_t)(equals - text);
    int key = 0;
    while (key < DICOM_SELECTOR_KEYS &&
           (strlen(key_names[key]) != n || memcmp(key_names[key], text, n) != 0)) {
        key++;
    }
    if (equals == NULL || key == DICOM_SELECTOR_KEYS) {
        return sctd_error(err, SCTD_EINVAL,
                          "\"%.64s\" is not KEY=VALUE with image-type, echo, temporal-position, "
                          "dixon, b-value or stack as KEY",
                          text);
    }
    selector.key = (enum dicom_selector_key)key;
    int r = normalise_value(&selector, equals + 1, err);
    if (r < 0) {
        return r;
    }
    *ret_selector = selector;
    return 0;
}
