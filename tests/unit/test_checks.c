/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "dicom/checks.h"
#include "dicom/instance.h"
#include "dicom/part10.h"
#include "dicom/scan.h"
#include "dicom/series.h"
#include "engine/base/error.h"

#include "tests/support/made_dicom.h"

enum { SLICES = 3, FINE = -1 };

static void set_text(char *to, size_t room, const char *text)
{
    (void)snprintf(to, room, "%s", text);
}

/* Three slices, read from made-up files, that a test may change. */
struct fixture {
    struct dicom_scanned scanned[SLICES];
    const struct dicom_scanned *list[SLICES];
    struct dicom_candidate candidate[SLICES];
};

static void init_fixture(struct fixture *f)
{
    for (int k = 0; k < SLICES; k++) {
        struct made m = {.encoding = {.implicit_vr = false}};
        struct dicom_part10 file = {0};
        struct sctd_error err = {0};
        made_slice(&m, k);
        assert(dicom_part10_parse(&file, m.bytes, m.size, &err) == 0);
        f->scanned[k] = (struct dicom_scanned){.path = NULL};
        assert(dicom_instance_read(&f->scanned[k].instance, &file, &err) == 0);
        dicom_part10_close(&file);
        f->list[k] = &f->scanned[k];
        f->candidate[k] = (struct dicom_candidate){.from = &f->scanned[k]};
    }
}

static void fini_fixture(struct fixture *f)
{
    for (int k = 0; k < SLICES; k++) {
        dicom_instance_fini(&f->scanned[k].instance);
    }
}

static int code_of(int r, const struct dicom_refusal *refusal)
{
    assert(r == 0 || (r == DICOM_SERIES_REFUSED && refusal->text[0] != '\0'));
    return r == 0 ? FINE : (int)refusal->code;
}

static int check_instances(const struct fixture *f, const char *modality)
{
    struct dicom_refusal refusal = {.text = ""};
    const struct dicom_series_options options = {.modality = modality};
    return code_of(dicom_check_instances(f->list, SLICES, &options, &refusal), &refusal);
}

static int check_images(const struct fixture *f)
{
    struct dicom_refusal refusal = {.text = ""};
    return code_of(dicom_check_images(f->candidate, SLICES, &refusal), &refusal);
}

static int check_grid(const struct fixture *f)
{
    struct dicom_refusal refusal = {.text = ""};
    return code_of(dicom_check_grid(f->candidate, SLICES, &refusal), &refusal);
}

static void what_was_made_passes(void)
{
    struct fixture f;
    init_fixture(&f);
    assert(check_instances(&f, NULL) == FINE && check_instances(&f, "MR") == FINE);
    assert(check_images(&f) == FINE && check_grid(&f) == FINE);
    fini_fixture(&f);
}

static void our_own_object_passes_where_it_is_only_looked_at(void)
{
    struct fixture f;
    struct dicom_refusal refusal = {.text = ""};
    const struct dicom_series_options options = {.own_objects = true};
    init_fixture(&f);
    set_text(f.scanned[0].instance.manufacturer, sizeof f.scanned[0].instance.manufacturer, "sctd");
    assert(check_instances(&f, NULL) == DICOM_REFUSAL_OWN_OBJECT);
    assert(dicom_check_instances(f.list, SLICES, &options, &refusal) == 0);
    fini_fixture(&f);
}

/* One of the changes to the last slice, and what has to be said of it. */
static void change_instance(struct dicom_instance *i, int what)
{
    switch (what) {
    case 0:
        set_text(i->manufacturer, sizeof i->manufacturer, "sctd");
        break;
    case 1:
        set_text(i->sop_class_uid, sizeof i->sop_class_uid, "1.2.840.10008.5.1.4.1.1.2");
        break;
    case 2:
        i->patient_id.digest[3] ^= 1;
        break;
    case 3:
        i->patient_name.digest[0] ^= 1;
        break;
    case 4:
        i->patient_birth_date.digest[15] ^= 1;
        break;
    case 5:
        set_text(i->study_instance_uid, sizeof i->study_instance_uid, "1.2.44");
        break;
    case 6:
        set_text(i->frame_of_reference_uid, sizeof i->frame_of_reference_uid, "1.2.66");
        break;
    case 7:
        i->frame_of_reference_uid[0] = '\0';
        break;
    case 8:
        i->sop_instance_uid[0] = '\0';
        break;
    case 9:
        set_text(i->modality, sizeof i->modality, "CT");
        break;
    default:
        i->is_damaged = true;
        i->damage = (struct dicom_refusal){DICOM_REFUSAL_TOO_LARGE, "so"};
        break;
    }
}

static void one_instance_that_differs_is_enough(void)
{
    static const enum dicom_refusal_code codes[] = {DICOM_REFUSAL_OWN_OBJECT,
                                                    DICOM_REFUSAL_MIXED_PATIENT,
                                                    DICOM_REFUSAL_MIXED_PATIENT,
                                                    DICOM_REFUSAL_MIXED_PATIENT,
                                                    DICOM_REFUSAL_MIXED_PATIENT,
                                                    DICOM_REFUSAL_MIXED_PATIENT,
                                                    DICOM_REFUSAL_MIXED_FRAME_OF_REFERENCE,
                                                    DICOM_REFUSAL_NO_GEOMETRY,
                                                    DICOM_REFUSAL_BAD_ATTRIBUTE,
                                                    DICOM_REFUSAL_BAD_ATTRIBUTE,
                                                    DICOM_REFUSAL_TOO_LARGE};
    for (int what = 0; what < (int)(sizeof codes / sizeof *codes); what++) {
        struct fixture f;
        init_fixture(&f);
        change_instance(&f.scanned[SLICES - 1].instance, what);
        assert(check_instances(&f, NULL) == (int)codes[what]);
        fini_fixture(&f);
    }
}

static void the_class_decides_the_modality(void)
{
    struct fixture f;
    init_fixture(&f);
    assert(check_instances(&f, "CT") == DICOM_REFUSAL_WRONG_MODALITY);
    for (int k = 0; k < SLICES; k++) {
        set_text(f.scanned[k].instance.sop_class_uid, sizeof f.scanned[k].instance.sop_class_uid,
                 "1.2.840.10008.5.1.4.1.1.128");
    }
    assert(check_instances(&f, NULL) == DICOM_REFUSAL_UNSUPPORTED_CLASS);
    fini_fixture(&f);
}

static void words_of_the_image_type_count_whole(void)
{
    static const struct {
        const char *image_type;
        int code;
    } cases[] = {
        {"ORIGINAL\\PRIMARY\\LOCALIZER", DICOM_REFUSAL_LOCALISER},
        {"LOCALIZER", DICOM_REFUSAL_LOCALISER},
        {"ORIGINAL\\PRIMARY\\LOCALIZERS", FINE},
        {"ORIGINAL\\PRIMARY\\NOLOCALIZER", FINE},
        {"ORIGINAL\\PRIMARY\\M\\ND\\MOSAIC ", DICOM_REFUSAL_MOSAIC},
        {"ORIGINAL\\PRIMARY\\MOSAIC2\\MOSAIC", DICOM_REFUSAL_MOSAIC},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        init_fixture(&f);
        (void)snprintf(f.scanned[1].instance.frame[0].image_type, DICOM_IMAGE_TYPE_SIZE, "%s",
                       cases[i].image_type);
        assert(check_images(&f) == cases[i].code);
        fini_fixture(&f);
    }
}

static void ct_has_to_be_in_hounsfield_units(void)
{
    static const struct {
        const char *rescale_type;
        int code;
    } cases[] = {{"", FINE}, {"HU", FINE}, {"US", FINE}, {"ED", DICOM_REFUSAL_BAD_ATTRIBUTE}};
    struct fixture f;
    init_fixture(&f);
    for (int k = 0; k < SLICES; k++) {
        set_text(f.scanned[k].instance.sop_class_uid, sizeof f.scanned[k].instance.sop_class_uid,
                 "1.2.840.10008.5.1.4.1.1.2");
    }
    assert(check_images(&f) == DICOM_REFUSAL_BAD_ATTRIBUTE); /* no rescale */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int k = 0; k < SLICES; k++) {
            struct dicom_frame *frame = &f.scanned[k].instance.frame[0];
            frame->rescale_slope = 1;
            frame->rescale_intercept = -1024;
            set_text(frame->rescale_type, sizeof frame->rescale_type, cases[i].rescale_type);
        }
        assert(check_images(&f) == cases[i].code);
    }
    fini_fixture(&f);
}

static void one_grid_is_one_of_all_slices(void)
{
    for (int what = 0; what < 6; what++) {
        struct fixture f;
        init_fixture(&f);
        struct dicom_instance *last = &f.scanned[SLICES - 1].instance;
        struct dicom_frame *frame = &last->frame[0];
        static const enum dicom_refusal_code codes[] = {
            DICOM_REFUSAL_NO_GEOMETRY,       DICOM_REFUSAL_NO_GEOMETRY, DICOM_REFUSAL_NO_GEOMETRY,
            DICOM_REFUSAL_MIXED_ORIENTATION, DICOM_REFUSAL_MIXED_SIZE,  DICOM_REFUSAL_MIXED_SIZE};
        frame->position[1] = what == 0 ? 2e6 : frame->position[1];
        frame->orientation[2] = what == 1 ? 2.5 : frame->orientation[2];
        frame->spacing[0] = what == 2 ? -1 : frame->spacing[0];
        frame->orientation[1] += what == 3 ? 2e-4 : 0;
        last->format.rows += what == 4 ? 1 : 0;
        frame->spacing[1] += what == 5 ? 1e-3 : 0;
        assert(check_grid(&f) == (int)codes[what]);
        fini_fixture(&f);
    }
}

static void choices_are_listed_until_a_selector_decides(void)
{
    struct fixture f;
    struct dicom_refusal refusal = {.text = ""};
    const struct dicom_selector echo = {.key = DICOM_SELECT_ECHO, .value = "1"};
    struct dicom_series_options options = {.n_selectors = 0};
    init_fixture(&f);
    assert(dicom_check_one_volume(f.candidate, SLICES, &options, &refusal) == 0);
    f.scanned[0].instance.frame[0].echo_number = 1;
    f.scanned[1].instance.frame[0].echo_number = 2;
    assert(dicom_check_one_volume(f.candidate, SLICES, &options, &refusal) == DICOM_SERIES_REFUSED);
    assert(refusal.code == DICOM_REFUSAL_SEVERAL_VOLUMES);
    assert(strstr(refusal.text, "echo=1, echo=2, echo=none") != NULL);
    options = (struct dicom_series_options){.selector = &echo, .n_selectors = 1};
    assert(dicom_check_one_volume(f.candidate, SLICES, &options, &refusal) == 0);
    const struct dicom_selector other = {.key = DICOM_SELECT_ECHO, .value = "7"};
    options.selector = &other;
    assert(dicom_check_nothing_selected(f.candidate, SLICES, &options, &refusal) ==
           DICOM_SERIES_REFUSED);
    assert(refusal.code == DICOM_REFUSAL_NOTHING_SELECTED &&
           strstr(refusal.text, "echo=7") != NULL);
    fini_fixture(&f);
}

static void many_choices_are_cut_short(void)
{
    struct fixture f;
    struct dicom_refusal refusal = {.text = ""};
    const struct dicom_series_options options = {.n_selectors = 0};
    init_fixture(&f);
    for (int k = 0; k < SLICES; k++) {
        char *type = f.scanned[k].instance.frame[0].image_type;
        memset(type, 'A' + k, DICOM_IMAGE_TYPE_SIZE - 1);
        type[DICOM_IMAGE_TYPE_SIZE - 1] = '\0';
    }
    assert(dicom_check_one_volume(f.candidate, SLICES, &options, &refusal) == DICOM_SERIES_REFUSED);
    assert(strlen(refusal.text) < sizeof refusal.text && strstr(refusal.text, " ...") != NULL);
    fini_fixture(&f);
}

int main(void)
{
    what_was_made_passes();
    our_own_object_passes_where_it_is_only_looked_at();
    one_instance_that_differs_is_enough();
    the_class_decides_the_modality();
    words_of_the_image_type_count_whole();
    ct_has_to_be_in_hounsfield_units();
    one_grid_is_one_of_all_slices();
    choices_are_listed_until_a_selector_decides();
    many_choices_are_cut_short();
    return 0;
}
