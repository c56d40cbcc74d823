/* SPDX-License-Identifier: Apache-2.0 */
/* The recipe over a volume, batch by batch, with a model of random weights. */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/engine.h"

#include "tests/support/temporary.h"

enum { SLICES = 7, ROWS = 20, COLUMNS = 24, VOXELS = SLICES * ROWS * COLUMNS };

static const int64_t dims[3] = {SLICES, ROWS, COLUMNS};

static bool same_bytes(const void *a, const void *b, size_t size)
{
    return memcmp(a, b, size) == 0;
}

static struct engine *opened(const char *dir, int32_t batch)
{
    struct sctd_error err = {0};
    struct engine *engine = NULL;
    const struct engine_options options = {
        .backend = "ref", .batch = batch, .height = 16, .width = 32};
    assert(engine_open(&engine, dir, &options, &err) == 0);
    return engine;
}

static void fill(float *volume)
{
    for (int i = 0; i < VOXELS; i++) {
        volume[i] = (float)(i * 7919 % 1000);
    }
}

static void batches_do_not_change_the_result(const char *dir)
{
    struct sctd_error err = {0};
    float volume[VOXELS];
    float one[VOXELS];
    float three[VOXELS];
    fill(volume);
    float *const hu[2] = {one, three};
    for (int i = 0; i < 2; i++) {
        sctd_auto(engine_closep) struct engine *engine = opened(dir, i == 0 ? 1 : 3);
        struct engine_volume_result result = {.hu = hu[i]};
        assert(engine_run_volume(engine, volume, dims, NULL, &result, &err) == 0);
    }
    assert(same_bytes(one, three, sizeof one));
}

static void result_may_replace_the_volume(const char *dir)
{
    struct sctd_error err = {0};
    sctd_auto(engine_closep) struct engine *engine = opened(dir, 2);
    float volume[VOXELS];
    float apart[VOXELS];
    fill(volume);
    struct engine_volume_result result = {.hu = apart};
    assert(engine_run_volume(engine, volume, dims, NULL, &result, &err) == 0);
    result.hu = volume;
    assert(engine_run_volume(engine, volume, dims, NULL, &result, &err) == 0);
    assert(same_bytes(volume, apart, sizeof volume));
}

static void hu_may_be_whole_numbers(const char *dir)
{
    struct sctd_error err = {0};
    sctd_auto(engine_closep) struct engine *engine = opened(dir, 2);
    float volume[VOXELS];
    float exact[VOXELS];
    fill(volume);
    struct engine_volume_result result = {.hu = exact};
    const struct engine_volume_options options = {.whole_hu = true};
    assert(engine_run_volume(engine, volume, dims, NULL, &result, &err) == 0);
    result.hu = volume;
    assert(engine_run_volume(engine, volume, dims, &options, &result, &err) == 0);
    bool some = false;
    for (int i = 0; i < VOXELS; i++) {
        assert(fabsf(volume[i] - rintf(exact[i])) <= 0.0F);
        some = some || fabsf(volume[i] - exact[i]) > 0.0F;
    }
    assert(some);
}

static void given_clip_limits_stand_for_those_of_the_volume(const char *dir)
{
    struct sctd_error err = {0};
    sctd_auto(engine_closep) struct engine *engine = opened(dir, 4);
    float volume[VOXELS];
    float own[VOXELS];
    float given[VOXELS];
    double clip[2];
    fill(volume);
    assert(engine_find_clip(engine, clip, volume, VOXELS, &err) == 0);
    struct engine_volume_result result = {.hu = own};
    assert(engine_run_volume(engine, volume, dims, NULL, &result, &err) == 0);
    assert(same_bytes(result.clip, clip, sizeof clip));

    /* a border of zeros moves the percentiles, but not the limits that are given */
    memset(volume, 0, VOXELS / 2 * sizeof *volume);
    struct engine_volume_options options = {.clip = clip};
    struct engine_volume_result other = {.hu = given};
    assert(engine_run_volume(engine, volume, dims, &options, &other, &err) == 0);
    assert(same_bytes(other.clip, clip, sizeof clip));
    const size_t last = (size_t)(SLICES - 1) * ROWS * COLUMNS;
    assert(same_bytes(given + last, own + last, (VOXELS - last) * sizeof *own));
    double moved[2];
    assert(engine_find_clip(engine, moved, volume, VOXELS, &err) == 0);
    assert(moved[0] < clip[0]);

    const double reversed[2] = {5.0, 5.0};
    options.clip = reversed;
    assert(engine_run_volume(engine, volume, dims, &options, &other, &err) == SCTD_EINVAL);
}

struct progress {
    int64_t done[SLICES];
    int calls;
};

static void note(void *arg, int64_t n_done, int64_t n)
{
    struct progress *p = arg;
    assert(n == SLICES && p->calls < SLICES);
    p->done[p->calls++] = n_done;
}

static void each_batch_is_reported(const char *dir)
{
    struct sctd_error err = {0};
    sctd_auto(engine_closep) struct engine *engine = opened(dir, 3);
    float volume[VOXELS];
    fill(volume);
    struct progress progress = {.calls = 0};
    const struct engine_volume_options options = {.on_slices = note, .arg = &progress};
    struct engine_volume_result result = {.hu = volume};
    assert(engine_run_volume(engine, volume, dims, &options, &result, &err) == 0);
    assert(progress.calls == 3);
    assert(progress.done[0] == 3 && progress.done[1] == 6 && progress.done[2] == 7);
}

int main(void)
{
    struct sctd_error err = {0};
    char dir[] = TEMPORARY("sctd-test");
    assert(mkdtemp(dir) != NULL);
    assert(engine_write_synthetic(dir, "tiny", 5, &err) == 0);
    batches_do_not_change_the_result(dir);
    result_may_replace_the_volume(dir);
    hu_may_be_whole_numbers(dir);
    given_clip_limits_stand_for_those_of_the_volume(dir);
    each_batch_is_reported(dir);
    sctd_dir_remove(dir);
    return 0;
}
