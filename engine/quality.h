/*
 * quality.h - whether an sCT looks as one of its model must, judged from it and its source alone.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three looks at what passes by, none of which keeps the voxels: the source as it was acquired, the axial slices that the
 * network is given, and the HU that it makes of them.  Then every check of the manifest's limits
 * (model/quality_limits.h) says passed, failed, or why it could not be made, which counts as failed where a limit is
 * set.  Percentiles and shares that have no limit are measured too, so that limits can be found.
 *
 * Memory: between the looks a byte for each voxel of the slices.  Within them, and that byte included, 3 bytes for each voxel (the
 * source's in its look) and 16 for each run of pieces.h, which are 8 more a voxel at worst; or, while the intensities are looked at,
 * 1 for each voxel and 4 for each of the body.
 *
 * Thread safety: an object belongs to one thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/base/volume.h"
#include "engine/model/manifest.h"

#ifdef __cplusplus
extern "C" {
#endif

enum quality_check {
    QUALITY_AIR_OUTSIDE,
    QUALITY_HOLES,
    QUALITY_SLICE_JUMP,
    QUALITY_OUTLINE,
    QUALITY_FIELD_OF_VIEW,
    QUALITY_SATURATION,
    QUALITY_TISSUE,
    QUALITY_INTENSITY,
    QUALITY_CHECKS
};
const char *
quality_check_name(enum quality_check check); /* "air-outside", "holes", ...; never NULL */

enum quality_verdict {
    QUALITY_PASSED,
    QUALITY_FAILED,
    QUALITY_MEASURED, /* there is no limit */
};
const char *quality_check_unit(enum quality_check check);       /* of its values: "%", "ml", ... */
const char *quality_verdict_name(enum quality_verdict verdict); /* "passed", ...; never NULL */

enum { QUALITY_FINDINGS_MAX = 32, QUALITY_TEXT_SIZE = 161, QUALITY_JSON_MAX = 16384 };

struct quality_finding {
    enum quality_check check;
    enum quality_verdict verdict;
    char what[QUALITY_NAME_SIZE]; /* of a tissue or a percentile: "bone", "50"; else "" */
    double value;                 /* NAN: it could not be measured, as the text says */
    double low, high;             /* the limits; infinite where there is none */
    const char *unit;             /* "%", "ml", "HU", "mm", "1"; a constant */
    double hu_low, hu_high;       /* of a tissue; else NAN */
    double z_mm; /* patient coordinate (PS3.3 C.7.6.2.1.1) of the worst slice; NAN: none */
    char text[QUALITY_TEXT_SIZE]; /* one line for people: printable ASCII, no patient data */
};

struct quality_report {
    bool is_checked;   /* the manifest has limits */
    bool needs_review; /* at least one finding failed */
    struct quality_finding finding[QUALITY_FINDINGS_MAX];
    size_t n;
};

struct quality;

/* manifest: outlives the object.  Errors: SCTD_ENOMEM. */
SCTD_NODISCARD int quality_new(struct quality **ret_quality, const struct manifest *manifest,
                               struct sctd_error *err);
void quality_free(struct quality *quality); /* NULL is a no-op */
static inline void quality_freep(struct quality **quality)
{
    quality_free(*quality);
}

/* Work goes on: called with `arg` on the caller's thread, in each look and in the judgement at least once for every slice, and after
 * each pass over the voxels.  It calls no function of the object. */
typedef void (*quality_progress_fn)(void *arg);
/* NULL: nobody is told, as before it is set.  arg: outlives the object. */
void quality_set_progress(struct quality *quality, quality_progress_fn on_progress, void *arg);

/* The source in its own order.  clip: the recipe's limits for it, as engine_find_clip finds them.  Errors: SCTD_EINVAL (more than
 * 4294967295 voxels), SCTD_ENOMEM. */
SCTD_NODISCARD int quality_take_source(struct quality *quality, const struct volume *source,
                                       const double clip[2], struct sctd_error *err);
/* The slices that the network is given, after the source; the volume may be changed afterwards.  Errors: SCTD_EINVAL
 * (no source was taken), SCTD_ENOMEM. */
SCTD_NODISCARD int quality_take_slices(struct quality *quality, const struct volume *slices,
                                       struct sctd_error *err);
/* hu: on the grid of the slices.  Errors: SCTD_EINVAL (another grid, a look is missing), SCTD_EDATA (HU
 * that are no finite numbers, with their count and the first one's z), SCTD_ENOMEM. */
SCTD_NODISCARD int quality_judge(struct quality_report *ret_report, const struct quality *quality,
                                 const struct volume *hu, struct sctd_error *err);

/* Members of the report's object, which the caller begins and ends: "verdict" ("passed", "review", or "measured" where
 * there are no limits) and "checks".  docs/quality.md describes them. */
void quality_report_write_members(const struct quality_report *report, struct json_writer *writer);
/* As one JSON object, at most QUALITY_JSON_MAX bytes; and back (other members of the object are passed over).  Errors: SCTD_ENOMEM; SCTD_EDATA. */
SCTD_NODISCARD int quality_report_write(struct sctd_buf *text, const struct quality_report *report,
                                        struct sctd_error *err);
SCTD_NODISCARD int quality_report_read(struct quality_report *ret_report, const char *text,
                                       size_t size, struct sctd_error *err);
/* What failed, in one line of at most `size` - 1 bytes of ASCII: "outline 23.1 mm (at most 15)"; "": nothing. */
void quality_report_summarise(const struct quality_report *report, char *text, size_t size);

#ifdef __cplusplus
}
#endif
