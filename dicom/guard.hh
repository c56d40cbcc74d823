/* guard.hh - the only place where C++ exceptions become sctd_error codes. */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <exception>
#include <new>

#include <dcmtk/config/osconfig.h>
#include <dcmtk/oflog/oflog.h>

#include "engine/base/error.h"

/* Libraries do not log: DCMTK would write warnings, with what files hold, to standard error. */
inline void dicom_silence()
{
    static const bool silent = [] {
        OFLog::configure(OFLogger::OFF_LOG_LEVEL);
        return true;
    }();
    static_cast<void>(silent);
}

template <typename Body> int dicom_guard(struct sctd_error *err, Body &&body) noexcept
{
    try {
        dicom_silence();
        return body();
    } catch (const std::bad_alloc &) {
        return sctd_error(err, SCTD_ENOMEM, "DCMTK ran out of memory");
    } catch (const std::exception &e) {
        return sctd_error(err, SCTD_EDATA, "DCMTK: %s", e.what());
    } catch (...) {
        return sctd_error(err, SCTD_EDATA, "DCMTK: unknown exception");
    }
}
