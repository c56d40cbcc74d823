/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/rng.h"
#include "engine/base/volume.h"
#include "engine/image/phantom_anatomy.h"
#include "engine/image/phantom_image.h"
#include "engine/image/phantom_noise.h"
#include "engine/image/phantom_shape.h"

struct cbct {
    float centre[2];                        /* of rotation, x and y, mm */
    float view_mm;                          /* radius of the field of view */
    float fill;                             /* HU outside of it */
    float contrast, shift;                  /* HU come out as contrast * HU + shift */
    float cupping, scatter, streaks, noise; /* HU */
    float ring_mm;                          /* between rings; 0: none */
    float blur;                             /* weight of each neighbour */
};

static float between(struct sctd_rng *rng, float low, float high)
{
    return low + sctd_rng_uniform(rng) * (high - low);
}

static void make(struct cbct *ret_cbct, uint64_t seed)
{
    struct sctd_rng rng = {.state = seed ^ 0x43424354U};
    struct cbct c = {
        .centre = {between(&rng, -8.0F, 8.0F), between(&rng, -8.0F, 8.0F)},
        .view_mm = between(&rng, 205.0F, 232.0F),
        .fill = sctd_rng_uniform(&rng) < 0.5F ? -1000.0F : -1024.0F,
        .contrast = between(&rng, 0.8F, 0.95F),
        .shift = between(&rng, -60.0F, 30.0F),
        .cupping = between(&rng, 30.0F, 110.0F),
        .scatter = between(&rng, 15.0F, 45.0F),
        .streaks = between(&rng, 1.3F, 2.8F),
        .noise = between(&rng, 22.0F, 48.0F),
        .blur = between(&rng, 0.1F, 0.3F),
    };
    if (sctd_rng_uniform(&rng) < 0.35F) {
        c.ring_mm = between(&rng, 9.0F, 16.0F);
    }
    *ret_cbct = c;
}

void phantom_cbct_get_view(const struct phantom_anatomy *anatomy, float *ret_fill,
                           float *ret_radius_mm)
{
    struct cbct cbct;
    make(&cbct, anatomy->seed);
    *ret_fill = cbct.fill;
    *ret_radius_mm = cbct.view_mm;
}

/* Rays that leave bone and gas, alternating with the direction. */
static float streaks_from(const struct phantom_noise *noise, const struct phantom_source *source,
                          const float at[3])
{
    const float z = (at[2] - source->at[2]) / (source->reach_mm + 6.0F);
    const float weight = 1.0F - z * z;
    if (weight <= 0.0F) {
        return 0.0F;
    }
    const float x = at[0] - source->at[0];
    const float y = at[1] - source->at[1];
    const float r = sqrtf(x * x + y * y) + 1e-3F;
    const float rays = phantom_noise_at(noise, 9.0F * x / r, 9.0F * y / r, at[2] / 5.0F);
    const float strength = fabsf(source->strength) * (source->strength < 0.0F ? 2.2F : 1.6F);
    return weight * weight * strength * rays * r / (r + 14.0F) * expf(-r / 110.0F);
}

/* Beam hardening: dark between two bones at one height, along the line that joins them. */
static float dark_between(const struct phantom_source *a, const struct phantom_source *b,
                          const float at[3])
{
    const float z = (at[2] - 0.5F * (a->at[2] + b->at[2])) / (a->reach_mm + 4.0F);
    const float weight = 1.0F - z * z;
    if (weight <= 0.0F) {
        return 0.0F;
    }
    const float along[2] = {b->at[0] - a->at[0], b->at[1] - a->at[1]};
    const float length = sqrtf(along[0] * along[0] + along[1] * along[1]);
    const float from[2] = {at[0] - a->at[0], at[1] - a->at[1]};
    const float t = (from[0] * along[0] + from[1] * along[1]) / (length * length);
    const float across = (from[0] * along[1] - from[1] * along[0]) / length;
    const float inside = phantom_clamp(4.0F * t * (1.0F - t), 0.0F, 1.0F);
    return -1.8F * a->strength * weight * inside * expf(-across * across / (17.0F * 17.0F));
}

static float streaks_at(const struct phantom_anatomy *anatomy, const float at[3])
{
    float sum = 0.0F;
    for (int32_t i = 0; i < anatomy->n_sources; i++) {
        sum += streaks_from(&anatomy->noise, &anatomy->source[i], at);
    }
    /* the first four are the hip joints and the ischia, in pairs */
    for (int32_t i = 0; i < 4; i += 2) {
        sum += dark_between(&anatomy->source[i], &anatomy->source[i + 1], at);
    }
    return sum;
}

/* What the scanner makes of `hu` at `at`; noise is added later. */
static float shown(const struct phantom_anatomy *anatomy, const struct cbct *c, const float at[3],
                   float hu)
{
    const float x = at[0] - c->centre[0];
    const float y = at[1] - c->centre[1];
    const float r = (x * x + y * y) / (175.0F * 175.0F);
    const float cup = 1.0F / (1.0F + r * r + 0.8F * r);
    const float cloud =
        phantom_noise_at(&anatomy->noise, at[0] / 75.0F + 11.0F, at[1] / 75.0F, at[2] / 75.0F);
    float error = c->shift - c->cupping * (cup - 0.45F) + c->scatter * cloud;
    error += c->streaks * streaks_at(anatomy, at);
    if (c->ring_mm > 0.0F) {
        const float rings =
            phantom_noise_at(&anatomy->noise, sqrtf(x * x + y * y) / c->ring_mm * 4.0F, 5.0F, 9.0F);
        error += 14.0F * rings;
    }
    /* air is far less wrong than tissue, and gas within the body looks denser than it is */
    const float matter = phantom_clamp((hu + 1000.0F) / 850.0F, 0.0F, 1.0F);
    const float scattered = 70.0F * cup * (1.0F - matter);
    return c->contrast * hu - (1.0F - c->contrast) * 1000.0F * (1.0F - matter) +
           (0.15F + 0.85F * matter) * error + scattered;
}

/* n values, `step` apart, by (blur, 1 - 2 blur, blur); the ends stay.  line: room for n. */
static void smooth_line(float *at, size_t n, size_t step, float blur, float *line)
{
    for (size_t i = 0; i < n; i++) {
        line[i] = at[i * step];
    }
    for (size_t i = 1; i + 1 < n; i++) {
        at[i * step] = line[i] + blur * (line[i - 1] - 2.0F * line[i] + line[i + 1]);
    }
}

static void smooth(float *slice, const int32_t dim[3], float blur, float *line)
{
    const size_t columns = (size_t)dim[0];
    const size_t rows = (size_t)dim[1];
    for (size_t j = 0; j < rows; j++) {
        smooth_line(slice + j * columns, columns, 1, blur, line);
    }
    for (size_t i = 0; i < columns; i++) {
        smooth_line(slice + i, rows, columns, blur, line);
    }
}

static void finish_slice(const struct phantom_anatomy *anatomy, const struct cbct *c,
                         struct volume *image, int32_t k, float *line)
{
    const struct volume_grid *grid = &image->grid;
    const uint64_t first = (uint64_t)k * (uint64_t)grid->dim[1] * (uint64_t)grid->dim[0];
    float *slice = image->voxel + first;
    size_t n = 0;
    for (int32_t j = 0; j < grid->dim[1]; j++) {
        for (int32_t i = 0; i < grid->dim[0]; i++, n++) {
            float at[3];
            phantom_image_place(grid, i, j, k, at);
            const float x = (at[0] - c->centre[0]) / 190.0F;
            const float y = (at[1] - c->centre[1]) / 150.0F;
            const float deep = 1.0F / (1.0F + x * x + y * y);
            const float grain = phantom_noise_of(anatomy->seed + 0xd1342543de82ef95U * (first + n));
            slice[n] = shown(anatomy, c, at, slice[n]) + c->noise * (0.35F + deep) * grain;
        }
    }
    smooth(slice, grid->dim, c->blur, line);
    n = 0;
    for (int32_t j = 0; j < grid->dim[1]; j++) {
        for (int32_t i = 0; i < grid->dim[0]; i++, n++) {
            float at[3];
            phantom_image_place(grid, i, j, k, at);
            const float x = at[0] - c->centre[0];
            const float y = at[1] - c->centre[1];
            slice[n] = x * x + y * y > c->view_mm * c->view_mm
                           ? c->fill
                           : phantom_clamp(slice[n], -1024.0F, 3071.0F);
        }
    }
}

static void free_line(float **line)
{
    free(*line);
}

int phantom_cbct_finish(const struct phantom_anatomy *anatomy, struct volume *image,
                        struct sctd_error *err)
{
    const int32_t *dim = image->grid.dim;
    const size_t longest = (size_t)(dim[0] > dim[1] ? dim[0] : dim[1]);
    sctd_auto(free_line) float *line = calloc(longest, sizeof *line);
    if (line == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "a row of a CBCT");
    }
    struct cbct cbct;
    make(&cbct, anatomy->seed);
    for (int32_t k = 0; k < dim[2]; k++) {
        finish_slice(anatomy, &cbct, image, k, line);
    }
    return 0;
}
