/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/json.h"

#include "tests/support/torture.h"

static int parse_text(void *arg)
{
    const char *text = arg;
    struct sctd_error err = {0};
    sctd_auto(json_freep) struct json *json = NULL;
    const int r = json_parse(&json, text, strlen(text), &err);
    assert(r == 0 || (r == SCTD_ENOMEM && json == NULL));
    return r;
}

static int write_text(void *arg)
{
    (void)arg;
    struct sctd_error err = {0};
    struct sctd_buf buf = sctd_buf_make(10000);
    struct json_writer w = json_writer_make(&buf, true, &err);
    json_write_array_begin(&w, NULL);
    for (int i = 0; i < 100; i++) {
        json_write_string(&w, NULL, "abc");
        json_write_double(&w, NULL, 0.5);
    }
    json_write_array_end(&w);
    const int r = json_writer_finish(&w);
    assert(r == 0 || r == SCTD_ENOMEM);
    sctd_buf_fini(&buf);
    return r;
}

int main(void)
{
    /* the document, its text, its nodes, and the keys of each object that has two */
    char keys[] = "[{\"a\":1,\"b\":{\"c\":\"d\"}},{\"a\":1.5,\"b\":null}]";
    assert(torture_run(parse_text, keys) == 5);

    /* seventy numbers: the nodes grow once */
    static char numbers[2 * 70 + 2] = "[";
    for (size_t i = 1; i < 140; i += 2) {
        numbers[i] = '1';
        numbers[i + 1] = i < 139 ? ',' : ']';
    }
    assert(torture_run(parse_text, numbers) == 4);

    assert(torture_run(write_text, NULL) > 2);
    return 0;
}
