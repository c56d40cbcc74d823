/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/model/pickle.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/model/checkpoint_text.h"
#include "engine/model/little_endian.h"
#include "engine/model/pickle_machine.h"
#include "engine/model/pickle_value.h"

enum { MEMORY_FLOOR = 64 * 1024, MEMORY_FACTOR = 32, GLOBAL_PART_MAX = 128, PERSISTENTS_MIN = 64 };

static const struct global_name {
    const char *module, *name, *full;
} globals[] = {
    [PICKLE_ORDERED_DICT] = {"collections", "OrderedDict", "collections.OrderedDict"},
    [PICKLE_REBUILD_TENSOR] = {"torch._utils", "_rebuild_tensor_v2",
                               "torch._utils._rebuild_tensor_v2"},
    [PICKLE_REBUILD_PARAMETER] = {"torch._utils", "_rebuild_parameter",
                                  "torch._utils._rebuild_parameter"},
    [PICKLE_SIZE] = {"torch", "Size", "torch.Size"},
    [PICKLE_FLOAT_STORAGE] = {"torch", "FloatStorage", "torch.FloatStorage"},
    [PICKLE_DOUBLE_STORAGE] = {"torch", "DoubleStorage", "torch.DoubleStorage"},
    [PICKLE_HALF_STORAGE] = {"torch", "HalfStorage", "torch.HalfStorage"},
    [PICKLE_BFLOAT16_STORAGE] = {"torch", "BFloat16Storage", "torch.BFloat16Storage"},
    [PICKLE_LONG_STORAGE] = {"torch", "LongStorage", "torch.LongStorage"},
    [PICKLE_INT_STORAGE] = {"torch", "IntStorage", "torch.IntStorage"},
    [PICKLE_SHORT_STORAGE] = {"torch", "ShortStorage", "torch.ShortStorage"},
    [PICKLE_CHAR_STORAGE] = {"torch", "CharStorage", "torch.CharStorage"},
    [PICKLE_BYTE_STORAGE] = {"torch", "ByteStorage", "torch.ByteStorage"},
    [PICKLE_BOOL_STORAGE] = {"torch", "BoolStorage", "torch.BoolStorage"},
};

const char *pickle_global_name(enum pickle_global global)
{
    return globals[global].full;
}

typedef int pickle_op(struct pickle_machine *m, struct sctd_error *err);

static int op_proto(struct pickle_machine *m, struct sctd_error *err)
{
    uint32_t version = 0;
    int r = pickle_take_u8(m, &version, err);
    if (r != 0) {
        return r;
    }
    if (m->at != 0 || version != 2) {
        return sctd_error(err, SCTD_EDATA, "pickle: %s: protocol %u; only 2 is read",
                          pickle_place(m).text, version);
    }
    return 0;
}

static int op_mark(struct pickle_machine *m, struct sctd_error *err)
{
    return pickle_push_number(m, PICKLE_MARK, 0, err);
}

static int op_none(struct pickle_machine *m, struct sctd_error *err)
{
    return pickle_push_number(m, PICKLE_NONE, 0, err);
}

static int op_true(struct pickle_machine *m, struct sctd_error *err)
{
    return pickle_push_number(m, PICKLE_BOOL, 1, err);
}

static int op_false(struct pickle_machine *m, struct sctd_error *err)
{
    return pickle_push_number(m, PICKLE_BOOL, 0, err);
}

static int op_int(struct pickle_machine *m, struct sctd_error *err)
{
    uint32_t value = 0;
    int r = pickle_take_u32(m, &value, err);
    return r < 0 ? r : pickle_push_number(m, PICKLE_INT, (int32_t)value, err);
}

static int op_int1(struct pickle_machine *m, struct sctd_error *err)
{
    uint32_t value = 0;
    int r = pickle_take_u8(m, &value, err);
    return r < 0 ? r : pickle_push_number(m, PICKLE_INT, value, err);
}

static int op_int2(struct pickle_machine *m, struct sctd_error *err)
{
    const uint8_t *p = NULL;
    int r = pickle_take(m, 2, &p, err);
    return r < 0 ? r : pickle_push_number(m, PICKLE_INT, little_endian_load16(p), err);
}

/* Two's complement, little-endian; up to 8 bytes it is an integer like any other. */
static int op_long1(struct pickle_machine *m, struct sctd_error *err)
{
    uint32_t len = 0;
    const uint8_t *p = NULL;
    int r = pickle_take_u8(m, &len, err);
    if (r == 0) {
        r = pickle_take(m, len, &p, err);
    }
    if (r != 0) {
        return r;
    }
    if (len > 8) {
        const struct pickle_value value = {
            .kind = PICKLE_LONG, .len = len, .u.text = (const char *)p};
        return pickle_push(m, value, err);
    }
    uint64_t bits = len > 0 && (p[len - 1] & 0x80U) != 0 ? UINT64_MAX : 0;
    for (uint32_t i = len; i-- > 0;) {
        bits = bits << 8 | p[i];
    }
    return pickle_push_number(m, PICKLE_INT, (int64_t)bits, err);
}

static int op_float(struct pickle_machine *m, struct sctd_error *err)
{
    const uint8_t *p = NULL;
    int r = pickle_take(m, 8, &p, err);
    if (r != 0) {
        return r;
    }
    const uint64_t bits = __builtin_bswap64(little_endian_load64(p));
    struct pickle_value value = {.kind = PICKLE_FLOAT};
    memcpy(&value.u.real, &bits, sizeof bits);
    return pickle_push(m, value, err);
}

static int push_text(struct pickle_machine *m, uint32_t len, struct sctd_error *err)
{
    const uint8_t *p = NULL;
    int r = pickle_take(m, len, &p, err);
    if (r != 0) {
        return r;
    }
    const char *text = (const char *)p;
    if (!checkpoint_text_is_utf8(text, len)) {
        return sctd_error(err, SCTD_EDATA, "pickle: %s: string \"%s\" is not UTF-8",
                          pickle_place(m).text, checkpoint_quote(text, len).text);
    }
    return pickle_push(m, (struct pickle_value){.kind = PICKLE_STRING, .len = len, .u.text = text},
                       err);
}

static int op_unicode(struct pickle_machine *m, struct sctd_error *err)
{
    uint32_t len = 0;
    int r = pickle_take_u32(m, &len, err);
    return r < 0 ? r : push_text(m, len, err);
}

static int op_short_string(struct pickle_machine *m, struct sctd_error *err)
{
    uint32_t len = 0;
    int r = pickle_take_u8(m, &len, err);
    return r < 0 ? r : push_text(m, len, err);
}

static int op_put1(struct pickle_machine *m, struct sctd_error *err)
{
    uint32_t index = 0;
    int r = pickle_take_u8(m, &index, err);
    return r < 0 ? r : pickle_memo_put(m, index, err);
}

static int op_put4(struct pickle_machine *m, struct sctd_error *err)
{
    uint32_t index = 0;
    int r = pickle_take_u32(m, &index, err);
    return r < 0 ? r : pickle_memo_put(m, index, err);
}

static int op_get1(struct pickle_machine *m, struct sctd_error *err)
{
    uint32_t index = 0;
    int r = pickle_take_u8(m, &index, err);
    return r < 0 ? r : pickle_memo_get(m, index, err);
}

static int op_get4(struct pickle_machine *m, struct sctd_error *err)
{
    uint32_t index = 0;
    int r = pickle_take_u32(m, &index, err);
    return r < 0 ? r : pickle_memo_get(m, index, err);
}

/* A line of text without its newline, as GLOBAL has them. */
static int take_line(struct pickle_machine *m, struct pickle_value *ret_line,
                     struct sctd_error *err)
{
    const size_t left = m->size - m->pos;
    const size_t room = left < GLOBAL_PART_MAX ? left : GLOBAL_PART_MAX;
    const uint8_t *p = m->bytes + m->pos;
    const uint8_t *end = memchr(p, '\n', room);
    if (end == NULL) {
        return sctd_error(err, SCTD_EDATA, "pickle: %s: %s", pickle_place(m).text,
                          left > room ? "the name is too long" : "truncated");
    }
    *ret_line = (struct pickle_value){
        .kind = PICKLE_STRING, .len = (uint32_t)(end - p), .u.text = (const char *)p};
    m->pos += ret_line->len + 1;
    return 0;
}

static int op_global(struct pickle_machine *m, struct sctd_error *err)
{
    struct pickle_value module;
    struct pickle_value name;
    int r = take_line(m, &module, err);
    if (r == 0) {
        r = take_line(m, &name, err);
    }
    if (r != 0) {
        return r;
    }
    for (size_t i = 0; i < sizeof globals / sizeof globals[0]; i++) {
        if (pickle_value_is_text(&module, globals[i].module) &&
            pickle_value_is_text(&name, globals[i].name)) {
            return pickle_push_number(m, PICKLE_GLOBAL, (int64_t)i, err);
        }
    }
    return sctd_error(err, SCTD_EDATA, "pickle: global %s.%s at offset %zu is not allowed",
                      checkpoint_quote(module.u.text, module.len).text,
                      checkpoint_quote(name.u.text, name.len).text, m->file_offset + m->at);
}

static int push_container(struct pickle_machine *m, enum pickle_kind kind, bool ordered,
                          struct sctd_error *err)
{
    struct pickle_node *node = NULL;
    int r = pickle_heap_new_node(&m->pickle->heap, &node, 0, err);
    if (r != 0) {
        return r;
    }
    node->is_dict = kind == PICKLE_DICT;
    node->is_ordered = ordered;
    return pickle_push_node(m, kind, node, err);
}

static int op_empty_dict(struct pickle_machine *m, struct sctd_error *err)
{
    return push_container(m, PICKLE_DICT, false, err);
}

static int op_empty_list(struct pickle_machine *m, struct sctd_error *err)
{
    return push_container(m, PICKLE_LIST, false, err);
}

/* items lie on the stack above m->n: they are copied before anything is pushed. */
static int push_tuple(struct pickle_machine *m, const struct pickle_value *items, uint32_t n,
                      struct sctd_error *err)
{
    if (n == 0) {
        return pickle_push_node(m, PICKLE_TUPLE, NULL, err);
    }
    struct pickle_node *node = NULL;
    int r = pickle_heap_new_node(&m->pickle->heap, &node, n, err);
    if (r == 0) {
        r = pickle_node_append(&m->pickle->heap, node, items, n, err);
    }
    return r < 0 ? r : pickle_push_node(m, PICKLE_TUPLE, node, err);
}

static int op_empty_tuple(struct pickle_machine *m, struct sctd_error *err)
{
    return push_tuple(m, NULL, 0, err);
}

static int op_tuple(struct pickle_machine *m, struct sctd_error *err)
{
    const struct pickle_value *items = NULL;
    uint32_t n = 0;
    int r = pickle_pop_mark(m, &items, &n, err);
    return r < 0 ? r : push_tuple(m, items, n, err);
}

static int tuple_of(struct pickle_machine *m, uint32_t n, struct sctd_error *err)
{
    struct pickle_value ignored;
    for (uint32_t i = 0; i < n; i++) {
        int r = pickle_pop(m, &ignored, err);
        if (r < 0) {
            return r;
        }
    }
    return push_tuple(m, m->stack + m->n, n, err);
}

static int op_tuple1(struct pickle_machine *m, struct sctd_error *err)
{
    return tuple_of(m, 1, err);
}

static int op_tuple2(struct pickle_machine *m, struct sctd_error *err)
{
    return tuple_of(m, 2, err);
}

static int op_tuple3(struct pickle_machine *m, struct sctd_error *err)
{
    return tuple_of(m, 3, err);
}

/* Put n items, already off the stack, into the dictionary that is now on top. */
static int set_items(struct pickle_machine *m, const struct pickle_value *items, uint32_t n,
                     struct sctd_error *err)
{
    struct pickle_value dict;
    int r = pickle_top_of(m, PICKLE_DICT, &dict, err);
    if (r != 0) {
        return r;
    }
    if (n % 2 != 0) {
        return sctd_error(err, SCTD_EDATA, "pickle: %s: a key without a value",
                          pickle_place(m).text);
    }
    for (uint32_t i = 0; i < n; i += 2) {
        if (items[i].kind != PICKLE_STRING && items[i].kind != PICKLE_INT) {
            return sctd_error(err, SCTD_EDATA, "pickle: %s: a dictionary's key is a %s",
                              pickle_place(m).text, pickle_kind_name(items[i].kind));
        }
    }
    return pickle_node_append(&m->pickle->heap, dict.u.node, items, n, err);
}

static int op_setitem(struct pickle_machine *m, struct sctd_error *err)
{
    struct pickle_value pair[2];
    int r = pickle_pop(m, &pair[1], err);
    if (r == 0) {
        r = pickle_pop(m, &pair[0], err);
    }
    return r < 0 ? r : set_items(m, pair, 2, err);
}

static int op_setitems(struct pickle_machine *m, struct sctd_error *err)
{
    const struct pickle_value *items = NULL;
    uint32_t n = 0;
    int r = pickle_pop_mark(m, &items, &n, err);
    return r < 0 ? r : set_items(m, items, n, err);
}

static int append_items(struct pickle_machine *m, const struct pickle_value *items, uint32_t n,
                        struct sctd_error *err)
{
    struct pickle_value list;
    int r = pickle_top_of(m, PICKLE_LIST, &list, err);
    return r < 0 ? r : pickle_node_append(&m->pickle->heap, list.u.node, items, n, err);
}

static int op_append(struct pickle_machine *m, struct sctd_error *err)
{
    struct pickle_value item;
    int r = pickle_pop(m, &item, err);
    return r < 0 ? r : append_items(m, &item, 1, err);
}

static int op_appends(struct pickle_machine *m, struct sctd_error *err)
{
    const struct pickle_value *items = NULL;
    uint32_t n = 0;
    int r = pickle_pop_mark(m, &items, &n, err);
    return r < 0 ? r : append_items(m, items, n, err);
}

/* A node of one item. */
static int new_wrapper(struct pickle_machine *m, struct pickle_node **ret_node,
                       const struct pickle_value *item, struct sctd_error *err)
{
    struct pickle_node *node = NULL;
    int r = pickle_heap_new_node(&m->pickle->heap, &node, 1, err);
    if (r == 0) {
        r = pickle_node_append(&m->pickle->heap, node, item, 1, err);
    }
    if (r == 0) {
        *ret_node = node;
    }
    return r;
}

static int op_persid(struct pickle_machine *m, struct sctd_error *err)
{
    struct pickle_value id;
    struct pickle_node *node = NULL;
    struct pickle *p = m->pickle;
    int r = pickle_top_of(m, PICKLE_TUPLE, &id, err);
    if (r == 0 && pickle_value_count(&id) == 0) {
        return sctd_error(err, SCTD_EDATA, "pickle: %s: an empty persistent id",
                          pickle_place(m).text);
    }
    if (r == 0) {
        r = new_wrapper(m, &node, &id, err);
    }
    if (r == 0 && p->n_persistents == m->persistents_room) {
        const size_t room = m->persistents_room + m->persistents_room / 2 + PERSISTENTS_MIN;
        void *block = p->persistents;
        r = pickle_heap_resize(&p->heap, &block, sizeof *p->persistents, m->persistents_room, room,
                               err);
        if (r == 0) {
            p->persistents = block;
            m->persistents_room = room;
        }
    }
    if (r != 0) {
        return r;
    }
    const struct pickle_value value = {.kind = PICKLE_PERSISTENT, .u.node = node};
    p->persistents[p->n_persistents++] = value;
    m->stack[m->n - 1] = value;
    return 0;
}

static int call_ordered_dict(struct pickle_machine *m, const struct pickle_value *args,
                             struct sctd_error *err)
{
    if (pickle_value_count(args) != 0) {
        return sctd_error(err, SCTD_EDATA, "pickle: %s: OrderedDict is called with arguments",
                          pickle_place(m).text);
    }
    return push_container(m, PICKLE_DICT, true, err);
}

static int call_size(struct pickle_machine *m, const struct pickle_value *args,
                     struct sctd_error *err)
{
    if (pickle_value_count(args) != 1 || args->u.node->items[0].kind != PICKLE_TUPLE) {
        return sctd_error(err, SCTD_EDATA, "pickle: %s: torch.Size is called without a tuple",
                          pickle_place(m).text);
    }
    return pickle_push(m, args->u.node->items[0], err);
}

static int call_rebuild(struct pickle_machine *m, enum pickle_global global,
                        const struct pickle_value *args, struct sctd_error *err)
{
    struct pickle_node *node = NULL;
    int r = new_wrapper(m, &node, args, err);
    if (r != 0) {
        return r;
    }
    node->global = global;
    return pickle_push_node(m, PICKLE_OBJECT, node, err);
}

static int op_reduce(struct pickle_machine *m, struct sctd_error *err)
{
    struct pickle_value args;
    struct pickle_value callable;
    int r = pickle_top_of(m, PICKLE_TUPLE, &args, err);
    if (r == 0) {
        m->n--;
        r = pickle_top_of(m, PICKLE_GLOBAL, &callable, err);
    }
    if (r != 0) {
        return r;
    }
    m->n--;
    const enum pickle_global global = (enum pickle_global)callable.u.number;
    if (global == PICKLE_ORDERED_DICT) {
        return call_ordered_dict(m, &args, err);
    }
    if (global == PICKLE_SIZE) {
        return call_size(m, &args, err);
    }
    if (global == PICKLE_REBUILD_TENSOR || global == PICKLE_REBUILD_PARAMETER) {
        return call_rebuild(m, global, &args, err);
    }
    return sctd_error(err, SCTD_EDATA, "pickle: %s: %s is called", pickle_place(m).text,
                      pickle_global_name(global));
}

/* A state_dict carries its modules' versions as an attribute, _metadata; nobody here needs it. */
static int op_build(struct pickle_machine *m, struct sctd_error *err)
{
    struct pickle_value state;
    struct pickle_value target;
    int r = pickle_top_of(m, PICKLE_DICT, &state, err);
    if (r == 0) {
        m->n--;
        r = pickle_top_of(m, PICKLE_DICT, &target, err);
    }
    if (r == 0 && !target.u.node->is_ordered) {
        return sctd_error(err, SCTD_EDATA, "pickle: %s: only an OrderedDict takes attributes",
                          pickle_place(m).text);
    }
    return r;
}

static int op_stop(struct pickle_machine *m, struct sctd_error *err)
{
    int r = pickle_top(m, &m->pickle->value, err);
    if (r != 0) {
        return r;
    }
    if (m->n != 1) {
        return sctd_error(err, SCTD_EDATA, "pickle: %s: %zu values are left over",
                          pickle_place(m).text, m->n - 1);
    }
    m->stopped = true;
    return 0;
}

/* Every opcode of protocols 0 to 5 has its name here, the allowed ones what they do. */
static const struct opcode {
    const char *name;
    pickle_op *run;
} opcodes[256] = {
    ['('] = {"MARK", op_mark},
    [')'] = {"EMPTY_TUPLE", op_empty_tuple},
    ['.'] = {"STOP", op_stop},
    ['0'] = {"POP", NULL},
    ['1'] = {"POP_MARK", NULL},
    ['2'] = {"DUP", NULL},
    ['B'] = {"BINBYTES", NULL},
    ['C'] = {"SHORT_BINBYTES", NULL},
    ['F'] = {"FLOAT", NULL},
    ['G'] = {"BINFLOAT", op_float},
    ['I'] = {"INT", NULL},
    ['J'] = {"BININT", op_int},
    ['K'] = {"BININT1", op_int1},
    ['L'] = {"LONG", NULL},
    ['M'] = {"BININT2", op_int2},
    ['N'] = {"NONE", op_none},
    ['P'] = {"PERSID", NULL},
    ['Q'] = {"BINPERSID", op_persid},
    ['R'] = {"REDUCE", op_reduce},
    ['S'] = {"STRING", NULL},
    ['T'] = {"BINSTRING", NULL},
    ['U'] = {"SHORT_BINSTRING", op_short_string},
    ['V'] = {"UNICODE", NULL},
    ['X'] = {"BINUNICODE", op_unicode},
    [']'] = {"EMPTY_LIST", op_empty_list},
    ['a'] = {"APPEND", op_append},
    ['b'] = {"BUILD", op_build},
    ['c'] = {"GLOBAL", op_global},
    ['d'] = {"DICT", NULL},
    ['e'] = {"APPENDS", op_appends},
    ['g'] = {"GET", NULL},
    ['h'] = {"BINGET", op_get1},
    ['i'] = {"INST", NULL},
    ['j'] = {"LONG_BINGET", op_get4},
    ['l'] = {"LIST", NULL},
    ['o'] = {"OBJ", NULL},
    ['p'] = {"PUT", NULL},
    ['q'] = {"BINPUT", op_put1},
    ['r'] = {"LONG_BINPUT", op_put4},
    ['s'] = {"SETITEM", op_setitem},
    ['t'] = {"TUPLE", op_tuple},
    ['u'] = {"SETITEMS", op_setitems},
    ['}'] = {"EMPTY_DICT", op_empty_dict},
    [0x80] = {"PROTO", op_proto},
    [0x81] = {"NEWOBJ", NULL},
    [0x82] = {"EXT1", NULL},
    [0x83] = {"EXT2", NULL},
    [0x84] = {"EXT4", NULL},
    [0x85] = {"TUPLE1", op_tuple1},
    [0x86] = {"TUPLE2", op_tuple2},
    [0x87] = {"TUPLE3", op_tuple3},
    [0x88] = {"NEWTRUE", op_true},
    [0x89] = {"NEWFALSE", op_false},
    [0x8A] = {"LONG1", op_long1},
    [0x8B] = {"LONG4", NULL},
    [0x8C] = {"SHORT_BINUNICODE", NULL},
    [0x8D] = {"BINUNICODE8", NULL},
    [0x8E] = {"BINBYTES8", NULL},
    [0x8F] = {"EMPTY_SET", NULL},
    [0x90] = {"ADDITEMS", NULL},
    [0x91] = {"FROZENSET", NULL},
    [0x92] = {"NEWOBJ_EX", NULL},
    [0x93] = {"STACK_GLOBAL", NULL},
    [0x94] = {"MEMOIZE", NULL},
    [0x95] = {"FRAME", NULL},
    [0x96] = {"BYTEARRAY8", NULL},
    [0x97] = {"NEXT_BUFFER", NULL},
    [0x98] = {"READONLY_BUFFER", NULL},
};

static int run(struct pickle_machine *m, struct sctd_error *err)
{
    while (!m->stopped) {
        uint32_t byte = 0;
        m->at = m->pos;
        m->name = "opcode";
        int r = pickle_take_u8(m, &byte, err);
        if (r < 0) {
            return r;
        }
        const struct opcode *op = &opcodes[byte];
        if (op->run == NULL) {
            return sctd_error(
                err, SCTD_EDATA, "pickle: opcode %s (0x%02x) at offset %zu is not allowed",
                op->name != NULL ? op->name : "unknown", byte, m->file_offset + m->at);
        }
        m->name = op->name;
        m->pickle->heap.limit = MEMORY_FLOOR + MEMORY_FACTOR * m->pos;
        r = op->run(m, err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int check_dicts(struct pickle *pickle, struct sctd_error *err)
{
    int r = 0;
    for (const struct pickle_node *node = pickle->heap.nodes; node != NULL && r == 0;
         node = node->next) {
        if (node->is_dict) {
            r = pickle_dict_check(&pickle->heap, node, err);
        }
    }
    return r;
}

int pickle_parse(struct pickle **ret_pickle, const void *bytes, size_t size, size_t file_offset,
                 struct sctd_error *err)
{
    sctd_auto(pickle_freep) struct pickle *pickle = calloc(1, sizeof *pickle);
    if (pickle == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "pickle");
    }
    struct pickle_machine m = {.bytes = bytes,
                               .size = size < PICKLE_BYTES_MAX ? size : PICKLE_BYTES_MAX,
                               .file_offset = file_offset,
                               .pickle = pickle};
    int r = run(&m, err);
    pickle_machine_fini(&m);
    if (r != 0) {
        return r;
    }
    pickle->size = m.pos;
    r = check_dicts(pickle, err);
    if (r != 0) {
        return r;
    }
    *ret_pickle = sctd_steal(&pickle);
    return 0;
}

void pickle_free(struct pickle *pickle)
{
    if (pickle == NULL) {
        return;
    }
    free(pickle->persistents);
    pickle_heap_fini(&pickle->heap);
    free(pickle);
}
