/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checks of an sCT, without a network: volumes from MetaImage files, the report as JSON, and on standard error what it cost.
 * usage: quality_tool MANIFEST.json CLIP_LOW CLIP_HIGH SOURCE.mha SLICES.mha HU.mha
 */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/parse.h"
#include "engine/base/volume.h"
#include "engine/engine.h"

static void check(int r, const struct sctd_error *err)
{
    if (r != 0) {
        (void)fprintf(stderr, "quality_tool: %d %s\n", r, err->text);
    }
    assert(r == 0);
}

static struct volume *read_volume(const char *path)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct sctd_map map = {NULL, 0};
    struct metaimage image;
    struct volume *volume = NULL;
    check(sctd_map_open(&map, path, &err), &err);
    check(metaimage_parse(&image, map.data, map.size, &err), &err);
    check(metaimage_decode(&volume, &image, (const char *)map.data + image.header_size,
                           map.size - image.header_size, &err),
          &err);
    sctd_map_close(&map);
    return volume;
}

/* Of the processor: whatever else runs on the machine. */
static double seconds(void)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

int main(int argc, char **argv)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct manifest manifest;
    double clip[2] = {0};
    assert(argc == 7);
    check(manifest_read(&manifest, argv[1], &err), &err);
    check(sctd_parse_f64(&clip[0], argv[2], &err), &err);
    check(sctd_parse_f64(&clip[1], argv[3], &err), &err);
    sctd_auto(volume_freep) struct volume *source = read_volume(argv[4]);
    sctd_auto(volume_freep) struct volume *slices = read_volume(argv[5]);
    sctd_auto(volume_freep) struct volume *hu = read_volume(argv[6]);

    sctd_auto(quality_freep) struct quality *quality = NULL;
    struct quality_report report;
    const double begin = seconds();
    check(quality_new(&quality, &manifest, &err), &err);
    check(quality_take_source(quality, source, clip, &err), &err);
    const double source_taken = seconds();
    check(quality_take_slices(quality, slices, &err), &err);
    const double slices_taken = seconds();
    check(quality_judge(&report, quality, hu, &err), &err);
    const double end = seconds();

    sctd_auto(sctd_buf_fini) struct sctd_buf text = sctd_buf_make(QUALITY_JSON_MAX);
    check(quality_report_write(&text, &report, &err), &err);
    (void)fprintf(stdout, "%s\n", sctd_buf_get_text(&text));
    (void)fprintf(stderr, "source %.3f s, slices %.3f s, judgement %.3f s\n", source_taken - begin,
                  slices_taken - source_taken, end - slices_taken);
    return 0;
}
