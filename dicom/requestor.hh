/* requestor.hh - an association that this side asks for: opened, waited on with limits, and closed. */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmnet/assoc.h>
#include <dcmtk/dcmnet/dimse.h>

#include "dicom/peer_connection.hh"
#include "dicom/receiver.h"
#include "dicom/requestor.h"
#include "engine/base/attr.h"

/* One context of a proposal; the identifiers are counted on. */
struct requestor_context {
    const char *abstract_syntax;
    const char *const *transfer_syntaxes;
    std::size_t n;
    bool is_scp; /* the peer's requests are wanted on it (PS3.7 D.3.3.4) */
};
/* False: there is no room for it. */
bool requestor_propose(T_ASC_Parameters *params, unsigned &id, const requestor_context &context);

class requestor
{
  public:
    /* window_bytes: the least that comes in each window_ms of a message. */
    requestor(const dicom_requestor &options, int window_ms, int64_t window_bytes);
    requestor(const requestor &) = delete;
    requestor &operator=(const requestor &) = delete;
    ~requestor();

    /* Whether there is an association now; else `reason` tells why not.  `propose` false: too many contexts. */
    bool open(const std::function<bool(T_ASC_Parameters *)> &propose);
    [[nodiscard]] const char *reason() const
    {
        return reason_.c_str();
    }
    [[nodiscard]] T_ASC_Association *assoc() const
    {
        return assoc_;
    }
    [[nodiscard]] bool is_open() const
    {
        return layer_.state() == peer_state::OPEN;
    }
    /* A message was answered: from now on silence is idleness. */
    void settle()
    {
        layer_.settle();
    }
    /* What went wrong: the connection knows better than DCMTK. */
    [[nodiscard]] const char *describe(const OFCondition &condition) const;
    /* The first context of a class that was accepted; 0: none. */
    [[nodiscard]] T_ASC_PresentationContextID find(const char *abstract_syntax) const;
    OFCondition receive(T_DIMSE_Message &message, T_ASC_PresentationContextID *ret_id);
    /* Release it, or abort what is of no use any more. */
    void close(bool is_broken);

  private:
    void miss(const char *why); /* no association */
    void refuse(const OFCondition &condition);

    const dicom_requestor &options_;
    dicom_receiver_options waits_;
    peer_layer layer_;
    T_ASC_Network *net_ = nullptr;
    T_ASC_Association *assoc_ = nullptr;
    T_ASC_Parameters *params_ = nullptr; /* the association's, once there is one */
    std::string reason_;
};
