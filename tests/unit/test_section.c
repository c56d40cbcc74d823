/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/model/section.h"

static struct sctd_error err;

static struct json *parse(const char *text)
{
    struct json *json = NULL;
    int r = section_parse_root(&json, text, strlen(text), 1000, &err);
    assert(r == 0);
    return json;
}

static void errors_name_the_section_and_the_key(void)
{
    sctd_auto(json_freep) struct json *json = parse("{\"a\": {\"b\": 1, \"c\": [1, 2]}, \"d\": 3}");
    const struct section root = {json, json_get_root(json), ""};
    struct section a = {NULL, NULL, ""};
    int32_t number = 7;
    bool flag = true;
    double low = 7.0;
    double high = 7.0;
    assert(section_open(&a, &root, "a", "whole.a", &err) == 0);
    assert(section_get_int(&number, &a, "b", &err) == 0 && number == 1);
    assert(section_get_range(&low, &high, &a, "c", &err) == 0 && low < 1.5 && high > 1.5);
    assert(section_get_bool(&flag, &a, "b", &err) == SCTD_EDATA && flag);
    assert(strncmp(err.text, "whole.a: ", 9) == 0 && strstr(err.text, "\"b\"") != NULL);
    assert(section_get_int(&number, &a, "x", &err) == SCTD_EDATA && number == 1);
    assert(strstr(err.text, "\"x\"") != NULL);
    assert(section_open(&a, &root, "d", "whole.d", &err) == SCTD_EDATA && a.node->count == 2);
}

static void words_and_texts_are_those_that_may_be(void)
{
    static const char *const words[] = {"red", "green"};
    static const char *const known[] = {"a", "b"};
    sctd_auto(json_freep) struct json *json = parse("{\"a\": \"green\", \"b\": \"blue\"}");
    const struct section root = {json, json_get_root(json), "s"};
    char text[5] = "";
    int word = 7;
    assert(section_get_word(&word, &root, "a", words, 2, &err) == 0 && word == 1);
    assert(section_get_word(&word, &root, "b", words, 2, &err) == SCTD_EDATA && word == 1);
    assert(section_get_text(text, sizeof text, &root, "b", &err) == 0 && strcmp(text, "blue") == 0);
    assert(section_get_text(text, sizeof text, &root, "a", &err) == SCTD_EDATA);
    assert(SECTION_CHECK_KEYS(&root, known, &err) == 0);
    assert(section_check_keys(&root, known, 1, &err) == SCTD_EDATA);
    assert(strstr(err.text, "s: ") != NULL);
}

static void root_is_an_object_of_a_bounded_size(void)
{
    struct json *json = NULL;
    assert(section_parse_root(&json, "[]", 2, 10, &err) == SCTD_EDATA);
    assert(section_parse_root(&json, "{} ", 3, 2, &err) == SCTD_EDATA);
    assert(strstr(err.text, "at most 2") != NULL);
    assert(section_parse_root(&json, "{", 1, 10, &err) == SCTD_EDATA && json == NULL);
}

int main(void)
{
    errors_name_the_section_and_the_key();
    words_and_texts_are_those_that_may_be();
    root_is_an_object_of_a_bounded_size();
    return 0;
}
