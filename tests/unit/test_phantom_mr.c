/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "engine/base/error.h"
#include "engine/base/volume.h"
#include "engine/image/phantom.h"
#include "engine/image/phantom_anatomy.h"
#include "engine/image/phantom_image.h"

/* A volume of one signal, as the scanner of a seed shows it. */
static struct volume *shown(uint64_t seed, float signal, int32_t matrix, int32_t slices)
{
    struct sctd_error err = {0};
    struct volume_grid grid;
    struct volume *image = NULL;
    struct phantom_anatomy *anatomy = malloc(sizeof *anatomy);
    assert(anatomy != NULL);
    phantom_anatomy_init(anatomy, seed);
    phantom_make_grid(&grid, PHANTOM_AXIAL, matrix, slices,
                      (const double[]){400.0 / matrix, 400.0 / matrix, 4.0});
    assert(volume_new(&image, &grid, &err) == 0);
    for (size_t i = 0; i < (size_t)matrix * (size_t)matrix * (size_t)slices; i++) {
        image->voxel[i] = signal;
    }
    phantom_mr_finish(anatomy, image);
    free(anatomy);
    return image;
}

static void moments(const float *value, size_t n, double *ret_mean, double *ret_deviation)
{
    double sum = 0.0;
    double squares = 0.0;
    for (size_t i = 0; i < n; i++) {
        sum += (double)value[i];
        squares += (double)value[i] * (double)value[i];
    }
    *ret_mean = sum / (double)n;
    *ret_deviation = sqrt(squares / (double)n - *ret_mean * *ret_mean);
}

/* Without signal, Rician noise is Rayleigh's: deviation over mean is sqrt(4 / pi - 1). */
static void noise_is_rician(void)
{
    for (uint64_t seed = 0; seed < 6; seed++) {
        struct volume *dark = shown(seed, 0.0F, 100, 3);
        double mean = 0.0;
        double deviation = 0.0;
        moments(dark->voxel, 30000, &mean, &deviation);
        assert(mean > 4.0);
        assert(fabs(deviation / mean - sqrt(4.0 / acos(-1.0) - 1.0)) < 0.02);
        /* neighbours know nothing of each other */
        double product = 0.0;
        for (size_t i = 0; i + 1 < 30000; i++) {
            product += ((double)dark->voxel[i] - mean) * ((double)dark->voxel[i + 1] - mean);
        }
        assert(fabs(product / 30000.0 / (deviation * deviation)) < 0.03);

        /* with much signal it is normal, with the deviation of the two parts */
        struct volume *bright = shown(seed, 1.0F, 100, 3);
        double steps = 0.0; /* between neighbours, which the bias hardly changes */
        for (size_t i = 0; i + 1 < 30000; i += 2) {
            const double step = (double)bright->voxel[i] - (double)bright->voxel[i + 1];
            steps += step * step / 15000.0;
        }
        assert(fabs(sqrt(steps / 2.0) / (mean / sqrt(acos(-1.0) / 2.0)) - 1.0) < 0.1);
        volume_free(dark);
        volume_free(bright);
    }
}

enum { BIAS_MATRIX = 80 };

/* Mean of an 8 x 8 block. */
static double block_mean(const struct volume *image, size_t i, size_t j)
{
    double sum = 0.0;
    for (size_t m = 0; m < 64; m++) {
        sum += (double)image->voxel[(8 * j + m / 8) * BIAS_MATRIX + 8 * i + m % 8] / 64.0;
    }
    return sum;
}

static void bias_is_smooth_and_scale_varies(void)
{
    double least = 1e9;
    double most = 0.0;
    for (uint64_t seed = 0; seed < 12; seed++) {
        struct volume *image = shown(seed, 1.0F, BIAS_MATRIX, 1);
        double low = 1e9;
        double high = 0.0;
        for (size_t n = 0; n < 64; n++) {
            const double mean = block_mean(image, 1 + n % 8, 1 + n / 8);
            low = fmin(low, mean);
            high = fmax(high, mean);
        }
        assert(high / low > 1.05 && high / low < 3.0);
        assert(high < 4095.0);
        least = fmin(least, low);
        most = fmax(most, low);
        volume_free(image);
    }
    assert(most > 1.5 * least);
}

int main(void)
{
    noise_is_rician();
    bias_is_smooth_and_scale_varies();
    return 0;
}
