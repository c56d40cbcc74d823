/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/error.h"
#include "server/http/uri.h"

#include "tests/support/hold.h"

static void paths_and_parameters_are_decoded(void)
{
    struct uri uri;
    struct sctd_error err = {0};
    HOLD(uri_parse(&uri, "/api/v1/jobs?state=done&rule=a%20b+c&x=%C3%A9&empty=&bare", &err) == 0);
    HOLD(strcmp(uri.path, "/api/v1/jobs") == 0 && uri.n == 5);
    HOLD(strcmp(uri_get(&uri, "state"), "done") == 0);
    HOLD(strcmp(uri_get(&uri, "rule"), "a b c") == 0);
    HOLD(strcmp(uri_get(&uri, "x"), "\xc3\xa9") == 0);
    HOLD(strcmp(uri_get(&uri, "empty"), "") == 0 && strcmp(uri_get(&uri, "bare"), "") == 0);
    HOLD(uri_get(&uri, "stat") == NULL);
    HOLD(uri_parse(&uri, "/a%2Bb+c", &err) == 0 && strcmp(uri.path, "/a+b+c") == 0);
    HOLD(uri_parse(&uri, "/", &err) == 0 && strcmp(uri.path, "/") == 0 && uri.n == 0);
}

static void what_is_no_target_of_ours_is_refused(void)
{
    static const char *const bad[] = {
        "",
        "*",
        "http://host/x",
        "a/b",
        "/a b",
        "/a\x01",
        "/a\xff",
        "/%",
        "/%4",
        "/%zz",
        "/%00",
        "/%0a",
        "/%7f",
        "/%ff",
        "/%c3",
        "/../etc/passwd",
        "/a/..",
        "/a/./b",
        "/a/%2e%2e/b",
        "/a/%2e",
        "/a%5c..%5cb",
        "/a?x=%",
        "/a?x=%00",
        "/a?x=1&x=2",
        "/a?%78=1&x=2",
        "/a?x=\xc3",
        "/?a&b&c&d&e&f&g&h&i&j&k&l&m&n&o&p&q&r&s&t&u&v&w&x&y",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct uri uri;
        struct sctd_error err = {0};
        if (uri_parse(&uri, bad[i], &err) != SCTD_EDATA) {
            (void)fprintf(stderr, "\"%s\" was taken\n", bad[i]);
            HOLD(false);
        }
        HOLD(err.text[0] != '\0');
    }
}

static void a_target_fills_its_place_and_no_more(void)
{
    static char target[URI_SIZE_MAX + 8];
    struct uri uri;
    struct sctd_error err = {0};
    memset(target, 'a', sizeof target - 1);
    target[0] = '/';
    HOLD(uri_parse(&uri, target, &err) == SCTD_EDATA);
    target[URI_SIZE_MAX - 2] = '\0';
    HOLD(uri_parse(&uri, target, &err) == 0 && strlen(uri.path) == URI_SIZE_MAX - 2);
    /* Each delimiter becomes a NUL. */
    for (size_t i = 2; i < 40; i += 2) {
        target[i] = i == 2 ? '?' : '&';
        target[i + 1] = (char)('A' + (int)i / 2);
    }
    HOLD(uri_parse(&uri, target, &err) == 0 && uri.n == 19);
}

int main(void)
{
    paths_and_parameters_are_decoded();
    what_is_no_target_of_ours_is_refused();
    a_target_fills_its_place_and_no_more();
    return 0;
}
