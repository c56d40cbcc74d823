/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/receiver.h"

#include <array>
#include <cstddef>
#include <cstdio>
#include <cstring>

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>
#include <dcmtk/dcmnet/assoc.h>
#include <dcmtk/dcmnet/dimse.h>
#include <dcmtk/dcmnet/diutil.h>
#include <dcmtk/dcmnet/dul.h>
#include <dcmtk/oflog/oflog.h>

#include "dicom/accept.h"
#include "dicom/guard.hh"
#include "dicom/peer_connection.hh"
#include "dicom/services.hh"
#include "dicom/storage.hh"
#include "engine/base/error.h"

namespace
{

/* How long DCMTK waits for the peer to close after an abort or a release (PS3.8 9.1.5). */
constexpr int artim_s = 2;

/* The association, dropped on every way out. */
class association
{
  public:
    association() = default;
    association(const association &) = delete;
    association &operator=(const association &) = delete;
    ~association()
    {
        if (assoc != nullptr) {
            (void)ASC_dropAssociation(assoc);
            (void)ASC_destroyAssociation(&assoc);
        }
        if (net != nullptr) {
            (void)ASC_dropNetwork(&net);
        }
    }

    T_ASC_Network *net = nullptr;
    T_ASC_Association *assoc = nullptr;
};

struct receiver {
    const struct dicom_receiver_options &options;
    const struct dicom_receiver_sink &sink;
    struct dicom_receiver_result &result;
    peer_layer layer;
    services service;
    T_ASC_Association *assoc; /* borrowed */
};

bool is_accepted_class(const char *uid)
{
    std::size_t n = 0;
    const char *const *classes = dicom_accept_classes(&n);
    for (std::size_t i = 0; i < n; i++) {
        if (std::strcmp(classes[i], uid) == 0) {
            return true;
        }
    }
    return false;
}

bool is_proposed(const T_ASC_PresentationContext &context, const char *syntax)
{
    for (int k = 0; k < context.transferSyntaxCount; k++) {
        if (std::strcmp(syntax, context.proposedTransferSyntaxes[k]) == 0) {
            return true;
        }
    }
    return false;
}

/* The syntax that we like best of those proposed; nullptr: none. */
const char *choose_syntax(const T_ASC_PresentationContext &context, bool all)
{
    std::size_t n = 0;
    const char *const *syntaxes = dicom_accept_syntaxes(all, &n);
    for (std::size_t i = 0; i < n; i++) {
        if (is_proposed(context, syntaxes[i])) {
            return syntaxes[i];
        }
    }
    return nullptr;
}

OFCondition answer_context(T_ASC_Parameters *params, int place,
                           const struct dicom_receiver_options &options)
{
    T_ASC_PresentationContext context;
    std::memset(&context, 0, sizeof context);
    /* More transfer syntaxes than DCMTK has room for are an error that leaves the identifier set. */
    const bool readable = ASC_getPresentationContext(params, place, &context).good();
    const bool storage = is_accepted_class(context.abstractSyntax);
    const bool service = options.services != nullptr && services::has(context.abstractSyntax);
    if (!readable || (!storage && !service &&
                      std::strcmp(context.abstractSyntax, DICOM_VERIFICATION_CLASS) != 0)) {
        return ASC_refusePresentationContext(params, context.presentationContextID,
                                             ASC_P_ABSTRACTSYNTAXNOTSUPPORTED);
    }
    const char *syntax = choose_syntax(context, options.all_syntaxes && storage);
    if (syntax == nullptr) {
        return ASC_refusePresentationContext(params, context.presentationContextID,
                                             ASC_P_TRANSFERSYNTAXESNOTSUPPORTED);
    }
    return ASC_acceptPresentationContext(params, context.presentationContextID, syntax,
                                         service ? services::role(context) : ASC_SC_ROLE_DEFAULT);
}

OFCondition negotiate(T_ASC_Association *assoc, const struct dicom_receiver_options &options)
{
    OFCondition condition = EC_Normal;
    const int n = ASC_countPresentationContexts(assoc->params);
    for (int i = 0; condition.good() && i < n; i++) {
        condition = answer_context(assoc->params, i, options);
    }
    return condition.good() ? ASC_acknowledgeAssociation(assoc) : condition;
}

/* How it ended when a call to DCMTK did not succeed. */
enum dicom_receiver_end end_of(const receiver &r, const OFCondition &condition)
{
    switch (r.layer.state()) {
    case peer_state::LOST:
        return DICOM_END_LOST;
    case peer_state::IDLE:
        return DICOM_END_IDLE;
    case peer_state::SLOW:
        return DICOM_END_SLOW;
    case peer_state::STOPPED:
        return DICOM_END_STOPPED;
    case peer_state::OPEN:
        break;
    }
    return condition == DUL_PEERABORTEDASSOCIATION ? DICOM_END_ABORTED : DICOM_END_VIOLATION;
}

OFCondition echo(receiver &r, T_ASC_PresentationContextID id, const T_DIMSE_C_EchoRQ &rq)
{
    r.result.echoed++;
    return DIMSE_sendEchoResponse(r.assoc, id, &rq, STATUS_Success, nullptr);
}

/* One message.  True as long as there may be another one. */
bool serve_one(receiver &r)
{
    T_ASC_PresentationContextID id = 0;
    T_DIMSE_Message message;
    std::memset(&message, 0, sizeof message);
    r.layer.settle();
    OFCondition condition =
        DIMSE_receiveCommand(r.assoc, DIMSE_BLOCKING, 0, &id, &message, nullptr);
    if (condition == DUL_PEERREQUESTEDRELEASE) {
        (void)ASC_acknowledgeRelease(r.assoc);
        r.result.end = DICOM_END_RELEASED;
        return false;
    }
    bool stop = false;
    if (condition.good() && message.CommandField == DIMSE_C_STORE_RQ) {
        storage_counts counts = {};
        condition = storage_serve(r.assoc, id, message.msg.CStoreRQ, r.sink, counts, &stop);
        r.result.stored += counts.stored;
        r.result.refused += counts.refused;
    } else if (condition.good() && message.CommandField == DIMSE_C_ECHO_RQ) {
        condition = echo(r, id, message.msg.CEchoRQ);
    } else if (condition.good() && services::takes(message.CommandField)) {
        condition = r.service.serve(r.assoc, id, message, &stop);
        r.result.told +=
            condition.good() && message.CommandField != DIMSE_N_EVENT_REPORT_RSP ? 1 : 0;
    } else if (condition.good()) {
        condition = DIMSE_BADCOMMANDTYPE;
    }
    if (condition.good() && !stop) {
        return true;
    }
    r.result.end = stop ? DICOM_END_STOPPED : end_of(r, condition);
    if (r.result.end != DICOM_END_ABORTED && r.result.end != DICOM_END_LOST) {
        (void)ASC_abortAssociation(r.assoc);
    }
    return false;
}

int open_network(association &a, receiver &r, struct sctd_error *err)
{
    /* DCMTK's way of saying that this process does not listen. */
    DUL_markProcessAsForkedChild();
    dcmExternalSocketHandle.set(r.options.fd);
    OFCondition condition = ASC_initializeNetwork(NET_ACCEPTOR, 0, artim_s, &a.net);
    if (condition.good()) {
        condition = ASC_setTransportLayer(a.net, &r.layer, 0);
    }
    if (condition.bad()) {
        return sctd_error(err, SCTD_EIO, "DCMTK: %s", condition.text());
    }
    return 0;
}

int run(const struct dicom_receiver_options &options, const struct dicom_receiver_sink &sink,
        struct dicom_receiver_result &result, struct sctd_error *err)
{
    receiver r = {options, sink, result, peer_layer(options), services(options.services), nullptr};
    association a; /* after r: it uses the layer until it is gone */
    int status = open_network(a, r, err);
    if (status < 0) {
        return status;
    }
    OFCondition condition = ASC_receiveAssociation(a.net, &a.assoc, ASC_MAXIMUMPDUSIZE);
    if (condition.good()) {
        condition = negotiate(a.assoc, options);
    }
    r.assoc = a.assoc;
    if (condition.good()) {
        result.contexts = ASC_countAcceptedPresentationContexts(a.assoc->params);
    }
    if (condition.bad()) {
        result.end = end_of(r, condition);
        if (!r.layer.was_connected()) {
            return sctd_error(err, SCTD_EIO, "DCMTK: %s", condition.text());
        }
        return 0;
    }
    while (serve_one(r)) {
    }
    return 0;
}

} // namespace

const char *dicom_receiver_end_name(enum dicom_receiver_end end)
{
    static const std::array<const char *, 7> names = {"released", "aborted",   "lost",   "idle",
                                                      "slow",     "violation", "stopped"};
    return static_cast<std::size_t>(end) < names.size() ? names[static_cast<std::size_t>(end)]
                                                        : "unknown";
}

int dicom_receiver_prepare(struct sctd_error *err)
{
    return dicom_guard(err, [&] {
        OFLog::configure(OFLogger::OFF_LOG_LEVEL);
        dcmDisableGethostbyaddr.set(OFTrue);
        if (!dcmDataDict.isDictionaryLoaded()) {
            return sctd_error(err, SCTD_EIO,
                              "DCMTK finds no data dictionary: set DCMDICTPATH or install it");
        }
        return 0;
    });
}

int dicom_receiver_run(const struct dicom_receiver_options *options,
                       const struct dicom_receiver_sink *sink,
                       struct dicom_receiver_result *ret_result, struct sctd_error *err)
{
    struct dicom_receiver_result result = {};
    const int r = dicom_guard(err, [&] { return run(*options, *sink, result, err); });
    if (r == 0) {
        *ret_result = result;
    }
    return r;
}
