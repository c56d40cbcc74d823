/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/error.h"
#include "server/view.h"

static struct sctd_error err;

static int check(struct view_request request)
{
    return view_request_check(&request, &err);
}

static void what_can_be_meant_is_taken(void)
{
    static const struct view_request good[] = {
        {.image = VIEW_SOURCE, .plane = VIEW_AXIAL, .slice = VIEW_MIDDLE},
        {.image = VIEW_OVERLAY, .plane = VIEW_SAGITTAL, .slice = INT32_MAX},
        {.image = VIEW_SCT, .plane = VIEW_CORONAL, .max_width = 1, .max_height = VIEW_SIZE_MAX},
        {.centre = -600, .width = 1500},
        {.width = -1}, /* the default */
        {.kind = VIEW_FACTS, .image = 77},
        {.kind = VIEW_HISTOGRAM, .bins = 1},
        {.kind = VIEW_HISTOGRAM, .bins = VIEW_BINS_MAX},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert(check(good[i]) == 0);
    }
}

static void what_cannot_be_meant_is_refused_by_name(void)
{
    const struct {
        struct view_request request;
        const char *name;
    } bad[] = {
        {{.kind = VIEW_KINDS}, "kind"},
        {{.kind = -1}, "kind"},
        {{.image = VIEW_IMAGES}, "image"},
        {{.plane = VIEW_PLANES}, "plane"},
        {{.slice = -2}, "slice"},
        {{.max_width = VIEW_SIZE_MAX + 1}, "width"},
        {{.max_height = -1}, "height"},
        {{.centre = NAN, .width = 1.0}, "window"},
        {{.width = INFINITY}, "window"},
        {{.centre = 2.0 * VIEW_LIMIT, .width = 1.0}, "window"},
        {{.width = 1e-300}, "window"},
        {{.kind = VIEW_HISTOGRAM}, "bins"},
        {{.kind = VIEW_HISTOGRAM, .bins = VIEW_BINS_MAX + 1}, "bins"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert(check(bad[i].request) == SCTD_EINVAL && strstr(err.text, bad[i].name) != NULL);
    }
}

static void names_are_those_of_the_interface(void)
{
    assert(strcmp(view_plane_name(VIEW_SAGITTAL), "sagittal") == 0);
    assert(strcmp(view_image_name(VIEW_OVERLAY), "overlay") == 0);
}

int main(void)
{
    what_can_be_meant_is_taken();
    what_cannot_be_meant_is_refused_by_name();
    names_are_those_of_the_interface();
    return 0;
}
