/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/safetensors.h"

#include "tests/support/temporary.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { ROOM = 4096, TOO_LONG_S = 60 };

static char root[] = TEMPORARY("test_safetensors");

static const char *at(const char *name)
{
    static char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

static int count_in_root(void)
{
    struct dirent **entry = NULL;
    const int n = scandir(root, &entry, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        free(entry[i]);
    }
    free((void *)entry);
    return n - 2;
}

/* A file in a block of exactly its size: a length, `header`, and data 0, 1, 2, ...; freed by the
 * caller. */
static unsigned char *make_file(const char *header, uint64_t length, size_t data_size,
                                size_t *ret_size)
{
    const size_t n = strlen(header);
    unsigned char *bytes = malloc(8 + n + data_size);
    assert(bytes != NULL);
    for (size_t i = 0; i < 8; i++) {
        bytes[i] = (unsigned char)(length >> (8 * i));
    }
    for (size_t i = 0; i < n; i++) {
        bytes[8 + i] = (unsigned char)header[i];
    }
    for (size_t i = 0; i < data_size; i++) {
        bytes[8 + n + i] = (unsigned char)i;
    }
    *ret_size = 8 + n + data_size;
    return bytes;
}

static int parse_header(const char *header, uint64_t length, size_t data_size,
                        struct sctd_error *err)
{
    sctd_auto(safetensors_closep) struct safetensors *file = NULL;
    size_t size = 0;
    unsigned char *bytes = make_file(header, length, data_size, &size);
    const int r = safetensors_parse(&file, bytes, size, err);
    assert((r == 0) == (file != NULL));
    free(bytes); /* closing reads nothing of it */
    return r;
}

/* Two tensors of data 0, 1, ... 9 and an empty one between them. */
static const char sound[] = "{\"__metadata__\":{\"format\":\"pt\",\"note\":\"\"},"
                            "\"z\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[0,8]},"
                            "\"none\":{\"shape\":[3,0],\"data_offsets\":[8,8],\"dtype\":\"I64\"},"
                            "\"a\":{\"data_offsets\":[8,10],\"dtype\":\"BF16\",\"shape\":[]}}  \n";

static void a_sound_file_is_read(void)
{
    struct sctd_error err = {0};
    sctd_auto(safetensors_closep) struct safetensors *file = NULL;
    size_t size = 0;
    unsigned char *bytes = make_file(sound, strlen(sound), 10, &size);
    const unsigned char *data = bytes + size - 10;
    assert(safetensors_parse(&file, bytes, size, &err) == 0);
    assert(safetensors_get_count(file) == 3);
    const struct tensor_view *z = safetensors_get(file, 0);
    const struct tensor_view *none = safetensors_get(file, 1);
    const struct tensor_view *a = safetensors_get(file, 2);
    assert(strcmp(z->name, "z") == 0 && strcmp(none->name, "none") == 0);
    assert(z->dtype == TENSOR_F32 && z->n_dims == 2 && z->dim[0] == 2 && z->dim[1] == 1);
    assert(z->bytes == 8 && z->data == data && tensor_view_count(z) == 2);
    assert(a->dtype == TENSOR_BF16 && a->n_dims == 0 && a->bytes == 2);
    assert(a->data == data + 8 && tensor_view_count(a) == 1);
    assert(none->bytes == 0 && tensor_view_count(none) == 0);
    free(bytes);
}

static void tensors_and_metadata_are_found_by_name(void)
{
    struct sctd_error err = {0};
    sctd_auto(safetensors_closep) struct safetensors *file = NULL;
    size_t size = 0;
    unsigned char *bytes = make_file(sound, strlen(sound), 10, &size);
    assert(safetensors_parse(&file, bytes, size, &err) == 0);
    for (size_t i = 0; i < 3; i++) {
        const struct tensor_view *t = safetensors_get(file, i);
        assert(safetensors_find(file, t->name) == t);
        safetensors_drop_pages(file, t); /* of no file: does nothing */
    }
    assert(safetensors_find(file, "b") == NULL && safetensors_find(file, "") == NULL);
    assert(strcmp(safetensors_get_metadata(file, "format"), "pt") == 0);
    assert(strcmp(safetensors_get_metadata(file, "note"), "") == 0);
    assert(safetensors_get_metadata(file, "z") == NULL);
    free(bytes);
}

static void a_file_of_no_tensors_is_read(void)
{
    struct sctd_error err = {0};
    assert(parse_header("{}", 2, 0, &err) == 0);
    assert(parse_header("{\"__metadata__\":{}}", 19, 0, &err) == 0);
    safetensors_close(NULL);
}

static void every_dtype_has_its_name_and_size(void)
{
    static const struct {
        enum tensor_dtype dtype;
        const char *name;
        size_t size;
    } cases[] = {{TENSOR_F32, "F32", 4},   {TENSOR_F64, "F64", 8}, {TENSOR_F16, "F16", 2},
                 {TENSOR_BF16, "BF16", 2}, {TENSOR_I64, "I64", 8}, {TENSOR_I32, "I32", 4},
                 {TENSOR_I16, "I16", 2},   {TENSOR_I8, "I8", 1},   {TENSOR_U8, "U8", 1},
                 {TENSOR_BOOL, "BOOL", 1}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert(strcmp(tensor_dtype_name(cases[i].dtype), cases[i].name) == 0);
        assert(tensor_dtype_size(cases[i].dtype) == cases[i].size);
    }
}

#define U8(name, n, begin, end)                                                                    \
    "\"" name "\":{\"dtype\":\"U8\",\"shape\":[" n "],\"data_offsets\":[" begin "," end "]}"
#define F32(shape, begin, end)                                                                     \
    "{\"w\":{\"dtype\":\"F32\",\"shape\":[" shape "],\"data_offsets\":[" begin "," end "]}}"

/* Headers that are refused over data of this many bytes, and what the message must say. */
static const struct {
    const char *header;
    size_t data_size;
    const char *what, *also;
} refused[] = {
    /* cover */
    {"{" U8("a", "2", "0", "2") "," U8("b", "2", "3", "5") "}", 5, "b stands after a hole", ""},
    {"{" U8("a", "2", "1", "3") "}", 3, "a stands after a hole", ""},
    {"{" U8("a", "3", "0", "3") "," U8("b", "3", "2", "5") "}", 5, "b overlaps", ""},
    {"{" U8("a", "3", "0", "3") "," U8("b", "3", "0", "3") "}", 3, "b overlaps", ""},
    {"{" U8("a", "4", "0", "4") "," U8("b", "0", "2", "2") "}", 4, "b overlaps", ""},
    {"{" U8("a", "3", "0", "3") "}", 5, "2 bytes belong to no tensor", ""},
    {"{}", 1, "1 bytes belong to no tensor", ""},
    /* names */
    {"{" U8("a", "1", "0", "1") "," U8("a", "1", "1", "2") "}", 2, "\"a\" stands twice", ""},
    {"{" U8("a", "1", "0", "1") "," U8("\\u0061", "1", "1", "2") "}", 2, "stands twice", ""},
    {"{" U8("", "1", "0", "1") "}", 1, "a name of 0 bytes", ""},
    {"{\"w\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}", 1,
     "\"dtype\" stands twice", ""},
    /* shapes */
    {F32("-1", "0", "4"), 4, "w has a bad shape", ""},
    {F32("-1,-1", "0", "4"), 4, "w has a bad shape", ""},
    {F32("1.0", "0", "4"), 4, "w has a bad shape", ""},
    {F32("\"1\"", "0", "4"), 4, "w has a bad shape", ""},
    {F32("9223372036854775808", "0", "4"), 4, "w has a bad shape", ""},
    {F32("4611686018427387904", "0", "0"), 0, "the size of w overflows", ""},
    {F32("4294967296,4294967296", "0", "0"), 0, "the size of w overflows", ""},
    {F32("2147483648,2147483648,4,1", "0", "4"), 4, "the size of w overflows", ""},
    {F32("1,1,1,1,1,1,1,1,1", "0", "4"), 4, "w has 9 dimensions", ""},
    /* shape against range */
    {F32("2", "0", "4"), 4, "w has 4 bytes of data", "needs 8"},
    {F32("", "0", "8"), 8, "w has 8 bytes of data", "needs 4"},
    {F32("0", "0", "4"), 4, "w has 4 bytes of data", "needs 0"},
    /* ranges */
    {F32("1", "0", "4"), 3, "w has data_offsets outside the file", ""},
    {F32("1", "4", "0"), 4, "w has data_offsets outside the file", ""},
    {F32("1", "-4", "0"), 4, "w has data_offsets outside the file", ""},
    {F32("1", "0", "9223372036854775807"), 4, "w has data_offsets outside the file", ""},
    {F32("1", "0", "18446744073709551620"), 4, "w has data_offsets outside the file", ""},
    {F32("1", "0", "4.0"), 4, "w has data_offsets outside the file", ""},
    {F32("1", "0", "4,4"), 4, "w has data_offsets outside the file", ""},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[]}}", 4, "data_offsets", "w"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4]}}", 4, "data_offsets", "w"},
    /* members */
    {"{\"w\":{\"dtype\":\"F8_E4M3\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
     "w has dtype F8_E4M3", "not supported"},
    {"{\"w\":{\"dtype\":\"f32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "w has dtype f32", ""},
    {"{\"a\\nb\":{\"dtype\":\"\\u001b\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
     "a?b has dtype ?,", ""},
    {"{\"w\":{\"dtype\":1,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "\"dtype\"", ""},
    {"{\"w\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "\"dtype\" is missing", ""},
    {"{\"w\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "\"shape\" is missing", ""},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "\"data_offsets\" is missing", ""},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":1,\"data_offsets\":[0,4]}}", 4, "\"shape\"", ""},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":{}}}", 4, "\"data_offsets\"", ""},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"x\":1}}", 4, "\"x\"", ""},
    {"{\"w\":[]}", 0, "w is not an object", ""},
    {"{\"__metadata__\":[]}", 0, "__metadata__ is not an object", ""},
    {"{\"__metadata__\":{\"a\":1}}", 0, "__metadata__ holds more than texts", ""},
    /* header */
    {"[]", 0, "does not begin with '{'", ""},
    {" {}", 0, "does not begin with '{'", ""},
    {"null", 0, "does not begin with '{'", ""},
    {"{} {}", 0, "json: line 1 column 4", ""},
    {"{\"w\":", 0, "json: line 1 column 6", ""},
};

static void unsound_files_are_refused_with_what_and_where(void)
{
    for (size_t i = 0; i < COUNT(refused); i++) {
        struct sctd_error err = {0};
        const int r =
            parse_header(refused[i].header, strlen(refused[i].header), refused[i].data_size, &err);
        const bool as_expected = r == SCTD_EDATA && strstr(err.text, refused[i].what) != NULL &&
                                 strstr(err.text, refused[i].also) != NULL;
        if (!as_expected) {
            (void)fprintf(stderr, "%s: %d %s\n", refused[i].header, r, err.text);
        }
        assert(as_expected);
    }
}

static void a_header_longer_than_the_file_is_refused(void)
{
    static const uint64_t lengths[] = {
        0, 1, 3, 4, 100000001, UINT64_MAX, UINT64_MAX - 7, (uint64_t)1 << 63};
    for (size_t i = 0; i < COUNT(lengths); i++) {
        struct sctd_error err = {0};
        assert(parse_header("{}", lengths[i], 0, &err) == SCTD_EDATA);
        assert(strstr(err.text, "header of") != NULL);
    }
}

static void bytes_too_few_for_a_length_are_refused(void)
{
    struct sctd_error err = {0};
    struct safetensors *file = NULL;
    for (size_t size = 0; size < 8; size++) {
        unsigned char *bytes = calloc(size + 1, 1);
        assert(bytes != NULL);
        assert(safetensors_parse(&file, bytes, size, &err) == SCTD_EDATA);
        free(bytes);
    }
    assert(safetensors_parse(&file, NULL, 0, &err) == SCTD_EDATA);
    assert(file == NULL);
}

/* Every file cut short at any byte is refused, and none is read beyond its end. */
static void a_file_cut_anywhere_is_refused(void)
{
    static const char header[] = "{" U8("a", "2", "0", "2") "," U8("b", "3", "2", "5") "}";
    struct sctd_error err = {0};
    struct safetensors *file = NULL;
    size_t size = 0;
    unsigned char *bytes = make_file(header, strlen(header), 5, &size);
    for (size_t cut = 1; cut < size; cut++) {
        unsigned char *copy = malloc(cut);
        assert(copy != NULL);
        memcpy(copy, bytes, cut);
        assert(safetensors_parse(&file, copy, cut, &err) == SCTD_EDATA);
        free(copy);
    }
    assert(file == NULL);
    free(bytes);
}

static void a_name_has_at_most_255_bytes(void)
{
    for (int n = TENSOR_NAME_MAX - 1; n <= TENSOR_NAME_MAX; n++) {
        struct sctd_error err = {0};
        char header[ROOM];
        char name[TENSOR_NAME_MAX + 1] = {0};
        memset(name, 'n', (size_t)n);
        (void)snprintf(header, sizeof header,
                       "{\"%s\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}", name);
        const int r = parse_header(header, strlen(header), 1, &err);
        assert(r == (n < TENSOR_NAME_MAX ? 0 : SCTD_EDATA));
    }
}

static void same_view(const struct tensor_view *a, const struct tensor_view *b)
{
    assert(strcmp(a->name, b->name) == 0 && a->dtype == b->dtype && a->n_dims == b->n_dims);
    for (int32_t i = 0; i < a->n_dims; i++) {
        assert(a->dim[i] == b->dim[i]);
    }
    assert(a->bytes == b->bytes && (a->bytes == 0 || memcmp(a->data, b->data, a->bytes) == 0));
}

static const unsigned char values[64] = {9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 255, 254, 128, 127};

/* One tensor of each dtype, small ones first, with names JSON must escape. */
static const struct tensor_view every_kind[] = {
    {"bool", TENSOR_BOOL, 1, {3}, values, 3},
    {"u8", TENSOR_U8, 0, {0}, values + 1, 1},
    {"i8", TENSOR_I8, 2, {1, 5}, values + 2, 5},
    {"i16", TENSOR_I16, 1, {2}, values + 3, 4},
    {"f16", TENSOR_F16, 1, {3}, values, 6},
    {"bf16.\"q\"\\", TENSOR_BF16, 1, {1}, values, 2},
    {"i32", TENSOR_I32, 3, {1, 2, 2}, values + 4, 16},
    {"f32.\xc3\xa9\n", TENSOR_F32, 8, {1, 1, 1, 1, 1, 1, 1, 2}, values, 8},
    {"none", TENSOR_F32, 3, {4, 0, 7}, values, 0},
    {"i64", TENSOR_I64, 1, {2}, values + 5, 16},
    {"f64", TENSOR_F64, 1, {1}, values, 8}};
static const struct safetensors_metadata notes[] = {{"format", "sctd"}, {"q\"", "\\\n"}};

static void what_is_written_is_read_back(void)
{
    struct sctd_error err = {0};
    sctd_auto(safetensors_closep) struct safetensors *file = NULL;
    assert(safetensors_write(at("a"), every_kind, COUNT(every_kind), notes, 2, &err) == 0);
    assert(safetensors_open(&file, at("a"), &err) == 0);
    assert(safetensors_get_count(file) == COUNT(every_kind));
    for (size_t i = 0; i < COUNT(every_kind); i++) {
        const struct tensor_view *t = safetensors_find(file, every_kind[i].name);
        assert(t != NULL);
        same_view(t, &every_kind[i]);
        assert((uintptr_t)t->data % tensor_dtype_size(t->dtype) == 0);
        safetensors_drop_pages(file, t);
        same_view(t, &every_kind[i]);
    }
    for (size_t i = 1; i < COUNT(every_kind); i++) {
        assert(tensor_dtype_size(safetensors_get(file, i - 1)->dtype) >=
               tensor_dtype_size(safetensors_get(file, i)->dtype));
    }
    for (size_t i = 0; i < 2; i++) {
        assert(strcmp(safetensors_get_metadata(file, notes[i].key), notes[i].value) == 0);
    }
}

static void the_same_tensors_make_the_same_bytes(void)
{
    static const char header[] =
        "{\"__metadata__\":{\"format\":\"sctd\"},"
        "\"i32\":{\"dtype\":\"I32\",\"shape\":[1,2,2],\"data_offsets\":[0,16]},"
        "\"u8\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[16,17]}}       ";
    const struct tensor_view two[] = {every_kind[1], every_kind[6]};
    struct sctd_error err = {0};
    for (int turn = 0; turn < 2; turn++) {
        struct sctd_map map = {0};
        assert(safetensors_write(at("two"), two, 2, notes, 1, &err) == 0);
        assert(sctd_map_open(&map, at("two"), &err) == 0);
        const unsigned char *p = map.data;
        size_t n = 0;
        for (size_t i = 0; i < 8; i++) {
            n |= (size_t)p[i] << (8 * i);
        }
        assert(n % 8 == 0 && map.size == 8 + n + 17);
        assert(n <= strlen(header) && memcmp(p + 8, header, n) == 0);
        assert(memcmp(p + 8 + n, values + 4, 16) == 0 && p[8 + n + 16] == values[1]);
        sctd_map_close(&map);
    }
}

static void names_that_cannot_be_read_back_are_not_written(void)
{
    static char longest[TENSOR_NAME_MAX + 1];
    struct sctd_error err = {0};
    const int before = count_in_root();
    struct tensor_view two[] = {every_kind[1], every_kind[1]};
    assert(safetensors_write(at("bad"), two, 2, NULL, 0, &err) == SCTD_EINVAL);
    assert(strstr(err.text, "u8 is there twice") != NULL);
    two[1].name = "__metadata__";
    assert(safetensors_write(at("bad"), two, 2, NULL, 0, &err) == SCTD_EINVAL);
    two[1].name = "";
    assert(safetensors_write(at("bad"), two, 2, NULL, 0, &err) == SCTD_EINVAL);
    memset(longest, 'n', TENSOR_NAME_MAX);
    two[1].name = longest;
    assert(safetensors_write(at("bad"), two, 2, NULL, 0, &err) == SCTD_EINVAL);
    assert(count_in_root() == before);
    longest[TENSOR_NAME_MAX - 1] = '\0';
    assert(safetensors_write(at("good"), two, 2, NULL, 0, &err) == 0);
}

static void what_would_not_be_read_back_is_not_written(void)
{
    struct sctd_error err = {0};
    const int before = count_in_root();
    struct tensor_view t = every_kind[1];
    t.name = "a\xff";
    assert(safetensors_write(at("bad"), &t, 1, NULL, 0, &err) == SCTD_EINVAL);
    t = every_kind[1];
    t.bytes = 2;
    assert(safetensors_write(at("bad"), &t, 1, NULL, 0, &err) == SCTD_EINVAL);
    assert(strstr(err.text, "u8") != NULL);
    t = every_kind[1];
    struct safetensors_metadata two[] = {{"k", "v"}, {"k", "w"}};
    assert(safetensors_write(at("bad"), &t, 1, two, 2, &err) == SCTD_EINVAL);
    two[1] = (struct safetensors_metadata){"l", "\xff"};
    assert(safetensors_write(at("bad"), &t, 1, two, 2, &err) == SCTD_EINVAL);
    assert(count_in_root() == before);
}

static void a_message_names_the_file_and_the_tensor(void)
{
    static const char header[] = "{\"layer.w\":{\"dtype\":\"F32\",\"shape\":[1]}}";
    struct sctd_error err = {0};
    struct safetensors *file = NULL;
    size_t size = 0;
    unsigned char *bytes = make_file(header, strlen(header), 4, &size);
    assert(sctd_file_replace(at("model.bin"), bytes, size, &err) == 0);
    free(bytes);
    assert(safetensors_open(&file, at("model.bin"), &err) == SCTD_EDATA && file == NULL);
    assert(strcmp(err.text, "model.bin: safetensors: layer.w: key \"data_offsets\" is missing") ==
           0);
}

static void a_write_that_fails_leaves_the_old_file(void)
{
    struct sctd_error err = {0};
    sctd_auto(safetensors_closep) struct safetensors *file = NULL;
    const struct tensor_view two[] = {every_kind[1], every_kind[1]};
    assert(safetensors_write(at("kept"), every_kind, 1, NULL, 0, &err) == 0);
    assert(safetensors_write(at("kept"), two, 2, NULL, 0, &err) == SCTD_EINVAL);
    assert(safetensors_open(&file, at("kept"), &err) == 0);
    same_view(safetensors_get(file, 0), &every_kind[0]);
    assert(safetensors_write(at("none/a"), every_kind, 1, NULL, 0, &err) == SCTD_EIO);
}

static void an_empty_file_is_written(void)
{
    struct sctd_error err = {0};
    sctd_auto(safetensors_closep) struct safetensors *file = NULL;
    assert(safetensors_write(at("empty"), NULL, 0, NULL, 0, &err) == 0);
    assert(safetensors_open(&file, at("empty"), &err) == 0);
    assert(safetensors_get_count(file) == 0 && safetensors_find(file, "a") == NULL);
    assert(safetensors_get_metadata(file, "a") == NULL);
}

static void a_file_that_cannot_be_read_is_refused(void)
{
    struct sctd_error err = {0};
    struct safetensors *file = NULL;
    assert(safetensors_open(&file, at("missing"), &err) == SCTD_EIO);
    assert(strstr(err.text, at("missing")) != NULL);
    assert(safetensors_open(&file, root, &err) == SCTD_EIO);
    assert(mkfifo(at("fifo"), 0600) == 0);
    assert(safetensors_open(&file, at("fifo"), &err) == SCTD_EIO);
    assert(sctd_file_replace(at("zero"), "", 0, &err) == 0);
    assert(safetensors_open(&file, at("zero"), &err) == SCTD_EDATA);
    assert(file == NULL);
}

int main(void)
{
    assert(mkdtemp(root) != NULL);
    (void)alarm(TOO_LONG_S); /* so that waiting for a FIFO fails */
    a_sound_file_is_read();
    tensors_and_metadata_are_found_by_name();
    a_file_of_no_tensors_is_read();
    every_dtype_has_its_name_and_size();
    unsound_files_are_refused_with_what_and_where();
    a_header_longer_than_the_file_is_refused();
    bytes_too_few_for_a_length_are_refused();
    a_file_cut_anywhere_is_refused();
    a_name_has_at_most_255_bytes();
    what_is_written_is_read_back();
    the_same_tensors_make_the_same_bytes();
    names_that_cannot_be_read_back_are_not_written();
    what_would_not_be_read_back_is_not_written();
    a_message_names_the_file_and_the_tensor();
    a_write_that_fails_leaves_the_old_file();
    an_empty_file_is_written();
    a_file_that_cannot_be_read_is_refused();
    sctd_dir_remove(root);
    return 0;
}
