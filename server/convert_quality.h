/*
 * convert_quality.h - what the checks of an sCT leave: a report beside its instances, and a page for people.
 *
 * Thread safety: calls share nothing but the files.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "dicom/sct_writer.h"
#include "engine/base/error.h"
#include "engine/engine.h"
#include "server/preview.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Pages that a result of the model may have besides its slices: 1 where it is checked.  Of the UIDs that are decided
 * for a result, its page's is the last. */
static inline int32_t convert_quality_pages(const struct manifest *manifest)
{
    return manifest->quality.is_set ? 1 : 0;
}

/* In the sCT's folder, where the manifest has limits. */
#define CONVERT_QUALITY_FILE "quality.json"

/* The report also says of which sCT it is.  Errors: SCTD_EIO, SCTD_ENOMEM. */
SCTD_NODISCARD int convert_quality_write(const struct quality_report *report,
                                         const char *series_uid, const char *folder,
                                         struct sctd_error *err);
/* Errors: SCTD_EIO, SCTD_EDATA (it is no report of ours, or of another sCT), SCTD_ENOMEM. */
SCTD_NODISCARD int convert_quality_read(struct quality_report *ret_report, const char *series_uid,
                                        const char *folder, struct sctd_error *err);

/* What the objects say of it, in one line of at most `size` - 1 bytes. */
void convert_quality_describe(const struct quality_report *report, char *text, size_t size);

/* What a page is drawn from. */
struct convert_page {
    const struct quality_report *report; /* that needs review */
    const struct preview *preview;       /* with source and sCT */
    const struct sct_request *sct;       /* that wrote the sCT */
    size_t n_instances;                  /* that it wrote */
};

/* The folder below `output` that holds the page of an sCT.  ret_folder[SCTD_PATH_MAX].  Errors: SCTD_EINVAL. */
SCTD_NODISCARD int convert_quality_page_folder(char *ret_folder, const char *output,
                                               const char *sct_series_uid, struct sctd_error *err);

/* Write it into its folder, whole or not at all; what an attempt before left there is replaced.
 * Errors: SCTD_EINVAL, SCTD_EDATA (a source that cannot be read again), SCTD_EIO, SCTD_ENOMEM. */
SCTD_NODISCARD int convert_quality_write_page(const struct convert_page *page, const char *output,
                                              struct sctd_error *err);

#ifdef __cplusplus
}
#endif
