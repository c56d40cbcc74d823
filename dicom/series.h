/*
 * series.h - a set of instances becomes one volume with its geometry, or is refused with a reason.
 *
 * First dicom_scan_paths reads the headers and groups them by Series Instance UID, then dicom_series_assemble
 * selects, checks, sorts and decodes one of the series.  Slices are sorted by their position along the
 * normal (PS3.3 C.7.6.2.1.1), never by Instance Number.
 *
 * Thread safety: an object belongs to one thread at a time.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dicom/source.h"
#include "engine/base/error.h"
#include "engine/base/volume.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Why a series is not converted: a stable code for programs, a sentence for people. */
enum dicom_refusal_code {
    DICOM_REFUSAL_MISSING_SLICE,      /* "missing-slice" */
    DICOM_REFUSAL_DUPLICATE_POSITION, /* two slices at one position with different pixels */
    DICOM_REFUSAL_MIXED_ORIENTATION,
    DICOM_REFUSAL_MIXED_SIZE, /* rows, columns or pixel spacing */
    DICOM_REFUSAL_MIXED_FRAME_OF_REFERENCE,
    DICOM_REFUSAL_MIXED_PATIENT, /* patient, study or SOP class differ within the series */
    DICOM_REFUSAL_UNEVEN_SPACING,
    DICOM_REFUSAL_GANTRY_TILT, /* positions do not lie along the normal */
    DICOM_REFUSAL_LOCALISER,
    DICOM_REFUSAL_MOSAIC,
    DICOM_REFUSAL_COLOUR,
    DICOM_REFUSAL_SEVERAL_VOLUMES,  /* echoes, phases, image types ...: a selector must pick one */
    DICOM_REFUSAL_NOTHING_SELECTED, /* the selector matches nothing */
    DICOM_REFUSAL_TOO_FEW_SLICES,
    DICOM_REFUSAL_WRONG_MODALITY,
    DICOM_REFUSAL_UNSUPPORTED_CLASS, /* not an MR or CT image */
    DICOM_REFUSAL_OWN_OBJECT,        /* an sCT of ours is never a source */
    DICOM_REFUSAL_NO_GEOMETRY,       /* position, orientation or spacing missing or impossible */
    DICOM_REFUSAL_TRUNCATED_PIXELS,
    DICOM_REFUSAL_UNDECODABLE_PIXELS,   /* damaged, or a transfer syntax that cannot be read */
    DICOM_REFUSAL_BAD_ATTRIBUTE,        /* an attribute that must be there or is impossible */
    DICOM_REFUSAL_CONFLICTING_INSTANCE, /* one SOP Instance UID, two contents */
    DICOM_REFUSAL_TOO_LARGE,
    DICOM_REFUSAL_COUNT,
};

struct dicom_refusal {
    enum dicom_refusal_code code;
    char text[240]; /* one line; names positions, attributes and counts, no patient data */
};

/* "missing-slice" and so on; never NULL. */
const char *dicom_refusal_name(enum dicom_refusal_code code);

/* One condition on the frames of a mixed series, from "key=value" of --select or the rules. */
enum dicom_selector_key {
    DICOM_SELECT_IMAGE_TYPE, /* "image-type": values of (0008,0008) by backslash, * matches any one */
    DICOM_SELECT_ECHO,       /* "echo": Echo Numbers */
    DICOM_SELECT_TEMPORAL,   /* "temporal-position": Temporal Position Identifier or Index */
    DICOM_SELECT_DIXON,      /* "dixon": water, fat, in-phase, opposed-phase */
    DICOM_SELECT_B_VALUE,    /* "b-value" */
    DICOM_SELECT_STACK,      /* "stack": Stack ID of an enhanced instance */
};

struct dicom_selector {
    enum dicom_selector_key key;
    char value[65];
};

/* Errors: SCTD_EINVAL, naming the known keys. */
SCTD_NODISCARD int dicom_selector_parse(struct dicom_selector *ret_selector, const char *text,
                                        struct sctd_error *err);

struct dicom_scan;

/*
 * Read the headers of every DICOM file at or below the paths, in the order of their names; symbolic
 * links to folders are not followed.  Files that are no DICOM are skipped and counted.
 * Errors: SCTD_EIO (a path that cannot be read), SCTD_ENOMEM.
 */
SCTD_NODISCARD int dicom_scan_paths(struct dicom_scan **ret_scan, const char *const *paths,
                                    size_t n_paths, struct sctd_error *err);
void dicom_scan_free(struct dicom_scan *scan); /* NULL is a no-op */
static inline void dicom_scan_freep(struct dicom_scan **scan)
{
    dicom_scan_free(*scan);
}

size_t dicom_scan_get_series_count(const struct dicom_scan *scan);
size_t dicom_scan_get_skipped(const struct dicom_scan *scan); /* files that are no DICOM */

/* What the headers of a series say; texts are UTF-8, empty where the attribute is. */
struct dicom_series_facts {
    char series_instance_uid[DICOM_UID_SIZE];
    char study_instance_uid[DICOM_UID_SIZE];
    char modality[17];
    char series_description[257];
    char manufacturer[257];
    char station_name[257];
    char body_part_examined[65];
    char image_type[257]; /* values by backslash, of the first instance */
    int32_t instances, frames;
};
void dicom_scan_get_series(const struct dicom_scan *scan, size_t series,
                           struct dicom_series_facts *ret_facts);

struct dicom_series_options {
    const char *modality;                  /* what the model wants: "MR" or "CT"; NULL: any */
    const struct dicom_selector *selector; /* all must hold */
    size_t n_selectors;
    double spacing_tolerance; /* of the median slice spacing; 0: 0.01 */
    int32_t min_slices;       /* 0: 4 */
    bool own_objects;         /* an sCT of ours too, to be looked at */
    bool headers_only;        /* check and sort, decode nothing: the volume's voxels stay zero */
};

struct dicom_series;

enum { DICOM_SERIES_REFUSED = 1 };

/*
 * Assemble series `series` of the scan.
 * Returns 0, or DICOM_SERIES_REFUSED with *ret_refusal set.  *ret_series borrows from the scan, which
 * must outlive it.
 * Errors: SCTD_EIO, SCTD_ENOMEM, SCTD_EINVAL (options).
 */
SCTD_NODISCARD int dicom_series_assemble(struct dicom_series **ret_series,
                                         const struct dicom_scan *scan, size_t series,
                                         const struct dicom_series_options *options,
                                         struct dicom_refusal *ret_refusal, struct sctd_error *err);
void dicom_series_free(struct dicom_series *series); /* NULL is a no-op */
static inline void dicom_series_freep(struct dicom_series **series)
{
    dicom_series_free(*series);
}

/*
 * The volume: axis[0] along a row (columns count up), axis[1] down a column, axis[2] = axis[0] x axis[1],
 * slices rising along it; voxels after modality LUT or rescale, padding as air (CT: -1024) or the lowest
 * value that is no padding (MR).
 */
const struct volume *dicom_series_get_volume(const struct dicom_series *series);
/* The voxels leave the series; dicom_series_get_volume gives NULL from then on, the grid stays. */
struct volume *dicom_series_take_volume(struct dicom_series *series);
const struct volume_grid *dicom_series_get_grid(const struct dicom_series *series);
/* Where slice k of the volume came from: dim[2] of them. */
const struct dicom_source *dicom_series_get_sources(const struct dicom_series *series);
const char *dicom_series_get_modality(const struct dicom_series *series); /* "MR", "CT" */

#ifdef __cplusplus
}
#endif
