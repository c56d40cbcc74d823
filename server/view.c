/* SPDX-License-Identifier: Apache-2.0 */
#include "server/view.h"

#include <math.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "server/plane.h"

const char *view_plane_name(enum view_plane plane)
{
    return plane_views[plane].name;
}

const char *view_image_name(enum view_image image)
{
    static const char *const names[VIEW_IMAGES] = {"source", "sct", "overlay"};
    return names[image];
}

static int check_range(const char *name, int32_t value, int32_t least, int32_t most,
                       struct sctd_error *err)
{
    return value >= least && value <= most
               ? 0
               : sctd_error(err, SCTD_EINVAL, "%s %d: %d to %d are possible", name, value, least,
                            most);
}

static int check_picture(const struct view_request *q, struct sctd_error *err)
{
    int r = check_range("image", q->image, 0, VIEW_IMAGES - 1, err);
    r = r < 0 ? r : check_range("plane", q->plane, 0, VIEW_PLANES - 1, err);
    r = r < 0 ? r : check_range("slice", q->slice, VIEW_MIDDLE, INT32_MAX, err);
    r = r < 0 ? r : check_range("width", q->max_width, 0, VIEW_SIZE_MAX, err);
    r = r < 0 ? r : check_range("height", q->max_height, 0, VIEW_SIZE_MAX, err);
    if (r == 0 && (!isfinite(q->centre) || !isfinite(q->width) || fabs(q->centre) > VIEW_LIMIT ||
                   q->width > VIEW_LIMIT || (q->width > 0.0 && q->width < 1.0 / VIEW_LIMIT))) {
        r = sctd_error(err, SCTD_EINVAL, "window %g / %g: no centre and width of grey values",
                       q->centre, q->width);
    }
    return r;
}

int view_request_check(const struct view_request *request, struct sctd_error *err)
{
    switch (request->kind) {
    case VIEW_PICTURE:
        return check_picture(request, err);
    case VIEW_FACTS:
        return 0;
    case VIEW_HISTOGRAM:
        return check_range("bins", request->bins, 1, VIEW_BINS_MAX, err);
    default:
        return sctd_error(err, SCTD_EINVAL, "a request of kind %d", request->kind);
    }
}
