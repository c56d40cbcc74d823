/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/commitment.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dicom/prescan.h"
#include "dicom/references.h"
#include "dicom/tags.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"

struct reading {
    struct dicom_commitment commitment;
    bool has_referenced, has_failed, has_reason;
};

void dicom_commitment_fini(struct dicom_commitment *commitment)
{
    dicom_references_fini(&commitment->references);
    *commitment = (struct dicom_commitment){.transaction_uid = ""};
}

static void fini_reading(struct reading *reading)
{
    dicom_commitment_fini(&reading->commitment);
}

static int read_top(struct reading *reading, const struct dicom_element *e, struct sctd_error *err)
{
    switch (e->tag) {
    case TAG_TRANSACTION_UID:
        return dicom_references_uid(reading->commitment.transaction_uid, "Transaction UID", e, err);
    case TAG_REFERENCED_SOP_SEQUENCE:
        return dicom_references_sequence(&reading->has_referenced, "Referenced SOP Sequence", e,
                                         err);
    case TAG_FAILED_SOP_SEQUENCE:
        return dicom_references_sequence(&reading->has_failed, "Failed SOP Sequence", e, err);
    default:
        return 0;
    }
}

/* Without a sound one the instance has failed all the same. */
static int read_reason(struct reading *reading, const struct dicom_element *e,
                       struct sctd_error *err)
{
    struct dicom_references *references = &reading->commitment.references;
    int r = dicom_references_once(&reading->has_reason, "Failure Reason", err);
    if (r == 0 && !e->is_sequence && e->size == 2) {
        const uint64_t reason = dicom_prescan_read(e->value, 2, e->big_endian);
        if (reason != 0) {
            references->item[references->n - 1].reason = (uint16_t)reason;
        }
    }
    return r;
}

static int read_element(void *arg, const struct dicom_element *e, struct sctd_error *err)
{
    struct reading *reading = arg;
    struct dicom_references *references = &reading->commitment.references;
    if (e->depth == 0) {
        return read_top(reading, e, err);
    }
    const bool failed = e->path[0].sequence == TAG_FAILED_SOP_SEQUENCE;
    if (e->depth != 1 || (!failed && e->path[0].sequence != TAG_REFERENCED_SOP_SEQUENCE)) {
        return 0;
    }
    if (e->tag == DICOM_TAG_ITEM) {
        reading->has_reason = false;
        return dicom_references_add(
            references, failed ? DICOM_COMMITMENT_PROCESSING : DICOM_COMMITMENT_KEPT, err);
    }
    return failed && e->tag == TAG_FAILURE_REASON ? read_reason(reading, e, err)
                                                  : dicom_references_take(references, e, err);
}

int dicom_commitment_read(struct dicom_commitment *ret_commitment, const void *bytes, size_t size,
                          struct dicom_encoding encoding, struct sctd_error *err)
{
    sctd_auto(fini_reading) struct reading reading = {.has_reason = false};
    int r = dicom_prescan(bytes, size, encoding, read_element, &reading, err);
    if (r == 0 && reading.commitment.transaction_uid[0] == '\0') {
        r = sctd_error(err, SCTD_EDATA, "Transaction UID is missing");
    }
    if (r == 0) {
        r = dicom_references_check(&reading.commitment.references, 0, err);
    }
    if (r == 0) {
        *ret_commitment = reading.commitment;
        reading.commitment.references = (struct dicom_references){.item = NULL};
    }
    return r;
}
