/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/safetensors.h"
#include "engine/model/torch_file.h"

enum { ROOM = 256 * 1024 };

/* A legacy file under construction. */
struct stream {
    uint8_t bytes[ROOM];
    size_t size;
};

static void append(struct stream *s, const void *bytes, size_t n)
{
    assert(s->size + n <= ROOM);
    memcpy(s->bytes + s->size, bytes, n);
    s->size += n;
}

#define APPEND(stream, literal) append((stream), (literal), sizeof(literal) - 1)

#define PROTO   "\x80\x02"
#define MAGIC   PROTO "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
#define VERSION PROTO "M\xe9\x03."
#define SYSTEM  PROTO "}U\x0dlittle_endian\x88s."
#define KEYS    PROTO "]U\001ka."
/* storage k: three 32-bit floats */
#define DATA                                                                                       \
    "\x03\0\0\0\0\0\0\0"                                                                           \
    "\0\0\x80\x3f"                                                                                 \
    "\0\0\0\x40"                                                                                   \
    "\0\0\x40\x40"
#define ID      "(U\7storagectorch\nFloatStorage\nU\001kU\003cpuK\003"
#define STORAGE ID "NtQ"
#define REBUILD "ctorch._utils\n_rebuild_tensor_v2\n"
#define HOOKS   "ccollections\nOrderedDict\n)R"
/* a tensor with everything but the arguments 1 to 3 (offset, size, stride) given */
#define TENSOR(arguments) REBUILD "(" STORAGE arguments "\x89" HOOKS "tR"
#define PLAIN             TENSOR("K\0K\003\x85K\001\x85")

/* A legacy file whose object is `object`, the rest being as it should be for one storage k. */
static struct stream *new_stream(const char *object, size_t object_len)
{
    struct stream *s = calloc(1, sizeof *s);
    assert(s != NULL);
    APPEND(s, MAGIC VERSION SYSTEM PROTO);
    append(s, object, object_len);
    APPEND(s, "." KEYS DATA);
    return s;
}

static int parse(struct torch_file **ret_file, const struct stream *s, void **ret_copy,
                 struct sctd_error *err)
{
    *ret_copy = malloc(s->size > 0 ? s->size : 1);
    assert(*ret_copy != NULL);
    memcpy(*ret_copy, s->bytes, s->size);
    return torch_file_parse_legacy(ret_file, *ret_copy, s->size, err);
}

static void expect_stream_refused(struct stream *s, const char *text)
{
    struct sctd_error err = {0};
    struct torch_file *file = NULL;
    void *copy = NULL;
    assert(parse(&file, s, &copy, &err) == SCTD_EDATA);
    assert(file == NULL);
    if (strstr(err.text, text) == NULL) {
        (void)fprintf(stderr, "\"%s\" is not in \"%s\"\n", text, err.text);
        assert(false);
    }
    free(copy);
    free(s);
}

#define EXPECT_REFUSED(object, text)                                                               \
    expect_stream_refused(new_stream((object), sizeof(object) - 1), (text))

/* The object {"a": tensor, "b": PLAIN}, so that storage k is used whatever the tensor is. */
#define EXPECT_TENSOR_REFUSED(tensor, text)                                                        \
    EXPECT_REFUSED("}(U\001a" tensor "U\001b" PLAIN "u", text)

static void the_tensors_of_a_legacy_stream_are_read(void)
{
    static const char object[] =
        "}(U\001a" PLAIN
        "U\001b" TENSOR("K\001K\002K\001\x86K\001K\x63\x86") "U\001sU\004textU\001n}(K\x05" TENSOR(
            "K\002))") "U\001e" TENSOR("K\003K\0K\x07\x86K\x07K\001\x86") "uU\001p"
                                                                          "ctorch._utils\n_rebuild_parameter\n(" PLAIN
                                                                          "\x88" HOOKS "tRu";
    static const struct expected {
        const char *name;
        int32_t n_dims;
        int64_t dim[2];
        size_t first, count; /* values of the storage */
    } expected[] = {{"a", 1, {3}, 0, 3},
                    {"b", 2, {2, 1}, 1, 2},
                    {"n.5", 0, {0}, 2, 1},
                    {"n.e", 2, {0, 7}, 3, 0},
                    {"p", 1, {3}, 0, 3}};
    struct sctd_error err = {0};
    struct stream *s = new_stream(object, sizeof object - 1);
    struct torch_file *file = NULL;
    void *copy = NULL;
    assert(parse(&file, s, &copy, &err) == 0);
    assert(torch_file_get_count(file) == sizeof expected / sizeof expected[0]);
    const uint8_t *values = (const uint8_t *)copy + s->size - 12;
    for (size_t i = 0; i < torch_file_get_count(file); i++) {
        const struct tensor_view *t = torch_file_get(file, i);
        assert(strcmp(t->name, expected[i].name) == 0);
        assert(t->dtype == TENSOR_F32 && t->n_dims == expected[i].n_dims);
        assert(memcmp(t->dim, expected[i].dim, (size_t)t->n_dims * sizeof t->dim[0]) == 0);
        assert(t->data == values + 4 * expected[i].first && t->bytes == 4 * expected[i].count);
    }
    torch_file_free(file);
    free(copy);
    free(s);
}

static void a_tensor_that_is_no_plain_array_is_refused(void)
{
    EXPECT_TENSOR_REFUSED(TENSOR("K\0K\002\x85K\002\x85"), "tensor \"a\" is a strided view");
    EXPECT_TENSOR_REFUSED(TENSOR("K\0K\003\x85K\0\x85"), "is a strided view");
    EXPECT_TENSOR_REFUSED(TENSOR("K\0K\003\x85J\xff\xff\xff\xff\x85"), "stride 0 is -1");
    EXPECT_TENSOR_REFUSED(TENSOR("K\0J\xfd\xff\xff\xff\x85K\001\x85"), "size 0 is -3");
    EXPECT_TENSOR_REFUSED(TENSOR("K\0K\003\x85K\001K\001\x86"), "1 dimensions and 2 strides");
    EXPECT_TENSOR_REFUSED(TENSOR("K\0U\001x\x85K\001\x85"), "size 0 is a string");
    EXPECT_TENSOR_REFUSED(TENSOR("K\0(K\001K\001K\001K\001K\001K\001K\001K\001K\001t)"),
                          "has 9 dimensions (at most 8)");
    EXPECT_TENSOR_REFUSED(TENSOR("K\0\x8a\x09\0\0\0\0\0\0\0\0\001\x85K\001\x85"),
                          "size 0 is a long integer");
    EXPECT_TENSOR_REFUSED(TENSOR("K\0\x8a\x08\0\0\0\0\0\0\0\x40\x8a\x01\x40\x86)"), "overflows");
    EXPECT_TENSOR_REFUSED(TENSOR("K\0\x8a\x08\0\0\0\0\0\0\0\x20\x85)"), "overflows");
    EXPECT_TENSOR_REFUSED(TENSOR("K\0K\0\x8a\x08\0\0\0\0\0\0\0\x40\x8a\x01\x40\x87)"), "overflows");
    EXPECT_TENSOR_REFUSED(TENSOR("K\0K\004\x85K\001\x85"), "has 4 values at 0 of a storage of 3");
    EXPECT_TENSOR_REFUSED(TENSOR("K\001K\003\x85K\001\x85"), "has 3 values at 1 of");
    EXPECT_TENSOR_REFUSED(TENSOR("K\004K\0\x85K\001\x85"), "has 0 values at 4 of");
    EXPECT_TENSOR_REFUSED(TENSOR("J\xff\xff\xff\xffK\001\x85K\001\x85"), "values at -1 of");
    EXPECT_TENSOR_REFUSED(TENSOR("\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7fK\003\x85K\001\x85"),
                          "has 3 values at 9223372036854775807 of");
    EXPECT_TENSOR_REFUSED(TENSOR("NK\003\x85K\001\x85"), "argument 1 is a None");
    EXPECT_TENSOR_REFUSED(TENSOR("K\0K\003\x85K\001\x85}"), "has 7 arguments");
    EXPECT_TENSOR_REFUSED(REBUILD "(" STORAGE "tR", "has 1 arguments");
    EXPECT_TENSOR_REFUSED(REBUILD ")R", "has 0 arguments");
    EXPECT_TENSOR_REFUSED("ctorch._utils\n_rebuild_parameter\n)R", "is no plain parameter");
    EXPECT_TENSOR_REFUSED("ctorch._utils\n_rebuild_parameter\n(NNNtR", "is no plain parameter");
}

#define WITH_ID(id) REBUILD "(" id "K\0K\003\x85K\001\x85\x89" HOOKS "tR"

static void a_storage_that_is_none_is_refused(void)
{
    EXPECT_TENSOR_REFUSED(WITH_ID(")Q"), "an empty persistent id");
    EXPECT_TENSOR_REFUSED(WITH_ID("(U\6moduleNNNtQ"), "holds a whole module");
    EXPECT_TENSOR_REFUSED(WITH_ID(ID "NNtQ"), "a persistent id of 7 items");
    EXPECT_TENSOR_REFUSED(WITH_ID(ID "(U\1xK\0K\3ttQ"), "storage k is a view of another");
    EXPECT_TENSOR_REFUSED(WITH_ID("(U\7storageNU\001kU\003cpuK\003tQ"), "type is a None");
    EXPECT_TENSOR_REFUSED(WITH_ID("(U\7storagectorch\nSize\nU\001kU\003cpuK\003tQ"),
                          "torch.Size is no type of a storage");
    EXPECT_TENSOR_REFUSED(
        WITH_ID("(U\7storagectorch\nFloatStorage\nU\001kU\003cpuJ\xff\xff\xff\xfftQ"),
        "storage k has an impossible number of values");
    EXPECT_TENSOR_REFUSED(WITH_ID("(U\7storagectorch\nFloatStorage\nU\001kU\003cpu"
                                  "\x8a\x08\0\0\0\0\0\0\0\x40tQ"),
                          "storage k has an impossible number of values");
    EXPECT_REFUSED("}(U\001a" PLAIN
                   "U\001b" WITH_ID("(U\7storagectorch\nHalfStorage\nU\001kU\003cpuK\003tQ") "u",
                   "storage k has 3 F");
}

/* What follows the object pickle of {"a": tensor of storage k}. */
static struct stream *with_tail(const char *tail, size_t tail_len)
{
    struct stream *s = calloc(1, sizeof *s);
    assert(s != NULL);
    APPEND(s, MAGIC VERSION SYSTEM PROTO "}U\001a" PLAIN "s.");
    append(s, tail, tail_len);
    return s;
}

#define EXPECT_TAIL_REFUSED(tail, text)                                                            \
    expect_stream_refused(with_tail((tail), sizeof(tail) - 1), (text))

static void legacy_data_must_be_what_the_pickle_says(void)
{
    EXPECT_TAIL_REFUSED(KEYS DATA "x", "1 bytes follow the last storage");
    EXPECT_TAIL_REFUSED(PROTO "]." DATA, "0 storages are listed, 1 are used");
    EXPECT_TAIL_REFUSED(PROTO "}." DATA, "0 storages are listed, 1 are used");
    EXPECT_TAIL_REFUSED(PROTO "]U\001xa." DATA, "storage 0 of the list is unknown");
    EXPECT_TAIL_REFUSED(PROTO "]K\001a." DATA, "storage 0 of the list is unknown");
    EXPECT_TAIL_REFUSED(KEYS "\x04\0\0\0\0\0\0\0", "storage k has 3 values, but 4 at offset");
    EXPECT_TAIL_REFUSED(KEYS "\xff\xff\xff\xff\xff\xff\xff\xff", "but 18446744073709551615 at");
    EXPECT_TAIL_REFUSED(KEYS "\x03\0\0", "truncated before storage k");
    EXPECT_TAIL_REFUSED(KEYS "\x03\0\0\0\0\0\0\0abc", "12 bytes wanted, 3 left");
}

static void the_same_key_listed_twice_is_refused(void)
{
    static const char object[] =
        "}(U\001a" PLAIN
        "U\001b" WITH_ID("(U\7storagectorch\nFloatStorage\nU\001lU\003cpuK\003tQ") "u.";
    struct stream *s = calloc(1, sizeof *s);
    assert(s != NULL);
    APPEND(s, MAGIC VERSION SYSTEM PROTO);
    append(s, object, sizeof object - 1);
    APPEND(s, PROTO "](U\001kU\001ke." DATA DATA);
    expect_stream_refused(s, "storage k is listed twice");
}

static void a_wrong_preamble_is_refused(void)
{
    static const struct {
        const char *bytes, *text;
    } cases[] = {
        {PROTO "K\001.", "at offset 0: no magic number"},
        {MAGIC PROTO "K\001.", "at offset 15: not protocol version 1001"},
        {MAGIC VERSION PROTO "}.", "at offset 21: the system that wrote it"},
        {MAGIC VERSION PROTO "}U\x0dlittle_endian\x89s.", "is not little-endian"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct stream *s = calloc(1, sizeof *s);
        assert(s != NULL);
        /* no byte of these is 0 */
        append(s, cases[i].bytes, strlen(cases[i].bytes));
        expect_stream_refused(s, cases[i].text);
    }
}

static void names_must_be_sound_and_single(void)
{
    EXPECT_REFUSED("}(U\003a.b" PLAIN "U\001a}U\001b" PLAIN "su", "come to the name \"a.b\"");
    EXPECT_REFUSED("}U\0" PLAIN "s", "is empty or not printable");
    EXPECT_REFUSED("}U\002a\n" PLAIN "s", "is empty or not printable");
    EXPECT_REFUSED("}U\002a\0" PLAIN "s", "is empty or not printable");
    EXPECT_REFUSED("]" PLAIN "a", "holds a list, not a dictionary of tensors");
    EXPECT_REFUSED(PLAIN, "holds a tensor, not a dictionary");
    EXPECT_REFUSED("}U\001a" PLAIN "sU\001a" PLAIN "s", "has the key \"a\" twice");
    /* the tensor is there, but in a list, which is no place to be looked for */
    EXPECT_REFUSED("}U\001a]" PLAIN "as", "the file holds no tensors");
}

static struct stream *with_name_of(size_t len)
{
    char object[1024] = "}X";
    char tail[] = PLAIN "s";
    assert(len < 512);
    object[2] = (char)(len & 0xFF);
    object[3] = (char)(len >> 8);
    memset(object + 6, 'x', len);
    memcpy(object + 6 + len, tail, sizeof tail - 1);
    return new_stream(object, 6 + len + sizeof tail - 1);
}

static void long_names_are_refused(void)
{
    struct sctd_error err = {0};
    struct torch_file *file = NULL;
    void *copy = NULL;
    struct stream *s = with_name_of(TENSOR_NAME_MAX - 1);
    assert(parse(&file, s, &copy, &err) == 0);
    torch_file_free(file);
    free(copy);
    free(s);
    expect_stream_refused(with_name_of(TENSOR_NAME_MAX), "a name is longer than 255 bytes");
}

/* {"a": {"a": ... {"a": tensor}}}, n dictionaries in all. */
static struct stream *nested(size_t n)
{
    struct stream *object = calloc(1, sizeof *object);
    assert(object != NULL);
    for (size_t i = 0; i < n; i++) {
        APPEND(object, "}U\001a");
    }
    APPEND(object, PLAIN);
    for (size_t i = 0; i < n; i++) {
        APPEND(object, "s");
    }
    struct stream *s = new_stream((const char *)object->bytes, object->size);
    free(object);
    return s;
}

static void deep_nesting_and_circles_are_refused(void)
{
    struct sctd_error err = {0};
    struct torch_file *file = NULL;
    void *copy = NULL;
    struct stream *s = nested(16);
    assert(parse(&file, s, &copy, &err) == 0);
    assert(strlen(torch_file_get(file, 0)->name) == 31);
    torch_file_free(file);
    free(copy);
    free(s);
    expect_stream_refused(nested(17), "nested more than 16 deep");
    expect_stream_refused(nested(1000), "nested more than 16 deep");
    EXPECT_REFUSED("}q\0(U\001ah\0U\001b" PLAIN "u", "nested more than 16 deep");
}

/* Each of 14 dictionaries holds the next one 10 times: 10^14 names from a few bytes. */
static void shared_dictionaries_cannot_multiply(void)
{
    struct stream *object = calloc(1, sizeof *object);
    assert(object != NULL);
    APPEND(object, "}U\001t" PLAIN "sq\0");
    for (int level = 1; level < 15; level++) {
        const char get[] = {'h', (char)(level - 1)};
        const char put[] = {'u', 'q', (char)level};
        APPEND(object, "}(");
        for (int i = '0'; i <= '9'; i++) {
            const char key[] = {'U', 1, (char)i};
            append(object, key, sizeof key);
            append(object, get, sizeof get);
        }
        append(object, put, sizeof put);
    }
    /* one value is to be left: the others go into a list */
    struct stream *all = calloc(1, sizeof *all);
    assert(all != NULL);
    APPEND(all, "}(U\001l](");
    append(all, object->bytes, object->size);
    APPEND(all, "eU\001th\x0eu");
    struct stream *s = new_stream((const char *)all->bytes, all->size);
    free(all);
    free(object);
    expect_stream_refused(s, "dictionaries are shared too often");
}

static void every_truncation_is_refused(void)
{
    struct stream *s = new_stream("}U\001a" PLAIN "s", sizeof("}U\001a" PLAIN "s") - 1);
    for (size_t n = s->size; n-- > 0;) {
        struct sctd_error err = {0};
        struct torch_file *file = NULL;
        void *copy = NULL;
        s->size = n;
        assert(parse(&file, s, &copy, &err) == SCTD_EDATA);
        free(copy);
    }
    free(s);
}

int main(void)
{
    the_tensors_of_a_legacy_stream_are_read();
    a_tensor_that_is_no_plain_array_is_refused();
    a_storage_that_is_none_is_refused();
    legacy_data_must_be_what_the_pickle_says();
    the_same_key_listed_twice_is_refused();
    a_wrong_preamble_is_refused();
    names_must_be_sound_and_single();
    long_names_are_refused();
    deep_nesting_and_circles_are_refused();
    shared_dictionaries_cannot_multiply();
    every_truncation_is_refused();
    return 0;
}
