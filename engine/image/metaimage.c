/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/metaimage.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/parse.h"
#include "engine/base/volume.h"
#include "engine/image/unpack.h"
#include "engine/image/voxels.h"

enum { LINE_MAX_SIZE = 1024, LINES_MAX = 256, NUMBERS_MAX = 9 };

/* What the lines have said so far. */
struct reading {
    struct metaimage image;
    double spacing[3], matrix[9];
    bool has_dim, has_type, has_dims, has_data;
};

/* Numbers with blanks between them: exactly n. */
static int read_numbers(double *ret_number, int n, char *value, struct sctd_error *err)
{
    int found = 0;
    for (char *word = value; *word != '\0';) {
        char *end = word + strcspn(word, " ");
        char *next = end + strspn(end, " ");
        *end = '\0';
        if (found == n || sctd_parse_f64(&ret_number[found], word, err) < 0) {
            found = -1;
            break;
        }
        found++;
        word = next;
    }
    return found == n ? 0 : sctd_error(err, SCTD_EDATA, "%d numbers are needed", n);
}

static int read_dim(struct reading *r, char *value, struct sctd_error *err)
{
    double dim[3];
    int result = read_numbers(dim, 3, value, err);
    for (int a = 0; result == 0 && a < 3; a++) {
        if (!(dim[a] >= 1.0 && dim[a] <= VOXELS_SIDE_MAX)) {
            return sctd_error(err, SCTD_EDATA, "1 to %d voxels on an axis are possible",
                              VOXELS_SIDE_MAX);
        }
        r->image.grid.dim[a] = (int32_t)dim[a];
    }
    r->has_dim = true;
    return result;
}

static int read_spacing(struct reading *r, char *value, struct sctd_error *err)
{
    return read_numbers(r->spacing, 3, value, err);
}

static int read_offset(struct reading *r, char *value, struct sctd_error *err)
{
    return read_numbers(r->image.grid.origin, 3, value, err);
}

static int read_matrix(struct reading *r, char *value, struct sctd_error *err)
{
    return read_numbers(r->matrix, NUMBERS_MAX, value, err);
}

static int read_type(struct reading *r, char *value, struct sctd_error *err)
{
    static const char *const names[VOXELS_TYPES] = {"MET_UCHAR", "MET_CHAR",  "MET_USHORT",
                                                    "MET_SHORT", "MET_UINT",  "MET_INT",
                                                    "MET_FLOAT", "MET_DOUBLE"};
    for (int type = 0; type < VOXELS_TYPES; type++) {
        if (strcmp(value, names[type]) == 0) {
            r->image.format.type = (enum voxels_type)type;
            r->has_type = true;
            return 0;
        }
    }
    return sctd_error(err, SCTD_EDATA, "integers of up to 32 bits and floats are read");
}

static int read_truth(bool *ret_truth, const char *value, struct sctd_error *err)
{
    if (strcmp(value, "True") != 0 && strcmp(value, "False") != 0) {
        return sctd_error(err, SCTD_EDATA, "True or False is needed");
    }
    *ret_truth = value[0] == 'T';
    return 0;
}

static int read_order(struct reading *r, char *value, struct sctd_error *err)
{
    return read_truth(&r->image.format.big_endian, value, err);
}

static int read_compressed(struct reading *r, char *value, struct sctd_error *err)
{
    return read_truth(&r->image.compressed, value, err);
}

static int read_data_file(struct reading *r, char *value, struct sctd_error *err)
{
    r->has_data = true;
    if (strcmp(value, "LOCAL") == 0) {
        return 0;
    }
    if (value[0] == '\0' || value[0] == '.' || strpbrk(value, "/\\%") != NULL ||
        strcmp(value, "LIST") == 0 || strlen(value) >= METAIMAGE_NAME_SIZE) {
        return sctd_error(err, SCTD_EDATA, "LOCAL or the name of one file beside it is needed");
    }
    (void)memcpy(r->image.data_file, value, strlen(value) + 1);
    return 0;
}

/* Keys with only one value that is read. */
static int expect(const char *value, const char *want, struct sctd_error *err)
{
    return strcmp(value, want) == 0 ? 0 : sctd_error(err, SCTD_EDATA, "only %s is read", want);
}

static int read_dims(struct reading *r, char *value, struct sctd_error *err)
{
    r->has_dims = true;
    return expect(value, "3", err);
}

static int read_binary(struct reading *r, char *value, struct sctd_error *err)
{
    (void)r;
    return expect(value, "True", err);
}

static int read_channels(struct reading *r, char *value, struct sctd_error *err)
{
    (void)r;
    return expect(value, "1", err);
}

static int read_object(struct reading *r, char *value, struct sctd_error *err)
{
    (void)r;
    return expect(value, "Image", err);
}

static const struct {
    const char *key;
    int (*read)(struct reading *r, char *value,
                struct sctd_error *err); /* NULL: it says nothing about the voxels */
} keys[] = {{"ObjectType", read_object},
            {"NDims", read_dims},
            {"DimSize", read_dim},
            {"BinaryData", read_binary},
            {"BinaryDataByteOrderMSB", read_order},
            {"ElementByteOrderMSB", read_order},
            {"CompressedData", read_compressed},
            {"CompressedDataSize", NULL},
            {"TransformMatrix", read_matrix},
            {"Orientation", read_matrix},
            {"Rotation", read_matrix},
            {"Offset", read_offset},
            {"Position", read_offset},
            {"Origin", read_offset},
            {"CenterOfRotation", NULL},
            {"AnatomicalOrientation", NULL},
            {"ElementSpacing", read_spacing},
            {"ElementNumberOfChannels", read_channels},
            {"ElementType", read_type},
            {"ElementDataFile", read_data_file}};

/* Values that tell readers about a study rather than the image. */
static bool is_note(const char *key)
{
    return strcmp(key, "Comment") == 0 || strcmp(key, "Name") == 0 || strcmp(key, "ID") == 0 ||
           strcmp(key, "ITK_InputFilterName") == 0 || strcmp(key, "Modality") == 0;
}

static int read_value(struct reading *r, const char *key, char *value, struct sctd_error *err)
{
    size_t i = 0;
    while (i < sizeof keys / sizeof keys[0] && strcmp(key, keys[i].key) != 0) {
        i++;
    }
    if (i == sizeof keys / sizeof keys[0]) {
        return is_note(key)
                   ? 0
                   : sctd_error(err, SCTD_EDATA, "the MetaImage key %.40s is not known", key);
    }
    int result = keys[i].read == NULL ? 0 : keys[i].read(r, value, err);
    if (result < 0) {
        sctd_error_prefix(err, "%s", key);
    }
    return result;
}

static int read_line(struct reading *r, char *line, struct sctd_error *err)
{
    char *sign = strchr(line, '=');
    if (sign == NULL) {
        return sctd_error(err, SCTD_EDATA, "\"%.40s\" is no line of a MetaImage", line);
    }
    char *value = sign + 1 + strspn(sign + 1, " ");
    while (sign > line && sign[-1] == ' ') {
        sign--;
    }
    *sign = '\0';
    for (size_t n = strlen(value); n > 0 && (value[n - 1] == ' ' || value[n - 1] == '\r'); n--) {
        value[n - 1] = '\0';
    }
    return read_value(r, line, value, err);
}

static int finish(struct metaimage *ret_image, struct reading *r, struct sctd_error *err)
{
    if (!r->has_dims || !r->has_dim || !r->has_type) {
        return sctd_error(err, SCTD_EDATA, "the MetaImage lacks %s",
                          !r->has_dims ? "NDims"
                          : r->has_dim ? "ElementType"
                                       : "DimSize");
    }
    for (int a = 0; a < 3; a++) {
        for (int x = 0; x < 3; x++) {
            r->image.grid.axis[a][x] = r->spacing[a] * r->matrix[3 * a + x];
        }
    }
    *ret_image = r->image;
    return 0;
}

int metaimage_parse(struct metaimage *ret_image, const void *bytes, size_t size,
                    struct sctd_error *err)
{
    struct reading r = {.image = {.format = {.slope = 1.0}},
                        .spacing = {1.0, 1.0, 1.0},
                        .matrix = {1, 0, 0, 0, 1, 0, 0, 0, 1}};
    const char *text = bytes;
    for (int n = 0; n < LINES_MAX && !r.has_data; n++) {
        char line[LINE_MAX_SIZE];
        const size_t left = size - r.image.header_size;
        const size_t most = left < sizeof line ? left : sizeof line;
        const char *from = text + r.image.header_size;
        const char *end = most > 0 ? memchr(from, '\n', most) : NULL;
        if (end == NULL || memchr(from, '\0', (size_t)(end - from)) != NULL) {
            return sctd_error(err, SCTD_EDATA, "line %d is no line of a MetaImage", n + 1);
        }
        const size_t length = (size_t)(end - from);
        memcpy(line, from, length);
        line[length] = '\0';
        r.image.header_size += length + 1;
        int result = read_line(&r, line, err);
        if (result < 0) {
            return result;
        }
    }
    if (!r.has_data) {
        return sctd_error(err, SCTD_EDATA, "the MetaImage has no ElementDataFile in %d lines",
                          LINES_MAX);
    }
    return finish(ret_image, &r, err);
}

int metaimage_decode(struct volume **ret_volume, const struct metaimage *image, const void *bytes,
                     size_t size, struct sctd_error *err)
{
    if (!image->compressed) {
        return voxels_decode(ret_volume, &image->grid, &image->format, bytes, size, err);
    }
    struct volume_grid checked = image->grid;
    size_t n = 0;
    int r = voxels_check_grid(&checked, &n, err);
    if (r < 0) {
        return r;
    }
    const size_t need = n * voxels_type_size(image->format.type);
    if (need / UNPACK_RATIO > size) {
        return sctd_error(err, SCTD_EDATA, "%zu compressed bytes cannot hold %zu", size, need);
    }
    void *out = malloc(need);
    if (out == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "a MetaImage of %zu bytes", need);
    }
    r = unpack_whole(out, need, bytes, size, err);
    if (r == 0) {
        r = voxels_decode(ret_volume, &image->grid, &image->format, out, need, err);
    }
    free(out);
    return r;
}
