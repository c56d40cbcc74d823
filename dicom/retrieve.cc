/* SPDX-License-Identifier: Apache-2.0 */
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <set>
#include <string>

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>
#include <dcmtk/dcmnet/assoc.h>
#include <dcmtk/dcmnet/dimse.h>

#include "dicom/accept.h"
#include "dicom/data_set.hh"
#include "dicom/guard.hh"
#include "dicom/query.h"
#include "dicom/query.hh"
#include "dicom/receiver.h"
#include "dicom/requestor.h"
#include "dicom/requestor.hh"
#include "dicom/storage.hh"
#include "engine/base/clock.h"
#include "engine/base/error.h"

namespace
{

constexpr DIC_US message_id = 1;

struct retriever {
    const dicom_requestor &peer;
    const dicom_retrieval &work;
    const dicom_receiver_sink *sink; /* of C-GET */
    const dicom_query_sink &moving;
    dicom_query_result &result;
    requestor &link;
    T_ASC_PresentationContextID context;
    bool is_broken, has_ended;
    std::set<std::string> kept; /* SOP Instance UIDs of C-GET */
    int64_t moved_ms;           /* the last of them, or the request */
};

bool is_get(const dicom_retrieval &work)
{
    return work.move_to == nullptr;
}

const char *model_of(const dicom_retrieval &work)
{
    return is_get(work) ? UID_GETStudyRootQueryRetrieveInformationModel
                        : UID_MOVEStudyRootQueryRetrieveInformationModel;
}

/*
 * With C-GET the peer stores over this association: we are the SCP of what can be assembled.  A peer that has
 * compressed images and does not convert them finds contexts for them, where that is allowed.
 */
bool propose(const retriever &r, T_ASC_Parameters *params)
{
    unsigned id = 1;
    std::size_t n_classes = 0;
    std::size_t n_plain = 0;
    std::size_t n_all = 0;
    const char *const *classes = dicom_accept_classes(&n_classes);
    const char *const *syntaxes = dicom_accept_syntaxes(false, &n_plain);
    (void)dicom_accept_syntaxes(r.work.all_syntaxes, &n_all);
    bool good = query_propose(params, id, model_of(r.work));
    for (std::size_t i = 0; good && is_get(r.work) && i < n_classes; i++) {
        good = requestor_propose(params, id, {classes[i], syntaxes, n_plain, true});
        for (std::size_t k = n_plain; good && k < n_all; k++) {
            good = requestor_propose(params, id, {classes[i], syntaxes + k, 1, true});
        }
    }
    return good;
}

bool fill_identifier(const dicom_retrieval &work, DcmDataset &set)
{
    return set.putAndInsertString(DCM_QueryRetrieveLevel, "SERIES").good() &&
           set.putAndInsertString(DCM_StudyInstanceUID, work.study_uid).good() &&
           set.putAndInsertString(DCM_SeriesInstanceUID, work.series_uid).good();
}

OFCondition send_request(retriever &r, DcmDataset &identifier)
{
    T_DIMSE_Message message;
    std::memset(&message, 0, sizeof message);
    if (is_get(r.work)) {
        T_DIMSE_C_GetRQ &rq = message.msg.CGetRQ;
        message.CommandField = DIMSE_C_GET_RQ;
        rq.MessageID = message_id;
        rq.Priority = DIMSE_PRIORITY_LOW;
        rq.DataSetType = DIMSE_DATASET_PRESENT;
        (void)std::snprintf(rq.AffectedSOPClassUID, sizeof rq.AffectedSOPClassUID, "%s",
                            model_of(r.work));
    } else {
        T_DIMSE_C_MoveRQ &rq = message.msg.CMoveRQ;
        message.CommandField = DIMSE_C_MOVE_RQ;
        rq.MessageID = message_id;
        rq.Priority = DIMSE_PRIORITY_LOW;
        rq.DataSetType = DIMSE_DATASET_PRESENT;
        (void)std::snprintf(rq.AffectedSOPClassUID, sizeof rq.AffectedSOPClassUID, "%s",
                            model_of(r.work));
        (void)std::snprintf(rq.MoveDestination, sizeof rq.MoveDestination, "%s", r.work.move_to);
    }
    r.link.settle();
    return DIMSE_sendMessageUsingMemoryData(r.link.assoc(), r.context, &message, nullptr,
                                            &identifier, nullptr, nullptr);
}

/* The same fields of both answers (PS3.7 9.3.3.2, 9.3.4.2). */
struct answer {
    DIC_US status, id, remaining, completed, failed, warned;
    bool has_counts, has_data;
};

bool read_answer(const T_DIMSE_Message &message, answer &ret_answer)
{
    if (message.CommandField == DIMSE_C_GET_RSP) {
        const T_DIMSE_C_GetRSP &rsp = message.msg.CGetRSP;
        ret_answer = {rsp.DimseStatus,
                      rsp.MessageIDBeingRespondedTo,
                      rsp.NumberOfRemainingSubOperations,
                      rsp.NumberOfCompletedSubOperations,
                      rsp.NumberOfFailedSubOperations,
                      rsp.NumberOfWarningSubOperations,
                      (rsp.opts & O_GET_NUMBEROFCOMPLETEDSUBOPERATIONS) != 0,
                      rsp.DataSetType != DIMSE_DATASET_NULL};
    } else if (message.CommandField == DIMSE_C_MOVE_RSP) {
        const T_DIMSE_C_MoveRSP &rsp = message.msg.CMoveRSP;
        ret_answer = {rsp.DimseStatus,
                      rsp.MessageIDBeingRespondedTo,
                      rsp.NumberOfRemainingSubOperations,
                      rsp.NumberOfCompletedSubOperations,
                      rsp.NumberOfFailedSubOperations,
                      rsp.NumberOfWarningSubOperations,
                      (rsp.opts & O_MOVE_NUMBEROFCOMPLETEDSUBOPERATIONS) != 0,
                      rsp.DataSetType != DIMSE_DATASET_NULL};
    } else {
        return false;
    }
    return ret_answer.id == message_id;
}

/* What a peer without resources or with failed transfers says may be otherwise next time; what it does not know or
 * allow stays so. */
bool may_pass(DIC_US status)
{
    return (status & 0xff00) == 0xa700 || (status & 0xf000) == 0xb000 ||
           (status & 0xf000) == 0xc000 || status == 0x0110 || status == 0xfe00;
}

void judge(retriever &r, const answer &a)
{
    r.has_ended = true;
    if (a.status == STATUS_Success) {
        return;
    }
    if (a.status == 0xa801) {
        query_conclude(r.result, DICOM_QUERY_REFUSED,
                       "%s does not know the move destination %s: enter it there", r.peer.called_ae,
                       r.work.move_to == nullptr ? "" : r.work.move_to);
        return;
    }
    query_conclude(r.result, may_pass(a.status) ? DICOM_QUERY_FAILED : DICOM_QUERY_REFUSED,
                   "%s ends the transfer with status 0x%04X: %u completed, %u failed, %u warnings",
                   r.peer.called_ae, static_cast<unsigned>(a.status),
                   static_cast<unsigned>(a.completed), static_cast<unsigned>(a.failed),
                   static_cast<unsigned>(a.warned));
}

/* A last answer need not have numbers (PS3.7 9.3.3.2): those of the one before stand then. */
void count(dicom_query_result &result, const answer &a)
{
    const int32_t all = a.remaining + a.completed + a.failed + a.warned;
    result.announced = std::max(result.announced, all);
    if (a.has_counts) {
        result.completed = a.completed;
        result.failed = a.failed;
        result.warned = a.warned;
    }
}

/* The UIDs of what failed are not looked at: what is missing is seen in the series. */
class unread : public data_set_taker
{
  public:
    void take(const void * /*bytes*/, std::size_t /*size*/) override
    {
    }
};

OFCondition take_answer(retriever &r, T_ASC_PresentationContextID id,
                        const T_DIMSE_Message &message)
{
    answer a = {};
    if (!read_answer(message, a)) {
        return DIMSE_BADCOMMANDTYPE;
    }
    OFCondition condition = EC_Normal;
    if (a.has_data) {
        unread data;
        condition = data_set_receive(r.link.assoc(), id, data);
    }
    count(r.result, a);
    if (!DICOM_PENDING_STATUS(a.status)) {
        judge(r, a);
    }
    return condition;
}

/* One instance again and again is not progress. */
OFCondition take_instance(retriever &r, T_ASC_PresentationContextID id, const T_DIMSE_C_StoreRQ &rq,
                          bool *ret_stop)
{
    storage_counts counts = {};
    const OFCondition condition = storage_serve(r.link.assoc(), id, rq, *r.sink, counts, ret_stop);
    if (counts.stored > 0 && r.kept.insert(rq.AffectedSOPInstanceUID).second) {
        r.moved_ms = sctd_boot_ms();
    }
    return condition;
}

/* A peer that talks for ever. */
bool is_stalled(const retriever &r)
{
    return is_get(r.work) && !r.has_ended && sctd_boot_ms() - r.moved_ms >= r.peer.answer_ms;
}

OFCondition take_message(retriever &r, bool *ret_stop)
{
    T_DIMSE_Message message;
    T_ASC_PresentationContextID id = 0;
    OFCondition condition = r.link.receive(message, &id);
    if (condition.bad()) {
        return condition;
    }
    r.moving.moving(r.moving.arg);
    if (message.CommandField == DIMSE_C_STORE_RQ && is_get(r.work)) {
        return take_instance(r, id, message.msg.CStoreRQ, ret_stop);
    }
    return take_answer(r, id, message);
}

void retrieve(retriever &r)
{
    DcmDataset identifier;
    bool stop = false;
    OFCondition condition =
        fill_identifier(r.work, identifier) ? send_request(r, identifier) : EC_MemoryExhausted;
    r.moved_ms = sctd_boot_ms();
    while (condition.good() && !stop && !r.has_ended && !is_stalled(r)) {
        condition = take_message(r, &stop);
    }
    const bool stalled = condition.good() && !stop && !r.has_ended;
    if (stalled) {
        query_conclude(r.result, DICOM_QUERY_FAILED, "%s goes on and sent no new image for %d s",
                       r.peer.called_ae, r.peer.answer_ms / 1000);
    } else if (stop) {
        query_conclude(r.result, DICOM_QUERY_FAILED, "nothing can be kept now");
    } else if (condition.bad()) {
        query_conclude(r.result, DICOM_QUERY_FAILED, "transfer: %s", r.link.describe(condition));
    }
    r.is_broken = stop || stalled || condition.bad();
}

} // namespace

int dicom_query_retrieve(const struct dicom_requestor *peer,
                         const struct dicom_retrieval *retrieval,
                         const struct dicom_receiver_sink *sink,
                         const struct dicom_query_sink *moving,
                         struct dicom_query_result *ret_result, struct sctd_error *err)
{
    struct dicom_query_result result = {DICOM_QUERY_DONE, 0, 0, 0, 0, ""};
    const int status = dicom_guard(err, [&] {
        requestor link(*peer, retrieval->window_ms, retrieval->min_bytes);
        retriever r = {*peer, *retrieval, sink, *moving, result, link, 0, false, false, {}, 0};
        if (!link.open([&](T_ASC_Parameters *params) { return propose(r, params); })) {
            query_conclude(result, DICOM_QUERY_UNREACHABLE, "%s", link.reason());
            return 0;
        }
        r.context = link.find(model_of(*retrieval));
        if (r.context == 0) {
            query_conclude(result, DICOM_QUERY_REFUSED, "%s does not do %s (Study Root)",
                           peer->called_ae, is_get(*retrieval) ? "C-GET" : "C-MOVE");
        } else {
            retrieve(r);
        }
        link.close(r.is_broken);
        return 0;
    });
    if (status == 0) {
        *ret_result = result;
    }
    return status;
}
