/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/route.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/parse.h"

/* One segment of a path against one of a pattern. */
static bool match_segment(struct route_found *found, const char *pattern, size_t pattern_size,
                          const char *segment, size_t size)
{
    static const char id[] = "{id}";
    static const char name[] = "{name}";
    char text[ROUTE_NAME_SIZE];
    if (size == 0 || size >= sizeof text) {
        return false;
    }
    (void)snprintf(text, sizeof text, "%.*s", (int)size, segment);
    if (pattern_size == sizeof id - 1 && strncmp(pattern, id, pattern_size) == 0) {
        return text[0] >= '1' && text[0] <= '9' &&
               sctd_parse_i64(&found->id, text, 1, INT64_MAX, NULL) == 0;
    }
    if (pattern_size == sizeof name - 1 && strncmp(pattern, name, pattern_size) == 0) {
        (void)snprintf(found->name, sizeof found->name, "%s", text);
        return true;
    }
    return pattern_size == size && strncmp(pattern, segment, size) == 0;
}

static bool match(struct route_found *found, const char *pattern, const char *path)
{
    if (strcmp(pattern, path) == 0) {
        return true;
    }
    while (*pattern == '/' && *path == '/') {
        const size_t pattern_size = strcspn(++pattern, "/");
        const size_t size = strcspn(++path, "/");
        if (!match_segment(found, pattern, pattern_size, path, size)) {
            return false;
        }
        pattern += pattern_size;
        path += size;
    }
    return *pattern == '\0' && *path == '\0';
}

void route_find(struct route_found *ret_found, const struct route *table, size_t n,
                enum http_method method, const char *path)
{
    *ret_found = (struct route_found){.route = NULL};
    for (size_t i = 0; i < n; i++) {
        struct route_found found = {.route = &table[i]};
        if (!match(&found, table[i].path, path)) {
            continue;
        }
        ret_found->allowed |= 1U << table[i].method;
        if (table[i].method == method && ret_found->route == NULL) {
            found.allowed = ret_found->allowed;
            *ret_found = found;
        }
    }
}

bool route_takes(const struct route *route, const char *name)
{
    const size_t size = strlen(name);
    const char *at = route->params;
    while (size > 0 && *at != '\0') {
        const size_t n = strcspn(at, " ");
        if (n == size && strncmp(at, name, n) == 0) {
            return true;
        }
        at += n;
        at += strspn(at, " ");
    }
    return false;
}
