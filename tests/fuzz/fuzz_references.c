/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as what a peer says about instances, as storage commitment and as a performed step: what is read keeps
 * to every limit.  The first byte is the encoding.
 */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dicom/commitment.h"
#include "dicom/mpps.h"
#include "dicom/prescan.h"
#include "dicom/references.h"
#include "dicom/uid.h"
#include "engine/base/error.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct dicom_references *references, bool of_series)
{
    assert(references->n <= DICOM_REFERENCES_MAX && references->n <= references->capacity);
    for (size_t i = 0; i < references->n; i++) {
        const struct dicom_reference *one = &references->item[i];
        assert(dicom_uid_is_valid(one->sop_class_uid) && dicom_uid_is_valid(one->sop_instance_uid));
        assert(of_series ? dicom_uid_is_valid(one->series_uid) : one->series_uid[0] == '\0');
    }
}

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct dicom_commitment commitment = {.transaction_uid = ""};
    struct dicom_mpps mpps = {.status = DICOM_MPPS_UNSAID};
    if (size == 0) {
        return 0;
    }
    const struct dicom_encoding encoding = {.implicit_vr = (data[0] & 1) != 0,
                                            .big_endian = (data[0] & 3) == 2};
    if (dicom_commitment_read(&commitment, data + 1, size - 1, encoding, &err) == 0) {
        assert(dicom_uid_is_valid(commitment.transaction_uid));
        check(&commitment.references, false);
    }
    if (dicom_mpps_read(&mpps, data + 1, size - 1, encoding, &err) == 0) {
        assert(mpps.status >= DICOM_MPPS_UNSAID && mpps.status <= DICOM_MPPS_DISCONTINUED);
        check(&mpps.references, true);
    }
    dicom_commitment_fini(&commitment);
    dicom_mpps_fini(&mpps);
    return 0;
}
