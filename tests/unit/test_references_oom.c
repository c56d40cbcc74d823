/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "dicom/commitment.h"
#include "dicom/mpps.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"

#include "tests/support/made_dicom.h"
#include "tests/support/torture.h"

enum { INSTANCES = 200 };

static struct made asked, performed;

static void put_instances(struct made *m, uint32_t tag)
{
    made_header(m, tag, "SQ", MADE_UNDEFINED);
    for (int k = 0; k < INSTANCES; k++) {
        made_item(m, MADE_UNDEFINED);
        made_text(m, 0x00081150, "UI", "1.2");
        made_text(m, 0x00081155, "UI", "1.3");
        made_item_end(m);
    }
    made_sequence_end(m);
}

static int read_both(void *arg)
{
    struct sctd_error err = {.code = SCTD_OK};
    sctd_auto(dicom_commitment_fini) struct dicom_commitment request = {.transaction_uid = ""};
    sctd_auto(dicom_mpps_fini) struct dicom_mpps step = {.status = DICOM_MPPS_UNSAID};
    (void)arg;
    int r = dicom_commitment_read(&request, asked.bytes, asked.size, asked.encoding, &err);
    if (r == 0) {
        r = dicom_mpps_read(&step, performed.bytes, performed.size, performed.encoding, &err);
    }
    assert(r == 0 || r == SCTD_ENOMEM);
    assert(r < 0 || (request.references.n == INSTANCES && step.references.n == INSTANCES));
    return r;
}

int main(void)
{
    made_text(&asked, 0x00081195, "UI", "2.25.1");
    put_instances(&asked, 0x00081199);
    made_header(&performed, 0x00400340, "SQ", MADE_UNDEFINED);
    made_item(&performed, MADE_UNDEFINED);
    put_instances(&performed, 0x00081140);
    made_text(&performed, 0x0020000E, "UI", "1.2");
    made_item_end(&performed);
    made_sequence_end(&performed);
    assert(torture_run(read_both, NULL) == 6); /* 64, 128, 256 instances, twice */
    return 0;
}
