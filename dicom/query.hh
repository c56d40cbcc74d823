/* query.hh - what query.cc and retrieve.cc share. */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmnet/assoc.h>

#include "dicom/query.h"
#include "engine/base/attr.h"

SCTD_PRINTF(3, 4) void query_conclude(dicom_query_result &result, dicom_query_end end,
                                      const char *format, ...);

/* A context without compression.  False: there is no room for it. */
bool query_propose(T_ASC_Parameters *params, unsigned &id, const char *abstract_syntax);
