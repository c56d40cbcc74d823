/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/services.hh"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <sys/random.h>
#include <sys/types.h>

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>
#include <dcmtk/dcmnet/assoc.h>
#include <dcmtk/dcmnet/dimse.h>

#include "dicom/commitment.h"
#include "dicom/commitment_report.hh"
#include "dicom/data_set.hh"
#include "dicom/message_data.hh"
#include "dicom/mpps.h"
#include "dicom/receiver.h"
#include "dicom/references.h"
#include "dicom/source.h"
#include "dicom/uid.h"
#include "engine/base/error.h"

namespace
{

enum { ASKED_MAX = 4 }; /* requests for commitment that are not reported yet */

void refuse(struct dicom_receiver_answer *answer, enum dicom_service_status status,
            const char *comment)
{
    answer->status = static_cast<uint16_t>(status);
    (void)std::snprintf(answer->comment, sizeof answer->comment, "%.64s", comment);
}

/* What a reader said that did not succeed. */
void refuse_data(struct dicom_receiver_answer *answer, int code, const struct sctd_error &err)
{
    refuse(answer, code == SCTD_EDATA ? DICOM_SERVICE_INVALID : DICOM_SERVICE_NO_ROOM,
           code == SCTD_ENOMEM ? "out of memory" : err.text);
}

/* Fill in the class and the instance that a request is about. */
struct subject {
    const char *sop_class, *sop_instance;
    bool has_data;
};

subject subject_of(const T_DIMSE_Message &message)
{
    const bool has_instance = (message.msg.NCreateRQ.opts & O_NCREATE_AFFECTEDSOPINSTANCEUID) != 0;
    switch (static_cast<unsigned>(message.CommandField)) {
    case DIMSE_N_EVENT_REPORT_RQ:
        return {message.msg.NEventReportRQ.AffectedSOPClassUID,
                message.msg.NEventReportRQ.AffectedSOPInstanceUID,
                message.msg.NEventReportRQ.DataSetType != DIMSE_DATASET_NULL};
    case DIMSE_N_ACTION_RQ:
        return {message.msg.NActionRQ.RequestedSOPClassUID,
                message.msg.NActionRQ.RequestedSOPInstanceUID,
                message.msg.NActionRQ.DataSetType != DIMSE_DATASET_NULL};
    case DIMSE_N_SET_RQ:
        return {message.msg.NSetRQ.RequestedSOPClassUID, message.msg.NSetRQ.RequestedSOPInstanceUID,
                message.msg.NSetRQ.DataSetType != DIMSE_DATASET_NULL};
    default:
        return {message.msg.NCreateRQ.AffectedSOPClassUID,
                has_instance ? message.msg.NCreateRQ.AffectedSOPInstanceUID : "",
                message.msg.NCreateRQ.DataSetType != DIMSE_DATASET_NULL};
    }
}

/* Whether the class of a context has such a request. */
bool is_of(const char *abstract_syntax, T_DIMSE_Command command)
{
    const bool performs = command == DIMSE_N_CREATE_RQ || command == DIMSE_N_SET_RQ;
    return std::strcmp(abstract_syntax, performs ? DICOM_MPPS_CLASS : DICOM_COMMITMENT_CLASS) == 0;
}

void set_uid(char *to, const char *uid)
{
    (void)std::snprintf(to, sizeof(DIC_UI), "%s", uid);
}

/* The answer's own fields, which differ in their places only. */
void fill_response(T_DIMSE_Message &response, const T_DIMSE_Message &rq, const subject &about,
                   uint16_t status)
{
    std::memset(&response, 0, sizeof response);
    switch (static_cast<unsigned>(rq.CommandField)) {
    case DIMSE_N_EVENT_REPORT_RQ: {
        T_DIMSE_N_EventReportRSP &to = response.msg.NEventReportRSP;
        response.CommandField = DIMSE_N_EVENT_REPORT_RSP;
        to.MessageIDBeingRespondedTo = rq.msg.NEventReportRQ.MessageID;
        to.DimseStatus = status;
        to.DataSetType = DIMSE_DATASET_NULL;
        to.EventTypeID = rq.msg.NEventReportRQ.EventTypeID;
        set_uid(to.AffectedSOPClassUID, about.sop_class);
        set_uid(to.AffectedSOPInstanceUID, about.sop_instance);
        to.opts = O_NEVENTREPORT_AFFECTEDSOPCLASSUID | O_NEVENTREPORT_AFFECTEDSOPINSTANCEUID |
                  O_NEVENTREPORT_EVENTTYPEID;
        break;
    }
    case DIMSE_N_ACTION_RQ: {
        T_DIMSE_N_ActionRSP &to = response.msg.NActionRSP;
        response.CommandField = DIMSE_N_ACTION_RSP;
        to.MessageIDBeingRespondedTo = rq.msg.NActionRQ.MessageID;
        to.DimseStatus = status;
        to.DataSetType = DIMSE_DATASET_NULL;
        to.ActionTypeID = rq.msg.NActionRQ.ActionTypeID;
        set_uid(to.AffectedSOPClassUID, about.sop_class);
        set_uid(to.AffectedSOPInstanceUID, about.sop_instance);
        to.opts = O_NACTION_AFFECTEDSOPCLASSUID | O_NACTION_AFFECTEDSOPINSTANCEUID |
                  O_NACTION_ACTIONTYPEID;
        break;
    }
    case DIMSE_N_SET_RQ: {
        T_DIMSE_N_SetRSP &to = response.msg.NSetRSP;
        response.CommandField = DIMSE_N_SET_RSP;
        to.MessageIDBeingRespondedTo = rq.msg.NSetRQ.MessageID;
        to.DimseStatus = status;
        to.DataSetType = DIMSE_DATASET_NULL;
        set_uid(to.AffectedSOPClassUID, about.sop_class);
        set_uid(to.AffectedSOPInstanceUID, about.sop_instance);
        to.opts = O_NSET_AFFECTEDSOPCLASSUID | O_NSET_AFFECTEDSOPINSTANCEUID;
        break;
    }
    default: {
        T_DIMSE_N_CreateRSP &to = response.msg.NCreateRSP;
        response.CommandField = DIMSE_N_CREATE_RSP;
        to.MessageIDBeingRespondedTo = rq.msg.NCreateRQ.MessageID;
        to.DimseStatus = status;
        to.DataSetType = DIMSE_DATASET_NULL;
        set_uid(to.AffectedSOPClassUID, about.sop_class);
        set_uid(to.AffectedSOPInstanceUID, about.sop_instance);
        to.opts = O_NCREATE_AFFECTEDSOPCLASSUID | O_NCREATE_AFFECTEDSOPINSTANCEUID;
        break;
    }
    }
}

OFCondition send_answer(T_ASC_Association *assoc, T_ASC_PresentationContextID id,
                        const T_DIMSE_Message &rq, const subject &about,
                        const struct dicom_receiver_answer &answer)
{
    T_DIMSE_Message response;
    DcmDataset detail;
    DcmDataset *with = nullptr;
    fill_response(response, rq, about, answer.status);
    if (answer.comment[0] != '\0' &&
        detail.putAndInsertString(DCM_ErrorComment, answer.comment).good()) {
        with = &detail;
    }
    return DIMSE_sendMessageUsingMemoryData(assoc, id, &response, with, nullptr, nullptr, nullptr);
}

/* One of ours, for a step whose maker gave it none (PS3.7 10.1.5.1.4). */
bool make_uid(char (&uid)[DICOM_UID_SIZE])
{
    std::array<unsigned char, 32> random = {};
    if (getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size())) {
        return false;
    }
    dicom_uid_from_digest(uid, random.data());
    return true;
}

} // namespace

services::~services()
{
    for (asked &one : asked_) {
        dicom_commitment_fini(&one.commitment);
    }
}

bool services::has(const char *abstract_syntax)
{
    return std::strcmp(abstract_syntax, DICOM_COMMITMENT_CLASS) == 0 ||
           std::strcmp(abstract_syntax, DICOM_MPPS_CLASS) == 0;
}

T_ASC_SC_ROLE services::role(const T_ASC_PresentationContext &context)
{
    const bool both_ways = std::strcmp(context.abstractSyntax, DICOM_COMMITMENT_CLASS) == 0;
    return both_ways && context.proposedRole != ASC_SC_ROLE_NONE ? context.proposedRole
                                                                 : ASC_SC_ROLE_DEFAULT;
}

bool services::takes(T_DIMSE_Command command)
{
    return command == DIMSE_N_EVENT_REPORT_RQ || command == DIMSE_N_EVENT_REPORT_RSP ||
           command == DIMSE_N_ACTION_RQ || command == DIMSE_N_CREATE_RQ ||
           command == DIMSE_N_SET_RQ;
}

void services::event(const T_DIMSE_N_EventReportRQ &rq, const message_data &data,
                     struct dicom_receiver_answer *answer)
{
    struct sctd_error err = {};
    struct dicom_commitment report = {};
    if (rq.EventTypeID != DICOM_COMMITMENT_ALL && rq.EventTypeID != DICOM_COMMITMENT_FAILURES) {
        refuse(answer, DICOM_SERVICE_NO_SUCH_EVENT, "no such event");
        return;
    }
    const int r = dicom_commitment_read(&report, data.bytes(), data.size(), data.encoding(), &err);
    if (r < 0) {
        refuse_data(answer, r, err);
        return;
    }
    hooks_->report(hooks_->arg, &report, answer);
    dicom_commitment_fini(&report);
}

void services::action(const T_DIMSE_N_ActionRQ &rq, const message_data &data,
                      struct dicom_receiver_answer *answer)
{
    struct sctd_error err = {};
    struct dicom_commitment request = {};
    if (rq.ActionTypeID != DICOM_COMMITMENT_ACTION) {
        refuse(answer, DICOM_SERVICE_NO_SUCH_ACTION, "no such action");
        return;
    }
    if (asked_.size() >= ASKED_MAX) {
        refuse(answer, DICOM_SERVICE_NO_ROOM, "too many requests without a report");
        return;
    }
    const int r = dicom_commitment_read(&request, data.bytes(), data.size(), data.encoding(), &err);
    if (r < 0) {
        refuse_data(answer, r, err);
    } else if (request.references.n == 0) {
        refuse(answer, DICOM_SERVICE_INVALID, "no instances");
    } else {
        hooks_->commit(hooks_->arg, &request, answer);
    }
    if (answer->status == DICOM_SERVICE_SUCCESS && !answer->stop) {
        asked_.push_back({0, request});
    } else {
        dicom_commitment_fini(&request);
    }
}

void services::perform(const message_data &data, bool is_new, char (&uid)[DICOM_UID_SIZE],
                       struct dicom_receiver_answer *answer)
{
    struct sctd_error err = {};
    struct dicom_performed performed = {};
    performed.is_new = is_new;
    if (is_new && uid[0] == '\0' && !make_uid(uid)) {
        refuse(answer, DICOM_SERVICE_FAILED, "no UID could be made");
        return;
    }
    std::memcpy(performed.sop_instance_uid, uid, sizeof uid);
    if (!dicom_uid_is_valid(uid)) {
        refuse(answer, DICOM_SERVICE_INVALID, "SOP Instance UID is no UID");
        return;
    }
    const int r =
        dicom_mpps_read(&performed.step, data.bytes(), data.size(), data.encoding(), &err);
    if (r < 0) {
        refuse_data(answer, r, err);
        return;
    }
    if (is_new && performed.step.status != DICOM_MPPS_IN_PROGRESS) {
        refuse(answer, DICOM_SERVICE_INVALID, "a new step must be IN PROGRESS");
    } else {
        hooks_->perform(hooks_->arg, &performed, answer);
    }
    dicom_mpps_fini(&performed.step);
}

OFCondition services::send_report(T_ASC_Association *assoc)
{
    if (is_reporting_ || asked_.empty()) {
        return EC_Normal;
    }
    const asked &one = asked_.front();
    report_id_ = assoc->nextMsgID++;
    const OFCondition condition = commitment_report_send(assoc, one.id, report_id_, one.commitment);
    is_reporting_ = condition.good();
    return condition;
}

/* Whether the peer has heard it; if it would not, it is to be told again some other time. */
OFCondition services::reported(const T_DIMSE_N_EventReportRSP &response, bool *ret_stop)
{
    if (!is_reporting_ || response.MessageIDBeingRespondedTo != report_id_) {
        return DIMSE_BADCOMMANDTYPE;
    }
    struct dicom_receiver_answer answer = {};
    asked &one = asked_.front();
    if (commitment_report_is_heard(response)) {
        hooks_->reported(hooks_->arg, one.commitment.transaction_uid, &answer);
    }
    dicom_commitment_fini(&one.commitment);
    asked_.pop_front();
    is_reporting_ = false;
    *ret_stop = answer.stop;
    return EC_Normal;
}

/* uid: of the instance that the request is about; a new one may get it here. */
void services::answer_request(const T_ASC_PresentationContext &context, const T_DIMSE_Message &rq,
                              const message_data &data, char (&uid)[DICOM_UID_SIZE],
                              struct dicom_receiver_answer *answer)
{
    const bool performs = rq.CommandField == DIMSE_N_CREATE_RQ || rq.CommandField == DIMSE_N_SET_RQ;
    if (std::strcmp(subject_of(rq).sop_class, context.abstractSyntax) != 0) {
        refuse(answer, DICOM_SERVICE_NO_SUCH_CLASS, "SOP class differs from the context");
    } else if (!performs && std::strcmp(uid, DICOM_COMMITMENT_INSTANCE) != 0) {
        refuse(answer, DICOM_SERVICE_NO_SUCH_INSTANCE, "not the instance of the service");
    } else if (!data.fits()) {
        refuse(answer, DICOM_SERVICE_NO_ROOM, "the data set is too large");
    } else if (rq.CommandField == DIMSE_N_EVENT_REPORT_RQ) {
        event(rq.msg.NEventReportRQ, data, answer);
    } else if (performs) {
        perform(data, rq.CommandField == DIMSE_N_CREATE_RQ, uid, answer);
    } else if (context.acceptedRole == ASC_SC_ROLE_SCP) {
        refuse(answer, DICOM_SERVICE_OUT_OF_ROLE, "the requester is not the user");
    } else {
        action(rq.msg.NActionRQ, data, answer);
    }
}

OFCondition services::serve(T_ASC_Association *assoc, T_ASC_PresentationContextID id,
                            const T_DIMSE_Message &message, bool *ret_stop)
{
    T_ASC_PresentationContext context;
    std::memset(&context, 0, sizeof context);
    OFCondition condition = ASC_findAcceptedPresentationContext(assoc->params, id, &context);
    if (condition.good() &&
        (hooks_ == nullptr || !is_of(context.abstractSyntax, message.CommandField))) {
        condition = DIMSE_BADCOMMANDTYPE;
    }
    if (condition.bad()) {
        return condition;
    }
    message_data data(context);
    if (message.CommandField == DIMSE_N_EVENT_REPORT_RSP) {
        const T_DIMSE_N_EventReportRSP &response = message.msg.NEventReportRSP;
        if (response.DataSetType != DIMSE_DATASET_NULL) {
            condition = data_set_receive(assoc, id, data);
        }
        if (condition.good()) {
            condition = reported(response, ret_stop);
        }
        return condition.good() && !*ret_stop ? send_report(assoc) : condition;
    }
    subject about = subject_of(message);
    if (about.has_data) {
        condition = data_set_receive(assoc, id, data);
    }
    if (condition.bad()) {
        return condition;
    }
    struct dicom_receiver_answer answer = {};
    char uid[DICOM_UID_SIZE] = "";
    const std::size_t before = asked_.size();
    (void)std::snprintf(uid, sizeof uid, "%s", about.sop_instance);
    about.sop_instance = uid;
    answer_request(context, message, data, uid, &answer);
    *ret_stop = answer.stop;
    if (answer.stop) {
        return condition;
    }
    condition = send_answer(assoc, id, message, about, answer);
    if (asked_.size() > before) {
        asked_.back().id = id;
    }
    return condition.good() ? send_report(assoc) : condition;
}
