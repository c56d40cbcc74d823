/*
 * view.h - what can be asked of a source series and its sCT when they are looked at, and what is answered.
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    VIEW_SIZE_MAX = 2048,    /* pixels of a picture's side */
    VIEW_PNG_MAX = 16 << 20, /* bytes of one: more than its pixels are */
    VIEW_BINS_MAX = 512,
    VIEW_MIDDLE = -1, /* instead of a slice */
    VIEW_REASON_SIZE = 241,
    VIEW_MODALITY_SIZE = 17,
};

/* Of a window's centre and width, which is not below 1 / VIEW_LIMIT. */
#define VIEW_LIMIT 1e9

/*
 * The planes as radiologists see them: the patient's right on the left, the front on top or to the left, the
 * head on top.  Slices count along the patient's axes from 0: axial ones from the feet to the head, coronal
 * ones from the front to the back, sagittal ones from the right to the left.
 */
enum view_plane { VIEW_AXIAL, VIEW_CORONAL, VIEW_SAGITTAL, VIEW_PLANES };
enum view_image {
    VIEW_SOURCE,
    VIEW_SCT,
    VIEW_OVERLAY, /* the outline of the body in the sCT, drawn on the source; the one with colours */
    VIEW_IMAGES,
    VIEW_VOLUMES = VIEW_OVERLAY,
};
/* "axial" ..., "source", "sct", "overlay"; never NULL. */
const char *view_plane_name(enum view_plane plane);
const char *view_image_name(enum view_image image);

enum view_kind { VIEW_PICTURE, VIEW_FACTS, VIEW_HISTOGRAM, VIEW_KINDS };

/* What is asked for: a slice with square pixels as a PNG of 8 bits. */
struct view_request {
    int32_t kind;         /* enum view_kind; FACTS needs nothing else */
    int32_t image, plane; /* PICTURE: enum view_image, enum view_plane */
    int32_t slice;        /* PICTURE: from 0; VIEW_MIDDLE */
    /* PICTURE: grey is centre - width / 2 (black) ... centre + width / 2 (white), linearly; not above 0: the default
     * window of that image, as struct view_image_facts names it. */
    double centre, width;
    int32_t max_width,
        max_height; /* PICTURE: 1 ... VIEW_SIZE_MAX; 0: VIEW_SIZE_MAX; never enlarged */
    int32_t bins;   /* HISTOGRAM: 1 ... VIEW_BINS_MAX */
};

struct view_image_facts {
    bool is_there;
    char reason[VIEW_REASON_SIZE]; /* why not; no patient data */
    bool is_hu;                    /* else intensities without a unit */
    double low, high;              /* the least and the greatest value */
    /* The default window: 40 / 400 for HU, else from the 1st to the 99th percentile of the volume. */
    double centre, width;
};

struct view_plane_facts {
    int32_t slices;
    double slice_mm;       /* from one to the next */
    int32_t width, height; /* pixels of its pictures where nothing limits them */
    double pixel_mm;
};

/* All images of a subject are shown on one grid: slice k is the same place in each. */
struct view_facts {
    char modality[VIEW_MODALITY_SIZE]; /* of the source: "MR", "CT"; "": it is not there */
    struct view_image_facts image[VIEW_VOLUMES]; /* VIEW_SOURCE, VIEW_SCT */
    struct view_plane_facts plane[VIEW_PLANES];
    double tilt_degrees; /* of the grid that was acquired, against the patient's axes */
    bool is_resampled;   /* it was tilted so much that what is shown is interpolated */
};

struct view_histogram {
    int32_t bins;
    /* Of each volume: bin i counts values from low + i * (high - low) / bins on, up to the next, and the last bin high
     * too; NAN: that volume is not there.  HU: -1024 ... 3072, else all values. */
    double low[VIEW_VOLUMES], high[VIEW_VOLUMES];
    int64_t below[VIEW_VOLUMES], above[VIEW_VOLUMES];
    int64_t count[VIEW_VOLUMES][VIEW_BINS_MAX];
};

/* Errors: SCTD_EINVAL, naming the value and what is possible. */
SCTD_NODISCARD int view_request_check(const struct view_request *request, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
