/* commitment_report.hh - the report of storage commitment that a modality asked us for, as a message. */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmnet/assoc.h>
#include <dcmtk/dcmnet/dimse.h>

#include "dicom/commitment.h"

/* Send it as N-EVENT-REPORT (PS3.4 J.3.3) over a context of the service. */
OFCondition commitment_report_send(T_ASC_Association *assoc, T_ASC_PresentationContextID id,
                                   DIC_US message_id, const struct dicom_commitment &report);

/* Whether the peer's answer says that it has heard it. */
bool commitment_report_is_heard(const T_DIMSE_N_EventReportRSP &response);
