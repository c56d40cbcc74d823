/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "engine/base/error.h"
#include "engine/base/volume.h"
#include "engine/image/nifti.h"

enum { VOXELS = 2 * 3 * 4, SIZE = 352 + 2 * VOXELS };

static struct sctd_error err;

static void put16(unsigned char *at, int value)
{
    at[0] = (unsigned char)(value & 255);
    at[1] = (unsigned char)(value >> 8 & 255);
}

static void put_float(unsigned char *at, float value)
{
    memcpy(at, &value, sizeof value);
}

/* 2 x 3 x 4 voxels of 16 bits, 1.5 x 2 x 3 mm, the first at 10 -20 30 of NIfTI's axes. */
static void make(unsigned char *file)
{
    memset(file, 0, SIZE);
    put16(file, 348);
    static const int dim[] = {3, 2, 3, 4, 1, 1, 1, 1};
    for (size_t i = 0; i < 8; i++) {
        put16(file + 40 + 2 * i, dim[i]);
    }
    put16(file + 70, 4);
    put_float(file + 108, 352.0F);
    put_float(file + 112, 2.0F);
    put_float(file + 116, -1024.0F);
    file[123] = 2;
    put16(file + 254, 1);
    static const float row[3][4] = {{1.5F, 0, 0, 10}, {0, 2, 0, -20}, {0, 0, 3, 30}};
    for (size_t i = 0; i < 12; i++) {
        put_float(file + 280 + 4 * i, row[i / 4][i % 4]);
    }
    memcpy(file + 344, "n+1", 4);
    for (size_t i = 0; i < VOXELS; i++) {
        put16(file + 352 + 2 * i, (int)i);
    }
}

static void refused(const unsigned char *file, size_t size, const char *why)
{
    struct volume *volume = NULL;
    assert(nifti_parse(&volume, file, size, &err) == SCTD_EDATA && volume == NULL);
    assert(strstr(err.text, why) != NULL);
}

static void values_are_scaled_and_positions_become_lps(void)
{
    unsigned char file[SIZE];
    struct volume *v = NULL;
    make(file);
    assert(nifti_parse(&v, file, SIZE, &err) == 0);
    assert(v->grid.dim[0] == 2 && v->grid.dim[1] == 3 && v->grid.dim[2] == 4);
    assert(fabs(v->grid.step[0] - 1.5) < 1e-9 && fabs(v->grid.axis[0][0] + 1.0) < 1e-9);
    assert(fabs(v->grid.axis[1][1] + 1.0) < 1e-9 && fabs(v->grid.axis[2][2] - 1.0) < 1e-9);
    assert(fabs(v->grid.origin[0] + 10.0) < 1e-9 && fabs(v->grid.origin[1] - 20.0) < 1e-9);
    assert(fabs(v->grid.origin[2] - 30.0) < 1e-9);
    assert(fabsf(v->voxel[5] - (2.0F * 5 - 1024)) < 1e-6F);
    volume_free(v);
}

static void compressed_files_hold_the_same(void)
{
    unsigned char file[SIZE];
    unsigned char packed[SIZE * 2];
    struct volume *v = NULL;
    make(file);
    z_stream z = {
        .next_in = file, .avail_in = SIZE, .next_out = packed, .avail_out = sizeof packed};
    assert(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    assert(deflate(&z, Z_FINISH) == Z_STREAM_END);
    const size_t size = z.total_out;
    (void)deflateEnd(&z);
    assert(nifti_parse(&v, packed, size, &err) == 0 && fabsf(v->voxel[23] + 978.0F) < 1e-6F);
    volume_free(v);
    for (size_t cut = 0; cut < size; cut++) {
        refused(packed, cut, "");
    }
    packed[size - 8] ^= 1; /* the checksum */
    refused(packed, size, "is damaged");
}

static void what_is_no_sound_image_is_refused(void)
{
    unsigned char file[SIZE];
    make(file);
    refused(file, SIZE - 1, "ends at");
    refused(file, 100, "no NIfTI");
    refused(file, 0, "no NIfTI");
    make(file);
    put16(file + 42, 32767);
    refused(file, SIZE, "voxels on axis");
    make(file);
    put16(file + 42, 4096);
    put16(file + 44, 4096);
    put16(file + 46, 4096);
    refused(file, SIZE, "are possible");
    make(file);
    put16(file + 42, -5);
    refused(file, SIZE, "voxels on axis");
    make(file);
    put16(file + 48, 2);
    put16(file + 40, 4);
    refused(file, SIZE, "several volumes");
    make(file);
    put16(file + 254, 0);
    refused(file, SIZE, "lies nowhere");
    make(file);
    put_float(file + 284, 1.0F);
    refused(file, SIZE, "right angles");
    make(file);
    put_float(file + 280, NAN);
    refused(file, SIZE, "spacing");
    make(file);
    put_float(file + 292, INFINITY);
    refused(file, SIZE, "origin");
    make(file);
    put_float(file + 108, 1e30F);
    refused(file, SIZE, "begin at");
    make(file);
    put_float(file + 112, INFINITY);
    refused(file, SIZE, "not finite");
    make(file);
    put16(file + 70, 128);
    refused(file, SIZE, "datatype 128");
    make(file);
    file[123] = 3;
    refused(file, SIZE, "not mm");
    make(file);
    file[345] = 'i';
    refused(file, SIZE, "single file");
}

int main(void)
{
    values_are_scaled_and_positions_become_lps();
    compressed_files_hold_the_same();
    what_is_no_sound_image_is_refused();
    return 0;
}
