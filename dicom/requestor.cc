/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/requestor.hh"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>
#include <dcmtk/dcmnet/assoc.h>
#include <dcmtk/dcmnet/dimse.h>

#include "dicom/peer_address.hh"
#include "dicom/peer_connection.hh"
#include "dicom/receiver.h"
#include "dicom/requestor.h"

namespace
{

constexpr int release_ms = 5000; /* longest wait for the end that both know of */
constexpr unsigned id_max = 255;

} // namespace

bool requestor_propose(T_ASC_Parameters *params, unsigned &id, const requestor_context &context)
{
    if (id > id_max) {
        return false;
    }
    const auto own = static_cast<T_ASC_PresentationContextID>(id);
    id += 2;
    return ASC_addPresentationContext(params, own, context.abstract_syntax,
                                      const_cast<const char **>(context.transfer_syntaxes),
                                      static_cast<int>(context.n),
                                      context.is_scp ? ASC_SC_ROLE_SCP : ASC_SC_ROLE_DEFAULT)
        .good();
}

requestor::requestor(const dicom_requestor &options, int window_ms, int64_t window_bytes)
    : options_(options),
      waits_{-1, options.answer_ms, window_ms, window_bytes, false, options.stop, nullptr},
      layer_(waits_)
{
}

requestor::~requestor()
{
    if (assoc_ != nullptr) {
        (void)ASC_destroyAssociation(&assoc_);
    } else if (params_ != nullptr) {
        (void)ASC_destroyAssociationParameters(&params_);
    }
    if (net_ != nullptr) {
        (void)ASC_dropNetwork(&net_);
    }
}

const char *requestor::describe(const OFCondition &condition) const
{
    switch (layer_.state()) {
    case peer_state::LOST:
        return "the peer closed the connection";
    case peer_state::IDLE:
    case peer_state::SLOW:
        return "the peer did not answer in time";
    case peer_state::STOPPED:
        return "stopped";
    case peer_state::OPEN:
        break;
    }
    return condition == DUL_PEERABORTEDASSOCIATION ? "the peer aborted the association"
                                                   : condition.text();
}

void requestor::miss(const char *why)
{
    reason_ = std::string("no association with ") + options_.called_ae + " at " +
              std::string(options_.host).substr(0, 60) + ":" + std::to_string(options_.port) +
              ": " + std::string(why).substr(0, 80);
}

void requestor::refuse(const OFCondition &condition)
{
    const std::string called = options_.called_ae;
    if (condition == DUL_ASSOCIATIONREJECTED) {
        T_ASC_RejectParameters rejection = {};
        OFString text;
        ASC_getRejectParameters(params_, &rejection);
        ASC_printRejectParameters(text, &rejection);
        std::replace(text.begin(), text.end(), '\n', ' ');
        const bool passes = rejection.result == ASC_RESULT_REJECTEDTRANSIENT;
        reason_ = called + " rejects the association" + (passes ? " for now" : "") + ": " +
                  std::string(text.c_str()).substr(0, 120);
    } else {
        miss(describe(condition));
    }
}

bool requestor::open(const std::function<bool(T_ASC_Parameters *)> &propose)
{
    peer_address
        peer; /* DCMTK keeps 63 characters of host and port, and says little about a name */
    if (!peer.find(options_.host, options_.port, options_.connect_ms)) {
        if (peer.is_known()) {
            miss(peer.reason());
        } else {
            reason_ = peer.reason();
        }
        return false;
    }
    layer_.adopt(peer.take_connection());
    const int connect_s = std::max(1, (options_.connect_ms + 999) / 1000);
    dcmConnectionTimeout.set(connect_s);
    OFCondition condition = ASC_initializeNetwork(NET_REQUESTOR, 0, connect_s, &net_);
    if (condition.good()) {
        condition = ASC_setTransportLayer(net_, &layer_, 0);
    }
    if (condition.good()) {
        condition = ASC_createAssociationParameters(&params_, ASC_MAXIMUMPDUSIZE);
    }
    if (condition.good()) {
        condition = ASC_setAPTitles(params_, options_.calling_ae, options_.called_ae, nullptr);
    }
    if (condition.good()) {
        condition =
            ASC_setPresentationAddresses(params_, "localhost", peer.host_and_port().c_str());
    }
    if (condition.good() && !propose(params_)) {
        reason_ = "more SOP classes than an association can have";
        return false;
    }
    if (condition.good()) {
        condition = ASC_requestAssociation(net_, params_, &assoc_);
    }
    if (condition.bad()) {
        refuse(condition);
    }
    return condition.good();
}

T_ASC_PresentationContextID requestor::find(const char *abstract_syntax) const
{
    return ASC_findAcceptedPresentationContextID(assoc_, abstract_syntax);
}

OFCondition requestor::receive(T_DIMSE_Message &message, T_ASC_PresentationContextID *ret_id)
{
    DcmDataset *detail = nullptr;
    std::memset(&message, 0, sizeof message);
    layer_.settle();
    const OFCondition condition =
        DIMSE_receiveCommand(assoc_, DIMSE_BLOCKING, 0, ret_id, &message, &detail);
    delete detail;
    return condition;
}

void requestor::close(bool is_broken)
{
    waits_.idle_ms = std::min(waits_.idle_ms, release_ms);
    layer_.settle();
    if (!is_broken && layer_.state() == peer_state::OPEN) {
        (void)ASC_releaseAssociation(assoc_);
    } else {
        (void)ASC_abortAssociation(assoc_);
    }
}
