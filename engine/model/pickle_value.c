/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/model/pickle_value.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/model/checkpoint_text.h"

enum { MALLOC_BYTES = 16, ROOM_MIN = 2 };

bool pickle_value_is_text(const struct pickle_value *v, const char *text)
{
    return v->kind == PICKLE_STRING && v->len == strlen(text) &&
           memcmp(v->u.text, text, v->len) == 0;
}

const char *pickle_kind_name(enum pickle_kind kind)
{
    static const char *const names[] = {
        [PICKLE_NONE] = "None",         [PICKLE_BOOL] = "boolean",  [PICKLE_INT] = "integer",
        [PICKLE_LONG] = "long integer", [PICKLE_FLOAT] = "float",   [PICKLE_STRING] = "string",
        [PICKLE_GLOBAL] = "global",     [PICKLE_TUPLE] = "tuple",   [PICKLE_LIST] = "list",
        [PICKLE_DICT] = "dictionary",   [PICKLE_OBJECT] = "tensor", [PICKLE_PERSISTENT] = "storage",
        [PICKLE_MARK] = "mark",
    };
    return names[kind];
}

int pickle_text_compare(const struct pickle_value *a, const struct pickle_value *b)
{
    const int order = memcmp(a->u.text, b->u.text, a->len < b->len ? a->len : b->len);
    return order != 0 ? order : (a->len > b->len) - (a->len < b->len);
}

static int compare_keys(const void *a, const void *b)
{
    const struct pickle_value *x = a;
    const struct pickle_value *y = b;
    if (x->kind != y->kind) {
        return x->kind < y->kind ? -1 : 1;
    }
    if (x->kind == PICKLE_INT) {
        return (x->u.number > y->u.number) - (x->u.number < y->u.number);
    }
    return pickle_text_compare(x, y);
}

void pickle_heap_fini(struct pickle_heap *heap)
{
    while (heap->nodes != NULL) {
        struct pickle_node *node = heap->nodes;
        heap->nodes = node->next;
        free(node->items);
        free(node);
    }
    heap->used = 0;
}

static int charge(struct pickle_heap *heap, size_t bytes, struct sctd_error *err)
{
    if (bytes > heap->limit - heap->used) {
        return sctd_error(err, SCTD_EDATA, "pickle: needs more than %zu bytes of memory",
                          heap->limit);
    }
    heap->used += bytes;
    return 0;
}

int pickle_heap_resize(struct pickle_heap *heap, void **block, size_t size, size_t old_n,
                       size_t new_n, struct sctd_error *err)
{
    size_t bytes = 0;
    if (__builtin_mul_overflow(new_n, size, &bytes) ||
        __builtin_add_overflow(bytes, (size_t)MALLOC_BYTES, &bytes)) {
        return sctd_error(err, SCTD_EDATA, "pickle: %zu items are too many", new_n);
    }
    int r = charge(heap, bytes, err);
    if (r < 0) {
        return r;
    }
    void *grown = realloc(*block, new_n * size);
    if (grown == NULL) {
        heap->used -= bytes;
        return sctd_error(err, SCTD_ENOMEM, "pickle: %zu items", new_n);
    }
    *block = grown;
    heap->used -= old_n == 0 ? 0 : old_n * size + MALLOC_BYTES;
    return 0;
}

void pickle_heap_release(struct pickle_heap *heap, void *block, size_t size, size_t n)
{
    if (block != NULL) {
        heap->used -= n * size + MALLOC_BYTES;
        free(block);
    }
}

static int node_reserve(struct pickle_heap *heap, struct pickle_node *node, uint32_t room,
                        struct sctd_error *err)
{
    void *items = node->items;
    int r = pickle_heap_resize(heap, &items, sizeof *node->items, node->room, room, err);
    if (r < 0) {
        return r;
    }
    node->items = items;
    node->room = room;
    return 0;
}

int pickle_heap_new_node(struct pickle_heap *heap, struct pickle_node **ret_node, uint32_t room,
                         struct sctd_error *err)
{
    int r = charge(heap, sizeof **ret_node + MALLOC_BYTES, err);
    if (r < 0) {
        return r;
    }
    struct pickle_node *node = calloc(1, sizeof *node);
    if (node == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "pickle: node");
    }
    node->next = heap->nodes;
    heap->nodes = node;
    if (room > 0) {
        r = node_reserve(heap, node, room, err);
        if (r < 0) {
            return r;
        }
    }
    *ret_node = node;
    return 0;
}

int pickle_node_append(struct pickle_heap *heap, struct pickle_node *node,
                       const struct pickle_value *items, uint32_t n, struct sctd_error *err)
{
    if (n == 0) {
        return 0;
    }
    if (n > UINT32_MAX / 4 || node->n > UINT32_MAX / 4) {
        return sctd_error(err, SCTD_EDATA, "pickle: more than %u items in a container", node->n);
    }
    if (n > node->room - node->n) {
        uint32_t room = node->room + node->room / 2;
        room = room < node->n + n ? node->n + n : room;
        int r = node_reserve(heap, node, room < ROOM_MIN ? ROOM_MIN : room, err);
        if (r < 0) {
            return r;
        }
    }
    memcpy(node->items + node->n, items, n * sizeof *items);
    node->n += n;
    return 0;
}

const struct pickle_value *pickle_dict_find(const struct pickle_node *dict, const char *key)
{
    for (uint32_t i = 0; i + 1 < dict->n; i += 2) {
        if (pickle_value_is_text(&dict->items[i], key)) {
            return &dict->items[i + 1];
        }
    }
    return NULL;
}

static int refuse_key(const struct pickle_value *key, struct sctd_error *err)
{
    if (key->kind == PICKLE_INT) {
        return sctd_error(err, SCTD_EDATA, "pickle: a dictionary has the key %lld twice",
                          (long long)key->u.number);
    }
    return sctd_error(err, SCTD_EDATA, "pickle: a dictionary has the key \"%s\" twice",
                      checkpoint_quote(key->u.text, key->len).text);
}

int pickle_dict_check(struct pickle_heap *heap, const struct pickle_node *dict,
                      struct sctd_error *err)
{
    const size_t n = dict->n / 2;
    if (n < 2) {
        return 0;
    }
    void *block = NULL;
    int r = pickle_heap_resize(heap, &block, sizeof(struct pickle_value), 0, n, err);
    if (r < 0) {
        return r;
    }
    struct pickle_value *keys = block;
    for (size_t i = 0; i < n; i++) {
        keys[i] = dict->items[2 * i];
    }
    qsort(keys, n, sizeof *keys, compare_keys);
    for (size_t i = 1; i < n && r == 0; i++) {
        if (compare_keys(&keys[i - 1], &keys[i]) == 0) {
            r = refuse_key(&keys[i], err);
        }
    }
    pickle_heap_release(heap, keys, sizeof *keys, n);
    return r;
}
