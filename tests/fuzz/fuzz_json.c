/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as JSON: what is read is written, read again and written again to the same bytes. */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/json.h"

enum { MAX_DEPTH = 64 };

/* The groups that are being written, outermost first. */
struct path {
    const struct json_node *open[MAX_DEPTH];
    int depth;
};

static void begin_or_write(struct json_writer *w, const struct json_node *node)
{
    switch (node->type) {
    case JSON_NULL:
        json_write_null(w, node->key);
        break;
    case JSON_BOOL:
        json_write_bool(w, node->key, node->integer != 0);
        break;
    case JSON_INT:
        /* -0 keeps its sign as a number only */
        if (node->integer == 0) {
            json_write_double(w, node->key, node->number);
        } else {
            json_write_int(w, node->key, node->integer);
        }
        break;
    case JSON_DOUBLE:
        json_write_double(w, node->key, node->number);
        break;
    case JSON_STRING:
        assert(node->string[node->string_size] == '\0');
        json_write_string(w, node->key, node->string);
        break;
    case JSON_ARRAY:
        json_write_array_begin(w, node->key);
        break;
    case JSON_OBJECT:
        json_write_object_begin(w, node->key);
        break;
    }
}

static void end(struct json_writer *w, const struct json_node *node)
{
    if (node->type == JSON_OBJECT) {
        json_write_object_end(w);
    } else {
        json_write_array_end(w);
    }
}

/* `node`, or if it is NULL what follows the groups that end here. */
static const struct json_node *next_node(struct json_writer *w, const struct json *json,
                                         const struct json_node *node, struct path *path)
{
    while (node == NULL && path->depth > 0) {
        const struct json_node *group = path->open[--path->depth];
        end(w, group);
        node = json_next(json, group);
    }
    return node;
}

static void write_document(struct json_writer *w, const struct json *json)
{
    struct path path = {.depth = 0};
    const struct json_node *node = json_get_root(json);
    while (node != NULL) {
        const bool group = node->type == JSON_ARRAY || node->type == JSON_OBJECT;
        begin_or_write(w, node);
        assert(!group || path.depth < MAX_DEPTH);
        if (group) {
            path.open[path.depth++] = node;
        }
        node = next_node(w, json, group ? json_first(json, node) : json_next(json, node), &path);
    }
}

/* An escape makes six bytes of one, the shortest number with an exponent fewer. */
static struct sctd_buf write_again(const struct json *json, size_t size)
{
    struct sctd_error err = {0};
    struct sctd_buf buf = sctd_buf_make(6 * size + 64);
    struct json_writer w = json_writer_make(&buf, false, &err);
    write_document(&w, json);
    assert(json_writer_finish(&w) == 0);
    return buf;
}

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sctd_error err = {0};
    struct json *json = NULL;
    if (json_parse(&json, (const char *)data, size, &err) < 0) {
        assert(json == NULL && err.code == SCTD_EDATA && strlen(err.text) > 0);
        return 0;
    }
    struct json *again = NULL;
    struct sctd_buf first = write_again(json, size);
    assert(json_parse(&again, first.data, first.size, &err) == 0);
    struct sctd_buf second = write_again(again, first.size);
    assert(first.size == second.size && memcmp(first.data, second.data, first.size) == 0);
    sctd_buf_fini(&first);
    sctd_buf_fini(&second);
    json_free(json);
    json_free(again);
    return 0;
}
