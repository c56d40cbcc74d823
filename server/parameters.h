/*
 * parameters.h - all that decides the objects of a job besides its source and weights, as a text that is kept.
 *
 * A job is done by the parameters it was made with, whatever the configuration says meanwhile.
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dicom/series.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/sha256.h"
#include "engine/engine.h"
#include "server/config.h"
#include "server/convert.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    PARAMETERS_SELECT_MAX = 16,
    PARAMETERS_WORD_SIZE = 90, /* "temporal-position=" and 64 characters */
    PARAMETERS_TEXT_MAX = 2048,
};

struct parameters {
    char precision[17];
    bool axial;
    char select[PARAMETERS_SELECT_MAX][PARAMETERS_WORD_SIZE]; /* "echo=1" */
    size_t n_select;
    char series_description[65]; /* "": the default */
    int32_t series_number_offset, rescale_intercept;
    bool is_checked; /* the model has limits: a result comes with what its checks found */
    char work_sha256[SHA256_HEX_SIZE]; /* of what the model's manifest and this program add to it */
};

/* What a rule asks for, with this model.  Errors: SCTD_EINVAL (a text or list too long), SCTD_ENOMEM. */
SCTD_NODISCARD int parameters_make(struct parameters *ret_parameters,
                                   const struct config_rule *rule, const char *precision,
                                   const struct manifest *manifest, struct sctd_error *err);

SCTD_NODISCARD int parameters_write(struct sctd_buf *text, const struct parameters *parameters,
                                    struct sctd_error *err);
/* Errors: SCTD_EDATA. */
SCTD_NODISCARD int parameters_read(struct parameters *ret_parameters, const char *text,
                                   struct sctd_error *err);

/*
 * The options of a conversion, borrowing `parameters` and selector[PARAMETERS_SELECT_MAX].
 * Errors: SCTD_EINVAL (a condition that is none).
 */
SCTD_NODISCARD int parameters_to_options(struct convert_options *ret_options,
                                         struct dicom_selector *selector,
                                         const struct parameters *parameters,
                                         struct sctd_error *err);

/* Whether this program with this model would still make the same.  Errors: SCTD_EDATA (no), SCTD_ENOMEM. */
SCTD_NODISCARD int parameters_check(const struct parameters *parameters,
                                    const struct manifest *manifest, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
