/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/commitment_report.hh"

#include <cstddef>
#include <cstdio>
#include <cstring>

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>
#include <dcmtk/dcmnet/assoc.h>
#include <dcmtk/dcmnet/dimse.h>

#include "dicom/commitment.h"
#include "dicom/references.h"

namespace
{

OFCondition put_reference(DcmItem &report, const struct dicom_reference &reference)
{
    const bool failed = reference.reason != DICOM_COMMITMENT_KEPT;
    DcmItem *item = nullptr;
    OFCondition condition = report.findOrCreateSequenceItem(
        failed ? DCM_FailedSOPSequence : DCM_ReferencedSOPSequence, item, -2); /* appended */
    if (condition.good()) {
        condition = item->putAndInsertString(DCM_ReferencedSOPClassUID, reference.sop_class_uid);
    }
    if (condition.good()) {
        condition =
            item->putAndInsertString(DCM_ReferencedSOPInstanceUID, reference.sop_instance_uid);
    }
    if (condition.good() && failed) {
        condition = item->putAndInsertUint16(DCM_FailureReason, reference.reason);
    }
    return condition;
}

} // namespace

OFCondition commitment_report_send(T_ASC_Association *assoc, T_ASC_PresentationContextID id,
                                   DIC_US message_id, const struct dicom_commitment &report)
{
    T_DIMSE_Message message;
    std::memset(&message, 0, sizeof message);
    message.CommandField = DIMSE_N_EVENT_REPORT_RQ;
    T_DIMSE_N_EventReportRQ &rq = message.msg.NEventReportRQ;
    rq.MessageID = message_id;
    (void)std::snprintf(rq.AffectedSOPClassUID, sizeof rq.AffectedSOPClassUID, "%s",
                        DICOM_COMMITMENT_CLASS);
    (void)std::snprintf(rq.AffectedSOPInstanceUID, sizeof rq.AffectedSOPInstanceUID, "%s",
                        DICOM_COMMITMENT_INSTANCE);
    rq.DataSetType = DIMSE_DATASET_PRESENT;
    rq.EventTypeID = DICOM_COMMITMENT_ALL;
    DcmDataset set;
    OFCondition condition = set.putAndInsertString(DCM_TransactionUID, report.transaction_uid);
    for (std::size_t i = 0; condition.good() && i < report.references.n; i++) {
        condition = put_reference(set, report.references.item[i]);
        if (report.references.item[i].reason != DICOM_COMMITMENT_KEPT) {
            rq.EventTypeID = DICOM_COMMITMENT_FAILURES;
        }
    }
    return condition.good() ? DIMSE_sendMessageUsingMemoryData(assoc, id, &message, nullptr, &set,
                                                               nullptr, nullptr)
                            : condition;
}

bool commitment_report_is_heard(const T_DIMSE_N_EventReportRSP &response)
{
    return DICOM_WARNING_STATUS(response.DimseStatus) || response.DimseStatus == STATUS_N_Success;
}
