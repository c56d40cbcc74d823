/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "dicom/instance.h"
#include "dicom/selector.h"
#include "dicom/series.h"
#include "engine/base/error.h"

static struct dicom_frame make_frame(const char *image_type)
{
    struct dicom_frame frame = {
        .echo_number = 2, .temporal_position = 7, .b_value = 800, .stack = "A"};
    (void)snprintf(frame.image_type, sizeof frame.image_type, "%s", image_type);
    return frame;
}

static bool matches(const char *text, const struct dicom_frame *frame)
{
    struct sctd_error err = {0};
    struct dicom_selector selector;
    assert(dicom_selector_parse(&selector, text, &err) == 0);
    return dicom_selector_matches(&selector, frame);
}

static void a_selector_picks_by_its_key(void)
{
    const struct dicom_frame frame = make_frame("DERIVED\\PRIMARY\\DIXON\\WATER");
    static const char *const yes[] = {"echo=2",
                                      "temporal-position=7",
                                      "b-value=800",
                                      "b-value=8e2",
                                      "stack=A",
                                      "dixon=water",
                                      "image-type=*",
                                      "image-type=DERIVED",
                                      "image-type=*\\*\\DIXON",
                                      "image-type=*\\PRIMARY\\*\\WATER"};
    static const char *const no[] = {"echo=1",
                                     "echo=none",
                                     "temporal-position=1",
                                     "b-value=0",
                                     "stack=B",
                                     "dixon=fat",
                                     "image-type=WATER",
                                     "image-type=*\\*\\D",
                                     "image-type=derived",
                                     "image-type=*\\*\\*\\*\\*"};
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
        assert(matches(yes[i], &frame));
    }
    for (size_t i = 0; i < sizeof no / sizeof *no; i++) {
        assert(!matches(no[i], &frame));
    }
}

static void what_a_frame_lacks_is_none(void)
{
    const struct dicom_frame frame = {.echo_number = DICOM_NO_NUMBER,
                                      .temporal_position = DICOM_NO_NUMBER,
                                      .b_value = (double)NAN};
    static const char *const texts[] = {"echo=none", "temporal-position=none", "b-value=none",
                                        "stack=none", "dixon=none"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert(matches(texts[i], &frame));
    }
    assert(!matches("echo=1", &frame));
}

static void words_of_vendors_are_dixon(void)
{
    static const struct {
        const char *image_type, *dixon;
    } cases[] = {
        {"ORIGINAL\\PRIMARY\\M\\W", "water"},
        {"DERIVED\\PRIMARY\\F \\X", "fat"},
        {"DERIVED\\PRIMARY\\FAT", "fat"},
        {"ORIGINAL\\PRIMARY\\IP", "in-phase"},
        {"DERIVED\\PRIMARY\\IN_PHASE", "in-phase"},
        {"DERIVED\\PRIMARY\\OP", "opposed-phase"},
        {"ORIGINAL\\PRIMARY\\OUT_PHASE", "opposed-phase"},
        {"ORIGINAL\\PRIMARY\\M", "none"},
        {"ORIGINAL\\WATERY\\FAR", "none"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct dicom_frame frame = make_frame(cases[i].image_type);
        char value[DICOM_IMAGE_TYPE_SIZE];
        dicom_selector_describe(value, sizeof value, DICOM_SELECT_DIXON, &frame);
        assert(strcmp(value, cases[i].dixon) == 0);
    }
}

static void a_description_selects_what_it_describes(void)
{
    const struct dicom_frame frame = make_frame("ORIGINAL\\PRIMARY\\W");
    for (int key = 0; key < DICOM_SELECTOR_KEYS; key++) {
        char value[DICOM_IMAGE_TYPE_SIZE];
        char text[DICOM_IMAGE_TYPE_SIZE + 32];
        dicom_selector_describe(value, sizeof value, (enum dicom_selector_key)key, &frame);
        (void)snprintf(text, sizeof text, "%s=%s",
                       dicom_selector_key_name((enum dicom_selector_key)key), value);
        assert(matches(text, &frame));
    }
}

static void what_is_no_selector_is_refused_with_the_keys(void)
{
    static const char *const texts[] = {"",           "echo",   "=1",       "phase=1",
                                        "echo=",      "echo=x", "echo=1.5", "b-value=high",
                                        "dixon=lard", "ECHO=1", "echo =1",  "echo=99999999999",
                                        "b-value=nan"};
    char longer[128] = "stack=";
    memset(longer + 6, 'x', 65);
    struct sctd_error err = {0};
    struct dicom_selector selector = {.key = DICOM_SELECT_STACK, .value = "kept"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert(dicom_selector_parse(&selector, texts[i], &err) == SCTD_EINVAL);
    }
    assert(dicom_selector_parse(&selector, longer, &err) == SCTD_EINVAL);
    assert(strcmp(selector.value, "kept") == 0);
    assert(dicom_selector_parse(&selector, "phase=1", &err) == SCTD_EINVAL);
    for (int key = 0; key < DICOM_SELECTOR_KEYS; key++) {
        assert(strstr(err.text, dicom_selector_key_name((enum dicom_selector_key)key)) != NULL);
    }
}

int main(void)
{
    a_selector_picks_by_its_key();
    what_a_frame_lacks_is_none();
    words_of_vendors_are_dixon();
    a_description_selects_what_it_describes();
    what_is_no_selector_is_refused_with_the_keys();
    return 0;
}
