/* SPDX-License-Identifier: Apache-2.0 */
#include "server/message.h"

#include <stddef.h>
#include <string.h>

#include "engine/base/attr.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/frame.h"
#include "server/record.h"

int message_send(int fd, const struct message_type *type, const void *object, int passed_fd,
                 int timeout_ms, struct sctd_error *err)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf text = sctd_buf_make(FRAME_SIZE_MAX);
    struct json_writer w = json_writer_make(&text, false, err);
    json_write_object_begin(&w, NULL);
    json_write_string(&w, "type", type->name);
    record_write(&w, &type->record, object);
    json_write_object_end(&w);
    int r = json_writer_finish(&w);
    return r < 0 ? r : frame_send(fd, &text, passed_fd, timeout_ms, err);
}

int message_read(void *ret_object, size_t *ret_type, const struct message_type *types, size_t n,
                 const struct json *json, struct sctd_error *err)
{
    const char *name = NULL;
    const struct json_node *root = json_get_root(json);
    int r = json_get_string(&name, json, root, "type", err);
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; i < n; i++) {
        if (strcmp(types[i].name, name) == 0) {
            *ret_type = i;
            return record_read(ret_object, &types[i].record, json, root, err);
        }
    }
    return sctd_error(err, SCTD_EDATA, "message \"%.32s\" is unknown", name);
}
