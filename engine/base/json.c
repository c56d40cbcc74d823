/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/base/json.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/parse.h"
#include "engine/base/utf8.h"

enum { MAX_DEPTH = 64, MAX_NUMBER = 63, FIRST_CAPACITY = 64 };

/* What json.h promises of memory rests on this size: half as many nodes as bytes. */
_Static_assert(sizeof(struct json_node) <= 40, "a node is small");

struct json {
    struct json_node *node;
    size_t n_nodes, capacity;
    size_t most; /* nodes that the text can hold */
    char *text;  /* decoded strings; never longer than the source */
};

/* An array or object that is being read. */
struct level {
    uint32_t node;
    uint32_t last; /* its last member so far, or 0 */
};

struct reader {
    struct json *json;
    const char *start, *at, *end;
    char *out; /* where the next decoded string goes */
    struct level level[MAX_DEPTH];
    int depth;
    struct sctd_error *err;
};

static int fail(const struct reader *r, const char *what)
{
    size_t line = 1;
    size_t column = 1;
    for (const char *p = r->start; p < r->at; p++) {
        column = *p == '\n' ? 1 : column + 1;
        line += *p == '\n' ? 1 : 0;
    }
    return sctd_error(r->err, SCTD_EDATA, "json: line %zu column %zu: %s", line, column, what);
}

static void skip_blanks(struct reader *r)
{
    while (r->at < r->end &&
           (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r')) {
        r->at++;
    }
}

static char peek(const struct reader *r)
{
    if (r->at == r->end) {
        return '\0';
    }
    return *r->at;
}

/* Strings */

static int read_hex4(struct reader *r, uint32_t *ret_value)
{
    uint32_t value = 0;
    if (r->end - r->at < 4) {
        return fail(r, "\\u needs four hexadecimal digits");
    }
    for (int i = 0; i < 4; i++, r->at++) {
        const char c = *r->at;
        uint32_t digit = 16;
        if (c >= '0' && c <= '9') {
            digit = (uint32_t)(c - '0');
        } else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
            digit = (uint32_t)((c | 0x20) - 'a') + 10;
        }
        if (digit == 16) {
            return fail(r, "\\u needs four hexadecimal digits");
        }
        value = value * 16 + digit;
    }
    *ret_value = value;
    return 0;
}

static void put_utf8(struct reader *r, uint32_t c)
{
    if (c < 0x80) {
        *r->out++ = (char)c;
        return;
    }
    const int more = c < 0x800 ? 1 : (c < 0x10000 ? 2 : 3);
    static const uint32_t lead[4] = {0, 0xc0, 0xe0, 0xf0};
    *r->out++ = (char)(lead[more] | c >> (6 * more));
    for (int i = more - 1; i >= 0; i--) {
        *r->out++ = (char)(0x80 | (c >> (6 * i) & 0x3f));
    }
}

static int read_unicode_escape(struct reader *r)
{
    uint32_t c = 0;
    uint32_t low = 0;
    int s = read_hex4(r, &c);
    if (s < 0) {
        return s;
    }
    if (c >= 0xdc00 && c <= 0xdfff) {
        return fail(r, "a low surrogate without a high one");
    }
    if (c >= 0xd800 && c <= 0xdbff) {
        if (r->end - r->at < 6 || r->at[0] != '\\' || r->at[1] != 'u') {
            return fail(r, "a high surrogate without a low one");
        }
        r->at += 2;
        s = read_hex4(r, &low);
        if (s < 0) {
            return s;
        }
        if (low < 0xdc00 || low > 0xdfff) {
            return fail(r, "a high surrogate without a low one");
        }
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    put_utf8(r, c);
    return 0;
}

static int read_escape(struct reader *r)
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    const char c = peek(r);
    const char *found = c == '\0' ? NULL : strchr(from, c);
    if (c == 'u') {
        r->at++;
        return read_unicode_escape(r);
    }
    if (found == NULL) {
        return fail(r, "an unknown escape");
    }
    r->at++;
    *r->out++ = to[found - from];
    return 0;
}

static int read_character(struct reader *r)
{
    if ((unsigned char)*r->at < 0x20) {
        return fail(r, "a control character in a string");
    }
    if (*r->at == '\\') {
        r->at++;
        return read_escape(r);
    }
    const size_t n = utf8_length(r->at, (size_t)(r->end - r->at));
    if (n == 0) {
        return fail(r, "invalid UTF-8");
    }
    memcpy(r->out, r->at, n);
    r->out += n;
    r->at += n;
    return 0;
}

/* r->at stands behind the opening quote. */
static int read_string(struct reader *r, const char **ret_string, size_t *ret_size)
{
    char *begin = r->out;
    while (r->at < r->end && *r->at != '"') {
        int s = read_character(r);
        if (s < 0) {
            return s;
        }
    }
    if (r->at == r->end) {
        return fail(r, "a string without an end");
    }
    r->at++;
    *ret_size = (size_t)(r->out - begin);
    *r->out++ = '\0';
    *ret_string = begin;
    return 0;
}

/* Values */

static int add_node(struct reader *r, const struct json_node *node, uint32_t *ret_index)
{
    struct json *j = r->json;
    if (j->n_nodes == j->capacity) {
        const size_t doubled = j->capacity == 0 ? FIRST_CAPACITY : 2 * j->capacity;
        const size_t capacity = doubled < j->most ? doubled : j->most;
        struct json_node *grown = realloc(j->node, capacity * sizeof *grown);
        if (grown == NULL) {
            return sctd_error(r->err, SCTD_ENOMEM, "json");
        }
        j->node = grown;
        j->capacity = capacity;
    }
    j->node[j->n_nodes] = *node;
    *ret_index = (uint32_t)j->n_nodes++;
    if (r->depth > 0) {
        struct level *level = &r->level[r->depth - 1];
        struct json_node *parent = &j->node[level->node];
        parent->count++;
        if (level->last == 0) {
            parent->first = *ret_index;
        } else {
            j->node[level->last].next = *ret_index;
        }
        level->last = *ret_index;
    }
    return 0;
}

static int read_number(struct reader *r, struct json_node *node)
{
    char text[MAX_NUMBER + 1];
    const size_t left = (size_t)(r->end - r->at);
    size_t n = 0;
    bool whole = true;
    while (n < left && r->at[n] != '\0' && strchr("0123456789+-.eE", r->at[n]) != NULL) {
        if (n == MAX_NUMBER) {
            return fail(r, "a number of more than 63 characters");
        }
        whole = whole && strchr(".eE", r->at[n]) == NULL;
        text[n] = r->at[n];
        n++;
    }
    text[n] = '\0';
    const char *digits = text + (text[0] == '-' ? 1 : 0);
    if (digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9') {
        return fail(r, "a number with a leading zero");
    }
    struct sctd_error ignored = {0};
    if (sctd_parse_f64(&node->number, text, &ignored) < 0) {
        return fail(r, "not a number that can be represented");
    }
    node->type = JSON_DOUBLE;
    if (whole && sctd_parse_i64(&node->integer, text, INT64_MIN, INT64_MAX, &ignored) == 0) {
        node->type = JSON_INT;
    }
    r->at += n;
    return 0;
}

static int read_word(struct reader *r, struct json_node *node)
{
    static const struct {
        const char *word;
        enum json_type type;
        int64_t value;
    } words[] = {{"true", JSON_BOOL, 1}, {"false", JSON_BOOL, 0}, {"null", JSON_NULL, 0}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const size_t n = strlen(words[i].word);
        if ((size_t)(r->end - r->at) >= n && memcmp(r->at, words[i].word, n) == 0) {
            node->type = words[i].type;
            node->integer = words[i].value;
            r->at += n;
            return 0;
        }
    }
    return fail(r, "a value was expected");
}

/* Read a value; an array or object is only begun. */
static int read_value(struct reader *r, const char *key)
{
    struct json_node node = {.key = key};
    const char c = peek(r);
    int s = 0;
    if (c == '{' || c == '[') {
        node.type = c == '{' ? JSON_OBJECT : JSON_ARRAY;
        r->at++;
    } else if (c == '"') {
        node.type = JSON_STRING;
        r->at++;
        s = read_string(r, &node.string, &node.string_size);
    } else if (c == '-' || (c >= '0' && c <= '9')) {
        s = read_number(r, &node);
    } else {
        s = read_word(r, &node);
    }
    uint32_t index = 0;
    if (s == 0) {
        s = add_node(r, &node, &index);
    }
    if (s == 0 && (c == '{' || c == '[')) {
        if (r->depth == MAX_DEPTH) {
            return fail(r, "nested more than 64 deep");
        }
        r->level[r->depth++] = (struct level){.node = index};
    }
    return s;
}

static int compare_keys(const void *a, const void *b)
{
    const char *const *left = (const char *const *)a;
    const char *const *right = (const char *const *)b;
    return strcmp(*left, *right);
}

/* Refuse an object that has a key twice. */
static int check_repeats(struct reader *r, const struct json_node *object)
{
    if (object->count < 2) {
        return 0;
    }
    const char **keys = (const char **)calloc(object->count, sizeof *keys);
    if (keys == NULL) {
        return sctd_error(r->err, SCTD_ENOMEM, "json");
    }
    size_t n = 0;
    for (const struct json_node *m = json_first(r->json, object); m != NULL;
         m = json_next(r->json, m)) {
        keys[n++] = m->key;
    }
    qsort((void *)keys, n, sizeof *keys, compare_keys);
    int s = 0;
    for (size_t i = 1; s == 0 && i < n; i++) {
        if (strcmp(keys[i - 1], keys[i]) == 0) {
            char what[128];
            (void)snprintf(what, sizeof what, "key \"%.80s\" stands twice in an object", keys[i]);
            s = fail(r, what);
        }
    }
    free((void *)keys);
    return s;
}

static int read_key(struct reader *r, const char **ret_key)
{
    if (peek(r) != '"') {
        return fail(r, "a key was expected");
    }
    r->at++;
    const char *key = "";
    size_t size = 0;
    int s = read_string(r, &key, &size);
    if (s < 0) {
        return s;
    }
    if (strlen(key) != size) {
        return fail(r, "a key with a NUL in it");
    }
    skip_blanks(r);
    if (peek(r) != ':') {
        return fail(r, "':' was expected");
    }
    r->at++;
    skip_blanks(r);
    *ret_key = key;
    return 0;
}

/* Read what follows within the innermost array or object: its end, or one more value. */
static int read_inside(struct reader *r)
{
    const struct level *level = &r->level[r->depth - 1];
    const struct json_node *node = &r->json->node[level->node];
    const bool object = node->type == JSON_OBJECT;
    if (peek(r) == (object ? '}' : ']')) {
        r->at++;
        r->depth--;
        return object ? check_repeats(r, node) : 0;
    }
    if (level->last != 0) {
        if (peek(r) != ',') {
            return fail(r, object ? "',' or '}' was expected" : "',' or ']' was expected");
        }
        r->at++;
        skip_blanks(r);
    }
    const char *key = NULL;
    if (object) {
        int s = read_key(r, &key);
        if (s < 0) {
            return s;
        }
    }
    return read_value(r, key);
}

static int read_document(struct reader *r)
{
    skip_blanks(r);
    int s = read_value(r, NULL);
    skip_blanks(r);
    while (s == 0 && r->depth > 0) {
        s = read_inside(r);
        skip_blanks(r);
    }
    if (s == 0 && r->at != r->end) {
        return fail(r, "something stands after the end");
    }
    return s;
}

int json_parse(struct json **ret_json, const char *text, size_t size, struct sctd_error *err)
{
    sctd_auto(json_freep) struct json *json = calloc(1, sizeof *json);
    if (json == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "json");
    }
    if (size > UINT32_MAX) {
        return sctd_error(err, SCTD_EDATA, "json: a text of %zu bytes", size);
    }
    /* A value takes a byte and a comma or a bracket; only open brackets may still lack their end. */
    json->most = size / 2 + MAX_DEPTH;
    /* A string of n bytes takes n + 2 in the source, so its NUL always fits. */
    json->text = malloc(size + 1);
    if (json->text == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "json of %zu bytes", size);
    }
    const char *start = text == NULL ? "" : text;
    struct reader r = {.json = json,
                       .start = start,
                       .at = start,
                       .end = start + size,
                       .out = json->text,
                       .err = err};
    int s = read_document(&r);
    if (s < 0) {
        return s;
    }
    *ret_json = sctd_steal(&json);
    return 0;
}

void json_free(struct json *json)
{
    if (json != NULL) {
        free(json->node);
        free(json->text);
        free(json);
    }
}

/* Looking */

const struct json_node *json_get_root(const struct json *json)
{
    return json->node;
}

const struct json_node *json_first(const struct json *json, const struct json_node *node)
{
    return node->first == 0 ? NULL : &json->node[node->first];
}

const struct json_node *json_next(const struct json *json, const struct json_node *node)
{
    return node->next == 0 ? NULL : &json->node[node->next];
}

const struct json_node *json_find(const struct json *json, const struct json_node *object,
                                  const char *key)
{
    if (object->type != JSON_OBJECT) {
        return NULL;
    }
    for (const struct json_node *m = json_first(json, object); m != NULL; m = json_next(json, m)) {
        if (strcmp(m->key, key) == 0) {
            return m;
        }
    }
    return NULL;
}

static const char *type_name(enum json_type type)
{
    static const char *const names[] = {"null",   "true or false", "a whole number", "a number",
                                        "a text", "an array",      "an object"};
    return names[type];
}

static int get_member(const struct json_node **ret_node, const struct json *json,
                      const struct json_node *object, const char *key, enum json_type type,
                      struct sctd_error *err)
{
    const struct json_node *node = json_find(json, object, key);
    if (node == NULL) {
        return sctd_error(err, SCTD_EDATA, "key \"%.80s\" is missing", key);
    }
    const bool fits = node->type == type || (type == JSON_DOUBLE && node->type == JSON_INT);
    if (!fits) {
        return sctd_error(err, SCTD_EDATA, "key \"%.80s\" is %s, must be %s", key,
                          type_name(node->type), type_name(type));
    }
    *ret_node = node;
    return 0;
}

int json_get_object(const struct json_node **ret_node, const struct json *json,
                    const struct json_node *object, const char *key, struct sctd_error *err)
{
    return get_member(ret_node, json, object, key, JSON_OBJECT, err);
}

int json_get_array(const struct json_node **ret_node, const struct json *json,
                   const struct json_node *object, const char *key, struct sctd_error *err)
{
    return get_member(ret_node, json, object, key, JSON_ARRAY, err);
}

int json_get_string(const char **ret_string, const struct json *json,
                    const struct json_node *object, const char *key, struct sctd_error *err)
{
    const struct json_node *node = NULL;
    int r = get_member(&node, json, object, key, JSON_STRING, err);
    if (r < 0) {
        return r;
    }
    if (strlen(node->string) != node->string_size) {
        return sctd_error(err, SCTD_EDATA, "key \"%.80s\" has a NUL in its text", key);
    }
    *ret_string = node->string;
    return 0;
}

int json_get_int(int64_t *ret_value, const struct json *json, const struct json_node *object,
                 const char *key, struct sctd_error *err)
{
    const struct json_node *node = NULL;
    int r = get_member(&node, json, object, key, JSON_INT, err);
    if (r == 0) {
        *ret_value = node->integer;
    }
    return r;
}

int json_get_number(double *ret_value, const struct json *json, const struct json_node *object,
                    const char *key, struct sctd_error *err)
{
    const struct json_node *node = NULL;
    int r = get_member(&node, json, object, key, JSON_DOUBLE, err);
    if (r == 0) {
        *ret_value = node->number;
    }
    return r;
}

int json_get_bool(bool *ret_value, const struct json *json, const struct json_node *object,
                  const char *key, struct sctd_error *err)
{
    const struct json_node *node = NULL;
    int r = get_member(&node, json, object, key, JSON_BOOL, err);
    if (r == 0) {
        *ret_value = node->integer != 0;
    }
    return r;
}

int json_check_keys(const struct json *json, const struct json_node *object,
                    const char *const *known, size_t n, struct sctd_error *err)
{
    if (object->type != JSON_OBJECT) {
        return sctd_error(err, SCTD_EDATA, "%s where an object must be", type_name(object->type));
    }
    for (const struct json_node *m = json_first(json, object); m != NULL; m = json_next(json, m)) {
        bool found = false;
        for (size_t i = 0; i < n && !found; i++) {
            found = strcmp(m->key, known[i]) == 0;
        }
        if (!found) {
            return sctd_error(err, SCTD_EDATA, "key \"%.80s\" is not known here", m->key);
        }
    }
    return 0;
}
