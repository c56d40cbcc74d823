/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a report of checks; what is accepted must be written and read back as it is, and be summed up in a line. */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/model/quality_limits.h"
#include "engine/quality.h"
#include "engine/quality_cohort.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct quality_report report;
    if (quality_report_read(&report, (const char *)data, size, &err) < 0) {
        assert(err.code == SCTD_EDATA && err.text[0] != '\0');
        return 0;
    }

    char line[100];
    struct quality_report back;
    struct sctd_buf once = sctd_buf_make(1 << 20);
    struct sctd_buf twice = sctd_buf_make(1 << 20);
    int r = quality_report_write(&once, &report, &err);
    assert(r == 0);
    if (once.size <= QUALITY_JSON_MAX) {
        r = quality_report_read(&back, once.data, once.size, &err);
        assert(r == 0);
        r = quality_report_write(&twice, &back, &err);
        assert(r == 0 && strcmp(once.data, twice.data) == 0);
    }
    sctd_buf_fini(&twice);
    sctd_buf_fini(&once);
    quality_report_summarise(&report, line, sizeof line);
    assert(strlen(line) < sizeof line);

    struct quality_cohort cohort = quality_cohort_make(25.0, (size & 1) != 0);
    struct quality_limits limits;
    r = quality_cohort_add(&cohort, &report, &err);
    r = r < 0 ? r : quality_cohort_find(&limits, &cohort, &err);
    assert(r == 0 || r == SCTD_EDATA);
    return 0;
}
