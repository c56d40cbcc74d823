/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/sender.h"

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>
#include <dcmtk/dcmnet/assoc.h>
#include <dcmtk/dcmnet/dimse.h>

#include "dicom/commitment.h"
#include "dicom/commitment_report.hh"
#include "dicom/data_set.hh"
#include "dicom/guard.hh"
#include "dicom/message_data.hh"
#include "dicom/receiver.h"
#include "dicom/references.h"
#include "dicom/requestor.h"
#include "dicom/requestor.hh"
#include "engine/base/attr.h"
#include "engine/base/error.h"

namespace
{

constexpr int64_t least_bytes = 1; /* in each window of waiting */
constexpr DIC_US status_duplicate = 0x0111;

struct sender {
    const dicom_sender_options &options;
    const dicom_sender_work &work;
    const dicom_sender_sink &sink;
    dicom_sender_result &result;
    requestor &link;
    T_ASC_Association *assoc;
    DIC_US message_id;
    bool is_broken; /* the association is of no use any more */
};

SCTD_PRINTF(3, 4) void conclude(sender &s, dicom_sender_end end, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    s.result.end = end;
    (void)std::vsnprintf(s.result.reason, sizeof s.result.reason, format, args);
    va_end(args);
}

/* Association */

bool add_context(T_ASC_Parameters *params, unsigned &id, const char *abstract, bool is_scp = false)
{
    static const std::array<const char *, 2> syntaxes = {UID_LittleEndianExplicitTransferSyntax,
                                                         UID_LittleEndianImplicitTransferSyntax};
    return requestor_propose(params, id, {abstract, syntaxes.data(), syntaxes.size(), is_scp});
}

bool propose(const sender &s, T_ASC_Parameters *params)
{
    unsigned id = 1;
    std::vector<std::string> classes;
    bool good = true;
    for (std::size_t i = 0; good && i < s.work.n; i++) {
        const std::string uid = s.work.file[i].sop_class_uid;
        if (std::find(classes.begin(), classes.end(), uid) == classes.end()) {
            classes.push_back(uid);
            good = add_context(params, id, uid.c_str());
        }
    }
    if (s.work.report != nullptr) { /* whoever reports is the SCP (PS3.4 J.3.3), and says so */
        return add_context(params, id, UID_StorageCommitmentPushModelSOPClass, true);
    }
    if (good && s.work.n == 0) {
        good = add_context(params, id, UID_VerificationSOPClass);
    }
    if (good && s.work.transaction_uid != nullptr) {
        good = add_context(params, id, UID_StorageCommitmentPushModelSOPClass);
    }
    return good;
}

/* Whether there is an association.  A title that is unknown today may be configured tomorrow. */
bool open_association(sender &s)
{
    bool fits = true;
    if (!s.link.open([&](T_ASC_Parameters *params) { return fits = propose(s, params); })) {
        conclude(s, fits ? DICOM_SENDER_UNREACHABLE : DICOM_SENDER_REFUSED, "%s", s.link.reason());
        return false;
    }
    s.assoc = s.link.assoc();
    return true;
}

T_ASC_PresentationContextID find_context(const sender &s, const char *abstract)
{
    return s.link.find(abstract);
}

/* Storage */

void fill_store(sender &s, const dicom_sender_file &file, T_DIMSE_C_StoreRQ &rq)
{
    std::memset(&rq, 0, sizeof rq);
    rq.MessageID = s.message_id++;
    rq.DataSetType = DIMSE_DATASET_PRESENT;
    rq.Priority = DIMSE_PRIORITY_MEDIUM;
    (void)std::snprintf(rq.AffectedSOPClassUID, sizeof rq.AffectedSOPClassUID, "%s",
                        file.sop_class_uid);
    (void)std::snprintf(rq.AffectedSOPInstanceUID, sizeof rq.AffectedSOPInstanceUID, "%s",
                        file.sop_instance_uid);
}

/* An instance's UID is derived from what it is: one that the peer has already is the same. */
bool is_stored(DIC_US status)
{
    return status == STATUS_Success || status == status_duplicate || DICOM_WARNING_STATUS(status);
}

/* Out of resources (A7xx), and what a busy peer says; anything else will be said again next time. */
bool may_pass(DIC_US status)
{
    return (status & 0xff00) == 0xa700 || status == 0x0110 || status == 0x0122 || status == 0x0124;
}

void on_progress(void *arg, T_DIMSE_StoreProgress *progress, T_DIMSE_C_StoreRQ * /*rq*/)
{
    const auto *s = static_cast<const sender *>(arg);
    if (progress->state == DIMSE_StoreProgressing) {
        s->sink.moving(s->sink.arg);
    }
}

/* Returns 0, or an error with the file; `go_on`: the association may be used further. */
int store_one(sender &s, std::size_t i, bool &go_on, struct sctd_error *err)
{
    const dicom_sender_file &file = s.work.file[i];
    const T_ASC_PresentationContextID id = find_context(s, file.sop_class_uid);
    if (id == 0) {
        conclude(s, DICOM_SENDER_REFUSED, "%s does not accept SOP class %s", s.options.called_ae,
                 file.sop_class_uid);
        go_on = false;
        return 0;
    }
    DcmFileFormat part10;
    OFCondition condition = part10.loadFile(file.path);
    if (condition.bad()) {
        return sctd_error(err, SCTD_EIO, "%.160s: %s", file.path, condition.text());
    }
    T_DIMSE_C_StoreRQ rq;
    T_DIMSE_C_StoreRSP rsp;
    DcmDataset *detail = nullptr;
    fill_store(s, file, rq);
    std::memset(&rsp, 0, sizeof rsp);
    s.link.settle();
    condition = DIMSE_storeUser(s.assoc, id, &rq, nullptr, part10.getDataset(), on_progress, &s,
                                DIMSE_BLOCKING, 0, &rsp, &detail);
    const std::unique_ptr<DcmDataset> owned(detail);
    if (condition.bad()) {
        conclude(s, DICOM_SENDER_FAILED, "instance %zu of %zu: %s", i + 1, s.work.n,
                 s.link.describe(condition));
        s.is_broken = true;
        go_on = false;
    } else if (is_stored(rsp.DimseStatus)) {
        s.sink.stored(s.sink.arg, i, rsp.DimseStatus);
    } else {
        const bool passes = may_pass(rsp.DimseStatus);
        conclude(s, passes ? DICOM_SENDER_FAILED : DICOM_SENDER_REFUSED,
                 "%s refuses instance %zu of %zu with status 0x%04X", s.options.called_ae, i + 1,
                 s.work.n, static_cast<unsigned>(rsp.DimseStatus));
        go_on = !passes; /* the others may be taken; a peer without room takes none */
    }
    return 0;
}

/* *ret_all: all of them are stored now. */
int store_all(sender &s, bool *ret_all, struct sctd_error *err)
{
    bool go_on = true;
    s.result.end = DICOM_SENDER_STORED;
    int r = 0;
    for (std::size_t i = 0; r == 0 && go_on && i < s.work.n; i++) {
        if (s.options.stop != nullptr && *s.options.stop != 0) {
            conclude(s, DICOM_SENDER_FAILED, "stopped");
            break;
        }
        if (!s.work.file[i].is_stored) {
            r = store_one(s, i, go_on, err);
        }
    }
    *ret_all = r == 0 && s.result.end == DICOM_SENDER_STORED;
    return r;
}

void echo(sender &s)
{
    DIC_US status = 0;
    DcmDataset *detail = nullptr;
    s.link.settle();
    if (find_context(s, UID_VerificationSOPClass) == 0) {
        conclude(s, DICOM_SENDER_REFUSED, "%s does not accept verification", s.options.called_ae);
        return;
    }
    const OFCondition condition =
        DIMSE_echoUser(s.assoc, s.message_id++, DIMSE_BLOCKING, 0, &status, &detail);
    const std::unique_ptr<DcmDataset> owned(detail);
    if (condition.bad()) {
        conclude(s, DICOM_SENDER_FAILED, "echo: %s", s.link.describe(condition));
        s.is_broken = true;
    } else if (status != STATUS_Success) {
        conclude(s, DICOM_SENDER_FAILED, "echo: status 0x%04X", static_cast<unsigned>(status));
    } else {
        conclude(s, DICOM_SENDER_STORED, "%s", "");
    }
}

/* Storage commitment */

bool fill_action(const sender &s, DcmDataset &set)
{
    bool good = set.putAndInsertString(DCM_TransactionUID, s.work.transaction_uid).good();
    for (std::size_t i = 0; good && i < s.work.n; i++) {
        DcmItem *item = nullptr;
        good =
            set.findOrCreateSequenceItem(DCM_ReferencedSOPSequence, item, -2).good() &&
            item->putAndInsertString(DCM_ReferencedSOPClassUID, s.work.file[i].sop_class_uid)
                .good() &&
            item->putAndInsertString(DCM_ReferencedSOPInstanceUID, s.work.file[i].sop_instance_uid)
                .good();
    }
    return good;
}

OFCondition send_action(sender &s, T_ASC_PresentationContextID id, DcmDataset &set)
{
    T_DIMSE_Message message;
    std::memset(&message, 0, sizeof message);
    message.CommandField = DIMSE_N_ACTION_RQ;
    T_DIMSE_N_ActionRQ &rq = message.msg.NActionRQ;
    rq.MessageID = s.message_id++;
    rq.ActionTypeID = DICOM_COMMITMENT_ACTION;
    rq.DataSetType = DIMSE_DATASET_PRESENT;
    (void)std::snprintf(rq.RequestedSOPClassUID, sizeof rq.RequestedSOPClassUID, "%s",
                        UID_StorageCommitmentPushModelSOPClass);
    (void)std::snprintf(rq.RequestedSOPInstanceUID, sizeof rq.RequestedSOPInstanceUID, "%s",
                        DICOM_COMMITMENT_INSTANCE);
    return DIMSE_sendMessageUsingMemoryData(s.assoc, id, &message, nullptr, &set, nullptr, nullptr);
}

void hand_on(sender &s, const dicom_commitment &report)
{
    const dicom_references &references = report.references;
    std::vector<dicom_sender_committed> committed(references.n);
    for (std::size_t i = 0; i < references.n; i++) {
        committed[i] = {references.item[i].sop_instance_uid, references.item[i].reason};
    }
    s.sink.reported(s.sink.arg, report.transaction_uid, committed.data(), committed.size());
    s.result.end = DICOM_SENDER_REPORTED;
}

/* The status of the answer; a report that is none leaves everything as it was. */
DIC_US read_report(sender &s, const T_DIMSE_N_EventReportRQ &rq, const message_data &data)
{
    struct sctd_error err = {};
    struct dicom_commitment report = {};
    if (std::strcmp(rq.AffectedSOPClassUID, DICOM_COMMITMENT_CLASS) != 0) {
        return DICOM_SERVICE_NO_SUCH_CLASS;
    }
    if (std::strcmp(rq.AffectedSOPInstanceUID, DICOM_COMMITMENT_INSTANCE) != 0) {
        return DICOM_SERVICE_NO_SUCH_INSTANCE;
    }
    if (rq.EventTypeID != DICOM_COMMITMENT_ALL && rq.EventTypeID != DICOM_COMMITMENT_FAILURES) {
        return DICOM_SERVICE_NO_SUCH_EVENT;
    }
    if (!data.fits()) {
        return DICOM_SERVICE_NO_ROOM;
    }
    const int r = dicom_commitment_read(&report, data.bytes(), data.size(), data.encoding(), &err);
    if (r < 0) {
        return r == SCTD_EDATA ? DICOM_SERVICE_INVALID : DICOM_SERVICE_NO_ROOM;
    }
    const std::unique_ptr<dicom_commitment, decltype(&dicom_commitment_fini)> owned(
        &report, dicom_commitment_fini);
    hand_on(s, report);
    return DICOM_SERVICE_SUCCESS;
}

OFCondition answer_report(sender &s, T_ASC_PresentationContextID id,
                          const T_DIMSE_N_EventReportRQ &rq, DIC_US status)
{
    T_DIMSE_Message message;
    std::memset(&message, 0, sizeof message);
    message.CommandField = DIMSE_N_EVENT_REPORT_RSP;
    T_DIMSE_N_EventReportRSP &rsp = message.msg.NEventReportRSP;
    rsp.MessageIDBeingRespondedTo = rq.MessageID;
    rsp.DimseStatus = status;
    rsp.DataSetType = DIMSE_DATASET_NULL;
    rsp.EventTypeID = rq.EventTypeID;
    rsp.opts = O_NEVENTREPORT_AFFECTEDSOPCLASSUID | O_NEVENTREPORT_AFFECTEDSOPINSTANCEUID |
               O_NEVENTREPORT_EVENTTYPEID;
    (void)std::snprintf(rsp.AffectedSOPClassUID, sizeof rsp.AffectedSOPClassUID, "%s",
                        rq.AffectedSOPClassUID);
    (void)std::snprintf(rsp.AffectedSOPInstanceUID, sizeof rsp.AffectedSOPInstanceUID, "%s",
                        rq.AffectedSOPInstanceUID);
    return DIMSE_sendMessageUsingMemoryData(s.assoc, id, &message, nullptr, nullptr, nullptr,
                                            nullptr);
}

/* Some peers report on the association that asked; most open one of their own later. */
OFCondition take_report(sender &s, T_ASC_PresentationContextID id,
                        const T_DIMSE_N_EventReportRQ &rq)
{
    T_ASC_PresentationContext context;
    std::memset(&context, 0, sizeof context);
    OFCondition condition = ASC_findAcceptedPresentationContext(s.assoc->params, id, &context);
    if (condition.bad()) {
        return condition;
    }
    message_data data(context);
    if (rq.DataSetType != DIMSE_DATASET_NULL) {
        condition = data_set_receive(s.assoc, id, data);
    }
    return condition.good() ? answer_report(s, id, rq, read_report(s, rq, data)) : condition;
}

/* Nothing of it is of interest. */
class unread : public data_set_taker
{
  public:
    void take(const void * /*bytes*/, std::size_t /*size*/) override
    {
    }
};

/* The status of the answer, which a hasty peer sends after its report. */
OFCondition receive_action_answer(sender &s, DIC_US *ret_status)
{
    T_DIMSE_Message message;
    T_ASC_PresentationContextID id = 0;
    OFCondition condition = s.link.receive(message, &id);
    if (condition.good() && message.CommandField == DIMSE_N_EVENT_REPORT_RQ) {
        condition = take_report(s, id, message.msg.NEventReportRQ);
        condition = condition.good() ? s.link.receive(message, &id) : condition;
    }
    if (condition.good() && message.CommandField != DIMSE_N_ACTION_RSP) {
        condition = DIMSE_BADCOMMANDTYPE;
    }
    if (condition.bad()) {
        return condition;
    }
    *ret_status = message.msg.NActionRSP.DimseStatus;
    if (message.msg.NActionRSP.DataSetType != DIMSE_DATASET_NULL) {
        unread data;
        condition = data_set_receive(s.assoc, id, data);
    }
    return condition;
}

/* What is not heard here is heard later, or asked for again. */
void wait_for_report(sender &s)
{
    T_DIMSE_Message message;
    T_ASC_PresentationContextID id = 0;
    if (s.result.end == DICOM_SENDER_REPORTED ||
        !ASC_dataWaiting(s.assoc, std::max(1, s.options.report_ms / 1000))) {
        return;
    }
    OFCondition condition = s.link.receive(message, &id);
    if (condition.good() && message.CommandField == DIMSE_N_EVENT_REPORT_RQ) {
        condition = take_report(s, id, message.msg.NEventReportRQ);
    }
    s.is_broken = condition.bad();
}

void commit(sender &s)
{
    const T_ASC_PresentationContextID id = find_context(s, UID_StorageCommitmentPushModelSOPClass);
    DcmDataset set;
    DIC_US status = 0;
    if (id == 0) {
        conclude(s, DICOM_SENDER_UNCOMMITTED,
                 "stored, not committed: %s does no storage commitment; set no_storage_commitment "
                 "for it, reload, and retry the job",
                 s.options.called_ae);
        return;
    }
    if (!s.sink.may_ask(s.sink.arg)) {
        conclude(s, DICOM_SENDER_FAILED, "the request for storage commitment was withdrawn");
        return;
    }
    OFCondition condition = fill_action(s, set) ? send_action(s, id, set) : EC_MemoryExhausted;
    if (condition.good()) {
        condition = receive_action_answer(s, &status);
    }
    if (condition.bad()) {
        conclude(s, DICOM_SENDER_FAILED, "storage commitment: %s", s.link.describe(condition));
        s.is_broken = true;
    } else if (status != STATUS_Success) {
        conclude(s, DICOM_SENDER_FAILED, "storage commitment was refused with status 0x%04X",
                 static_cast<unsigned>(status));
    } else {
        if (s.result.end != DICOM_SENDER_REPORTED) {
            conclude(s, DICOM_SENDER_ASKED, "%s", "");
        }
        wait_for_report(s);
    }
}

/* A report that the peer asked us for on an association that has ended. */
void tell_report(sender &s)
{
    const T_ASC_PresentationContextID id = find_context(s, UID_StorageCommitmentPushModelSOPClass);
    if (id == 0) {
        conclude(s, DICOM_SENDER_REFUSED, "%s takes no report of storage commitment",
                 s.options.called_ae);
        return;
    }
    T_DIMSE_Message message;
    T_ASC_PresentationContextID answered = 0;
    const DIC_US message_id = s.message_id++;
    OFCondition condition = commitment_report_send(s.assoc, id, message_id, *s.work.report);
    if (condition.good()) {
        condition = s.link.receive(message, &answered);
    }
    if (condition.good() && (message.CommandField != DIMSE_N_EVENT_REPORT_RSP ||
                             message.msg.NEventReportRSP.MessageIDBeingRespondedTo != message_id)) {
        condition = DIMSE_BADCOMMANDTYPE;
    }
    if (condition.good() && message.msg.NEventReportRSP.DataSetType != DIMSE_DATASET_NULL) {
        unread data;
        condition = data_set_receive(s.assoc, answered, data);
    }
    if (condition.bad()) {
        conclude(s, DICOM_SENDER_FAILED, "report of storage commitment: %s",
                 s.link.describe(condition));
        s.is_broken = true;
    } else if (!commitment_report_is_heard(message.msg.NEventReportRSP)) {
        conclude(s, DICOM_SENDER_FAILED,
                 "%s answers the report of storage commitment with status 0x%04X",
                 s.options.called_ae,
                 static_cast<unsigned>(message.msg.NEventReportRSP.DimseStatus));
    } else {
        conclude(s, DICOM_SENDER_STORED, "%s", "");
    }
}

int run(sender &s, struct sctd_error *err)
{
    bool all = false;
    if (!open_association(s)) {
        return 0;
    }
    int r = 0;
    if (s.work.report != nullptr) {
        tell_report(s);
    } else if (s.work.n == 0) {
        echo(s);
    } else {
        r = store_all(s, &all, err);
    }
    if (r == 0 && all && s.work.transaction_uid != nullptr) {
        commit(s);
    }
    s.link.close(r != 0 || s.is_broken);
    return r;
}

} // namespace

int dicom_sender_run(const struct dicom_sender_options *options,
                     const struct dicom_sender_work *work, const struct dicom_sender_sink *sink,
                     struct dicom_sender_result *ret_result, struct sctd_error *err)
{
    struct dicom_sender_result result = {DICOM_SENDER_FAILED, ""};
    const struct dicom_requestor peer = {
        options->host,       options->port,      options->calling_ae, options->called_ae,
        options->connect_ms, options->answer_ms, options->stop};
    const int r = dicom_guard(err, [&] {
        requestor link(peer, options->answer_ms, least_bytes);
        sender s = {*options, *work, *sink, result, link, nullptr, 1, false};
        return run(s, err);
    });
    if (r == 0) {
        *ret_result = result;
    }
    return r;
}
