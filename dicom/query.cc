/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/query.h"

#include <array>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>
#include <dcmtk/dcmnet/assoc.h>
#include <dcmtk/dcmnet/dimse.h>

#include "dicom/data_set.hh"
#include "dicom/found.h"
#include "dicom/guard.hh"
#include "dicom/message_data.hh"
#include "dicom/query.hh"
#include "dicom/requestor.h"
#include "dicom/requestor.hh"
#include "engine/base/clock.h"
#include "engine/base/error.h"

void query_conclude(dicom_query_result &result, dicom_query_end end, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    result.end = end;
    (void)std::vsnprintf(result.reason, sizeof result.reason, format, args);
    va_end(args);
}

namespace
{

constexpr int64_t least_bytes = 1;       /* in each window of waiting */
constexpr std::size_t uids_at_once = 64; /* of a list of UIDs in one query */

struct finder {
    const dicom_requestor &peer;
    const dicom_query_keys &keys;
    const dicom_query_sink &sink;
    dicom_query_result &result;
    requestor &link;
    T_ASC_PresentationContextID context;
    DIC_US message_id;
    bool is_broken, is_enough;
};

bool is_given(const char *text)
{
    return text != nullptr && *text != '\0';
}

bool put(DcmDataset &set, const DcmTagKey &key, const char *value)
{
    return set.putAndInsertString(key, is_given(value) ? value : "").good();
}

/* A backslash parts values, and the peer would match any of them. */
bool fill_study(const dicom_query_keys &keys, const std::string &uids, DcmDataset &set)
{
    std::string dates;
    if (is_given(keys.from) || is_given(keys.to)) {
        dates = std::string(is_given(keys.from) ? keys.from : "") + "-" +
                (is_given(keys.to) ? keys.to : "");
    }
    return put(set, DCM_QueryRetrieveLevel, "STUDY") && put(set, DCM_StudyDate, dates.c_str()) &&
           put(set, DCM_AccessionNumber, keys.accession) &&
           put(set, DCM_ModalitiesInStudy, keys.modality) && put(set, DCM_StudyDescription, "") &&
           put(set, DCM_PatientID, keys.patient_id) && put(set, DCM_StudyInstanceUID, uids.c_str());
}

bool fill_series(const finder &f, const std::string &study_uid, DcmDataset &set)
{
    return put(set, DCM_QueryRetrieveLevel, "SERIES") && put(set, DCM_Modality, f.keys.modality) &&
           put(set, DCM_Manufacturer, "") && put(set, DCM_StationName, "") &&
           put(set, DCM_SeriesDescription, "") && put(set, DCM_BodyPartExamined, "") &&
           put(set, DCM_ProtocolName, "") && put(set, DCM_StudyInstanceUID, study_uid.c_str()) &&
           put(set, DCM_SeriesInstanceUID, f.keys.series_uid) && put(set, DCM_SeriesNumber, "") &&
           put(set, DCM_NumberOfSeriesRelatedInstances, "");
}

OFCondition send_find(finder &f, DcmDataset &identifier)
{
    T_DIMSE_Message message;
    std::memset(&message, 0, sizeof message);
    message.CommandField = DIMSE_C_FIND_RQ;
    T_DIMSE_C_FindRQ &rq = message.msg.CFindRQ;
    rq.MessageID = ++f.message_id;
    rq.Priority = DIMSE_PRIORITY_LOW;
    rq.DataSetType = DIMSE_DATASET_PRESENT;
    (void)std::snprintf(rq.AffectedSOPClassUID, sizeof rq.AffectedSOPClassUID, "%s",
                        UID_FINDStudyRootQueryRetrieveInformationModel);
    f.link.settle();
    return DIMSE_sendMessageUsingMemoryData(f.link.assoc(), f.context, &message, nullptr,
                                            &identifier, nullptr, nullptr);
}

/* A peer that goes on all the same is cut off. */
void cancel(finder &f)
{
    (void)DIMSE_sendCancelRequest(f.link.assoc(), f.context, f.message_id);
    f.is_broken = true;
}

/* An answer that cannot be read, or has no UID, is not there: a series is rather missed, and counted, than taken for
 * another. */
OFCondition take_identifier(finder &f, T_ASC_PresentationContextID id,
                            std::vector<dicom_found> &ret_found)
{
    T_ASC_PresentationContext context;
    std::memset(&context, 0, sizeof context);
    OFCondition condition =
        ASC_findAcceptedPresentationContext(f.link.assoc()->params, id, &context);
    if (condition.bad()) {
        return condition;
    }
    message_data data(context);
    condition = data_set_receive(f.link.assoc(), id, data);
    struct sctd_error err = {};
    struct dicom_found found = {};
    if (condition.good() && data.fits() &&
        dicom_found_read(&found, data.bytes(), data.size(), data.encoding(), &err) == 0 &&
        found.study_uid[0] + found.series_uid[0] != '\0') {
        ret_found.push_back(found);
    } else if (condition.good()) {
        f.result.failed++;
    }
    return condition;
}

void judge_find(finder &f, DIC_US status)
{
    if (status != STATUS_Success &&
        status != STATUS_FIND_Cancel_MatchingTerminatedDueToCancelRequest) {
        const bool passes = (status & 0xff00) == 0xa700;
        query_conclude(f.result, passes ? DICOM_QUERY_FAILED : DICOM_QUERY_REFUSED,
                       "%s refuses the query with status 0x%04X", f.peer.called_ae,
                       static_cast<unsigned>(status));
    }
}

/* One query.  Whether to go on. */
bool find(finder &f, DcmDataset &identifier, std::vector<dicom_found> &ret_found)
{
    OFCondition condition = send_find(f, identifier);
    bool is_pending = true;
    int64_t moved_ms = sctd_boot_ms(); /* the last answer that tells of something */
    while (condition.good() && is_pending && !f.is_broken) {
        T_DIMSE_Message message;
        T_ASC_PresentationContextID id = 0;
        condition = f.link.receive(message, &id);
        if (condition.good() && (message.CommandField != DIMSE_C_FIND_RSP ||
                                 message.msg.CFindRSP.MessageIDBeingRespondedTo != f.message_id)) {
            condition = DIMSE_BADCOMMANDTYPE;
        }
        if (condition.bad()) {
            break;
        }
        f.sink.moving(f.sink.arg);
        const T_DIMSE_C_FindRSP &rsp = message.msg.CFindRSP;
        is_pending = DICOM_PENDING_STATUS(rsp.DimseStatus);
        const std::size_t n = ret_found.size();
        if (rsp.DataSetType != DIMSE_DATASET_NULL) {
            condition = take_identifier(f, id, ret_found);
        }
        moved_ms = ret_found.size() > n ? sctd_boot_ms() : moved_ms;
        if (!is_pending) {
            judge_find(f, rsp.DimseStatus);
        } else if (sctd_boot_ms() - moved_ms >= f.peer.answer_ms) {
            query_conclude(f.result, DICOM_QUERY_FAILED, "%s goes on and told nothing for %d s",
                           f.peer.called_ae, f.peer.answer_ms / 1000);
            cancel(f);
        } else if (ret_found.size() > f.keys.limit) {
            query_conclude(f.result, DICOM_QUERY_REFUSED,
                           "%s finds more than %zu: narrow the query down", f.peer.called_ae,
                           f.keys.limit);
            cancel(f);
        }
    }
    if (condition.bad()) {
        query_conclude(f.result, DICOM_QUERY_FAILED, "query: %s", f.link.describe(condition));
        f.is_broken = true;
    }
    return f.result.end == DICOM_QUERY_DONE && !f.is_broken;
}

/* What the study says goes with each of its series. */
void hand_on(finder &f, const dicom_found &study, dicom_found series)
{
    std::memcpy(series.study_uid, study.study_uid, sizeof series.study_uid);
    std::memcpy(series.study_date, study.study_date, sizeof series.study_date);
    std::memcpy(series.accession, study.accession, sizeof series.accession);
    std::memcpy(series.patient_id, study.patient_id, sizeof series.patient_id);
    std::memcpy(series.study_description, study.study_description, sizeof series.study_description);
    if (series.series_uid[0] == '\0') {
        f.result.failed++;
    } else if (!f.sink.found(f.sink.arg, &series)) {
        f.is_enough = true;
    }
}

bool find_series(finder &f, const dicom_found &study)
{
    DcmDataset identifier;
    std::vector<dicom_found> series;
    if (!fill_series(f, study.study_uid, identifier) || !find(f, identifier, series)) {
        return false;
    }
    for (std::size_t i = 0; i < series.size() && !f.is_enough; i++) {
        hand_on(f, study, series[i]);
    }
    return !f.is_enough;
}

bool find_studies(finder &f, const std::string &uids)
{
    DcmDataset identifier;
    std::vector<dicom_found> studies;
    if (!fill_study(f.keys, uids, identifier) || !find(f, identifier, studies)) {
        return false;
    }
    bool go_on = true;
    for (std::size_t i = 0; i < studies.size() && go_on; i++) {
        if (studies[i].study_uid[0] == '\0') {
            f.result.failed++;
        } else {
            go_on = find_series(f, studies[i]);
        }
    }
    return go_on;
}

void find_all(finder &f)
{
    if (f.keys.n == 0) {
        (void)find_studies(f, "");
        return;
    }
    bool go_on = true;
    for (std::size_t i = 0; i < f.keys.n && go_on; i += uids_at_once) {
        std::string uids;
        for (std::size_t k = i; k < f.keys.n && k < i + uids_at_once; k++) {
            uids += (uids.empty() ? "" : "\\") + std::string(f.keys.study_uid[k]);
        }
        go_on = find_studies(f, uids);
    }
}

} // namespace

bool query_propose(T_ASC_Parameters *params, unsigned &id, const char *abstract_syntax)
{
    static const std::array<const char *, 2> syntaxes = {UID_LittleEndianExplicitTransferSyntax,
                                                         UID_LittleEndianImplicitTransferSyntax};
    return requestor_propose(params, id,
                             {abstract_syntax, syntaxes.data(), syntaxes.size(), false});
}

int dicom_query_find(const struct dicom_requestor *peer, const struct dicom_query_keys *keys,
                     const struct dicom_query_sink *sink, struct dicom_query_result *ret_result,
                     struct sctd_error *err)
{
    struct dicom_query_result result = {DICOM_QUERY_DONE, 0, 0, 0, 0, ""};
    const int r = dicom_guard(err, [&] {
        requestor link(*peer, peer->answer_ms, least_bytes);
        finder f = {*peer, *keys, *sink, result, link, 0, 0, false, false};
        const bool is_open = link.open([](T_ASC_Parameters *params) {
            unsigned id = 1;
            return query_propose(params, id, UID_FINDStudyRootQueryRetrieveInformationModel);
        });
        if (!is_open) {
            query_conclude(result, DICOM_QUERY_UNREACHABLE, "%s", link.reason());
            return 0;
        }
        f.context = link.find(UID_FINDStudyRootQueryRetrieveInformationModel);
        if (f.context == 0) {
            query_conclude(result, DICOM_QUERY_REFUSED, "%s does not take queries (Study Root)",
                           peer->called_ae);
        } else {
            find_all(f);
        }
        link.close(f.is_broken);
        return 0;
    });
    if (r == 0) {
        *ret_result = result;
    }
    return r;
}
