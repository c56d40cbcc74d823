/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/refusal.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "dicom/series.h"
#include "engine/base/error.h"

static const char *const names[] = {
    [DICOM_REFUSAL_MISSING_SLICE] = "missing-slice",
    [DICOM_REFUSAL_DUPLICATE_POSITION] = "duplicate-position",
    [DICOM_REFUSAL_MIXED_ORIENTATION] = "mixed-orientation",
    [DICOM_REFUSAL_MIXED_SIZE] = "mixed-size",
    [DICOM_REFUSAL_MIXED_FRAME_OF_REFERENCE] = "mixed-frame-of-reference",
    [DICOM_REFUSAL_MIXED_PATIENT] = "mixed-patient",
    [DICOM_REFUSAL_UNEVEN_SPACING] = "uneven-spacing",
    [DICOM_REFUSAL_GANTRY_TILT] = "gantry-tilt",
    [DICOM_REFUSAL_LOCALISER] = "localiser",
    [DICOM_REFUSAL_MOSAIC] = "mosaic",
    [DICOM_REFUSAL_COLOUR] = "colour",
    [DICOM_REFUSAL_SEVERAL_VOLUMES] = "several-volumes",
    [DICOM_REFUSAL_NOTHING_SELECTED] = "nothing-selected",
    [DICOM_REFUSAL_TOO_FEW_SLICES] = "too-few-slices",
    [DICOM_REFUSAL_WRONG_MODALITY] = "wrong-modality",
    [DICOM_REFUSAL_UNSUPPORTED_CLASS] = "unsupported-class",
    [DICOM_REFUSAL_OWN_OBJECT] = "own-object",
    [DICOM_REFUSAL_NO_GEOMETRY] = "no-geometry",
    [DICOM_REFUSAL_TRUNCATED_PIXELS] = "truncated-pixels",
    [DICOM_REFUSAL_UNDECODABLE_PIXELS] = "undecodable-pixels",
    [DICOM_REFUSAL_BAD_ATTRIBUTE] = "bad-attribute",
    [DICOM_REFUSAL_CONFLICTING_INSTANCE] = "conflicting-instance",
    [DICOM_REFUSAL_TOO_LARGE] = "too-large",
};
static_assert(sizeof names / sizeof *names == DICOM_REFUSAL_COUNT, "a name for each code");

const char *dicom_refusal_name(enum dicom_refusal_code code)
{
    const unsigned at = (unsigned)code;
    return at < DICOM_REFUSAL_COUNT ? names[at] : "unknown";
}

int dicom_refusal_set(struct dicom_refusal *ret_refusal, enum dicom_refusal_code code,
                      const char *format, ...)
{
    char text[sizeof ret_refusal->text];
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct sctd_error one_line = {.code = SCTD_EDATA};
    sctd_error_set(&one_line, SCTD_EDATA, __FILE__, __LINE__, "%s", n < 0 ? "" : text);
    ret_refusal->code = code;
    (void)snprintf(ret_refusal->text, sizeof ret_refusal->text, "%s", one_line.text);
    return DICOM_SERIES_REFUSED;
}
