/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "server/http/access.h"
#include "server/http/route.h"

static const struct route table[] = {
    {"/", "", "t", NULL, HTTP_GET, ACCESS_NOBODY},
    {"/jobs", "state limit", "t", NULL, HTTP_GET, ACCESS_VIEWER},
    {"/jobs", "", "t", NULL, HTTP_POST, ACCESS_VIEWER},
    {"/jobs/{id}", "", "t", NULL, HTTP_GET, ACCESS_VIEWER},
    {"/jobs/{id}/retry", "", "t", NULL, HTTP_POST, ACCESS_OPERATOR},
    {"/models/{name}", "", "t", NULL, HTTP_GET, ACCESS_VIEWER},
    {"/models/all", "", "t", NULL, HTTP_GET, ACCESS_VIEWER},
};

static struct route_found find(enum http_method method, const char *path)
{
    struct route_found found;
    route_find(&found, table, sizeof table / sizeof *table, method, path);
    return found;
}

static void each_path_finds_its_route(void)
{
    assert(find(HTTP_GET, "/").route == &table[0]);
    assert(find(HTTP_GET, "/jobs").route == &table[1]);
    assert(find(HTTP_POST, "/jobs").route == &table[2]);
    const struct route_found job = find(HTTP_GET, "/jobs/9223372036854775807");
    assert(job.route == &table[3] && job.id == INT64_MAX);
    const struct route_found retry = find(HTTP_POST, "/jobs/12/retry");
    assert(retry.route == &table[4] && retry.id == 12);
    const struct route_found model = find(HTTP_GET, "/models/a@1");
    assert(model.route == &table[5] && strcmp(model.name, "a@1") == 0);
}

static void other_paths_find_none(void)
{
    static const char *const none[] = {
        "",
        "/job",
        "/jobs/",
        "/jobs/0",
        "/jobs/-1",
        "/jobs/+1",
        "/jobs/01",
        "/jobs/1x",
        "/jobs/9223372036854775808",
        "/jobs/1/",
        "/jobs/1/retry/",
        "//jobs",
        "/jobs//retry",
        "/models/",
        "/models/a/b",
        "/JOBS",
    };
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        const struct route_found found = find(HTTP_GET, none[i]);
        assert(found.route == NULL && found.allowed == 0);
    }
}

static void another_method_is_told_apart_from_another_path(void)
{
    const struct route_found found = find(HTTP_DELETE, "/jobs");
    assert(found.route == NULL && found.allowed == ((1U << HTTP_GET) | (1U << HTTP_POST)));
    assert(find(HTTP_GET, "/jobs/3/retry").allowed == 1U << HTTP_POST);
}

static void a_name_has_a_longest(void)
{
    char path[ROUTE_NAME_SIZE + 16] = "/models/";
    const size_t before = strlen(path);
    memset(path + before, 'm', ROUTE_NAME_SIZE);
    assert(find(HTTP_GET, path).route == NULL);
    path[before + ROUTE_NAME_SIZE - 1] = '\0';
    assert(find(HTTP_GET, path).route == &table[5]);
}

static void parameters_are_known_by_their_whole_name(void)
{
    assert(route_takes(&table[1], "state") && route_takes(&table[1], "limit"));
    assert(!route_takes(&table[1], "stat") && !route_takes(&table[1], "states"));
    assert(!route_takes(&table[1], "") && !route_takes(&table[0], "state"));
}

int main(void)
{
    each_path_finds_its_route();
    other_paths_find_none();
    another_method_is_told_apart_from_another_path();
    a_name_has_a_longest();
    parameters_are_known_by_their_whole_name();
    return 0;
}
