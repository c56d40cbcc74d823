/* SPDX-License-Identifier: Apache-2.0 */
/* The dashboard: files within the program. */
#include <stddef.h>
#include <string.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "server/api/assets.h"
#include "server/api/context.h"
#include "server/http/reply.h"
#include "server/http/request.h"

const struct asset *api_assets_find(const char *name)
{
    for (size_t i = 0; i < assets_count; i++) {
        if (strcmp(assets[i].name, name) == 0) {
            return &assets[i];
        }
    }
    return NULL;
}

void api_asset(struct request *request)
{
    struct sctd_error err = {.code = SCTD_OK};
    const char *name = request->found.name[0] == '\0' ? "index.html" : request->found.name;
    const struct asset *asset = api_assets_find(name);
    if (asset == NULL) {
        reply_problem(&request->reply, 404, "there is no %.100s", name);
        return;
    }
    request->reply.type = asset->type;
    if (sctd_buf_append(&request->reply.body, asset->bytes, asset->size, &err) < 0) {
        reply_error(&request->reply, &err);
    }
}
