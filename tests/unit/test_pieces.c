/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/rng.h"
#include "engine/image/pieces.h"

enum { SIDE = 12, VOXELS = SIDE * SIDE * SIDE };

static struct sctd_error err;
static const int32_t dim[3] = {SIDE, SIDE, SIDE};

/* By walking, one voxel after the other. */
struct walk {
    uint8_t *mask, from, to;
    size_t waits[VOXELS];
    size_t n;
};

static void reach(struct walk *w, size_t at)
{
    if (w->mask[at] == w->from) {
        w->mask[at] = w->to;
        w->waits[w->n++] = at;
    }
}

static size_t flood(uint8_t *mask, size_t at, uint8_t from, uint8_t to)
{
    static const size_t stride[3] = {1, SIDE, (size_t)SIDE * SIDE};
    static struct walk w;
    w.mask = mask;
    w.from = from;
    w.to = to;
    w.n = 0;
    reach(&w, at);
    for (size_t done = 0; done < w.n; done++) {
        const size_t here = w.waits[done];
        for (int a = 0; a < 3; a++) {
            const size_t index = here / stride[a] % SIDE;
            reach(&w, index > 0 ? here - stride[a] : here);
            reach(&w, index + 1 < SIDE ? here + stride[a] : here);
        }
    }
    return w.n;
}

static size_t keep_largest_by_walking(uint8_t *mask)
{
    size_t most = 0;
    size_t where = 0;
    for (size_t at = 0; at < VOXELS; at++) {
        if (mask[at] == 1) {
            const size_t n = flood(mask, at, 1, 2);
            where = n > most ? at : where;
            most = n > most ? n : most;
        }
    }
    if (most > 0) {
        (void)flood(mask, where, 2, 3);
    }
    for (size_t at = 0; at < VOXELS; at++) {
        mask[at] = mask[at] == 3 ? 1 : 0;
    }
    return most;
}

static void largest_piece_is_the_one_that_walking_finds(void)
{
    struct sctd_rng rng = {7};
    for (int round = 0; round < 40; round++) {
        uint8_t mask[VOXELS];
        uint8_t walked[VOXELS];
        size_t n = 0;
        for (size_t at = 0; at < VOXELS; at++) {
            mask[at] = sctd_rng_uniform(&rng) * 40.0F < (float)round ? 1 : 0;
        }
        memcpy(walked, mask, sizeof walked);
        const size_t most = keep_largest_by_walking(walked);
        assert(pieces_keep_largest(mask, dim, &n, NULL, &err) == 0);
        assert(n == most && memcmp(mask, walked, sizeof mask) == 0);
    }
}

static void of_equal_pieces_the_first_stays(void)
{
    uint8_t mask[VOXELS] = {0};
    size_t n = 0;
    mask[5] = 200;
    mask[9] = 200;
    assert(pieces_keep_largest(mask, dim, &n, NULL, &err) == 0);
    assert(n == 1 && mask[5] == 1 && mask[9] == 0);
}

static void empty_and_full_masks_stay_what_they_are(void)
{
    uint8_t mask[VOXELS] = {0};
    size_t n = 9;
    assert(pieces_keep_largest(mask, dim, &n, NULL, &err) == 0 && n == 0);
    memset(mask, 255, sizeof mask);
    assert(pieces_keep_largest(mask, dim, &n, NULL, &err) == 0 && n == VOXELS);
    for (size_t at = 0; at < VOXELS; at++) {
        assert(mask[at] == 1);
    }
}

/* A spiral of runs that meet only at its end. */
static void runs_that_meet_late_are_one_piece(void)
{
    uint8_t mask[VOXELS] = {0};
    size_t n = 0;
    for (int j = 0; j < SIDE; j += 2) {
        memset(mask + (size_t)j * SIDE, 1, SIDE);
    }
    for (int j = 1; j < SIDE - 1; j++) {
        mask[(size_t)j * SIDE + (j / 2 % 2 == 0 ? SIDE - 1 : 0)] = 1;
    }
    uint8_t walked[VOXELS];
    memcpy(walked, mask, sizeof walked);
    const size_t most = keep_largest_by_walking(walked);
    assert(pieces_keep_largest(mask, dim, &n, NULL, &err) == 0 && n == most);
    assert(n > (size_t)SIDE * SIDE / 2);
}

static void mask_of_too_many_voxels_is_refused(void)
{
    static const int32_t large[3] = {65536, 65536, 1};
    uint8_t mask[1] = {1};
    size_t n = 9;
    assert(pieces_keep_largest(mask, large, &n, NULL, &err) == SCTD_EINVAL);
    assert(mask[0] == 1 && n == 9);
}

int main(void)
{
    largest_piece_is_the_one_that_walking_finds();
    of_equal_pieces_the_first_stays();
    empty_and_full_masks_stay_what_they_are();
    runs_that_meet_late_are_one_piece();
    mask_of_too_many_voxels_is_refused();
    return 0;
}
