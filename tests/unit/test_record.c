/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/attr.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/record.h"

struct thing {
    char text[8], raw[8];
    unsigned char bytes[4];
    int32_t small;
    int64_t large;
    double number, none;
    bool yes;
};

static const struct record_field fields[] = {
    RECORD_FIELD(RECORD_TEXT, struct thing, text, "text"),
    RECORD_FIELD(RECORD_RAW, struct thing, raw, "raw"),
    RECORD_FIELD(RECORD_BYTES, struct thing, bytes, "bytes"),
    RECORD_FIELD(RECORD_I32, struct thing, small, "small"),
    RECORD_FIELD(RECORD_I64, struct thing, large, "large"),
    RECORD_FIELD(RECORD_DOUBLE, struct thing, number, "number"),
    RECORD_FIELD(RECORD_DOUBLE, struct thing, none, "none"),
    RECORD_FIELD(RECORD_BOOL, struct thing, yes, "yes"),
};
static const struct record record = {fields, sizeof fields / sizeof fields[0]};

static struct sctd_error err;

static int read_text(struct thing *thing, const char *text)
{
    sctd_auto(json_freep) struct json *json = NULL;
    assert(json_parse(&json, text, strlen(text), &err) == 0);
    return record_read(thing, &record, json, json_get_root(json), &err);
}

static void a_struct_comes_back_as_it_was(void)
{
    const struct thing thing = {.text = "M\xc3\xbc\"n",
                                .raw = "\xff\x80\n",
                                .bytes = {0, 255, 16, 1},
                                .small = INT32_MIN,
                                .large = INT64_C(-9007199254740993),
                                .number = 0.1,
                                .none = (double)NAN,
                                .yes = true};
    struct thing again = {.text = ""};
    sctd_auto(sctd_buf_fini) struct sctd_buf buf = sctd_buf_make(1000);
    struct json_writer w = json_writer_make(&buf, false, &err);
    json_write_object_begin(&w, NULL);
    record_write(&w, &record, &thing);
    json_write_object_end(&w);
    assert(json_writer_finish(&w) == 0);
    assert(strstr(buf.data, "\"bytes\":\"00ff1001\"") != NULL);
    assert(read_text(&again, buf.data) == 0);
    assert(strcmp(again.text, thing.text) == 0 && strcmp(again.raw, thing.raw) == 0);
    assert(memcmp(again.bytes, thing.bytes, sizeof thing.bytes) == 0);
    assert(again.small == thing.small && again.large == thing.large && again.yes);
    assert(fabs(again.number - thing.number) < 1e-16 && isnan(again.none));
}

#define REST "\"large\":1,\"number\":1.5,\"none\":null,\"yes\":false}"
static const char good[] =
    "{\"text\":\"1234567\",\"raw\":\"31323334353637\",\"bytes\":\"01020304\","
    "\"small\":1," REST;

static void what_fits_exactly_passes(void)
{
    struct thing thing = {.text = ""};
    assert(read_text(&thing, good) == 0);
    assert(strcmp(thing.text, "1234567") == 0 && strcmp(thing.raw, "1234567") == 0);
    assert(thing.bytes[3] == 4);
}

static void what_does_not_fit_is_refused_by_its_name(void)
{
    static const struct {
        const char *text, *key;
    } bad[] = {
        {"{\"text\":\"12345678\"}", "text"},
        {"{\"text\":1}", "text"},
        {"{}", "text"},
        {"{\"text\":\"\",\"raw\":\"3132333435363738\"}", "raw"},
        {"{\"text\":\"\",\"raw\":\"310032\"}", "raw"}, /* a NUL within */
        {"{\"text\":\"\",\"raw\":\"3\"}", "raw"},
        {"{\"text\":\"\",\"raw\":\"3G\"}", "raw"},
        {"{\"text\":\"\",\"raw\":\"\",\"bytes\":\"010203\"}", "bytes"},
        {"{\"text\":\"\",\"raw\":\"\",\"bytes\":\"0102030405\"}", "bytes"},
        {"{\"text\":\"\",\"raw\":\"\",\"bytes\":\"01020304\",\"small\":2147483648}", "small"},
        {"{\"text\":\"\",\"raw\":\"\",\"bytes\":\"01020304\",\"small\":-2147483649}", "small"},
        {"{\"text\":\"\",\"raw\":\"\",\"bytes\":\"01020304\",\"small\":1.5}", "small"},
        {"{\"text\":\"\",\"raw\":\"\",\"bytes\":\"01020304\",\"small\":1,\"large\":\"1\"}",
         "large"},
        {"{\"text\":\"\",\"raw\":\"\",\"bytes\":\"01020304\",\"small\":1,\"large\":1,\"number\":\"x\"}",
         "number"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct thing thing = {.text = ""};
        assert(read_text(&thing, bad[i].text) == SCTD_EDATA);
        assert(strstr(err.text, bad[i].key) != NULL);
    }
}

int main(void)
{
    a_struct_comes_back_as_it_was();
    what_fits_exactly_passes();
    what_does_not_fit_is_refused_by_its_name();
    return 0;
}
