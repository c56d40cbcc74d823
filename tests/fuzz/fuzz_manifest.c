/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as manifest.json; what is accepted must be written and read back as it is. */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/model/layout.h"
#include "engine/model/manifest.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void format(struct sctd_buf *buf, const struct manifest *m)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct json_writer w = json_writer_make(buf, true, &err);
    json_write_object_begin(&w, NULL);
    manifest_write_members(m, &w);
    json_write_object_end(&w);
    int r = json_writer_finish(&w);
    assert(r == 0);
}

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct manifest m;
    if (manifest_parse(&m, (const char *)data, size, &err) < 0) {
        assert(err.code == SCTD_EDATA && err.text[0] != '\0');
        return 0;
    }

    struct manifest back;
    struct sctd_buf once = sctd_buf_make(1 << 20);
    struct sctd_buf twice = sctd_buf_make(1 << 20);
    format(&once, &m);
    int r = manifest_parse(&back, once.data, once.size, &err);
    assert(r == 0);
    format(&twice, &back);
    assert(strcmp(once.data, twice.data) == 0);
    sctd_buf_fini(&twice);
    sctd_buf_fini(&once);

    struct layout *layout = NULL;
    r = layout_new(&layout, &m.vit, &m.generator, m.vit.dim, &err);
    assert(r == 0);
    layout_free(layout);
    return 0;
}
