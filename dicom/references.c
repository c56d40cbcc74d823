/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/references.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "dicom/prescan.h"
#include "dicom/source.h"
#include "dicom/tags.h"
#include "dicom/uid.h"
#include "dicom/value.h"
#include "engine/base/error.h"

enum { FIRST_CAPACITY = 64 };

void dicom_references_fini(struct dicom_references *references)
{
    free(references->item);
    *references = (struct dicom_references){.item = NULL};
}

static int reserve(struct dicom_references *references, struct sctd_error *err)
{
    if (references->n < references->capacity) {
        return 0;
    }
    if (references->n == DICOM_REFERENCES_MAX) {
        return sctd_error(err, SCTD_EINVAL, "more than %d instances", DICOM_REFERENCES_MAX);
    }
    const size_t capacity = references->n == 0 ? FIRST_CAPACITY : 2 * references->n;
    struct dicom_reference *more = realloc(references->item, capacity * sizeof *references->item);
    if (more == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "%zu references", capacity);
    }
    references->item = more;
    references->capacity = capacity;
    return 0;
}

int dicom_references_add(struct dicom_references *references, uint16_t reason,
                         struct sctd_error *err)
{
    int r = reserve(references, err);
    if (r == 0) {
        references->item[references->n++] = (struct dicom_reference){.reason = reason};
    }
    return r;
}

int dicom_references_once(bool *has, const char *name, struct sctd_error *err)
{
    /* Which of two a reader believes is a matter of taste: no two readers may differ. */
    if (*has) {
        return sctd_error(err, SCTD_EDATA, "%s is there twice", name);
    }
    *has = true;
    return 0;
}

int dicom_references_sequence(bool *has, const char *name, const struct dicom_element *element,
                              struct sctd_error *err)
{
    if (!element->is_sequence && element->size > 0) {
        return sctd_error(err, SCTD_EDATA, "%s is no sequence", name);
    }
    return dicom_references_once(has, name, err);
}

int dicom_references_uid(char uid[DICOM_UID_SIZE], const char *name,
                         const struct dicom_element *element, struct sctd_error *err)
{
    bool has = uid[0] != '\0';
    int r = dicom_references_once(&has, name, err);
    if (r == 0 && (element->is_sequence || !dicom_value_text(uid, DICOM_UID_SIZE, element) ||
                   !dicom_uid_is_valid(uid))) {
        r = sctd_error(err, SCTD_EDATA, "%s is no UID", name);
    }
    return r;
}

int dicom_references_take(struct dicom_references *references, const struct dicom_element *element,
                          struct sctd_error *err)
{
    struct dicom_reference *last = &references->item[references->n - 1];
    switch (element->tag) {
    case TAG_REFERENCED_SOP_CLASS_UID:
        return dicom_references_uid(last->sop_class_uid, "Referenced SOP Class UID", element, err);
    case TAG_REFERENCED_SOP_INSTANCE_UID:
        return dicom_references_uid(last->sop_instance_uid, "Referenced SOP Instance UID", element,
                                    err);
    default:
        return 0;
    }
}

int dicom_references_check(const struct dicom_references *references, size_t first,
                           struct sctd_error *err)
{
    for (size_t i = first; i < references->n; i++) {
        const struct dicom_reference *item = &references->item[i];
        if (item->sop_class_uid[0] == '\0' || item->sop_instance_uid[0] == '\0') {
            return sctd_error(err, SCTD_EDATA, "Referenced SOP %s UID is missing",
                              item->sop_class_uid[0] == '\0' ? "Class" : "Instance");
        }
    }
    return 0;
}
