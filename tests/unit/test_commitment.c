/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "dicom/commitment.h"
#include "dicom/prescan.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"

#include "tests/support/made_dicom.h"

#define MR "1.2.840.10008.5.1.4.1.1.4"

enum { REFERENCED = 0x00081199, FAILED = 0x00081198, NO_REASON = -1 };

static struct sctd_error err;

static void put_item(struct made *m, int number, int reason)
{
    char uid[32];
    (void)snprintf(uid, sizeof uid, "1.2.%d", number);
    made_item(m, MADE_UNDEFINED);
    made_text(m, 0x00081150, "UI", MR);
    made_text(m, 0x00081155, "UI", uid);
    if (reason != NO_REASON) {
        made_u16(m, 0x00081197, (uint16_t)reason);
    }
    made_item_end(m);
}

static void open_sequence(struct made *m, uint32_t tag)
{
    made_header(m, tag, "SQ", MADE_UNDEFINED);
}

static int read_made(struct dicom_commitment *ret_commitment, const struct made *m)
{
    return dicom_commitment_read(ret_commitment, m->bytes, m->size, m->encoding, &err);
}

/* Two committed, and three failed of which one says no reason and one an impossible one. */
static void make_report(struct made *m, struct dicom_encoding encoding)
{
    m->encoding = encoding;
    m->size = 0;
    made_text(m, 0x00080054, "AE", "PACS");
    made_text(m, 0x00081195, "UI", "2.25.1");
    open_sequence(m, FAILED);
    put_item(m, 3, 0x0112);
    put_item(m, 4, NO_REASON);
    put_item(m, 5, 0);
    made_sequence_end(m);
    open_sequence(m, REFERENCED);
    put_item(m, 1, 0x0119); /* of an instance that is committed it says nothing */
    put_item(m, 2, NO_REASON);
    made_sequence_end(m);
}

static void check_report(const struct dicom_commitment *report)
{
    static const uint16_t reasons[] = {0x0112, 0x0110, 0x0110, 0, 0};
    static const char *const uids[] = {"1.2.3", "1.2.4", "1.2.5", "1.2.1", "1.2.2"};
    assert(strcmp(report->transaction_uid, "2.25.1") == 0 && report->references.n == 5);
    for (size_t k = 0; k < 5; k++) {
        assert(strcmp(report->references.item[k].sop_class_uid, MR) == 0);
        assert(strcmp(report->references.item[k].sop_instance_uid, uids[k]) == 0);
        assert(report->references.item[k].reason == reasons[k]);
    }
}

static void a_report_is_read_in_each_encoding(void)
{
    static struct made m;
    static const struct dicom_encoding encodings[] = {{true, false}, {false, false}, {false, true}};
    for (size_t i = 0; i < 3; i++) {
        sctd_auto(dicom_commitment_fini) struct dicom_commitment report = {.transaction_uid = ""};
        make_report(&m, encodings[i]);
        assert(read_made(&report, &m) == 0);
        check_report(&report);
    }
}

static void a_request_without_instances_has_none(void)
{
    static struct made m;
    struct dicom_commitment request = {.transaction_uid = ""};
    made_text(&m, 0x00081195, "UI", "2.25.1");
    assert(read_made(&request, &m) == 0 && request.references.n == 0);
    made_header(&m, REFERENCED, "SQ", 0);
    assert(read_made(&request, &m) == 0 && request.references.n == 0);
    dicom_commitment_fini(&request);
}

/* What deeper sequences hold is not what is asked about. */
static void only_the_items_themselves_count(void)
{
    static struct made m;
    sctd_auto(dicom_commitment_fini) struct dicom_commitment request = {.transaction_uid = ""};
    made_text(&m, 0x00081195, "UI", "2.25.1");
    open_sequence(&m, REFERENCED);
    made_item(&m, MADE_UNDEFINED);
    made_text(&m, 0x00081150, "UI", MR);
    made_text(&m, 0x00081155, "UI", "1.2.1");
    open_sequence(&m, REFERENCED);
    put_item(&m, 9, NO_REASON);
    made_sequence_end(&m);
    made_item_end(&m);
    made_sequence_end(&m);
    open_sequence(&m, 0x00081140);
    put_item(&m, 8, NO_REASON);
    made_sequence_end(&m);
    assert(read_made(&request, &m) == 0 && request.references.n == 1);
    assert(strcmp(request.references.item[0].sop_instance_uid, "1.2.1") == 0);
}

static void refuse(const struct made *m, const char *text)
{
    struct dicom_commitment commitment = {.transaction_uid = "as it was"};
    assert(read_made(&commitment, m) == SCTD_EDATA);
    assert(strstr(err.text, text) != NULL);
    assert(strcmp(commitment.transaction_uid, "as it was") == 0);
}

static void what_makes_no_sense_is_refused(void)
{
    static struct made m;
    make_report(&m, (struct dicom_encoding){.implicit_vr = false});
    made_text(&m, 0x00081195, "UI", "2.25.1");
    refuse(&m, "Transaction UID is there twice");
    m.size = 0;
    open_sequence(&m, REFERENCED);
    put_item(&m, 1, NO_REASON);
    made_sequence_end(&m);
    refuse(&m, "Transaction UID is missing");
    made_text(&m, 0x00081195, "UI", "2..25");
    refuse(&m, "Transaction UID is no UID");
    m.size = 0;
    made_text(&m, 0x00081195, "UI", "2.25.1");
    open_sequence(&m, REFERENCED);
    made_item(&m, 0);
    made_sequence_end(&m);
    refuse(&m, "Referenced SOP Class UID is missing");
    m.size = 0;
    made_text(&m, 0x00081199, "LO", "text");
    refuse(&m, "Referenced SOP Sequence is no sequence");
    m.size = 0;
    open_sequence(&m, FAILED);
    made_item(&m, MADE_UNDEFINED);
    made_u16(&m, 0x00081197, 1);
    made_u16(&m, 0x00081197, 2);
    made_item_end(&m);
    made_sequence_end(&m);
    refuse(&m, "Failure Reason is there twice");
}

static void a_report_that_is_cut_off_is_never_read(void)
{
    static struct made m;
    make_report(&m, (struct dicom_encoding){.implicit_vr = false});
    const size_t whole = m.size;
    size_t transaction_end = 0;
    for (size_t size = 0; size < whole; size++) {
        struct dicom_commitment report = {.transaction_uid = ""};
        m.size = size;
        const int r = read_made(&report, &m);
        /* between two elements of the data set itself it may end */
        transaction_end = r == 0 && transaction_end == 0 ? size : transaction_end;
        assert(r < 0 || report.references.n == 0 || report.references.n == 3);
        dicom_commitment_fini(&report);
    }
    assert(transaction_end > 0);
}

int main(void)
{
    a_report_is_read_in_each_encoding();
    a_request_without_instances_has_none();
    only_the_items_themselves_count();
    what_makes_no_sense_is_refused();
    a_report_that_is_cut_off_is_never_read();
    return 0;
}
