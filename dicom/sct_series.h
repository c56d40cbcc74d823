/* sct_series.h - the new series: what all of its instances say about it (PS3.3 C.7.3.1, C.12.1). */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "dicom/sct_common.h"
#include "dicom/sct_source.h"
#include "dicom/sct_writer.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a series of ours is. */
struct sct_series {
    const char *modality, *uid;
    int32_t
        number; /* Series Number less that of the source; must fit an IS together, else stands alone */
    bool research_only;
};

/* Series and the parts of SOP Common that are the same in all instances, but for Series Description.
 * Errors: SCTD_EDATA, SCTD_ENOMEM. */
SCTD_NODISCARD int sct_series_add_to(struct sct_common *common, const struct sct_source *source,
                                     const struct sct_series *series, struct sctd_error *err);
/* How much greater an sCT's Series Number is than its source's. */
int32_t sct_series_get_offset(const struct sct_options *options);
/* What a description begins with that whoever picks a series from a list must not overlook; "": nothing. */
const char *sct_series_get_mark(const struct sct_quality *quality);

/* All of that for an sCT.  Errors: SCTD_EINVAL (a description that DICOM cannot hold), SCTD_EDATA, SCTD_ENOMEM. */
SCTD_NODISCARD int sct_series_add(struct sct_common *common, const struct sct_source *source,
                                  const struct sct_request *request, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
