/* services.hh - what peers say about instances over an association: storage commitment, performed steps. */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <cstddef>
#include <deque>

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmnet/assoc.h>
#include <dcmtk/dcmnet/dimse.h>

#include "dicom/commitment.h"
#include "dicom/receiver.h"

class message_data;

/*
 * Both sides send requests here: what is kept is reported when the peer has asked for it, one report at a time
 * (PS3.7 D.3.3.3: without negotiation only one operation may be outstanding), while its other requests are
 * served.
 */
class services
{
  public:
    explicit services(const struct dicom_receiver_services *hooks) : hooks_(hooks)
    {
    }
    services(const services &) = delete;
    services &operator=(const services &) = delete;
    ~services();

    static bool has(const char *abstract_syntax);
    /* A PACS that reports is the SCP of what it has opened, and says so (PS3.7 D.3.3.4). */
    static T_ASC_SC_ROLE role(const T_ASC_PresentationContext &context);
    static bool takes(T_DIMSE_Command command);
    OFCondition serve(T_ASC_Association *assoc, T_ASC_PresentationContextID id,
                      const T_DIMSE_Message &message, bool *ret_stop);

  private:
    void answer_request(const T_ASC_PresentationContext &context, const T_DIMSE_Message &rq,
                        const message_data &data, char (&uid)[DICOM_UID_SIZE],
                        struct dicom_receiver_answer *answer);
    OFCondition reported(const T_DIMSE_N_EventReportRSP &response, bool *ret_stop);
    void event(const T_DIMSE_N_EventReportRQ &rq, const message_data &data,
               struct dicom_receiver_answer *answer);
    void action(const T_DIMSE_N_ActionRQ &rq, const message_data &data,
                struct dicom_receiver_answer *answer);
    void perform(const message_data &data, bool is_new, char (&uid)[DICOM_UID_SIZE],
                 struct dicom_receiver_answer *answer);
    OFCondition send_report(T_ASC_Association *assoc);

    struct asked {
        T_ASC_PresentationContextID id;
        struct dicom_commitment commitment;
    };
    const struct dicom_receiver_services *hooks_;
    std::deque<asked> asked_; /* the first is being reported if is_reporting_ */
    bool is_reporting_ = false;
    DIC_US report_id_ = 0;
};
