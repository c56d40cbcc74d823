/* SPDX-License-Identifier: Apache-2.0 */
#include "server/view_messages.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/message.h"
#include "server/record.h"

#define FIELD(kind, member) RECORD_FIELD(RECORD_##kind, struct view_message, member, #member)
#define COUNT(table)        (sizeof(table) / sizeof(table)[0])

#define IMAGE_FIELDS(i)                                                                            \
    FIELD(BOOL, loaded.image[i].is_there), FIELD(TEXT, loaded.image[i].reason),                    \
        FIELD(BOOL, loaded.image[i].is_hu), FIELD(DOUBLE, loaded.image[i].low),                    \
        FIELD(DOUBLE, loaded.image[i].high), FIELD(DOUBLE, loaded.image[i].centre),                \
        FIELD(DOUBLE, loaded.image[i].width)
#define PLANE_FIELDS(i)                                                                            \
    FIELD(I32, loaded.plane[i].slices), FIELD(DOUBLE, loaded.plane[i].slice_mm),                   \
        FIELD(I32, loaded.plane[i].width), FIELD(I32, loaded.plane[i].height),                     \
        FIELD(DOUBLE, loaded.plane[i].pixel_mm)

static const struct record_field subject_fields[] = {
    FIELD(RAW, subject.spool),
    FIELD(RAW, subject.results),
    FIELD(TEXT, subject.parameters),
    FIELD(I32, subject.memory_mib),
};

static const struct record_field loaded_fields[] = {
    FIELD(TEXT, loaded.modality),
    IMAGE_FIELDS(0),
    IMAGE_FIELDS(1),
    PLANE_FIELDS(0),
    PLANE_FIELDS(1),
    PLANE_FIELDS(2),
    FIELD(DOUBLE, loaded.tilt_degrees),
    FIELD(BOOL, loaded.is_resampled),
};

static const struct record_field ask_fields[] = {
    FIELD(I32, ask.kind),      FIELD(I32, ask.image),      FIELD(I32, ask.plane),
    FIELD(I32, ask.slice),     FIELD(DOUBLE, ask.centre),  FIELD(DOUBLE, ask.width),
    FIELD(I32, ask.max_width), FIELD(I32, ask.max_height), FIELD(I32, ask.bins),
};

static const struct record_field picture_fields[] = {
    FIELD(I32, picture.width),
    FIELD(I32, picture.height),
    FIELD(I64, picture.size),
};

static const struct record_field no_fields[] = {
    FIELD(BOOL, no.is_absent),
    FIELD(TEXT, no.reason),
};

static const struct message_type types[] = {
    [VIEW_TYPE_READY] = {"ready", {NULL, 0}},
    [VIEW_TYPE_SUBJECT] = {"subject", {subject_fields, COUNT(subject_fields)}},
    [VIEW_TYPE_LOADED] = {"loaded", {loaded_fields, COUNT(loaded_fields)}},
    [VIEW_TYPE_ASK] = {"ask", {ask_fields, COUNT(ask_fields)}},
    [VIEW_TYPE_PICTURE] = {"picture", {picture_fields, COUNT(picture_fields)}},
    [VIEW_TYPE_HISTOGRAM] = {"histogram", {NULL, 0}},
    [VIEW_TYPE_NO] = {"no", {no_fields, COUNT(no_fields)}},
};

int view_messages_send(int fd, const struct view_message *message, int passed_fd, int timeout_ms,
                       struct sctd_error *err)
{
    return message_send(fd, &types[message->type], message, passed_fd, timeout_ms, err);
}

static int check_facts(const struct view_facts *facts, struct sctd_error *err)
{
    bool is_any = false;
    bool is_fine = isfinite(facts->tilt_degrees);
    for (int i = 0; i < VIEW_VOLUMES; i++) {
        const struct view_image_facts *image = &facts->image[i];
        is_any = is_any || image->is_there;
        is_fine = is_fine && (!image->is_there || (isfinite(image->low) && isfinite(image->high) &&
                                                   isfinite(image->centre) && image->width > 0.0));
    }
    for (int p = 0; is_any && p < VIEW_PLANES; p++) {
        const struct view_plane_facts *plane = &facts->plane[p];
        is_fine = is_fine && plane->slices > 0 && plane->width > 0 && plane->height > 0 &&
                  plane->slice_mm > 0.0 && plane->pixel_mm > 0.0;
    }
    return is_fine ? 0 : sctd_error(err, SCTD_EDATA, "facts that cannot be");
}

static int check_drawn(const struct view_picture *picture, struct sctd_error *err)
{
    const bool is_fine = picture->width >= 1 && picture->width <= VIEW_SIZE_MAX &&
                         picture->height >= 1 && picture->height <= VIEW_SIZE_MAX &&
                         picture->size >= 1 && picture->size <= VIEW_PNG_MAX;
    return is_fine ? 0 : sctd_error(err, SCTD_EDATA, "a picture that cannot be");
}

static int check_ask(const struct view_request *request, struct sctd_error *err)
{
    struct sctd_error why = {.code = SCTD_OK};
    return view_request_check(request, &why) == 0 ? 0 : sctd_error(err, SCTD_EDATA, "%s", why.text);
}

static int check(const struct view_message *m, struct sctd_error *err)
{
    if (m->type == VIEW_TYPE_SUBJECT) {
        return m->subject.memory_mib >= 0 ? 0 : sctd_error(err, SCTD_EDATA, "memory below 0");
    }
    if (m->type == VIEW_TYPE_LOADED) {
        return check_facts(&m->loaded, err);
    }
    if (m->type == VIEW_TYPE_ASK) {
        return check_ask(&m->ask, err);
    }
    return m->type == VIEW_TYPE_PICTURE ? check_drawn(&m->picture, err) : 0;
}

int view_messages_read(struct view_message *ret_message, const struct json *json,
                       struct sctd_error *err)
{
    size_t type = 0;
    struct view_message message = {.type = VIEW_TYPE_READY};
    int r = message_read(&message, &type, types, COUNT(types), json, err);
    if (r == 0) {
        message.type = (enum view_type)type;
        r = check(&message, err);
    }
    if (r < 0) {
        return r;
    }
    *ret_message = message;
    return 0;
}
