/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/nifti.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/volume.h"
#include "engine/image/unpack.h"
#include "engine/image/voxels.h"

enum { HEADER = 348, FIRST_VOXEL = 352 };

/* Offsets of the header's fields. */
enum {
    AT_SIZE = 0,
    AT_DIM = 40,
    AT_DATATYPE = 70,
    AT_PIXDIM = 76,
    AT_OFFSET = 108,
    AT_SLOPE = 112,
    AT_INTERCEPT = 116,
    AT_UNITS = 123,
    AT_QFORM = 252,
    AT_SFORM = 254,
    AT_QUATERNION = 256,
    AT_QOFFSET = 268,
    AT_SROW = 280,
    AT_MAGIC = 344
};

struct header {
    unsigned char bytes[HEADER];
    bool big_endian;
};

static uint32_t get_bits(const struct header *h, size_t at, size_t size)
{
    uint32_t bits = 0;
    for (size_t i = 0; i < size; i++) {
        bits = bits << 8 | h->bytes[at + (h->big_endian ? i : size - 1 - i)];
    }
    return bits;
}

static int16_t get_i16(const struct header *h, size_t at)
{
    return (int16_t)get_bits(h, at, 2);
}

static double get_f32(const struct header *h, size_t at)
{
    const uint32_t bits = get_bits(h, at, 4);
    float value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

static int find_type(enum voxels_type *ret_type, int16_t datatype, struct sctd_error *err)
{
    static const struct {
        int16_t datatype;
        enum voxels_type type;
    } types[] = {{2, VOXELS_U8},   {4, VOXELS_I16},  {8, VOXELS_I32},   {16, VOXELS_F32},
                 {64, VOXELS_F64}, {256, VOXELS_I8}, {512, VOXELS_U16}, {768, VOXELS_U32}};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (types[i].datatype == datatype) {
            *ret_type = types[i].type;
            return 0;
        }
    }
    return sctd_error(err, SCTD_EDATA,
                      "NIfTI datatype %d is not read: integers of up to 32 bits and floats are",
                      datatype);
}

static void use_sform(struct volume_grid *grid, const struct header *h)
{
    for (size_t x = 0; x < 3; x++) {
        for (size_t a = 0; a < 3; a++) {
            grid->axis[a][x] = get_f32(h, AT_SROW + 16 * x + 4 * a);
        }
        grid->origin[x] = get_f32(h, AT_SROW + 16 * x + 12);
    }
}

static void use_qform(struct volume_grid *grid, const struct header *h)
{
    const double b = get_f32(h, AT_QUATERNION);
    const double c = get_f32(h, AT_QUATERNION + 4);
    const double d = get_f32(h, AT_QUATERNION + 8);
    const double a = sqrt(fmax(0.0, 1.0 - b * b - c * c - d * d));
    const double rotation[3][3] = {
        {a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)},
        {2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)},
        {2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c}};
    const double turn = get_f32(h, AT_PIXDIM) < 0.0 ? -1.0 : 1.0;
    for (size_t x = 0; x < 3; x++) {
        for (size_t axis = 0; axis < 3; axis++) {
            const double step = get_f32(h, AT_PIXDIM + 4 * (axis + 1));
            grid->axis[axis][x] = rotation[x][axis] * step * (axis == 2 ? turn : 1.0);
        }
        grid->origin[x] = get_f32(h, AT_QOFFSET + 4 * x);
    }
}

static int read_grid(struct volume_grid *ret_grid, const struct header *h, struct sctd_error *err)
{
    const int16_t n_dims = get_i16(h, AT_DIM);
    struct volume_grid grid = {.dim = {1, 1, 1}};
    if (n_dims < 3 || n_dims > 7) {
        return sctd_error(err, SCTD_EDATA, "a NIfTI image of %d dimensions: 3 are needed", n_dims);
    }
    for (int a = 0; a < n_dims; a++) {
        const int16_t dim = get_i16(h, AT_DIM + 2 * ((size_t)a + 1));
        if (a >= 3 && dim > 1) {
            return sctd_error(err, SCTD_EDATA, "a NIfTI image of several volumes");
        }
        if (a < 3) {
            grid.dim[a] = dim;
        }
    }
    const unsigned space = h->bytes[AT_UNITS] & 7U;
    if (space != 0 && space != 2) {
        return sctd_error(err, SCTD_EDATA, "a NIfTI image whose unit of length is not mm");
    }
    if (get_i16(h, AT_SFORM) > 0) {
        use_sform(&grid, h);
    } else if (get_i16(h, AT_QFORM) > 0) {
        use_qform(&grid, h);
    } else {
        return sctd_error(err, SCTD_EDATA,
                          "the NIfTI image has neither sform nor qform: it lies nowhere");
    }
    for (int x = 0; x < 2; x++) {
        grid.origin[x] = -grid.origin[x];
        for (int a = 0; a < 3; a++) {
            grid.axis[a][x] = -grid.axis[a][x];
        }
    }
    *ret_grid = grid;
    return 0;
}

static int read_header(struct header *h, struct volume_grid *ret_grid,
                       struct voxels_format *ret_format, size_t *ret_offset, struct sctd_error *err)
{
    h->big_endian = false;
    if (get_bits(h, AT_SIZE, 4) != HEADER) {
        h->big_endian = true;
    }
    if (get_bits(h, AT_SIZE, 4) != HEADER || memcmp(h->bytes + AT_MAGIC, "n+1", 4) != 0) {
        return sctd_error(err, SCTD_EDATA, "no NIfTI-1 image in a single file (n+1)");
    }
    const double offset = get_f32(h, AT_OFFSET);
    if (!(offset >= FIRST_VOXEL && offset <= 1e8)) {
        return sctd_error(err, SCTD_EDATA, "the voxels begin at byte %g", offset);
    }
    const double slope = get_f32(h, AT_SLOPE);
    const double intercept = get_f32(h, AT_INTERCEPT);
    const bool scaled = fabs(slope) > 0.0;
    *ret_format = (struct voxels_format){.big_endian = h->big_endian,
                                         .slope = scaled ? slope : 1.0,
                                         .intercept = scaled ? intercept : 0.0};
    *ret_offset = (size_t)offset;
    int r = find_type(&ret_format->type, get_i16(h, AT_DATATYPE), err);
    return r < 0 ? r : read_grid(ret_grid, h, err);
}

/* The bytes that the header of a compressed file promises. */
static int unpack(unsigned char **ret_bytes, size_t need, const void *bytes, size_t size,
                  struct sctd_error *err)
{
    if (need / UNPACK_RATIO > size) {
        return sctd_error(err, SCTD_EDATA, "%zu compressed bytes cannot hold %zu", size, need);
    }
    unsigned char *out = malloc(need);
    if (out == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "a NIfTI image of %zu bytes", need);
    }
    int r = unpack_whole(out, need, bytes, size, err);
    if (r < 0) {
        free(out);
        return r;
    }
    *ret_bytes = out;
    return 0;
}

int nifti_parse(struct volume **ret_volume, const void *bytes, size_t size, struct sctd_error *err)
{
    const unsigned char *first = bytes;
    const bool packed = size > 2 && first[0] == 0x1f && first[1] == 0x8b;
    struct header h;
    struct volume_grid grid = {.dim = {0}};
    struct voxels_format format = {.slope = 1.0};
    size_t offset = 0;
    size_t n = 0;
    if (!packed && size < FIRST_VOXEL) {
        return sctd_error(err, SCTD_EDATA, "%zu bytes are no NIfTI image", size);
    }
    int r = 0;
    if (packed) {
        r = unpack_prefix(h.bytes, HEADER, bytes, size, err);
    } else {
        memcpy(h.bytes, bytes, HEADER);
    }
    r = r < 0 ? r : read_header(&h, &grid, &format, &offset, err);
    if (r < 0) {
        return r;
    }
    struct volume_grid checked = grid;
    r = voxels_check_grid(&checked, &n, err);
    if (r < 0) {
        return r;
    }
    const size_t need = offset + n * voxels_type_size(format.type);
    if (!packed) {
        return size < need
                   ? sctd_error(err, SCTD_EDATA, "the file ends at %zu of %zu bytes", size, need)
                   : voxels_decode(ret_volume, &grid, &format, first + offset, size - offset, err);
    }
    unsigned char *unpacked = NULL;
    r = unpack(&unpacked, need, bytes, size, err);
    if (r == 0) {
        r = voxels_decode(ret_volume, &grid, &format, unpacked + offset, need - offset, err);
        free(unpacked);
    }
    return r;
}
