/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/data_set.hh"

#include <cstddef>

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcostrma.h>
#include <dcmtk/dcmnet/assoc.h>
#include <dcmtk/dcmnet/dimse.h>

namespace
{

/* DCMTK's idea of where bytes go, which never fails and never fills up. */
class consumer : public DcmConsumer
{
  public:
    explicit consumer(data_set_taker &taker) : taker_(taker)
    {
    }
    OFBool good() const override
    {
        return OFTrue;
    }
    OFCondition status() const override
    {
        return EC_Normal;
    }
    OFBool isFlushed() const override
    {
        return OFTrue;
    }
    offile_off_t avail() const override
    {
        return 1 << 30;
    }
    offile_off_t write(const void *buf, offile_off_t buflen) override
    {
        taker_.take(buf, static_cast<std::size_t>(buflen));
        return buflen;
    }
    void flush() override
    {
    }

  private:
    data_set_taker &taker_;
};

class stream : public DcmOutputStream
{
  public:
    explicit stream(DcmConsumer &to) : DcmOutputStream(&to)
    {
    }
};

} // namespace

OFCondition data_set_receive(T_ASC_Association *assoc, T_ASC_PresentationContextID id,
                             data_set_taker &taker)
{
    consumer to(taker);
    stream out(to);
    T_ASC_PresentationContextID data_id = 0;
    OFCondition condition =
        DIMSE_receiveDataSetInFile(assoc, DIMSE_BLOCKING, 0, &data_id, &out, nullptr, nullptr);
    if (condition.good() && data_id != id) {
        condition = DIMSE_BADCOMMANDTYPE; /* the data set is not of this command */
    }
    return condition;
}
