/* sct_time.h - when an object was made, as DICOM writes it. */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct sct_time {
    char date[9];       /* YYYYMMDD */
    char time[14];      /* HHMMSS.FFFFFF */
    char date_time[27]; /* YYYYMMDDHHMMSS.FFFFFF+ZZZZ, in the same time zone */
};

/*
 * date_time: local time as YYYYMMDDHHMMSS.FFFFFF; NULL: now.
 * offset: the Timezone Offset From UTC of the object, "+HHMM" (blanks after it allowed), in which date and
 * time are then written, since it holds for all of an object's dates (PS3.3 C.12.1.1.8); "" or NULL: local.
 * Errors: SCTD_EINVAL (date_time is none).
 */
SCTD_NODISCARD int sct_time_make(struct sct_time *ret_time, const char *date_time,
                                 const char *offset, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
