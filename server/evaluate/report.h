/*
 * report.h - cases as a page that needs nothing but itself, and as files for other programs.
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "engine/base/error.h"
#include "server/evaluate/table.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Write report.html, cases.csv and cases.json into the folder, which is made; files of these names are replaced.  The page
 * loads nothing from anywhere.
 * Errors: SCTD_EIO, SCTD_EINVAL (too large), SCTD_ENOMEM.
 */
SCTD_NODISCARD int evaluate_report_write(const char *dir, const struct evaluate_row *rows, size_t n,
                                         struct sctd_error *err);

#ifdef __cplusplus
}
#endif
