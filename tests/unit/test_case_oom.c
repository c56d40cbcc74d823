/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "server/evaluate/case.h"
#include "server/evaluate/report.h"
#include "server/evaluate/table.h"

#include "tests/support/temporary.h"
#include "tests/support/torture.h"

enum { SIDE = 20, SLICES = 8, VOXELS = SIDE * SIDE * SLICES, PATH = 256, IMAGES = 4 };

struct pair {
    const char *folder;
    char path[IMAGES][PATH];
};

/* A MetaImage with a block in it. */
static void write_image(const char *path, int at, float inside, float outside)
{
    FILE *f = fopen(path, "we");
    assert(f != NULL);
    (void)fprintf(f,
                  "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = "
                  "False\nElementSpacing = 2 2 3\nDimSize = %d %d %d\nElementType = MET_FLOAT\n"
                  "ElementDataFile = LOCAL\n",
                  SIDE, SIDE, SLICES);
    for (int i = 0; i < VOXELS; i++) {
        const int x = i % SIDE;
        const int y = i / SIDE % SIDE;
        const float value = x >= at && x < 16 && y >= 4 && y < 16 ? inside : outside;
        assert(fwrite(&value, sizeof value, 1, f) == 1);
    }
    assert(fclose(f) == 0);
}

static struct evaluate_row row;

/* A case with labels. */
static int evaluate(void *arg)
{
    const struct pair *pair = arg;
    struct sctd_error err = {.code = SCTD_OK};
    const struct evaluate_files files = {.reference = pair->path[0],
                                         .synthetic = pair->path[1],
                                         .reference_labels = pair->path[2],
                                         .synthetic_labels = pair->path[3]};
    const struct evaluate_options options = {.pictures = false};
    evaluate_case_fini(&row.c);
    row = (struct evaluate_row){.error = {.code = SCTD_OK}};
    const int r = evaluate_case_run(&row.c, "case", &files, &options, &err);
    assert(r == 0 ? row.c.n_labels == 1 : r == SCTD_ENOMEM);
    return r;
}

static int report(void *arg)
{
    const struct pair *pair = arg;
    struct sctd_error err = {.code = SCTD_OK};
    const int r = evaluate_report_write(pair->folder, &row, 1, &err);
    assert(r == 0 || r == SCTD_ENOMEM);
    return r;
}

int main(void)
{
    static const char *const made[] = {"report.html", "cases.csv", "cases.json"};
    static char folder[] = TEMPORARY("case");
    static struct pair pair = {.folder = folder};
    assert(mkdtemp(folder) != NULL);
    for (int i = 0; i < IMAGES; i++) {
        (void)snprintf(pair.path[i], PATH, "%.200s/%d.mha", pair.folder, i);
        const float inside = i < 2 ? 30.0F : 1.0F;
        write_image(pair.path[i], i % 2 == 0 ? 4 : 5, inside, i < 2 ? -1000.0F : 0.0F);
    }
    assert(torture_run(evaluate, &pair) > 40);
    assert(torture_run(report, &pair) >= 3);
    evaluate_case_fini(&row.c);
    for (int i = 0; i < IMAGES; i++) {
        assert(unlink(pair.path[i]) == 0);
    }
    for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
        char path[PATH];
        (void)snprintf(path, sizeof path, "%.200s/%s", pair.folder, made[i]);
        assert(unlink(path) == 0);
    }
    assert(rmdir(folder) == 0);
    return 0;
}
