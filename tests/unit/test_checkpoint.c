/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/base/safetensors.h"
#include "engine/model/checkpoint.h"

#include "tests/support/temporary.h"

enum { PATH_ROOM = 4096 };

/* folder is relative to tests/, the parent of tests/data; false if there is no such file. */
static bool find_file(char *ret_path, const char *folder, const char *name)
{
    const char *data = getenv("SCTD_TEST_DATA"); // NOLINT(concurrency-mt-unsafe): one thread
    assert(data != NULL && strrchr(data, '/') != NULL);
    const int tests_len = (int)(strrchr(data, '/') - data);
    assert(snprintf(ret_path, PATH_ROOM, "%.*s/%s/%s", tests_len, data, folder, name) < PATH_ROOM);
    return access(ret_path, R_OK) == 0;
}

static struct checkpoint *open_path(const char *path)
{
    struct sctd_error err = {0};
    struct checkpoint *c = NULL;
    if (checkpoint_open(&c, path, &err) < 0) {
        (void)fprintf(stderr, "%s\n", err.text);
        assert(false);
    }
    return c;
}

static const struct tensor_view *find(const struct checkpoint *c, const char *name)
{
    for (size_t i = 0; i < checkpoint_get_count(c); i++) {
        if (strcmp(checkpoint_get(c, i)->name, name) == 0) {
            return checkpoint_get(c, i);
        }
    }
    return NULL;
}

static void expect_same_tensors(const struct checkpoint *a, const char *prefix,
                                const struct checkpoint *b)
{
    assert(checkpoint_get_count(a) == checkpoint_get_count(b));
    for (size_t i = 0; i < checkpoint_get_count(b); i++) {
        char name[2 * TENSOR_NAME_MAX];
        const struct tensor_view *y = checkpoint_get(b, i);
        assert(snprintf(name, sizeof name, "%s%s", prefix, y->name) < (int)sizeof name);
        const struct tensor_view *x = find(a, name);
        assert(x != NULL && x->dtype == y->dtype && x->n_dims == y->n_dims);
        assert(memcmp(x->dim, y->dim, (size_t)x->n_dims * sizeof x->dim[0]) == 0);
        assert(x->bytes == y->bytes);
        assert(x->bytes == 0 || memcmp(x->data, y->data, x->bytes) == 0);
    }
}

struct golden {
    const char *file, *format, *prefix, *same;
};

static void expect_same_file(const char *golden_folder, const struct golden *g, bool optional)
{
    char path[PATH_ROOM];
    char same_path[PATH_ROOM];
    const bool there =
        find_file(path, golden_folder, g->file) && find_file(same_path, golden_folder, g->same);
    assert(there || optional);
    if (!there) {
        return;
    }
    struct checkpoint *c = open_path(path);
    struct checkpoint *same = open_path(same_path);
    assert(strcmp(checkpoint_get_format(c), g->format) == 0);
    assert(strcmp(checkpoint_get_format(same), "safetensors") == 0);
    expect_same_tensors(c, g->prefix, same);
    checkpoint_close(c);
    checkpoint_close(same);
}

/* The goldens hold the same weights in every format: ours, and the published code's where there. */
static void every_format_of_a_checkpoint_gives_the_same_bytes(void)
{
    static const struct golden goldens[] = {
        {"best_net_G.pth", "pytorch-zip", "", "generator-cnn.safetensors"},
        {"legacy_net_G.pth", "pytorch-legacy", "", "generator-cnn.safetensors"},
        {"module_prefix_net_G.pth", "pytorch-zip", "module.", "generator-cnn.safetensors"},
        {"vit.pth", "pytorch-zip", "", "vit-meta.safetensors"},
    };
    for (size_t i = 0; i < sizeof goldens / sizeof goldens[0]; i++) {
        expect_same_file("golden/data", &goldens[i], false);
        expect_same_file("../../shared/goldens", &goldens[i], true);
    }
}

struct expected {
    const char *name;
    enum tensor_dtype dtype;
    int32_t n_dims;
    int64_t dim[2];
    const char *bytes; /* the first of them */
    size_t n_bytes;
};

#define BYTES(literal) (literal), sizeof(literal) - 1

/* As tests/fuzz/make_torch_seeds.py writes them. */
static const struct expected kinds[] = {
    {"teacher.f32", TENSOR_F32, 2, {2, 3}, BYTES("\0\0\0\0\0\0\0\x3f\0\0\x80\x3f")},
    {"teacher.f64", TENSOR_F64, 1, {3}, BYTES("\0\0\0\0\0\0\xe0\x3f\0\0\0\0\0\0\xf0\xbf")},
    {"teacher.f16", TENSOR_F16, 1, {3}, BYTES("\0\x38\0\xbc\0\x40")},
    {"teacher.bf16", TENSOR_BF16, 1, {3}, BYTES("\0\x3f\x80\xbf\0\x40")},
    {"teacher.i64", TENSOR_I64, 1, {2}, BYTES("\1\0\0\0\0\0\0\0\0\0\0\0\0\xff\xff\xff")},
    {"teacher.i32", TENSOR_I32, 1, {2}, BYTES("\1\0\0\0\xfe\xff\xff\xff")},
    {"teacher.i16", TENSOR_I16, 1, {2}, BYTES("\1\0\xfe\xff")},
    {"teacher.i8", TENSOR_I8, 1, {2}, BYTES("\1\xfe")},
    {"teacher.u8", TENSOR_U8, 1, {2}, BYTES("\1\xff")},
    {"teacher.bool", TENSOR_BOOL, 1, {2}, BYTES("\1\0")},
    {"teacher.scalar", TENSOR_F32, 0, {0}, BYTES("\0\0\x60\x40")},
    {"teacher.empty", TENSOR_F32, 2, {0, 4}, BYTES("")},
    {"teacher.base", TENSOR_F32, 2, {4, 6}, BYTES("\0\0\0\0\0\0\x80\x3f")},
    {"teacher.tied", TENSOR_F32, 2, {4, 6}, BYTES("\0\0\0\0\0\0\x80\x3f")},
    {"teacher.rows", TENSOR_F32, 2, {2, 6}, BYTES("\0\0\xc0\x40\0\0\xe0\x40")},
    {"teacher.param", TENSOR_F32, 2, {2, 2}, BYTES("\0\0\x80\x3f\0\0\x80\x3f")},
    {"teacher.column", TENSOR_F32, 2, {3, 1}, BYTES("\0\0\0\0\0\0\x80\x3f\0\0\0\x40")},
    {"optimizer.state.0.exp_avg", TENSOR_F32, 1, {2}, BYTES("\0\0\x80\x3f\0\0\x80\x3f")},
};

static void expect_tensor(const struct tensor_view *t, const struct expected *e)
{
    assert(strcmp(t->name, e->name) == 0);
    assert(t->dtype == e->dtype && t->n_dims == e->n_dims);
    assert(memcmp(t->dim, e->dim, (size_t)t->n_dims * sizeof t->dim[0]) == 0);
    assert(t->bytes == tensor_view_count(t) * tensor_dtype_size(t->dtype));
    assert(e->n_bytes <= t->bytes);
    assert(e->n_bytes == 0 || memcmp(t->data, e->bytes, e->n_bytes) == 0);
}

static void expect_kinds(const char *seeds, const char *name)
{
    char path[PATH_ROOM];
    const size_t n = sizeof kinds / sizeof kinds[0];
    assert(find_file(path, seeds, name));
    struct checkpoint *c = open_path(path);
    assert(checkpoint_get_count(c) == n);
    for (size_t i = 0; i < n; i++) {
        expect_tensor(checkpoint_get(c, i), &kinds[i]);
    }
    checkpoint_close(c);
}

static void every_kind_of_tensor_is_read_from_both_formats_of_torch(void)
{
    expect_kinds("fuzz/corpus/torch_zip", "kinds.pth");
    expect_kinds("fuzz/corpus/pickle", "kinds_legacy.pth");
}

static void expect_refusal(const char *path, int code, const char *text)
{
    struct sctd_error err = {0};
    struct checkpoint *c = NULL;
    assert(checkpoint_open(&c, path, &err) == code);
    assert(c == NULL);
    if (strstr(err.text, text) == NULL) {
        (void)fprintf(stderr, "\"%s\" is not in \"%s\"\n", text, err.text);
        assert(false);
    }
}

static void other_files_of_torch_are_refused_with_a_reason(void)
{
    static const char *const cases[][3] = {
        {"fuzz/corpus/torch_zip", "strided.pth", "strided.pth: torch: tensor \"a\" is a strided"},
        {"fuzz/corpus/torch_zip", "complex.pth", "global torch.ComplexFloatStorage at offset"},
        {"fuzz/corpus/torch_zip", "negative.pth", "tensor \"a\" has 7 arguments"},
        {"fuzz/corpus/torch_zip", "tensor.pth", "holds a tensor, not a dictionary"},
        {"fuzz/corpus/torch_zip", "no_crc.pth", "set_crc32_options(True)"},
        {"fuzz/corpus/pickle", "strided_legacy.pth", "tensor \"a\" is a strided view"},
        {"fuzz/corpus/pickle", "complex_legacy.pth", "global torch.ComplexFloatStorage at"},
        {"fuzz/corpus/pickle", "negative_legacy.pth", "tensor \"a\" has 7 arguments"},
        {"fuzz/corpus/pickle", "tensor_legacy.pth", "holds a tensor, not a dictionary"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char path[PATH_ROOM];
        assert(find_file(path, cases[i][0], cases[i][1]));
        expect_refusal(path, SCTD_EDATA, cases[i][2]);
    }
}

static void write_file(const char *path, const void *bytes, size_t size)
{
    FILE *f = fopen(path, "wbe");
    assert(f != NULL);
    assert(fwrite(bytes, 1, size, f) == size);
    assert(fclose(f) == 0);
}

static char folder[] = TEMPORARY("test_checkpoint");

static void what_is_no_checkpoint_is_called_by_its_name(void)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *text;
    } cases[] = {
        {BYTES(""), "model.pth: the file is empty"},
        {BYTES("abc"), "begins with 61 62 63 00 00 00 00 00"},
        {BYTES("\x80\x04\x95\x0a"), "neither safetensors nor a file of torch.save"},
        {BYTES("version https://git-lfs.github.com/spec/v1"), "a Git LFS pointer"},
        {BYTES("<!DOCTYPE html>"), "a web page"},
        {BYTES("\x1f\x8b\x08\0"), "compressed with gzip"},
        {BYTES("GGUF\3\0\0\0"), "a GGUF file"},
        {BYTES("PK\3\4"), "zip: 4 bytes are too few"},
        {BYTES("\x80\2\x8a\x0a"), "pickle: LONG1 at offset 2: truncated"},
        {BYTES("\xff\xff\xff\xff\xff\xff\xff\xff{"), "model.pth: "},
    };
    char path[PATH_ROOM];
    assert(snprintf(path, sizeof path, "%s/model.pth", folder) < (int)sizeof path);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_file(path, cases[i].bytes, cases[i].size);
        expect_refusal(path, SCTD_EDATA, cases[i].text);
    }
    char tar[512] = "pickle";
    assert(snprintf(tar + 257, 6, "ustar") == 5);
    write_file(path, tar, sizeof tar);
    expect_refusal(path, SCTD_EDATA, "a tar archive");
    assert(unlink(path) == 0);
    expect_refusal(path, SCTD_EIO, path);
    expect_refusal(folder, SCTD_EIO, folder);
}

/* The bytes of a file of the seeds; the caller frees them. */
static uint8_t *load(const char *seeds, const char *name, size_t *ret_size)
{
    char path[PATH_ROOM];
    struct stat st;
    assert(find_file(path, seeds, name) && stat(path, &st) == 0);
    *ret_size = (size_t)st.st_size;
    uint8_t *bytes = malloc(*ret_size);
    FILE *f = fopen(path, "rbe");
    assert(bytes != NULL && f != NULL && fread(bytes, 1, *ret_size, f) == *ret_size);
    assert(fclose(f) == 0);
    return bytes;
}

static void the_zip_file_says_its_byte_order(void)
{
    static const char seeds[] = "fuzz/corpus/torch_zip";
    char path[PATH_ROOM];
    size_t size = 0;
    uint8_t *bytes = load(seeds, "kinds.pth", &size);
    uint8_t *order = memmem(bytes, size, "little", 6);
    assert(order != NULL);
    order[0] ^= 1;
    assert(snprintf(path, sizeof path, "%s/order.pth", folder) < (int)sizeof path);
    write_file(path, bytes, size);
    expect_refusal(path, SCTD_EDATA, "entry kinds/byteorder is damaged");
    assert(unlink(path) == 0);
    free(bytes);
}

static void expect_no_harm(const char *path, const uint8_t *bytes, size_t size)
{
    struct sctd_error err = {0};
    struct checkpoint *c = NULL;
    write_file(path, bytes, size);
    int r = checkpoint_open(&c, path, &err);
    assert(r == 0 || (r == SCTD_EDATA && strlen(err.text) > 0));
    checkpoint_close(c);
}

/* Every third bit of a small file, in turn: what comes of it may be an error, but not a crash. */
static void flip_bits(const char *seeds, const char *name)
{
    char path[PATH_ROOM];
    size_t size = 0;
    uint8_t *bytes = load(seeds, name, &size);
    assert(snprintf(path, sizeof path, "%s/flipped.pth", folder) < (int)sizeof path);
    for (size_t bit = 0; bit < 8 * size; bit += 3) {
        bytes[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        expect_no_harm(path, bytes, size);
        bytes[bit / 8] ^= (uint8_t)(1U << (bit % 8));
    }
    assert(unlink(path) == 0);
    free(bytes);
}

static void flipped_bits_do_no_harm(void)
{
    flip_bits("fuzz/corpus/torch_zip", "strided.pth");
    flip_bits("fuzz/corpus/pickle", "state_dict_legacy.pth");
}

int main(void)
{
    assert(mkdtemp(folder) != NULL);
    every_format_of_a_checkpoint_gives_the_same_bytes();
    every_kind_of_tensor_is_read_from_both_formats_of_torch();
    other_files_of_torch_are_refused_with_a_reason();
    what_is_no_checkpoint_is_called_by_its_name();
    the_zip_file_says_its_byte_order();
    flipped_bits_do_no_harm();
    assert(rmdir(folder) == 0);
    return 0;
}
