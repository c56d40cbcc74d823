/* data_set.hh - the data set of a message as it comes over an association, piece by piece and never parsed. */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <cstddef>

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmnet/assoc.h>

/* What is done with each piece. */
class data_set_taker
{
  public:
    data_set_taker() = default;
    data_set_taker(const data_set_taker &) = delete;
    data_set_taker &operator=(const data_set_taker &) = delete;
    virtual ~data_set_taker() = default;
    virtual void take(const void *bytes, std::size_t size) = 0;
};

/* Receive all of it; it must be of the given presentation context. */
OFCondition data_set_receive(T_ASC_Association *assoc, T_ASC_PresentationContextID id,
                             data_set_taker &taker);
