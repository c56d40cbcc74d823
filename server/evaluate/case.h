/*
 * case.h - one sCT against its reference: everything that is measured, or why it is not.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The synthetic image is brought onto the reference's grid (trilinear) where the two differ.  Refused are images
 * of different patients, in different frames of reference, that do not overlap, or that are no HU; the first, the
 * second and the last can be forced.  Voxels of the reference that the synthetic image does not reach count nowhere.
 *
 * Memory: about 30 bytes a voxel of the reference.
 * Thread safety: an object belongs to one thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

enum evaluate_force {
    EVALUATE_FORCE_PATIENT = 1,
    EVALUATE_FORCE_FRAME = 2,
    EVALUATE_FORCE_UNITS = 4,
};

enum { EVALUATE_WORST = 3, EVALUATE_NAME_SIZE = 128 };

struct evaluate_files {
    const char *reference, *synthetic;
    const char *mask;             /* NULL: the body is found in the reference */
    const char *reference_labels; /* NULL: none */
    const char *synthetic_labels;
};

struct evaluate_options {
    unsigned force;      /* of enum evaluate_force */
    bool pictures;       /* of the worst slices */
    struct engine *mldp; /* with mldp_taps as its taps, or NULL */
};

/* A slice, drawn: reference, synthetic, difference. */
struct evaluate_picture {
    int32_t slice; /* from 0 */
    unsigned char *png;
    size_t size;
};

struct evaluate_case {
    char name[EVALUATE_NAME_SIZE];
    int32_t dim[3];
    double step[3];
    bool resampled; /* the synthetic image had another grid */
    bool mask_given;
    double missing_percent; /* of the body, not reached by the synthetic image */
    double body_litres;
    struct image_metrics image[REGIONS];
    struct ssim ssim;
    double histogram_distance[REGIONS];
    struct wepl wepl;
    double mldp;                 /* NAN: not asked for */
    struct label_metrics *label; /* owned */
    size_t n_labels;
    struct hu_histogram histogram[2]; /* of the body: reference, synthetic */
    double *slice_mae;                /* owned; [dim[2]] of the body, NAN where there is none */
    struct evaluate_picture picture[EVALUATE_WORST];
    size_t n_pictures;
    double seconds;
};

void evaluate_case_fini(struct evaluate_case *c);

/* Errors: SCTD_EDATA saying what is wrong with which image, SCTD_EIO, SCTD_ENOMEM, SCTD_EDEVICE. */
SCTD_NODISCARD int evaluate_case_run(struct evaluate_case *ret_case, const char *name,
                                     const struct evaluate_files *files,
                                     const struct evaluate_options *options,
                                     struct sctd_error *err);

#ifdef __cplusplus
}
#endif
