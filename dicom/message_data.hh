/* message_data.hh - the data set of one message in memory, never larger than what its readers take. */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <cstddef>
#include <cstring>

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcuid.h>
#include <dcmtk/dcmnet/assoc.h>

#include "dicom/data_set.hh"
#include "dicom/prescan.h"
#include "dicom/references.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"

/* What comes beyond the limit is read from the association and dropped. */
class message_data : public data_set_taker
{
  public:
    explicit message_data(const T_ASC_PresentationContext &context)
        : encoding_({std::strcmp(context.acceptedTransferSyntax,
                                 UID_LittleEndianImplicitTransferSyntax) == 0,
                     false}),
          buffer_(sctd_buf_make(DICOM_REFERENCES_BYTES_MAX))
    {
    }
    message_data(const message_data &) = delete;
    message_data &operator=(const message_data &) = delete;
    ~message_data() override
    {
        sctd_buf_fini(&buffer_);
    }
    void take(const void *bytes, std::size_t size) override
    {
        struct sctd_error err = {};
        fits_ = fits_ && sctd_buf_append(&buffer_, bytes, size, &err) == 0;
    }
    [[nodiscard]] bool fits() const
    {
        return fits_;
    }
    [[nodiscard]] const char *bytes() const
    {
        return sctd_buf_get_text(&buffer_);
    }
    [[nodiscard]] std::size_t size() const
    {
        return buffer_.size;
    }
    [[nodiscard]] struct dicom_encoding encoding() const
    {
        return encoding_;
    }

  private:
    struct dicom_encoding encoding_;
    struct sctd_buf buffer_;
    bool fits_ = true;
};
