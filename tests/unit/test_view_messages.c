/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/frame.h"
#include "server/view_messages.h"

static struct sctd_error err;

/* Through a socket pair. */
static int pass(const struct view_message *message, struct view_message *ret_message)
{
    int fd[2];
    struct frame_reader reader;
    sctd_auto(json_freep) struct json *json = NULL;
    assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
    frame_reader_init(&reader, fd[1]);
    assert(view_messages_send(fd[0], message, -1, 0, &err) == 0);
    assert(frame_next(&reader, &json, &err) == 0);
    const int r = view_messages_read(ret_message, json, &err);
    frame_reader_fini(&reader);
    (void)close(fd[0]);
    (void)close(fd[1]);
    return r;
}

static void the_longest_subject_fits_into_a_frame(void)
{
    static struct view_message again;
    static struct view_message m = {.type = VIEW_TYPE_SUBJECT, .subject = {.memory_mib = 3072}};
    memset(m.subject.spool, 0xff, sizeof m.subject.spool - 1);
    memset(m.subject.results, 1, sizeof m.subject.results - 1);
    memset(m.subject.parameters, '"', sizeof m.subject.parameters - 1);
    assert(pass(&m, &again) == 0 && again.type == VIEW_TYPE_SUBJECT);
    assert(strcmp(again.subject.spool, m.subject.spool) == 0);
    assert(strcmp(again.subject.results, m.subject.results) == 0);
    assert(strcmp(again.subject.parameters, m.subject.parameters) == 0);
    assert(again.subject.memory_mib == 3072);
    m.subject.memory_mib = -1;
    assert(pass(&m, &again) == SCTD_EDATA);
}

static struct view_facts make_facts(void)
{
    struct view_facts f = {.modality = "MR", .tilt_degrees = 20.25, .is_resampled = true};
    for (int i = 0; i < VIEW_VOLUMES; i++) {
        f.image[i] = (struct view_image_facts){.is_there = true,
                                               .is_hu = i == VIEW_SCT,
                                               .low = -1.0 / 3.0 - i,
                                               .high = 1e7,
                                               .centre = 40,
                                               .width = 400};
    }
    for (int p = 0; p < VIEW_PLANES; p++) {
        f.plane[p] = (struct view_plane_facts){10 + p, 0.1, 20 + p, 30 + p, 0.7};
    }
    return f;
}

static void facts_come_back_to_the_bit(void)
{
    const struct view_message m = {.type = VIEW_TYPE_LOADED, .loaded = make_facts()};
    struct view_message again;
    assert(pass(&m, &again) == 0 && again.type == VIEW_TYPE_LOADED);
    const struct view_facts *f = &again.loaded;
    assert(strcmp(f->modality, "MR") == 0 && f->is_resampled && f->tilt_degrees == 20.25);
    for (int i = 0; i < VIEW_VOLUMES; i++) {
        assert(f->image[i].is_there && f->image[i].is_hu == (i == VIEW_SCT));
        assert(fabs(f->image[i].low - m.loaded.image[i].low) == 0.0);
        assert(f->image[i].high > 9e6 && f->image[i].centre > 39 && f->image[i].width > 399);
    }
    for (int p = 0; p < VIEW_PLANES; p++) {
        assert(f->plane[p].slices == 10 + p && f->plane[p].width == 20 + p);
        assert(f->plane[p].height == 30 + p && fabs(f->plane[p].pixel_mm - 0.7) == 0.0);
    }
}

static void facts_that_cannot_be_are_refused(void)
{
    struct view_message again;
    for (int what = 0; what < 7; what++) {
        struct view_message m = {.type = VIEW_TYPE_LOADED, .loaded = make_facts()};
        double *const numbers[] = {&m.loaded.tilt_degrees, &m.loaded.image[1].low,
                                   &m.loaded.image[0].centre, &m.loaded.plane[2].slice_mm};
        int32_t *const counts[] = {&m.loaded.plane[0].slices, &m.loaded.plane[1].width,
                                   &m.loaded.plane[2].height};
        if (what < 4) {
            *numbers[what] = NAN;
        } else {
            *counts[what - 4] = 0;
        }
        assert(pass(&m, &again) == SCTD_EDATA);
    }
}

/* Where nothing is there, only the reasons count. */
static void a_subject_that_is_not_there_is_a_fact(void)
{
    struct view_message again;
    struct view_message m = {.type = VIEW_TYPE_LOADED};
    (void)snprintf(m.loaded.image[0].reason, VIEW_REASON_SIZE, "missing-slice: at 3 mm");
    assert(pass(&m, &again) == 0 &&
           strcmp(again.loaded.image[0].reason, m.loaded.image[0].reason) == 0);
}

static void a_request_comes_back_and_is_checked(void)
{
    struct view_message again;
    struct view_message m = {.type = VIEW_TYPE_ASK,
                             .ask = {VIEW_PICTURE, VIEW_OVERLAY, VIEW_CORONAL, VIEW_MIDDLE, -600.5,
                                     1500.25, 512, 300, 7}};
    assert(pass(&m, &again) == 0 && again.type == VIEW_TYPE_ASK);
    assert(again.ask.image == VIEW_OVERLAY && again.ask.plane == VIEW_CORONAL);
    assert(again.ask.slice == VIEW_MIDDLE && again.ask.max_width == 512);
    assert(again.ask.max_height == 300 && again.ask.bins == 7);
    assert(fabs(again.ask.centre + 600.5) == 0.0 && fabs(again.ask.width - 1500.25) == 0.0);
    m.ask.plane = VIEW_PLANES;
    assert(pass(&m, &again) == SCTD_EDATA);
}

static void answers_come_back_and_are_checked(void)
{
    struct view_message again;
    struct view_message m = {.type = VIEW_TYPE_PICTURE, .picture = {2048, 1, VIEW_PNG_MAX}};
    assert(pass(&m, &again) == 0 && again.picture.width == 2048 && again.picture.height == 1);
    assert(again.picture.size == VIEW_PNG_MAX);
    static const struct view_picture bad[] = {
        {0, 1, 9}, {1, 2049, 9}, {1, 1, 0}, {1, 1, VIEW_PNG_MAX + 1}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        m.picture = bad[i];
        assert(pass(&m, &again) == SCTD_EDATA);
    }
    m = (struct view_message){.type = VIEW_TYPE_NO, .no = {true, "slice 9: there are 8"}};
    assert(pass(&m, &again) == 0 && again.no.is_absent &&
           strcmp(again.no.reason, m.no.reason) == 0);
    m = (struct view_message){.type = VIEW_TYPE_HISTOGRAM};
    assert(pass(&m, &again) == 0 && again.type == VIEW_TYPE_HISTOGRAM);
    m = (struct view_message){.type = VIEW_TYPE_READY};
    assert(pass(&m, &again) == 0 && again.type == VIEW_TYPE_READY);
}

int main(void)
{
    the_longest_subject_fits_into_a_frame();
    facts_come_back_to_the_bit();
    facts_that_cannot_be_are_refused();
    a_subject_that_is_not_there_is_a_fact();
    a_request_comes_back_and_is_checked();
    answers_come_back_and_are_checked();
    return 0;
}
