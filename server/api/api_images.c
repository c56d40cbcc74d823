/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures of a series or a job, drawn by a process of its own (viewers.h). */
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/attr.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/api/context.h"
#include "server/api/page.h"
#include "server/http/listener.h"
#include "server/http/reply.h"
#include "server/http/request.h"
#include "server/view_messages.h"
#include "server/view_subject.h"
#include "server/viewers.h"

static bool is_of_job(const struct request *request)
{
    static const char jobs[] = "/api/v1/jobs/";
    return strncmp(request->found.route->path, jobs, sizeof jobs - 1) == 0;
}

/* The answer of a viewer that is no picture and no fact. */
static bool reply_trouble(struct request *request, const struct viewers_answer *answer)
{
    struct reply *reply = &request->reply;
    if (answer->status == VIEWERS_ABSENT) {
        reply_problem(reply, 404, "%s", answer->reason);
    } else if (answer->status == VIEWERS_REFUSED) {
        reply_problem(reply, 409, "%s", answer->reason);
    } else if (answer->status == VIEWERS_UNAVAILABLE) {
        reply->retry_after_s = 2;
        reply_problem(reply, 503, "%s", answer->reason);
    }
    return answer->status != VIEWERS_OK;
}

/* Ask, and wait for the answer; what cannot be asked is answered at once. */
static void ask(struct request *request, const struct view_request *wish, viewers_done_fn done)
{
    struct api *api = api_of(request);
    struct sctd_error err = {.code = SCTD_OK};
    sctd_auto(view_subject_fini) struct viewers_subject subject = {.key = ""};
    int r = view_request_check(wish, &err);
    if (r < 0) {
        reply_problem(&request->reply, 400, "%s", err.text);
        return;
    }
    r = is_of_job(request)
            ? view_subject_of_job(&subject, api->node.db, request->found.id, &err)
            : view_subject_of_series(&subject, api->node.db, request->found.id, &err);
    if (r != 0) {
        page_missing(request, r, is_of_job(request) ? "job with images" : "series with images",
                     &err);
        return;
    }
    r = viewers_ask(api->viewers, &subject, wish, done, request, &err);
    if (r == VIEWERS_BUSY) {
        request->reply.retry_after_s = 1;
        reply_problem(&request->reply, 503, "too many pictures are being drawn: try again");
    } else if (r < 0) {
        reply_error(&request->reply, &err);
    } else {
        request->reply.is_later = true;
    }
}

/* A slice */

static void on_picture(void *arg, const struct viewers_answer *answer)
{
    struct request *request = arg;
    struct sctd_error err = {.code = SCTD_OK};
    if (!reply_trouble(request, answer) &&
        sctd_buf_append(&request->reply.body, answer->png, answer->png_size, &err) < 0) {
        reply_error(&request->reply, &err);
    }
    listener_answer(request);
}

void api_preview(struct request *request)
{
    enum { SLICE_MAX = 65535, SIZE = 512, SIZE_MIN = 16, SIZE_MAX_PIXELS = 1024 };
    const char *const images[] = {view_image_name(VIEW_SOURCE), view_image_name(VIEW_SCT),
                                  view_image_name(VIEW_OVERLAY)};
    const char *const planes[] = {view_plane_name(VIEW_AXIAL), view_plane_name(VIEW_CORONAL),
                                  view_plane_name(VIEW_SAGITTAL)};
    struct view_request wish = {.kind = VIEW_PICTURE};
    int64_t slice = VIEW_MIDDLE;
    int64_t size = SIZE;
    if (!request_get_choice(request, "which", images, VIEW_IMAGES, &wish.image) ||
        !request_get_choice(request, "plane", planes, VIEW_PLANES, &wish.plane) ||
        !request_get_int(request, "slice", 0, SLICE_MAX, &slice) ||
        !request_get_double(request, "center", -100000, 100000, &wish.centre) ||
        !request_get_double(request, "width", 1, 200000, &wish.width) ||
        !request_get_int(request, "size", SIZE_MIN, SIZE_MAX_PIXELS, &size)) {
        return;
    }
    wish.slice = (int32_t)slice;
    wish.max_width = wish.max_height = (int32_t)size;
    ask(request, &wish, on_picture);
}

/* What there is */

static void write_planes(struct json_writer *w, const struct view_facts *facts)
{
    json_write_array_begin(w, "planes");
    for (int i = 0; i < VIEW_PLANES; i++) {
        const struct view_plane_facts *plane = &facts->plane[i];
        json_write_object_begin(w, NULL);
        json_write_string(w, "plane", view_plane_name((enum view_plane)i));
        json_write_int(w, "slices", plane->slices);
        json_write_int(w, "width", plane->width);
        json_write_int(w, "height", plane->height);
        json_write_double(w, "spacing_mm", plane->slice_mm);
        json_write_double(w, "pixel_mm", plane->pixel_mm);
        json_write_object_end(w);
    }
    json_write_array_end(w);
}

static void on_facts(void *arg, const struct viewers_answer *answer)
{
    struct request *request = arg;
    struct sctd_error err = {.code = SCTD_OK};
    if (!reply_trouble(request, answer)) {
        const struct view_facts *facts = answer->facts;
        const struct view_image_facts *source = &facts->image[VIEW_SOURCE];
        const struct view_image_facts *sct = &facts->image[VIEW_SCT];
        const struct view_image_facts *shown = source->is_there ? source : sct;
        struct json_writer w = reply_begin_json(&request->reply, &err);
        json_write_bool(&w, "source", source->is_there);
        json_write_bool(&w, "sct", sct->is_there);
        json_write_string(&w, "source_reason", source->is_there ? "" : source->reason);
        json_write_string(&w, "sct_reason", sct->is_there ? "" : sct->reason);
        write_planes(&w, facts);
        json_write_object_begin(&w, "window");
        json_write_double(&w, "center", shown->centre);
        json_write_double(&w, "width", shown->width);
        json_write_object_end(&w);
        json_write_string(&w, "unit", shown->is_hu ? "HU" : "arbitrary");
        json_write_double(&w, "low", shown->low);
        json_write_double(&w, "high", shown->high);
        json_write_bool(&w, "resampled", facts->is_resampled);
        reply_end_json(&request->reply, &w);
    }
    listener_answer(request);
}

void api_images(struct request *request)
{
    const struct view_request wish = {.kind = VIEW_FACTS};
    ask(request, &wish, on_facts);
}

/* How HU are distributed */

static void write_counts(struct json_writer *w, const char *key, const struct view_histogram *h,
                         enum view_image image, bool is_there)
{
    if (!is_there) {
        json_write_null(w, key);
        return;
    }
    json_write_array_begin(w, key);
    for (int32_t i = 0; i < h->bins; i++) {
        json_write_int(w, NULL, h->count[image][i]);
    }
    json_write_array_end(w);
}

static void on_histogram(void *arg, const struct viewers_answer *answer)
{
    struct request *request = arg;
    struct sctd_error err = {.code = SCTD_OK};
    if (!reply_trouble(request, answer)) {
        const struct view_histogram *h = answer->histogram;
        const bool has_sct = !isnan(h->low[VIEW_SCT]);
        const bool has_source =
            answer->facts->image[VIEW_SOURCE].is_there && answer->facts->image[VIEW_SOURCE].is_hu;
        const enum view_image with_bins = has_sct ? VIEW_SCT : VIEW_SOURCE;
        struct json_writer w = reply_begin_json(&request->reply, &err);
        json_write_double(&w, "low_hu", h->low[with_bins]);
        json_write_double(&w, "width_hu", (h->high[with_bins] - h->low[with_bins]) / h->bins);
        write_counts(&w, "source", h, VIEW_SOURCE, has_source);
        write_counts(&w, "sct", h, VIEW_SCT, has_sct);
        reply_end_json(&request->reply, &w);
    }
    listener_answer(request);
}

void api_histogram(struct request *request)
{
    enum { BINS = 128 };
    const struct view_request wish = {.kind = VIEW_HISTOGRAM, .bins = BINS};
    ask(request, &wish, on_histogram);
}
