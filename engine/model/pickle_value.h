/*
 * pickle_value.h - the values that a restricted pickle can build, and the memory they live in.
 *
 * A value is 16 bytes.  Text stays where it is in the pickle; containers are nodes, which their heap
 * owns and which live as long as it does, so that values may share them and even form circles
 * (whoever walks them must bound the walk).  The heap refuses to grow beyond its limit.
 *
 * Thread safety: a heap belongs to one thread while it grows; then it is immutable.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

enum pickle_kind {
    PICKLE_NONE,
    PICKLE_BOOL,       /* number, 0 or 1 */
    PICKLE_INT,        /* number */
    PICKLE_LONG,       /* text: two's complement, little-endian, more than 8 bytes */
    PICKLE_FLOAT,      /* real */
    PICKLE_STRING,     /* text: UTF-8 */
    PICKLE_GLOBAL,     /* number: enum pickle_global */
    PICKLE_TUPLE,      /* node: the items; no node if it is empty */
    PICKLE_LIST,       /* node: the items */
    PICKLE_DICT,       /* node: key, value, key, value, ...; keys are strings and ints */
    PICKLE_OBJECT,     /* node: one item, the tuple of arguments that node->global is called with */
    PICKLE_PERSISTENT, /* node: one item, the persistent id, a tuple that is not empty */
    PICKLE_MARK,       /* on the unpickler's stack only */
};

/* The globals that a state_dict needs; pickle.c knows their names. */
enum pickle_global {
    PICKLE_ORDERED_DICT,
    PICKLE_REBUILD_TENSOR,
    PICKLE_REBUILD_PARAMETER,
    PICKLE_SIZE,
    PICKLE_FLOAT_STORAGE,
    PICKLE_DOUBLE_STORAGE,
    PICKLE_HALF_STORAGE,
    PICKLE_BFLOAT16_STORAGE,
    PICKLE_LONG_STORAGE,
    PICKLE_INT_STORAGE,
    PICKLE_SHORT_STORAGE,
    PICKLE_CHAR_STORAGE,
    PICKLE_BYTE_STORAGE,
    PICKLE_BOOL_STORAGE,
};

struct pickle_node;

struct pickle_value {
    enum pickle_kind kind;
    uint32_t len; /* of text, in bytes */
    union {
        int64_t number;
        double real;
        const char *text; /* not NUL-terminated */
        struct pickle_node *node;
    } u;
};

struct pickle_node {
    struct pickle_node *next;   /* the heap's list of all its nodes */
    struct pickle_value *items; /* [n], room for [room] */
    uint32_t n, room;
    enum pickle_global global; /* of an object */
    bool is_dict;
    bool is_ordered; /* a dictionary that is an OrderedDict */
};

/* Items of a tuple, list or dictionary (two each); 0 for an empty tuple without a node. */
static inline size_t pickle_value_count(const struct pickle_value *v)
{
    return v->u.node == NULL ? 0 : v->u.node->n;
}

bool pickle_value_is_text(const struct pickle_value *v, const char *text);

/* "dictionary", "integer", ... for errors; never NULL. */
const char *pickle_kind_name(enum pickle_kind kind);

/* Order of two strings by their bytes: negative, 0 or positive. */
int pickle_text_compare(const struct pickle_value *a, const struct pickle_value *b);

struct pickle_heap {
    struct pickle_node *nodes; /* newest first */
    size_t used, limit;        /* bytes, with what malloc adds */
};

/* Free every node.  Memory from pickle_heap_resize is the caller's. */
void pickle_heap_fini(struct pickle_heap *heap);

/*
 * Make *block, an array of old_n items of `size` bytes each (NULL if old_n is 0), one of new_n items
 * (at least 1); the new ones are not initialised.  Counts old and new together, as realloc may hold
 * both.  The caller gives it back with pickle_heap_release.
 * Errors: SCTD_EDATA (the limit), SCTD_ENOMEM; *block is as it was.
 */
SCTD_NODISCARD int pickle_heap_resize(struct pickle_heap *heap, void **block, size_t size,
                                      size_t old_n, size_t new_n, struct sctd_error *err);

/* Free an array of n items of `size` bytes each; NULL is a no-op. */
void pickle_heap_release(struct pickle_heap *heap, void *block, size_t size, size_t n);

/* An empty node with room for `room` items. Errors: SCTD_EDATA (the limit), SCTD_ENOMEM. */
SCTD_NODISCARD int pickle_heap_new_node(struct pickle_heap *heap, struct pickle_node **ret_node,
                                        uint32_t room, struct sctd_error *err);

/* Append n items. Errors: SCTD_EDATA (the limit), SCTD_ENOMEM. */
SCTD_NODISCARD int pickle_node_append(struct pickle_heap *heap, struct pickle_node *node,
                                      const struct pickle_value *items, uint32_t n,
                                      struct sctd_error *err);

/* The value of a dictionary's string key; NULL if there is none. */
const struct pickle_value *pickle_dict_find(const struct pickle_node *dict, const char *key);

/* Refuse a dictionary that has a key twice. Errors: SCTD_EDATA, SCTD_ENOMEM. */
SCTD_NODISCARD int pickle_dict_check(struct pickle_heap *heap, const struct pickle_node *dict,
                                     struct sctd_error *err);

#ifdef __cplusplus
}
#endif
