/*
 * view_messages.h - what the parent and a viewer say to each other (frame.h).
 *
 *     viewer: ready      it has started and waits for a subject
 *     parent: subject    what it is to show, once; with the list of files as a file (worker_list.h)
 *     viewer: loaded     it has read them: what can be shown and what cannot
 *     parent: ask        one at a time
 *     viewer: picture    a PNG, as a sealed file in memory
 *             histogram  the counts, as a sealed file in memory
 *             no         why there is none
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/json.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    VIEW_SIZE_MAX = 2048, /* pixels of a picture's side */
    VIEW_BINS_MAX = 512,
    VIEW_MIDDLE = -1, /* instead of a slice */
    VIEW_REASON_SIZE = 241,
    VIEW_MODALITY_SIZE = 17,
    VIEW_PARAMETERS_SIZE = 2049,
};

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

struct view_subject_message {
    char spool[SCTD_PATH_MAX], results[SCTD_PATH_MAX];
    char parameters[VIEW_PARAMETERS_SIZE]; /* of the job (parameters.h); "": none */
    int32_t memory_mib;                    /* address space; 0: no limit */
};

struct view_picture {
    int32_t width, height;
    int64_t size; /* bytes of the PNG */
};

struct view_no {
    bool is_absent; /* there is no such slice or image; else what was found does not allow it */
    char reason[VIEW_REASON_SIZE];
};

enum view_type {
    VIEW_TYPE_READY,
    VIEW_TYPE_SUBJECT,
    VIEW_TYPE_LOADED,
    VIEW_TYPE_ASK,
    VIEW_TYPE_PICTURE,
    VIEW_TYPE_HISTOGRAM,
    VIEW_TYPE_NO
};

struct view_message {
    enum view_type type;
    union { /* as the type says; READY and HISTOGRAM have nothing */
        struct view_subject_message subject;
        struct view_facts loaded;
        struct view_request ask;
        struct view_picture picture;
        struct view_no no;
    };
};

/* Send one; passed_fd and timeout_ms as frame_send.  Errors: as frame_send, SCTD_ENOMEM. */
SCTD_NODISCARD int view_messages_send(int fd, const struct view_message *message, int passed_fd,
                                      int timeout_ms, struct sctd_error *err);
/* Errors: SCTD_EDATA (no such type, a field that is missing, does not fit or is out of its range). */
SCTD_NODISCARD int view_messages_read(struct view_message *ret_message, const struct json *json,
                                      struct sctd_error *err);
/* Errors: SCTD_EINVAL, naming the value and what is possible. */
SCTD_NODISCARD int view_request_check(const struct view_request *request, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
