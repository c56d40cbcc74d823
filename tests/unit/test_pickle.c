/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/model/pickle.h"
#include "engine/model/pickle_value.h"

/* The bytes of a string literal without its NUL, and how many there are. */
#define BYTES(literal) (literal), sizeof(literal) - 1

enum { FILE_OFFSET = 1000 };

/* Parse from a block of exactly that size, so that a sanitizer sees the first byte beyond. */
static int parse(struct pickle **ret_pickle, void **ret_copy, const char *bytes, size_t size,
                 struct sctd_error *err)
{
    void *copy = malloc(size > 0 ? size : 1);
    assert(copy != NULL);
    memcpy(copy, bytes, size);
    *ret_copy = copy;
    return pickle_parse(ret_pickle, copy, size, FILE_OFFSET, err);
}

static void expect_refusal(const char *bytes, size_t size, const char *text)
{
    struct sctd_error err = {0};
    struct pickle *pickle = NULL;
    void *copy = NULL;
    assert(parse(&pickle, &copy, bytes, size, &err) == SCTD_EDATA);
    assert(pickle == NULL);
    if (strstr(err.text, text) == NULL) {
        (void)fprintf(stderr, "\"%s\" is not in \"%s\"\n", text, err.text);
        assert(false);
    }
    free(copy);
}

static void check_scalars(const struct pickle_value *v)
{
    static const int64_t numbers[] = {255, 0x1234, -1, 0, -1, INT64_C(1) << 40};
    assert(v[0].kind == PICKLE_NONE);
    assert(v[1].kind == PICKLE_BOOL && v[1].u.number == 1);
    assert(v[2].kind == PICKLE_BOOL && v[2].u.number == 0);
    for (size_t i = 0; i < 6; i++) {
        assert(v[3 + i].kind == PICKLE_INT && v[3 + i].u.number == numbers[i]);
    }
    assert(v[9].kind == PICKLE_LONG && v[9].len == 9 && v[9].u.text[8] == 9);
    assert(v[10].kind == PICKLE_FLOAT && fabs(v[10].u.real - 1.5) < 1e-12);
    assert(pickle_value_is_text(&v[11], "caf\xc3\xa9"));
    assert(pickle_value_is_text(&v[12], "hi"));
}

static void check_containers(const struct pickle_value *v, const struct pickle_node *whole)
{
    assert(v[0].kind == PICKLE_TUPLE && pickle_value_count(&v[0]) == 0);
    assert(v[1].kind == PICKLE_DICT && pickle_value_count(&v[1]) == 0);
    assert(v[2].kind == PICKLE_LIST && pickle_value_count(&v[2]) == 0);
    for (size_t i = 1; i <= 4; i++) {
        assert(v[2 + i].kind == PICKLE_TUPLE && pickle_value_count(&v[2 + i]) == i);
        assert(v[2 + i].u.node->items[i - 1].u.number == (int64_t)i);
    }
    assert(v[7].kind == PICKLE_LIST && v[7].u.node == whole);
    assert(v[8].kind == PICKLE_TUPLE && v[8].u.node->items[1].u.number == 8);
    assert(v[9].kind == PICKLE_GLOBAL && v[9].u.number == PICKLE_HALF_STORAGE);
}

static void every_allowed_kind_of_value_is_read(void)
{
    static const char bytes[] = "\x80\x02]q\x00("
                                "N\x88\x89"
                                "K\xffM\x34\x12J\xff\xff\xff\xff"
                                "\x8a\x00\x8a\x01\xff\x8a\x06\x00\x00\x00\x00\x00\x01"
                                "\x8a\x09\x01\x02\x03\x04\x05\x06\x07\x08\x09"
                                "G\x3f\xf8\x00\x00\x00\x00\x00\x00"
                                "X\x05\x00\x00\x00"
                                "caf\xc3\xa9U\x02hi"
                                ")}]K\x01\x85K\x01K\x02\x86K\x01K\x02K\x03\x87("
                                "K\x01K\x02K\x03K\x04t"
                                "h\x00"
                                "ctorch\nSize\nK\x07K\x08\x86\x85R"
                                "ctorch\nHalfStorage\ne.tail";
    struct sctd_error err = {0};
    struct pickle *pickle = NULL;
    void *copy = NULL;
    assert(parse(&pickle, &copy, BYTES(bytes), &err) == 0);
    assert(pickle->size == sizeof bytes - 1 - strlen("tail"));
    assert(pickle->value.kind == PICKLE_LIST);
    assert(pickle_value_count(&pickle->value) == 23);
    check_scalars(pickle->value.u.node->items);
    check_containers(pickle->value.u.node->items + 13, pickle->value.u.node);
    pickle_free(pickle);
    free(copy);
}
static void dictionaries_keep_their_entries_and_lose_their_attributes(void)
{
    struct sctd_error err = {0};
    struct pickle *pickle = NULL;
    void *copy = NULL;
    assert(parse(&pickle, &copy,
                 BYTES("\x80\x02"
                       "ccollections\nOrderedDict\n)R(U\001aK\001U\001bK\002uU\001cK\003s"
                       "}U\x09_metadata}sb."),
                 &err) == 0);
    assert(pickle->value.kind == PICKLE_DICT && pickle_value_count(&pickle->value) == 6);
    assert(pickle_dict_find(pickle->value.u.node, "c")->u.number == 3);
    assert(pickle_dict_find(pickle->value.u.node, "_metadata") == NULL);
    pickle_free(pickle);
    free(copy);
}

static void what_is_called_and_persistent_ids_keep_their_arguments(void)
{
    struct sctd_error err = {0};
    struct pickle *pickle = NULL;
    void *copy = NULL;
    assert(parse(&pickle, &copy,
                 BYTES("\x80\x02(ctorch._utils\n_rebuild_tensor_v2\nU\001s\x85Q\x85Rt."),
                 &err) == 0);
    assert(pickle->n_persistents == 1);
    const struct pickle_value *object = &pickle->value.u.node->items[0];
    assert(object->kind == PICKLE_OBJECT && object->u.node->global == PICKLE_REBUILD_TENSOR);
    const struct pickle_value *id = &object->u.node->items[0].u.node->items[0];
    assert(id->kind == PICKLE_PERSISTENT && id->u.node == pickle->persistents[0].u.node);
    assert(pickle_value_is_text(&id->u.node->items[0].u.node->items[0], "s"));
    pickle_free(pickle);
    free(copy);
}

static void code_is_refused_with_its_name_and_offset(void)
{
    expect_refusal(BYTES("\x80\x02}cposix\nsystem\nU\002id\x85Rs."),
                   "global posix.system at offset 1003 is not allowed");
    expect_refusal(BYTES("\x80\x02"
                         "cbuiltins\neval\n."),
                   "global builtins.eval at offset 1002 is not allowed");
    expect_refusal(BYTES("\x80\x02"
                         "ctorch\nload\n."),
                   "global torch.load at");
    expect_refusal(BYTES("\x80\x02"
                         "c\x1b[2J\n\x00\n."),
                   "global ?[2J.? at");
    expect_refusal(BYTES("\x80\x02(U\002idios\nsystem\n."), "opcode INST (0x69) at offset 1007");
    expect_refusal(BYTES("\x80\x02)\x81."), "opcode NEWOBJ (0x81) at offset 1003");
    expect_refusal(BYTES("\x80\x02\x93."), "opcode STACK_GLOBAL (0x93) at offset 1002");
    expect_refusal(BYTES("\x80\x02\xfe."), "opcode unknown (0xfe) at offset 1002");
    expect_refusal(BYTES("\x80\x02"
                         "ctorch\nFloatStorage\n)R."),
                   "REDUCE at offset 1023: torch.FloatStorage is called");
    expect_refusal(BYTES("\x80\x02"
                         "ccollections\nOrderedDict\n]\x85R."),
                   "OrderedDict is called with arguments");
    expect_refusal(BYTES("\x80\x02"
                         "ctorch\nSize\n)R."),
                   "torch.Size is called without a tuple");
    expect_refusal(BYTES("\x80\x02U\002id)R."), "a string where a global belongs");
    expect_refusal(BYTES("\x80\x02}}b."), "only an OrderedDict takes attributes");
    expect_refusal(BYTES("\x80\x02]}b."),
                   "BUILD at offset 1004: a list where a dictionary belongs");
    expect_refusal(BYTES("\x80\x04."), "PROTO at offset 1000: protocol 4; only 2 is read");
    expect_refusal(BYTES("\x80\x02\x80\x02N."), "PROTO at offset 1002");
}

static void an_unsound_stack_is_refused(void)
{
    expect_refusal(BYTES("\x80\x02."), "STOP at offset 1002: nothing on the stack");
    expect_refusal(BYTES("\x80\x02NN."), "1 values are left over");
    expect_refusal(BYTES("\x80\x02(."), "nothing on the stack");
    expect_refusal(BYTES("\x80\x02t."), "TUPLE at offset 1002: no mark on the stack");
    expect_refusal(BYTES("\x80\x02N(\x85."), "TUPLE1 at offset 1004: nothing on the stack");
    expect_refusal(BYTES("\x80\x02N\x86."), "nothing on the stack");
    expect_refusal(BYTES("\x80\x02(q\x00."), "BINPUT at offset 1003: nothing on the stack");
    expect_refusal(BYTES("\x80\x02}(U\001au."), "a key without a value");
    expect_refusal(BYTES("\x80\x02}N]s."), "a dictionary's key is a None");
    expect_refusal(BYTES("\x80\x02]U\001aNs."), "a list where a dictionary belongs");
    expect_refusal(BYTES("\x80\x02}Na."), "a dictionary where a list belongs");
    expect_refusal(BYTES("\x80\x02}Q."), "a dictionary where a tuple belongs");
    expect_refusal(BYTES("\x80\x02}(U\001aNU\001bNU\001aNu."), "has the key \"a\" twice");
    expect_refusal(BYTES("\x80\x02}(K\001NM\001\000Nu."), "has the key 1 twice");
}

static void an_unsound_memo_is_refused(void)
{
    expect_refusal(BYTES("\x80\x02h\x00."), "nothing is kept at memo index 0");
    expect_refusal(BYTES("\x80\x02Nq\x01h\x02."), "nothing is kept at memo index 2");
    expect_refusal(BYTES("\x80\x02Nr\xff\xff\xff\xff."), "memo index 4294967295 is out of range");
    expect_refusal(BYTES("\x80\x02Nq\x05."), "BINPUT at offset 1003: memo index 5 is out of range");
    expect_refusal(BYTES("\x80\x02Nq\x04N."), "1 values are left over");
    expect_refusal(BYTES("\x80\x02j\xff\xff\xff\xff."), "nothing is kept at memo index 4294967295");
}

static void lengths_beyond_the_input_are_refused(void)
{
    expect_refusal(BYTES(""), "truncated, 1 bytes wanted, 0 left");
    expect_refusal(BYTES("\x80"), "PROTO at offset 1000: truncated");
    expect_refusal(BYTES("\x80\x02X\xff\xff\xff\xff"
                         "abc"),
                   "BINUNICODE at offset 1002: truncated, 4294967295 bytes wanted, 3 left");
    expect_refusal(BYTES("\x80\x02X\x01\x00"), "truncated, 4 bytes wanted, 2 left");
    expect_refusal(BYTES("\x80\x02U\x05"
                         "abc"),
                   "SHORT_BINSTRING at offset 1002: truncated");
    expect_refusal(BYTES("\x80\x02\x8a\xff"
                         "abc"),
                   "LONG1 at offset 1002: truncated");
    expect_refusal(BYTES("\x80\x02G123"), "BINFLOAT at offset 1002: truncated");
    expect_refusal(BYTES("\x80\x02"
                         "ctorch"),
                   "GLOBAL at offset 1002: truncated");
    expect_refusal(BYTES("\x80\x02"
                         "c----------------------------------------------------------------"
                         "----------------------------------------------------------------\n"),
                   "GLOBAL at offset 1002: the name is too long");
}

static void text_that_is_not_utf8_is_refused(void)
{
    static const char *const bad[] = {"\x80", "\xc0\xaf",         "\xe0\x80\xaf", "\xed\xa0\x80",
                                      "\xff", "\xf5\x80\x80\x80", "\xe2\x82",     "a\xc3"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char bytes[16] = "\x80\x02U";
        bytes[3] = (char)strlen(bad[i]);
        memcpy(bytes + 4, bad[i], strlen(bad[i]));
        expect_refusal(bytes, 4 + strlen(bad[i]), "is not UTF-8");
    }
}

/* n times `unit` between PROTO and STOP. */
static char *repeat(const char *unit, size_t unit_size, size_t n, size_t *ret_size)
{
    char *bytes = malloc(2 + n * unit_size + 1);
    assert(bytes != NULL);
    bytes[0] = (char)0x80;
    bytes[1] = 2;
    for (size_t i = 0; i < n; i++) {
        memcpy(bytes + 2 + i * unit_size, unit, unit_size);
    }
    bytes[2 + n * unit_size] = '.';
    *ret_size = 2 + n * unit_size + 1;
    return bytes;
}

static void memory_is_a_small_multiple_of_the_input(void)
{
    size_t size = 0;
    /* a node for each byte, the costliest there is */
    char *bytes = repeat(BYTES("]"), 1U << 20, &size);
    expect_refusal(bytes, size, "needs more than");
    free(bytes);
    bytes = repeat(BYTES("("), 1U << 20, &size);
    expect_refusal(bytes, size, "needs more than");
    free(bytes);
    /* honest values of the smallest kind fit */
    bytes = repeat(BYTES("K\001"), 1U << 20, &size);
    expect_refusal(bytes, size, "1048575 values are left over");
    free(bytes);
}

static void the_bytes_read_are_limited(void)
{
    size_t size = 0;
    char *bytes = repeat(BYTES("\x80"), PICKLE_BYTES_MAX, &size);
    memset(bytes + 2, 'x', size - 2);
    static const char string[] = {'X', 0, 0, 0, 1}; /* of 16 MiB */
    memcpy(bytes + 2, string, sizeof string);
    expect_refusal(bytes, size, "longer than 16777216 bytes");
    free(bytes);
}

static void a_circle_is_a_value_like_any_other(void)
{
    struct sctd_error err = {0};
    struct pickle *pickle = NULL;
    void *copy = NULL;
    assert(parse(&pickle, &copy, BYTES("\x80\x02}q\x00U\001ah\x00s."), &err) == 0);
    assert(pickle->value.u.node->items[1].u.node == pickle->value.u.node);
    pickle_free(pickle);
    free(copy);
}

int main(void)
{
    every_allowed_kind_of_value_is_read();
    dictionaries_keep_their_entries_and_lose_their_attributes();
    what_is_called_and_persistent_ids_keep_their_arguments();
    code_is_refused_with_its_name_and_offset();
    an_unsound_stack_is_refused();
    an_unsound_memo_is_refused();
    lengths_beyond_the_input_are_refused();
    text_that_is_not_utf8_is_refused();
    memory_is_a_small_multiple_of_the_input();
    the_bytes_read_are_limited();
    a_circle_is_a_value_like_any_other();
    return 0;
}
