/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "dicom/mpps.h"
#include "dicom/prescan.h"
#include "dicom/references.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"

#include "tests/support/made_dicom.h"

#define MR "1.2.840.10008.5.1.4.1.1.4"

enum { SERIES = 0x00400340, IMAGES = 0x00081140, OTHERS = 0x00400220 };

static struct sctd_error err;

static void put_instances(struct made *m, uint32_t tag, int first, int n)
{
    made_header(m, tag, "SQ", MADE_UNDEFINED);
    for (int k = first; k < first + n; k++) {
        char uid[32];
        (void)snprintf(uid, sizeof uid, "1.2.%d", k);
        made_item(m, MADE_UNDEFINED);
        made_text(m, 0x00081150, "UI", MR);
        made_text(m, 0x00081155, "UI", uid);
        made_item_end(m);
    }
    made_sequence_end(m);
}

/* In the order of tags: the UID comes between. */
static void put_series(struct made *m, const char *uid, int images, int others)
{
    made_item(m, MADE_UNDEFINED);
    put_instances(m, IMAGES, 1, images);
    made_text(m, 0x0020000E, "UI", uid);
    put_instances(m, OTHERS, 50, others);
    made_item_end(m);
}

static void start(struct made *m, const char *status)
{
    m->size = 0;
    made_text(m, 0x00100010, "PN", "Nobody");
    made_text(m, 0x00400252, "CS", status);
}

static int read_made(struct dicom_mpps *ret_mpps, const struct made *m)
{
    return dicom_mpps_read(ret_mpps, m->bytes, m->size, m->encoding, &err);
}

static void check_instances(const struct dicom_references *references)
{
    static const char *const series[] = {"1.9.1", "1.9.1", "1.9.1", "1.9.3", "1.9.3"};
    static const char *const uids[] = {"1.2.1", "1.2.2", "1.2.50", "1.2.50", "1.2.51"};
    assert(references->n == 5);
    for (size_t k = 0; k < 5; k++) {
        assert(strcmp(references->item[k].series_uid, series[k]) == 0);
        assert(strcmp(references->item[k].sop_instance_uid, uids[k]) == 0);
        assert(references->item[k].reason == 0);
    }
}

static void a_completed_step_names_the_instances_of_each_series(void)
{
    static struct made m;
    for (int implicit = 0; implicit < 2; implicit++) {
        sctd_auto(dicom_mpps_fini) struct dicom_mpps mpps = {.status = DICOM_MPPS_UNSAID};
        m.encoding.implicit_vr = implicit == 1;
        start(&m, "COMPLETED");
        made_header(&m, SERIES, "SQ", MADE_UNDEFINED);
        put_series(&m, "1.9.1", 2, 1);
        put_series(&m, "1.9.2", 0, 0);
        put_series(&m, "1.9.3", 0, 2);
        made_sequence_end(&m);
        assert(read_made(&mpps, &m) == 0 && mpps.status == DICOM_MPPS_COMPLETED);
        check_instances(&mpps.references);
    }
}

static void each_status_is_known_and_may_be_unsaid(void)
{
    static struct made m;
    static const char *const names[] = {"IN PROGRESS", "COMPLETED", "DISCONTINUED"};
    struct dicom_mpps mpps = {.status = DICOM_MPPS_UNSAID};
    for (int i = 0; i < 3; i++) {
        start(&m, names[i]);
        assert(read_made(&mpps, &m) == 0 && (int)mpps.status == DICOM_MPPS_IN_PROGRESS + i);
    }
    m.size = 0;
    assert(read_made(&mpps, &m) == 0 && mpps.status == DICOM_MPPS_UNSAID);
}

static void refuse(const struct made *m, const char *text)
{
    struct dicom_mpps mpps = {.status = DICOM_MPPS_DISCONTINUED};
    assert(read_made(&mpps, m) == SCTD_EDATA);
    assert(strstr(err.text, text) != NULL);
    assert(mpps.status == DICOM_MPPS_DISCONTINUED);
}

static void what_makes_no_sense_is_refused(void)
{
    static struct made m;
    static const char *const bad[] = {"", "DONE", "in progress", "COMPLETED\\COMPLETED"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        start(&m, bad[i]);
        refuse(&m, "Performed Procedure Step Status is none");
    }
    start(&m, "COMPLETED");
    made_text(&m, 0x00400252, "CS", "COMPLETED");
    refuse(&m, "Performed Procedure Step Status is there twice");
    start(&m, "COMPLETED");
    made_text(&m, SERIES, "LO", "x");
    refuse(&m, "Performed Series Sequence is no sequence");
}

static void a_series_needs_one_uid_of_its_own(void)
{
    static struct made m;
    start(&m, "COMPLETED");
    made_header(&m, SERIES, "SQ", MADE_UNDEFINED);
    const size_t at = m.size;
    for (int last = 0; last < 2; last++) {
        m.size = at;
        made_item(&m, MADE_UNDEFINED);
        put_instances(&m, IMAGES, 1, 1);
        made_item_end(&m);
        if (last == 0) {
            put_series(&m, "1.9.1", 1, 0);
        }
        made_sequence_end(&m);
        refuse(&m, "Series Instance UID of a performed series is missing");
    }
    m.size = at;
    made_item(&m, MADE_UNDEFINED);
    made_text(&m, 0x0020000E, "UI", "1.2");
    made_text(&m, 0x0020000E, "UI", "1.3");
    made_item_end(&m);
    made_sequence_end(&m);
    refuse(&m, "Series Instance UID is there twice");
    m.size = at;
    put_series(&m, "1..2", 1, 1);
    made_sequence_end(&m);
    refuse(&m, "Series Instance UID is no UID");
}

/* A scheduled step has references too, and a series other sequences. */
static void other_sequences_do_not_count(void)
{
    static struct made m;
    sctd_auto(dicom_mpps_fini) struct dicom_mpps mpps = {.status = DICOM_MPPS_UNSAID};
    start(&m, "IN PROGRESS");
    made_header(&m, 0x00400270, "SQ", MADE_UNDEFINED);
    put_series(&m, "1.9.1", 2, 2);
    made_sequence_end(&m);
    made_header(&m, SERIES, "SQ", MADE_UNDEFINED);
    made_item(&m, MADE_UNDEFINED);
    put_instances(&m, 0x00081110, 1, 2);
    made_text(&m, 0x0020000E, "UI", "1.2");
    made_item_end(&m);
    made_sequence_end(&m);
    assert(read_made(&mpps, &m) == 0 && mpps.references.n == 0);
}

int main(void)
{
    a_completed_step_names_the_instances_of_each_series();
    each_status_is_known_and_may_be_unsaid();
    what_makes_no_sense_is_refused();
    a_series_needs_one_uid_of_its_own();
    other_sequences_do_not_count();
    return 0;
}
