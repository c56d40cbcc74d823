/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
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
    struct view_request q = {.kind = VIEW_PICTURE, .slice = VIEW_MIDDLE};
    for (q.image = 0; q.image < VIEW_IMAGES; q.image++) {
        for (q.plane = 0; q.plane < VIEW_PLANES; q.plane++) {
            assert(check(q) == 0);
        }
    }
    assert(check((struct view_request){.kind = VIEW_PICTURE, .centre = -600, .width = 1500}) == 0);
    assert(check((struct view_request){.kind = VIEW_PICTURE, .width = -1}) == 0); /* the default */
    assert(check((struct view_request){.kind = VIEW_FACTS, .image = 77}) == 0);
    assert(check((struct view_request){.kind = VIEW_HISTOGRAM, .bins = VIEW_BINS_MAX}) == 0);
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
