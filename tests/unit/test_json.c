/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/json.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { DEEPEST = 64 };

/* Equal to the last bit, the sign of zero included. */
static bool same_bits(double a, double b)
{
    uint64_t left = 0;
    uint64_t right = 0;
    memcpy(&left, &a, sizeof left);
    memcpy(&right, &b, sizeof right);
    return left == right;
}

/* Parse a copy of exactly this size, so that a sanitizer sees a read beyond it. */
static int parse_bytes(struct json **ret_json, const char *text, size_t size,
                       struct sctd_error *err)
{
    char *copy = malloc(size + (size == 0 ? 1 : 0));
    assert(copy != NULL);
    if (size > 0) {
        memcpy(copy, text, size);
    }
    int r = json_parse(ret_json, copy, size, err);
    free(copy); /* a document keeps nothing of the text */
    return r;
}

static struct json *parse(const char *text)
{
    struct sctd_error err = {0};
    struct json *json = NULL;
    const int r = parse_bytes(&json, text, strlen(text), &err);
    if (r < 0) {
        (void)fprintf(stderr, "%s: %s\n", text, err.text);
    }
    assert(r == 0);
    return json;
}

static void values_of_every_type_are_read(void)
{
    static const struct {
        const char *text;
        enum json_type type;
        int64_t integer;
        double number;
    } cases[] = {{"null", JSON_NULL, 0, 0.0},
                 {"true", JSON_BOOL, 1, 0.0},
                 {"false", JSON_BOOL, 0, 0.0},
                 {" \t\r\n 0 \t\r\n", JSON_INT, 0, 0.0},
                 {"-0", JSON_INT, 0, -0.0},
                 {"42", JSON_INT, 42, 42.0},
                 {"-42", JSON_INT, -42, -42.0},
                 {"9223372036854775807", JSON_INT, INT64_MAX, 9223372036854775807.0},
                 {"-9223372036854775808", JSON_INT, INT64_MIN, -9223372036854775808.0},
                 {"9223372036854775808", JSON_DOUBLE, 0, 9223372036854775808.0},
                 {"-9223372036854775809", JSON_DOUBLE, 0, -9223372036854775809.0},
                 {"1.0", JSON_DOUBLE, 0, 1.0},
                 {"1e2", JSON_DOUBLE, 0, 100.0},
                 {"-2.5E-1", JSON_DOUBLE, 0, -0.25},
                 {"1.7976931348623157e+308", JSON_DOUBLE, 0, DBL_MAX},
                 {"5e-324", JSON_DOUBLE, 0, 0x1p-1074},
                 {"[]", JSON_ARRAY, 0, 0.0},
                 {"{}", JSON_OBJECT, 0, 0.0},
                 {"[ ]", JSON_ARRAY, 0, 0.0},
                 {"{ }", JSON_OBJECT, 0, 0.0}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        sctd_auto(json_freep) struct json *json = parse(cases[i].text);
        const struct json_node *root = json_get_root(json);
        assert(root->type == cases[i].type);
        assert(root->integer == cases[i].integer);
        assert(same_bits(root->number, cases[i].number));
        assert(root->key == NULL && root->count == 0);
        assert(json_first(json, root) == NULL && json_next(json, root) == NULL);
    }
}

static void strings_are_decoded(void)
{
    static const struct {
        const char *text, *value;
        size_t size;
    } cases[] = {
        {"\"\"", "", 0},
        {"\"a b\"", "a b", 3},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8},
        {"\"\\u0041\\u00e9\\u20AC\"", "A\xc3\xa9\xe2\x82\xac", 6},
        {"\"\\u007f\\u0080\\u07ff\\u0800\\uffff\"", "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf",
         11},
        {"\"\\ud7ff\\ue000\"", "\xed\x9f\xbf\xee\x80\x80", 6},
        {"\"\\ud800\\udc00\\uDBFF\\uDFFF\"", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 8},
        {"\"x\\u0000y\"", "x\0y", 3},
        {"\"\x7f\xc2\x80\xdf\xbf\"", "\x7f\xc2\x80\xdf\xbf", 5},
        {"\"\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\"", "\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80", 9},
        {"\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 8}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        sctd_auto(json_freep) struct json *json = parse(cases[i].text);
        const struct json_node *root = json_get_root(json);
        assert(root->type == JSON_STRING);
        assert(root->string_size == cases[i].size);
        assert(memcmp(root->string, cases[i].value, cases[i].size + 1) == 0);
    }
}

static void arrays_and_objects_keep_order_and_nesting(void)
{
    sctd_auto(json_freep) struct json *json =
        parse("{\"b\": [1, [2, 3], {\"x\": []}], \"a\": {\"b\": \"c\"}, \"\": null}");
    const struct json_node *root = json_get_root(json);
    assert(root->count == 3);
    const struct json_node *b = json_first(json, root);
    assert(strcmp(b->key, "b") == 0 && b->type == JSON_ARRAY && b->count == 3);
    const struct json_node *one = json_first(json, b);
    const struct json_node *pair = json_next(json, one);
    const struct json_node *object = json_next(json, pair);
    assert(one->integer == 1 && one->key == NULL);
    assert(pair->count == 2 && json_next(json, json_first(json, pair))->integer == 3);
    assert(json_first(json, object)->type == JSON_ARRAY && json_next(json, object) == NULL);
}

static void members_are_found_in_their_own_object_only(void)
{
    sctd_auto(json_freep) struct json *json =
        parse("{\"b\": [{\"x\": 1}], \"a\": {\"b\": \"c\"}, \"\": null}");
    const struct json_node *root = json_get_root(json);
    const struct json_node *b = json_find(json, root, "b");
    const struct json_node *a = json_next(json, b);
    assert(strcmp(a->key, "a") == 0);
    assert(strcmp(json_find(json, a, "b")->string, "c") == 0);
    assert(json_find(json, root, "")->type == JSON_NULL);
    assert(json_next(json, json_next(json, a)) == NULL);
    assert(json_find(json, root, "c") == NULL);
    assert(json_find(json, b, "x") == NULL); /* no object */
}

static void the_same_key_may_stand_in_different_objects(void)
{
    json_free(parse("[{\"a\":{\"a\":1}},{\"a\":2},{\"a\":\"a\",\"A\":\"a\"}]"));
}

/* What is refused, and the place the message must give. */
static const struct {
    const char *text;
    int line, column;
    const char *what;
} refused[] = {
    {"", 1, 1, "a value was expected"},
    {" \n\t", 2, 2, "a value was expected"},
    {"nul", 1, 1, "a value was expected"},
    {"True", 1, 1, "a value was expected"},
    {"NaN", 1, 1, "a value was expected"},
    {"'a'", 1, 1, "a value was expected"},
    {"/**/1", 1, 1, "a value was expected"},
    {"\xef\xbb\xbf{}", 1, 1, "a value was expected"},
    {"]", 1, 1, "a value was expected"},
    {",", 1, 1, "a value was expected"},
    {"nullx", 1, 5, "something stands after the end"},
    {"1 2", 1, 3, "something stands after the end"},
    {"{}\n x", 2, 2, "something stands after the end"},
    {"[]]", 1, 3, "something stands after the end"},
    {"+1", 1, 1, "a value was expected"},
    {".5", 1, 1, "a value was expected"},
    {"-", 1, 1, "not a number"},
    {"1.", 1, 1, "not a number"},
    {"1e", 1, 1, "not a number"},
    {"1e+", 1, 1, "not a number"},
    {"1-2", 1, 1, "not a number"},
    {"-Infinity", 1, 1, "not a number"},
    {"1e400", 1, 1, "not a number"},
    {"1000000000000000000000000000000000000000000000000000000000000000", 1, 1, "63 characters"},
    {"[0x10]", 1, 3, "',' or ']' was expected"},
    {"[01]", 1, 2, "a leading zero"},
    {"-00", 1, 1, "a leading zero"},
    {"[", 1, 2, "a value was expected"},
    {"[1", 1, 3, "',' or ']' was expected"},
    {"[1,", 1, 4, "a value was expected"},
    {"[1,]", 1, 4, "a value was expected"},
    {"[,1]", 1, 2, "a value was expected"},
    {"[1 2]", 1, 4, "',' or ']' was expected"},
    {"[1}", 1, 3, "',' or ']' was expected"},
    {"{", 1, 2, "a key was expected"},
    {"{]", 1, 2, "a key was expected"},
    {"{a:1}", 1, 2, "a key was expected"},
    {"{1:1}", 1, 2, "a key was expected"},
    {"{\"a\"}", 1, 5, "':' was expected"},
    {"{\"a\" 1}", 1, 6, "':' was expected"},
    {"{\"a\":}", 1, 6, "a value was expected"},
    {"{\"a\":1", 1, 7, "',' or '}' was expected"},
    {"{\"a\":1,}", 1, 8, "a key was expected"},
    {"{\"a\":1;\"b\":2}", 1, 7, "',' or '}' was expected"},
    {"{\"a\":1,\n \"b\":2,\n \"a\":3}", 3, 8, "key \"a\" stands twice"},
    {"{\"a\":1,\"\\u0061\":2}", 1, 19, "key \"a\" stands twice"},
    {"{\"\":1,\"\":2}", 1, 12, "key \"\" stands twice"},
    {"{\"a\\u0000b\":1}", 1, 12, "a key with a NUL"},
    {"\"a", 1, 3, "a string without an end"},
    {"\"a\\\"", 1, 5, "a string without an end"},
    {"\"a\\", 1, 4, "an unknown escape"},
    {"\"\\x41\"", 1, 3, "an unknown escape"},
    {"\"\\'\"", 1, 3, "an unknown escape"},
    {"\"\\u12", 1, 4, "four hexadecimal digits"},
    {"\"\\u12g4\"", 1, 6, "four hexadecimal digits"},
    {"\"\\u+123\"", 1, 4, "four hexadecimal digits"},
    {"\"\\udc00\"", 1, 8, "a low surrogate without a high one"},
    {"\"\\ud800\"", 1, 8, "a high surrogate without a low one"},
    {"\"\\ud800x\\udc00\"", 1, 8, "a high surrogate without a low one"},
    {"\"\\ud800\\n12345\"", 1, 8, "a high surrogate without a low one"},
    {"\"\\ud800\\ud800\"", 1, 14, "a high surrogate without a low one"},
    {"\"\\ud800\\u0041\"", 1, 14, "a high surrogate without a low one"},
    {"\"a\nb\"", 1, 3, "a control character"},
    {"\"\x1f\"", 1, 2, "a control character"},
    {"\"\x80\"", 1, 2, "invalid UTF-8"},
    {"\"\xc0\x80\"", 1, 2, "invalid UTF-8"},
    {"\"\xc1\xbf\"", 1, 2, "invalid UTF-8"},
    {"\"\xe0\x9f\xbf\"", 1, 2, "invalid UTF-8"},
    {"\"\xed\xa0\x80\"", 1, 2, "invalid UTF-8"},
    {"\"\xf0\x8f\xbf\xbf\"", 1, 2, "invalid UTF-8"},
    {"\"\xf4\x90\x80\x80\"", 1, 2, "invalid UTF-8"},
    {"\"\xf5\x80\x80\x80\"", 1, 2, "invalid UTF-8"},
    {"\"\xff\"", 1, 2, "invalid UTF-8"},
    {"\"\xe2\x82\"", 1, 2, "invalid UTF-8"},
    {"\"\xc3", 1, 2, "invalid UTF-8"},
    {"\"\xf0\x9f\x98", 1, 2, "invalid UTF-8"},
    {"[1,\r\n  2,\r\n\t tru]", 3, 3, "a value was expected"},
};

static void unsound_text_is_refused_with_line_and_column(void)
{
    for (size_t i = 0; i < COUNT(refused); i++) {
        struct sctd_error err = {0};
        struct json *json = NULL;
        char place[80];
        (void)snprintf(place, sizeof place, "json: line %d column %d: ", refused[i].line,
                       refused[i].column);
        const int r = parse_bytes(&json, refused[i].text, strlen(refused[i].text), &err);
        const bool as_expected = r == SCTD_EDATA && json == NULL &&
                                 strncmp(err.text, place, strlen(place)) == 0 &&
                                 strstr(err.text, refused[i].what) != NULL;
        if (!as_expected) {
            (void)fprintf(stderr, "%s: %d %s, not %s%s\n", refused[i].text, r, err.text, place,
                          refused[i].what);
        }
        assert(as_expected);
    }
}

static void a_nul_byte_is_no_end_of_text(void)
{
    static const struct {
        const char *text;
        size_t size;
    } cases[] = {{"1\0", 2},
                 {"\0"
                  "1",
                  2},
                 {"\"a\0b\"", 5},
                 {"[1\0]", 4},
                 {"\"\\\0\"", 4}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct sctd_error err = {0};
        struct json *json = NULL;
        assert(parse_bytes(&json, cases[i].text, cases[i].size, &err) == SCTD_EDATA);
        assert(json == NULL);
    }
}

/* `depth` times `open`, then as often `shut`. */
static int parse_nested(int depth, const char *open, const char *inner, const char *shut)
{
    struct sctd_error err = {0};
    struct sctd_buf buf = sctd_buf_make(10000000);
    sctd_auto(json_freep) struct json *json = NULL;
    for (int i = 0; i < depth; i++) {
        assert(sctd_buf_text(&buf, open, &err) == 0);
    }
    assert(sctd_buf_text(&buf, inner, &err) == 0);
    for (int i = 0; i < depth; i++) {
        assert(sctd_buf_text(&buf, shut, &err) == 0);
    }
    const int r = parse_bytes(&json, buf.data, buf.size, &err);
    assert(r == 0 || (r == SCTD_EDATA && strstr(err.text, "64 deep") != NULL));
    sctd_buf_fini(&buf);
    return r;
}

static void sixty_four_levels_are_read_and_not_one_more(void)
{
    assert(parse_nested(DEEPEST, "[", "", "]") == 0);
    assert(parse_nested(DEEPEST, "[", "1", "]") == 0);
    assert(parse_nested(DEEPEST, "{\"a\":", "1", "}") == 0);
    assert(parse_nested(DEEPEST / 2, "[{\"a\":", "1", "}]") == 0);
    assert(parse_nested(DEEPEST + 1, "[", "", "]") == SCTD_EDATA);
    assert(parse_nested(DEEPEST + 1, "{\"a\":", "1", "}") == SCTD_EDATA);
    assert(parse_nested(1000000, "[", "", "]") == SCTD_EDATA);
}

static void depth_counts_what_is_open_and_not_what_was(void)
{
    struct sctd_error err = {0};
    struct sctd_buf buf = sctd_buf_make(100000);
    assert(sctd_buf_text(&buf, "[0", &err) == 0);
    for (int i = 0; i < 1000; i++) {
        assert(sctd_buf_text(&buf, ",[{}]", &err) == 0);
    }
    assert(sctd_buf_text(&buf, "]", &err) == 0);
    sctd_auto(json_freep) struct json *json = parse(buf.data);
    assert(json_get_root(json)->count == 1001);
    sctd_buf_fini(&buf);
}

static void members_are_given_by_key_and_type(void)
{
    struct sctd_error err = {0};
    sctd_auto(json_freep) struct json *json =
        parse("{\"o\":{\"n\":1},\"a\":[1],\"s\":\"t\",\"i\":-3,\"d\":0.5,\"b\":true}");
    const struct json_node *root = json_get_root(json);
    const struct json_node *node = NULL;
    const char *text = NULL;
    int64_t integer = 0;
    double number = 0.0;
    bool flag = false;
    assert(json_get_object(&node, json, root, "o", &err) == 0 && node->type == JSON_OBJECT);
    assert(json_get_int(&integer, json, node, "n", &err) == 0 && integer == 1);
    assert(json_get_array(&node, json, root, "a", &err) == 0 && node->count == 1);
    assert(json_get_string(&text, json, root, "s", &err) == 0 && strcmp(text, "t") == 0);
    assert(json_get_int(&integer, json, root, "i", &err) == 0 && integer == -3);
    assert(json_get_number(&number, json, root, "d", &err) == 0 && fabs(number - 0.5) < 1e-15);
    assert(json_get_number(&number, json, root, "i", &err) == 0 && fabs(number + 3.0) < 1e-15);
    assert(json_get_bool(&flag, json, root, "b", &err) == 0 && flag);
}

static void a_refused_member_is_told_by_its_key(void)
{
    struct sctd_error err = {0};
    sctd_auto(json_freep) struct json *json = parse("{\"half\":0.5,\"nul\":\"a\\u0000b\"}");
    const struct json_node *root = json_get_root(json);
    const char *text = NULL;
    int64_t integer = 7;
    assert(json_get_int(&integer, json, root, "half", &err) == SCTD_EDATA);
    assert(strstr(err.text, "\"half\"") != NULL);
    assert(json_get_int(&integer, json, root, "gone", &err) == SCTD_EDATA);
    assert(strstr(err.text, "\"gone\"") != NULL && strstr(err.text, "missing") != NULL);
    assert(json_get_string(&text, json, root, "nul", &err) == SCTD_EDATA);
    assert(strstr(err.text, "\"nul\"") != NULL);
    assert(text == NULL && integer == 7);
}

static void a_member_of_another_type_is_refused(void)
{
    struct sctd_error err = {0};
    sctd_auto(json_freep) struct json *json = parse("{\"none\":null,\"one\":1,\"list\":[1]}");
    const struct json_node *root = json_get_root(json);
    const struct json_node *node = NULL;
    const char *text = NULL;
    int64_t integer = 7;
    double number = 7.0;
    bool flag = true;
    assert(json_get_string(&text, json, root, "none", &err) == SCTD_EDATA);
    assert(json_get_bool(&flag, json, root, "one", &err) == SCTD_EDATA);
    assert(json_get_number(&number, json, root, "none", &err) == SCTD_EDATA);
    assert(json_get_object(&node, json, root, "list", &err) == SCTD_EDATA);
    assert(json_get_array(&node, json, root, "one", &err) == SCTD_EDATA);
    assert(json_get_int(&integer, json, json_find(json, root, "list"), "one", &err) == SCTD_EDATA);
    assert(node == NULL && text == NULL && integer == 7 && flag && fabs(number - 7.0) < 1e-15);
}

static void an_unknown_key_is_refused_by_name(void)
{
    static const char *const known[] = {"a", "b"};
    struct sctd_error err = {0};
    sctd_auto(json_freep) struct json *json = parse("{\"b\":1,\"a\":2}");
    sctd_auto(json_freep) struct json *other = parse("{\"b\":1,\"aa\":2}");
    assert(json_check_keys(json, json_get_root(json), known, 2, &err) == 0);
    assert(json_check_keys(other, json_get_root(other), known, 2, &err) == SCTD_EDATA);
    assert(strstr(err.text, "\"aa\"") != NULL);
}

static void what_is_no_object_has_no_known_keys(void)
{
    static const char *const texts[] = {"[1]", "[]", "1", "\"a\""};
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct sctd_error err = {0};
        sctd_auto(json_freep) struct json *json = parse(texts[i]);
        assert(json_check_keys(json, json_get_root(json), NULL, 0, &err) == SCTD_EDATA);
        assert(strstr(err.text, "where an object must be") != NULL);
    }
}

/* As many nodes as a text can hold: a sanitizer sees a bound that is too low. */
static void the_densest_texts_have_room(void)
{
    enum { ELEMENTS = 5000 };
    struct sctd_error err = {0};
    static char text[2 * ELEMENTS + 2];
    for (size_t i = 0; i < ELEMENTS; i++) {
        text[2 * i + 1] = '0';
        text[2 * i + 2] = i < ELEMENTS - 1 ? ',' : ']';
    }
    text[0] = '[';
    sctd_auto(json_freep) struct json *json = NULL;
    assert(parse_bytes(&json, text, sizeof text - 1, &err) == 0);
    assert(json_get_root(json)->count == ELEMENTS);
    /* and open brackets that are never closed */
    for (size_t depth = 1; depth < DEEPEST; depth++) {
        memset(text, '[', depth);
        text[depth] = '0';
        struct json *none = NULL;
        assert(parse_bytes(&none, text, sizeof text - 2, &err) == SCTD_EDATA);
        assert(parse_bytes(&none, text, depth + 1, &err) == SCTD_EDATA && none == NULL);
    }
}

static void no_text_at_no_address_is_refused(void)
{
    struct sctd_error err = {0};
    struct json *json = NULL;
    assert(json_parse(&json, NULL, 0, &err) == SCTD_EDATA && json == NULL);
}

static void an_error_is_one_line_whatever_the_key(void)
{
    struct sctd_error err = {0};
    struct json *json = NULL;
    static const char repeated[] = "{\"a\\nb\":1,\"a\\nb\":2}";
    assert(json_parse(&json, repeated, strlen(repeated), &err) == SCTD_EDATA);
    assert(strchr(err.text, '\n') == NULL);
    sctd_auto(json_freep) struct json *other = parse("{\"a\\u001b\\nb\":1}");
    assert(json_check_keys(other, json_get_root(other), NULL, 0, &err) == SCTD_EDATA);
    assert(strchr(err.text, '\n') == NULL && strchr(err.text, '\x1b') == NULL);
}

/* A document with every kind of value. */
static void write_sample(struct json_writer *w)
{
    json_write_object_begin(w, NULL);
    json_write_string(w, "s\"\\", "\x01\n\x1f/\xc3\xa9\"");
    json_write_int(w, "least", INT64_MIN);
    json_write_array_begin(w, "list");
    json_write_bool(w, NULL, true);
    json_write_bool(w, NULL, false);
    json_write_null(w, NULL);
    json_write_double(w, NULL, (double)NAN);
    json_write_double(w, NULL, (double)INFINITY);
    json_write_array_end(w);
    json_write_object_begin(w, "empty");
    json_write_object_end(w);
    json_write_array_begin(w, "none");
    json_write_array_end(w);
    json_write_double(w, "d", -0.1);
    json_write_object_end(w);
}

static void a_document_is_written_compactly(void)
{
    struct sctd_error err = {0};
    struct sctd_buf buf = sctd_buf_make(1000);
    struct json_writer w = json_writer_make(&buf, false, &err);
    write_sample(&w);
    assert(json_writer_finish(&w) == 0);
    assert(strcmp(buf.data, "{\"s\\\"\\\\\":\"\\u0001\\u000a\\u001f/\xc3\xa9\\\"\","
                            "\"least\":-9223372036854775808,"
                            "\"list\":[true,false,null,null,null],"
                            "\"empty\":{},\"none\":[],\"d\":-0.1}") == 0);
    json_free(parse(buf.data));
    sctd_buf_fini(&buf);
}

static void a_document_is_written_for_people(void)
{
    struct sctd_error err = {0};
    struct sctd_buf buf = sctd_buf_make(1000);
    struct json_writer w = json_writer_make(&buf, true, &err);
    json_write_object_begin(&w, NULL);
    json_write_int(&w, "a", 1);
    json_write_array_begin(&w, "b");
    json_write_int(&w, NULL, 2);
    json_write_int(&w, NULL, 3);
    json_write_array_end(&w);
    json_write_object_begin(&w, "c");
    json_write_object_end(&w);
    json_write_object_end(&w);
    assert(json_writer_finish(&w) == 0);
    assert(strcmp(buf.data, "{\n  \"a\": 1,\n  \"b\": [\n    2,\n    3\n  ],\n  \"c\": {}\n}") ==
           0);
    sctd_buf_fini(&buf);
}

static void written_numbers_read_back_to_the_last_bit(void)
{
    static const double cases[] = {0.0,      -0.0,    1.0,     0.1,     1.0 / 3.0,      1e21,
                                   1e22,     DBL_MAX, DBL_MIN, -2.5e-7, 0x1p-1074,      DBL_EPSILON,
                                   123456.0, 1e-5,    5e300,   0x1p53,  0x1.fffffep+127};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct sctd_error err = {0};
        struct sctd_buf buf = sctd_buf_make(100);
        struct json_writer w = json_writer_make(&buf, false, &err);
        json_write_double(&w, NULL, cases[i]);
        assert(json_writer_finish(&w) == 0);
        sctd_auto(json_freep) struct json *json = parse(buf.data);
        assert(same_bits(json_get_root(json)->number, cases[i]));
        sctd_buf_fini(&buf);
    }
}

static void a_full_buffer_is_told_at_the_end(void)
{
    struct sctd_error err = {0};
    for (size_t max = 0; max < 20; max++) {
        struct sctd_buf buf = sctd_buf_make(max);
        struct json_writer w = json_writer_make(&buf, false, &err);
        json_write_array_begin(&w, NULL);
        json_write_string(&w, NULL, "0123456789abcdef");
        json_write_array_end(&w);
        assert(json_writer_finish(&w) == SCTD_EINVAL);
        assert(buf.size <= max);
        sctd_buf_fini(&buf);
    }
}

int main(void)
{
    values_of_every_type_are_read();
    strings_are_decoded();
    arrays_and_objects_keep_order_and_nesting();
    members_are_found_in_their_own_object_only();
    the_same_key_may_stand_in_different_objects();
    unsound_text_is_refused_with_line_and_column();
    a_nul_byte_is_no_end_of_text();
    sixty_four_levels_are_read_and_not_one_more();
    depth_counts_what_is_open_and_not_what_was();
    members_are_given_by_key_and_type();
    a_refused_member_is_told_by_its_key();
    a_member_of_another_type_is_refused();
    an_unknown_key_is_refused_by_name();
    what_is_no_object_has_no_known_keys();
    the_densest_texts_have_room();
    no_text_at_no_address_is_refused();
    an_error_is_one_line_whatever_the_key();
    a_document_is_written_compactly();
    a_document_is_written_for_people();
    written_numbers_read_back_to_the_last_bit();
    a_full_buffer_is_told_at_the_end();
    return 0;
}
