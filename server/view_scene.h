/*
 * view_scene.h - a source series and its sCT, read and brought onto one grid to be looked at.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The grid is that of the source, its axes in the order and direction nearest to the patient's: nothing is interpolated.
 * A source that lies more than 45 degrees off has no such order and is resampled along the patient's axes.  An
 * sCT on the source's grid is shown as it is, on another one it is resampled.  Without a source, the grid is the sCT's.
 *
 * Thread safety: an object belongs to one thread at a time.
 */
#pragma once

#include <stddef.h>

#include "engine/base/error.h"
#include "engine/base/volume.h"
#include "server/view_messages.h"

#ifdef __cplusplus
extern "C" {
#endif

struct view_files {
    const char *const *source; /* [n_source] paths; none: only the sCT is shown */
    size_t n_source;
    const char *const *sct; /* [n_sct] */
    size_t n_sct;
    const char *parameters; /* of the job (parameters.h); "": none */
};

struct view_scene {
    struct volume *volume[VIEW_VOLUMES]; /* on one grid along +x, +y, +z; owned; NULL: not there */
    struct view_facts facts;             /* they say why one is not there */
};

/* A series that cannot be shown is no error but a fact.  Errors: SCTD_ENOMEM. */
SCTD_NODISCARD int view_scene_load(struct view_scene *ret_scene, const struct view_files *files,
                                   struct sctd_error *err);
void view_scene_fini(struct view_scene *scene);

#ifdef __cplusplus
}
#endif
