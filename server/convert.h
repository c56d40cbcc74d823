/*
 * convert.h - one series of a scan becomes a folder with its sCT, or is refused.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Assemble, turn into axial slices, run the network, turn back, write.  The sCT stands in a folder
 * named by its Series Instance UID, which is derived from the work itself: the same work finds its result there,
 * and other work never meets it.  The folder appears whole or not at all.
 *
 * Where the model's manifest has limits, the sCT is checked: the report stands in the folder, and what needs review says so
 * in its objects and has a page for people in a folder of its own, which is there first (convert_quality.h).
 *
 * Memory: at most four times the source's voxels in f32 besides the network (orient.h says when more
 * than two), and the preview.
 *
 * Thread safety: calls that share a network belong to one thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dicom/sct_writer.h"
#include "dicom/series.h"
#include "dicom/source.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/volume.h"
#include "engine/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What turns axial slices into HU: an engine (convert_engine.h), or what a test puts in its place. */
struct convert_network {
    const struct manifest *manifest; /* which model it says it is, and what its source must be */
    const char *arithmetic; /* what decides the values besides the weights: "cpu bf16 amx" */
    /* See the source as it was acquired, before `run` gets slices that may have been resampled.
     * ret_clip: the limits that it will be clipped to. */
    int (*prepare)(void *arg, const struct volume *source, double ret_clip[2],
                   struct sctd_error *err);
    /* Replace the voxels by HU, slice by slice. */
    int (*run)(void *arg, struct volume *slices, const struct engine_volume_options *progress,
               struct sctd_error *err);
    void *arg; /* of both */
};

enum convert_grid {
    CONVERT_GRID_SOURCE, /* the sCT has the source's slices */
    CONVERT_GRID_AXIAL,  /* slices along the patient's axes with square pixels */
};

struct convert_options {
    const struct dicom_selector *selector;
    size_t n_selectors;
    double spacing_tolerance; /* as in dicom_series_options */
    int32_t min_slices;
    enum convert_grid grid;
    struct sct_options sct;
};

enum convert_stage {
    CONVERT_ASSEMBLE, /* read, check, decode */
    CONVERT_ORIENT,   /* into axial slices, and back */
    CONVERT_NETWORK,
    CONVERT_CHECK, /* against the limits of the model, where it has some */
    CONVERT_WRITE, /* and preview */
    CONVERT_STAGES,
};
const char *convert_stage_name(enum convert_stage stage); /* "assemble", "orient", ... */

/* `done` of `total` slices are through `stage`. */
typedef void (*convert_progress_fn)(void *arg, enum convert_stage stage, int64_t done,
                                    int64_t total);

/* UIDs that were decided before; those that are left over stay unused. */
struct convert_uids {
    const char *series_uid;
    const char (*instance_uid)[DICOM_UID_SIZE]; /* [n], in the order of the slices */
    int32_t n;
};

struct convert_job {
    const struct dicom_scan *scan;
    size_t series;
    const struct convert_network *network;
    const struct convert_options *options;
    const struct convert_uids *uids; /* NULL: they are derived from the work */
    const char *output;  /* the folder that gets the sCT's folder; made if it is not there */
    const char *preview; /* path of a PNG to be written; NULL: none */
    convert_progress_fn on_progress; /* or NULL */
    void *arg;
};

struct convert_result {
    struct dicom_refusal refusal; /* if it was refused */
    char series_uid[DICOM_UID_SIZE];
    char folder[SCTD_PATH_MAX];
    int32_t instances;
    double tilt_degrees;             /* of the source */
    bool resampled;                  /* the network saw resampled slices */
    struct quality_report quality;   /* of an sCT that is there */
    char page_folder[SCTD_PATH_MAX]; /* with its quality page; "": it needs no review */
    double stage_s[CONVERT_STAGES];
};

enum {
    CONVERT_REFUSED = 1, /* *ret_result says why; nothing was written */
    CONVERT_THERE =
        2, /* the same work was done before and its result stands; nothing was written */
};

/*
 * Returns 0, CONVERT_REFUSED or CONVERT_THERE; *ret_result is set with all three.
 * Errors: SCTD_EINVAL (a folder of that name holds something else; options), SCTD_EDATA (the network cannot use
 * the voxels; a source changed meanwhile), SCTD_EIO, SCTD_ENOMEM, SCTD_EDEVICE (replace the process).
 */
SCTD_NODISCARD int convert_series(struct convert_result *ret_result, const struct convert_job *job,
                                  struct sctd_error *err);

/*
 * All that decides the objects of an sCT besides source and weights, as one text: dicom_uid_for_sct's
 * parameters.  What picks the source's frames, and what only refuses, is not part of it.
 * Errors: SCTD_ENOMEM, SCTD_EINVAL (the buffer's maximum).
 */
SCTD_NODISCARD int convert_describe(struct sctd_buf *buf, const struct convert_network *network,
                                    const struct convert_options *options, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
