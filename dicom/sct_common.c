/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/sct_common.h"

#include <string.h>

#include "dicom/attributes.h"
#include "dicom/sct_equipment.h"
#include "dicom/sct_image.h"
#include "dicom/sct_inherit.h"
#include "dicom/sct_source.h"
#include "dicom/sct_time.h"
#include "dicom/sct_writer.h"
#include "dicom/source.h"
#include "dicom/tags.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"

static int check_instance(const struct sct_source *file, const struct dicom_source *source,
                          struct sctd_error *err)
{
    sctd_auto(dicom_attributes_fini) struct dicom_attributes own = {0};
    char uid[2][DICOM_UID_SIZE];
    int r = sct_source_copy(&own, file, TAG_SOP_INSTANCE_UID, err);
    if (r >= 0) {
        r = sct_source_copy(&own, file, TAG_SOP_CLASS_UID, err);
    }
    if (r < 0) {
        return r;
    }
    dicom_attributes_get_text(uid[0], DICOM_UID_SIZE, &own, TAG_SOP_INSTANCE_UID);
    dicom_attributes_get_text(uid[1], DICOM_UID_SIZE, &own, TAG_SOP_CLASS_UID);
    if (strcmp(uid[0], source->sop_instance_uid) != 0 ||
        strcmp(uid[1], source->sop_class_uid) != 0) {
        return sctd_error(err, SCTD_EDATA, "%.160s is not the instance it was", source->path);
    }
    return 0;
}

int sct_common_open_source(struct sct_source **ret_file, const struct dicom_source *source,
                           struct sctd_error *err)
{
    sctd_auto(sct_source_closep) struct sct_source *file = NULL;
    int r = sct_source_open(&file, source->path, err);
    if (r == 0) {
        r = check_instance(file, source, err);
    }
    if (r == 0) {
        *ret_file = sctd_steal(&file);
    }
    return r;
}

int sct_common_init(struct sct_common *common, const struct sct_source *first,
                    const struct sct_model *model, const char *date_time, struct sctd_error *err)
{
    char offset[16];
    int r = sct_inherit_subject(&common->set, first, err);
    if (r < 0) {
        return r;
    }
    dicom_attributes_get_text(common->charset, sizeof common->charset, &common->set,
                              TAG_SPECIFIC_CHARACTER_SET);
    dicom_attributes_get_text(offset, sizeof offset, &common->set, TAG_TIMEZONE_OFFSET_FROM_UTC);
    r = sct_time_make(&common->time, date_time, offset, err);
    if (r == 0) {
        r = sct_equipment_add(&common->set, first, model, &common->time, common->charset, err);
    }
    return r < 0 ? r : sct_image_add_history(&common->set, first, err);
}

void sct_common_fini(struct sct_common *common)
{
    dicom_attributes_fini(&common->set);
}
