/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "dicom/prescan.h"
#include "dicom/references.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"

static struct sctd_error err;

static struct dicom_element element(uint32_t tag, const char *value)
{
    const struct dicom_element e = {
        .tag = tag, .vr = "UI", .value = (const unsigned char *)value, .size = strlen(value)};
    return e;
}

static void an_item_takes_its_two_uids_and_nothing_else(void)
{
    sctd_auto(dicom_references_fini) struct dicom_references list = {.n = 0};
    const struct dicom_element class_uid = element(0x00081150, "1.2");
    const struct dicom_element sop_uid = element(0x00081155, "1.3 ");
    const struct dicom_element other = element(0x00081160, "1");
    assert(dicom_references_add(&list, 7, &err) == 0);
    assert(dicom_references_check(&list, 0, &err) == SCTD_EDATA);
    assert(dicom_references_take(&list, &class_uid, &err) == 0);
    assert(dicom_references_check(&list, 0, &err) == SCTD_EDATA);
    assert(dicom_references_take(&list, &sop_uid, &err) == 0);
    assert(dicom_references_take(&list, &other, &err) == 0);
    assert(dicom_references_check(&list, 0, &err) == 0);
    assert(list.n == 1 && list.item[0].reason == 7);
    assert(strcmp(list.item[0].sop_class_uid, "1.2") == 0);
    assert(strcmp(list.item[0].sop_instance_uid, "1.3") == 0);
}

static void a_uid_twice_is_refused(void)
{
    sctd_auto(dicom_references_fini) struct dicom_references list = {.n = 0};
    const struct dicom_element sop_uid = element(0x00081155, "1.3");
    assert(dicom_references_add(&list, 0, &err) == 0);
    assert(dicom_references_take(&list, &sop_uid, &err) == 0);
    assert(dicom_references_take(&list, &sop_uid, &err) == SCTD_EDATA);
    assert(dicom_references_check(&list, 1, &err) == 0); /* none of those */
}

static void what_is_no_uid_is_refused(void)
{
    static const char *const bad[] = {"", "1..2", "../../x", "1.02", "x", " "};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        sctd_auto(dicom_references_fini) struct dicom_references list = {.n = 0};
        const struct dicom_element e = element(0x00081155, bad[i]);
        assert(dicom_references_add(&list, 0, &err) == 0);
        assert(dicom_references_take(&list, &e, &err) == SCTD_EDATA);
        assert(strstr(err.text, "Referenced SOP Instance UID is no UID") != NULL);
    }
}

static void there_is_a_limit(void)
{
    sctd_auto(dicom_references_fini) struct dicom_references list = {.n = 0};
    for (size_t i = 0; i < DICOM_REFERENCES_MAX; i++) {
        assert(dicom_references_add(&list, (uint16_t)i, &err) == 0);
    }
    assert(dicom_references_add(&list, 0, &err) == SCTD_EINVAL);
    assert(list.n == DICOM_REFERENCES_MAX && list.item[65535].reason == 65535);
}

static void an_element_is_there_once_and_a_sequence_is_one(void)
{
    bool has = false;
    const struct dicom_element text = element(0x00081199, "abc");
    const struct dicom_element empty = element(0x00081199, "");
    const struct dicom_element sequence = {.tag = 0x00081199, .is_sequence = true};
    assert(dicom_references_sequence(&has, "It", &text, &err) == SCTD_EDATA && !has);
    assert(strcmp(err.text, "It is no sequence") == 0);
    assert(dicom_references_sequence(&has, "It", &empty, &err) == 0 && has);
    assert(dicom_references_sequence(&has, "It", &sequence, &err) == SCTD_EDATA);
    assert(strcmp(err.text, "It is there twice") == 0);
}

int main(void)
{
    an_item_takes_its_two_uids_and_nothing_else();
    a_uid_twice_is_refused();
    what_is_no_uid_is_refused();
    there_is_a_limit();
    an_element_is_there_once_and_a_sequence_is_one();
    return 0;
}
