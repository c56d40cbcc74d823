/* storage.hh - one C-STORE as it comes, whoever opened the association: into a sink, and answered as that says. */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <cstdint>

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmnet/assoc.h>
#include <dcmtk/dcmnet/dimse.h>

#include "dicom/receiver.h"

struct storage_counts {
    int64_t stored, refused; /* answers given */
};

/* *ret_stop: nothing was answered, and the association is to be aborted.  Returns what went wrong on the way to or
 * from the peer. */
OFCondition storage_serve(T_ASC_Association *assoc, T_ASC_PresentationContextID id,
                          const T_DIMSE_C_StoreRQ &rq, const struct dicom_receiver_sink &sink,
                          storage_counts &counts, bool *ret_stop);
