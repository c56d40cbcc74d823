/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"

static void fresh_buffer_reads_as_empty_text(void)
{
    struct sctd_buf buf = sctd_buf_make(10);
    assert(strcmp(sctd_buf_get_text(&buf), "") == 0);
    assert(buf.size == 0);
    sctd_buf_fini(&buf);
}

static void many_small_appends_keep_every_byte(void)
{
    enum { N = 5000 };
    struct sctd_error err = {0};
    struct sctd_buf buf = sctd_buf_make(N);
    for (int i = 0; i < N; i++) {
        const char c = (char)(i % 251);
        assert(sctd_buf_append(&buf, &c, 1, &err) == 0);
        assert(buf.size == (size_t)i + 1);
        assert(buf.data[buf.size] == '\0');
    }
    for (int i = 0; i < N; i++) {
        assert(buf.data[i] == (char)(i % 251));
    }
    sctd_buf_fini(&buf);
}

static void bytes_text_and_format_follow_each_other(void)
{
    struct sctd_error err = {0};
    struct sctd_buf buf = sctd_buf_make(100);
    assert(sctd_buf_append(&buf, "a\0b", 3, &err) == 0);
    assert(sctd_buf_text(&buf, "cd", &err) == 0);
    assert(sctd_buf_printf(&buf, &err, "%d-%s", 42, "x") == 0);
    assert(sctd_buf_append(&buf, NULL, 0, &err) == 0);
    assert(buf.size == 9);
    assert(memcmp(buf.data, "a\0bcd42-x", 10) == 0);
    sctd_buf_fini(&buf);
}

static void formatted_text_may_need_more_than_doubling(void)
{
    struct sctd_error err = {0};
    struct sctd_buf buf = sctd_buf_make(4000);
    assert(sctd_buf_text(&buf, "<", &err) == 0);
    assert(sctd_buf_printf(&buf, &err, "%3000d>", 7) == 0);
    assert(buf.size == 3002);
    assert(strcmp(buf.data + 2999, " 7>") == 0);
    sctd_buf_fini(&buf);
}

static void maximum_is_reached_but_not_passed(void)
{
    struct sctd_error err = {0};
    struct sctd_buf buf = sctd_buf_make(4);
    assert(sctd_buf_text(&buf, "abcde", &err) == SCTD_EINVAL);
    assert(buf.data == NULL);
    assert(sctd_buf_text(&buf, "abc", &err) == 0);
    assert(sctd_buf_text(&buf, "de", &err) == SCTD_EINVAL);
    assert(sctd_buf_printf(&buf, &err, "%d", 45) == SCTD_EINVAL);
    assert(strcmp(sctd_buf_get_text(&buf), "abc") == 0);
    assert(sctd_buf_text(&buf, "d", &err) == 0);
    assert(sctd_buf_append(&buf, "e", 1, &err) == SCTD_EINVAL);
    assert(sctd_buf_append(&buf, "e", (size_t)-1, &err) == SCTD_EINVAL);
    assert(buf.size == 4);
    assert(strcmp(sctd_buf_get_text(&buf), "abcd") == 0);
    sctd_buf_fini(&buf);
}

static void finished_buffer_may_be_used_again(void)
{
    struct sctd_error err = {0};
    struct sctd_buf buf = sctd_buf_make(3);
    assert(sctd_buf_text(&buf, "abc", &err) == 0);
    sctd_buf_fini(&buf);
    assert(strcmp(sctd_buf_get_text(&buf), "") == 0);
    assert(sctd_buf_text(&buf, "def", &err) == 0);
    assert(strcmp(sctd_buf_get_text(&buf), "def") == 0);
    sctd_buf_fini(&buf);
    sctd_buf_fini(&buf);
}

int main(void)
{
    fresh_buffer_reads_as_empty_text();
    many_small_appends_keep_every_byte();
    bytes_text_and_format_follow_each_other();
    formatted_text_may_need_more_than_doubling();
    maximum_is_reached_but_not_passed();
    finished_buffer_may_be_used_again();
    return 0;
}
