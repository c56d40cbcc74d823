/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/storage.hh"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>
#include <dcmtk/dcmnet/assoc.h>
#include <dcmtk/dcmnet/dimse.h>

#include "dicom/data_set.hh"
#include "dicom/receiver.h"
#include "dicom/uid.h"

namespace
{

/* Hands each piece of a data set to the sink, and swallows what that does not want. */
class sink_taker : public data_set_taker
{
  public:
    explicit sink_taker(const struct dicom_receiver_sink &sink, bool wanted)
        : sink_(sink), wanted_(wanted)
    {
    }
    void take(const void *bytes, std::size_t size) override
    {
        wanted_ = wanted_ && sink_.write(sink_.arg, bytes, size);
    }

  private:
    const struct dicom_receiver_sink &sink_;
    bool wanted_;
};

OFCondition send_answer(T_ASC_Association *assoc, T_ASC_PresentationContextID id,
                        const T_DIMSE_C_StoreRQ &request,
                        const struct dicom_receiver_answer &answer)
{
    T_DIMSE_C_StoreRSP response;
    std::memset(&response, 0, sizeof response);
    response.DimseStatus = answer.status;
    DcmDataset detail;
    DcmDataset *with = nullptr;
    if (answer.comment[0] != '\0' &&
        detail.putAndInsertString(DCM_ErrorComment, answer.comment).good()) {
        with = &detail;
    }
    return DIMSE_sendStoreResponse(assoc, id, &request, &response, with);
}

/* Fill in what begin is told; false with an answer if the request itself is no good. */
bool check_request(const T_DIMSE_C_StoreRQ &rq, const T_ASC_PresentationContext &context,
                   struct dicom_store_request *request, struct dicom_receiver_answer *answer)
{
    const char *problem = nullptr;
    answer->status = DICOM_STORE_CANNOT_UNDERSTAND;
    if (rq.DataSetType == DIMSE_DATASET_NULL) {
        problem = "no data set";
    } else if (!dicom_uid_is_valid(rq.AffectedSOPInstanceUID)) {
        problem = "Affected SOP Instance UID is no UID";
    } else if (std::strcmp(rq.AffectedSOPClassUID, context.abstractSyntax) != 0) {
        answer->status = DICOM_STORE_CLASS_MISMATCH;
        problem = "SOP class differs from the presentation context";
    }
    if (problem != nullptr) {
        (void)std::snprintf(answer->comment, sizeof answer->comment, "%s", problem);
        return false;
    }
    const bool moved = (rq.opts & O_STORE_MOVEORIGINATORAETITLE) != 0;
    request->sop_class_uid = rq.AffectedSOPClassUID;
    request->sop_instance_uid = rq.AffectedSOPInstanceUID;
    request->transfer_syntax_uid = context.acceptedTransferSyntax;
    request->move_originator_ae = moved ? rq.MoveOriginatorApplicationEntityTitle : "";
    request->move_originator_id =
        (rq.opts & O_STORE_MOVEORIGINATORID) != 0 ? rq.MoveOriginatorID : uint16_t{0};
    return true;
}

} // namespace

OFCondition storage_serve(T_ASC_Association *assoc, T_ASC_PresentationContextID id,
                          const T_DIMSE_C_StoreRQ &rq, const struct dicom_receiver_sink &sink,
                          storage_counts &counts, bool *ret_stop)
{
    T_ASC_PresentationContext context;
    std::memset(&context, 0, sizeof context);
    OFCondition condition = ASC_findAcceptedPresentationContext(assoc->params, id, &context);
    if (condition.bad()) {
        return condition;
    }
    struct dicom_receiver_answer answer = {};
    struct dicom_store_request request = {};
    const bool sound = check_request(rq, context, &request, &answer);
    const bool begun = sound && sink.begin(sink.arg, &request, &answer);
    if (rq.DataSetType != DIMSE_DATASET_NULL) {
        sink_taker taker(sink, begun);
        condition = data_set_receive(assoc, id, taker);
    }
    if (condition.bad()) {
        if (begun) {
            sink.abandon(sink.arg);
        }
        return condition;
    }
    if (begun) {
        sink.end(sink.arg, &answer);
    }
    *ret_stop = answer.stop;
    if (answer.stop) {
        return condition;
    }
    counts.stored += answer.status == DICOM_STORE_SUCCESS ? 1 : 0;
    counts.refused += answer.status == DICOM_STORE_SUCCESS ? 0 : 1;
    return send_answer(assoc, id, rq, answer);
}
