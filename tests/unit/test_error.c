/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/utf8.h"

static void raising_fills_the_error_and_yields_the_code(void)
{
    struct sctd_error err = {0};
    const int r = sctd_error(&err, SCTD_EDATA, "slice %d of %s", 3, "x");
    assert(r == SCTD_EDATA && err.code == SCTD_EDATA);
    assert(strcmp(err.text, "slice 3 of x") == 0);
    assert(err.line > 0 && strstr(err.file, "test_error.c") != NULL);
    assert(sctd_error(NULL, SCTD_EIO, "nobody asks") == SCTD_EIO);
    sctd_error_prefix(NULL, "nobody asks");
}

static void what_a_message_quotes_cannot_break_the_line_or_the_terminal(void)
{
    struct sctd_error err = {0};
    (void)sctd_error(&err, SCTD_EDATA, "%s",
                     "a\nb\x1b[2J\x7f|\xc2\x9b|\xc2\xa0|\xff|\xc3\xa9|\xe2\x82");
    assert(strcmp(err.text, "a?b?[2J?|??|\xc2\xa0|?|\xc3\xa9|??") == 0);
}

static bool is_utf8(const char *text)
{
    size_t n = 1;
    for (; *text != '\0' && n > 0; text += n) {
        n = utf8_length(text, strlen(text));
    }
    return n > 0;
}

static void a_message_cut_short_is_still_utf8(void)
{
    struct sctd_error err = {0};
    char text[3 * 200 + 1] = "";
    for (size_t i = 0; i < 200; i++) {
        memcpy(text + 3 * i, "\xe2\x82\xac", 3);
    }
    text[sizeof text - 1] = '\0';
    for (int shift = 0; shift < 3; shift++) {
        (void)sctd_error(&err, SCTD_EDATA, "%.*s%s", shift, "abc", text);
        assert(strlen(err.text) == sizeof err.text - 1 && is_utf8(err.text));
    }
}

static void context_stands_before_the_text(void)
{
    struct sctd_error err = {0};
    (void)sctd_error(&err, SCTD_EIO, "no space");
    const int line = err.line;
    sctd_error_prefix(&err, "file %d", 7);
    assert(strcmp(err.text, "file 7: no space") == 0);
    assert(err.code == SCTD_EIO && err.line == line);
    sctd_error_prefix(&err, "%s", "a\nb");
    assert(strcmp(err.text, "a?b: file 7: no space") == 0);
}

static void context_too_long_keeps_to_its_room(void)
{
    struct sctd_error err = {0};
    (void)sctd_error(&err, SCTD_EIO, "%0300d", 1);
    sctd_error_prefix(&err, "%0230d", 1);
    assert(strlen(err.text) == sizeof err.text - 1);
    sctd_error_prefix(&err, "%0300d", 1);
    assert(strlen(err.text) == sizeof err.text - 1);
}

static void every_code_has_a_name(void)
{
    assert(strcmp(sctd_code_name(SCTD_OK), "ok") == 0);
    assert(strcmp(sctd_code_name(SCTD_ENOMEM), "nomem") == 0);
    assert(strcmp(sctd_code_name(SCTD_EINVAL), "inval") == 0);
    assert(strcmp(sctd_code_name(SCTD_EIO), "io") == 0);
    assert(strcmp(sctd_code_name(SCTD_EDATA), "data") == 0);
    assert(strcmp(sctd_code_name(SCTD_EDEVICE), "device") == 0);
}

static void errno_has_a_text_whatever_it_is(void)
{
    errno = ENOSPC;
    assert(strcmp(sctd_errno_text(), "No space left on device") == 0);
    errno = 123456;
    assert(strcmp(sctd_errno_text(), "unknown error") == 0);
}

static void an_error_knows_its_errno_only_if_it_says_it(void)
{
    struct sctd_error err = {0};
    errno = ENOSPC;
    (void)sctd_error(&err, SCTD_EIO, "file: %s", sctd_errno_text());
    assert(err.number == ENOSPC);
    sctd_error_prefix(&err, "job");
    assert(err.number == ENOSPC);
    (void)sctd_error(&err, SCTD_EIO, "it holds 3 of 4 instances");
    assert(err.number == 0);
    (void)sctd_errno_text();
    (void)sctd_error(NULL, SCTD_EIO, "nobody asks");
    (void)sctd_error(&err, SCTD_EIO, "another one");
    assert(err.number == 0);
}

int main(void)
{
    an_error_knows_its_errno_only_if_it_says_it();
    raising_fills_the_error_and_yields_the_code();
    what_a_message_quotes_cannot_break_the_line_or_the_terminal();
    a_message_cut_short_is_still_utf8();
    context_stands_before_the_text();
    context_too_long_keeps_to_its_room();
    every_code_has_a_name();
    errno_has_a_text_whatever_it_is();
    return 0;
}
