/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/volume.h"
#include "engine/image/metaimage.h"

static struct sctd_error err;

static const char sound[] = "ObjectType = Image\nNDims = 3\nBinaryData = True\n"
                            "BinaryDataByteOrderMSB = True\nCompressedData = False\n"
                            "TransformMatrix = 0 1 0 -1 0 0 0 0 1\nOffset = 1.5 -2 3\n"
                            "ElementSpacing = 2 3 4\nDimSize = 2 1 2\nElementType = MET_SHORT\n"
                            "ElementDataFile = LOCAL\n";

static int read_all(struct volume **ret_volume, const void *bytes, size_t size)
{
    struct metaimage image;
    int r = metaimage_parse(&image, bytes, size, &err);
    return r < 0 ? r
                 : metaimage_decode(ret_volume, &image,
                                    (const unsigned char *)bytes + image.header_size,
                                    size - image.header_size, &err);
}

static void refused(const char *text, const char *why)
{
    struct volume *volume = NULL;
    assert(read_all(&volume, text, strlen(text)) == SCTD_EDATA && volume == NULL);
    if (strstr(err.text, why) == NULL) {
        (void)fprintf(stderr, "\"%s\" lacks \"%s\"\n", err.text, why);
        assert(0);
    }
}

static void header_and_voxels_become_a_volume(void)
{
    static const unsigned char voxels[] = {0xff, 0xff, 0x01, 0x00, 0x00, 0x07, 0x80, 0x00};
    unsigned char file[sizeof sound - 1 + sizeof voxels];
    struct volume *v = NULL;
    memcpy(file, sound, sizeof sound - 1);
    memcpy(file + sizeof sound - 1, voxels, sizeof voxels);
    assert(read_all(&v, file, sizeof file) == 0);
    assert(fabs(v->grid.axis[0][1] - 1.0) < 1e-9 && fabs(v->grid.axis[1][0] + 1.0) < 1e-9);
    assert(fabs(v->grid.step[2] - 4.0) < 1e-9 && fabs(v->grid.origin[1] + 2.0) < 1e-9);
    assert(fabsf(v->voxel[0] + 1.0F) < 1e-6F && fabsf(v->voxel[1] - 256.0F) < 1e-6F);
    assert(fabsf(v->voxel[3] + 32768.0F) < 1e-6F);
    volume_free(v);
    for (size_t cut = 0; cut < sizeof file; cut++) {
        assert(read_all(&v, file, cut) == SCTD_EDATA);
    }
}

static void what_is_no_sound_header_is_refused(void)
{
    refused("", "line 1");
    refused("NDims = 2\n", "NDims: only 3");
    refused("NDims = 3\nElementDataFile = LOCAL\n", "lacks DimSize");
    refused("DimSize = 2 2\n", "3 numbers");
    refused("DimSize = 2 2 2 2\n", "3 numbers");
    refused("DimSize = 2 2 nan\n", "3 numbers");
    refused("DimSize = 2 2 99999\n", "are possible");
    refused("ElementType = MET_LONG_LONG\n", "32 bits");
    refused("ElementNumberOfChannels = 3\n", "only 1");
    refused("BinaryData = False\n", "only True");
    refused("HeaderSize = 12\n", "HeaderSize is not known");
    refused("CompressedData = Yes\n", "True or False");
    refused("no line\n", "no line of a MetaImage");
    refused("ElementDataFile = ../secret.raw\n", "one file beside it");
    refused("ElementDataFile = /etc/passwd\n", "one file beside it");
    refused("ElementDataFile = LIST\n", "one file beside it");
    refused("ElementDataFile = image%03d.raw\n", "one file beside it");
    refused("NDims = 3\nDimSize = 4096 4096 4096\nElementType = MET_UCHAR\n"
            "ElementDataFile = LOCAL\n",
            "at most");
    refused("NDims = 3\nDimSize = 512 512 512\nElementType = MET_DOUBLE\nCompressedData = True\n"
            "ElementDataFile = LOCAL\nxyz",
            "cannot hold");
    refused("NDims = 3\nDimSize = 2 2 2\nElementType = MET_UCHAR\nElementSpacing = 1 0 1\n"
            "ElementDataFile = LOCAL\n12345678",
            "spacing");
    refused("NDims = 3\nDimSize = 2 2 2\nElementType = MET_UCHAR\nCompressedData = True\n"
            "ElementDataFile = LOCAL\n12345678",
            "damaged");
}

int main(void)
{
    header_and_voxels_become_a_volume();
    what_is_no_sound_header_is_refused();
    return 0;
}
