/*
 * pairs.h - the pairs of a folder: one folder each, with a reference, a synthetic image and what belongs to them.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In DIR/NAME: "reference" or "ct", "synthetic" or "sct", and where there are any "mask", "reference_labels" and
 * "synthetic_labels"; each a folder with a DICOM series, or a file of that name and .nii, .nii.gz, .mha or .mhd.  NAME is the
 * case's.
 *
 * Thread safety: pure functions.
 */
#pragma once

#include <stddef.h>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "server/evaluate/case.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { EVALUATE_PAIRS_MAX = 10000, EVALUATE_FILES = 5 };

struct evaluate_pair {
    char name[EVALUATE_NAME_SIZE];
    char path[EVALUATE_FILES][SCTD_PATH_MAX]; /* "": there is none */
    struct evaluate_files files;              /* into path */
};

/* Folders of DIR by name; those without both images are refused by name.  *ret_pairs: the caller frees it.
 * Errors: SCTD_EIO, SCTD_EDATA (no pair, half a pair, two of a kind), SCTD_ENOMEM. */
SCTD_NODISCARD int evaluate_pairs_find(struct evaluate_pair **ret_pairs, size_t *ret_n,
                                       const char *dir, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
