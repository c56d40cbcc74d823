/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "dicom/fragments.h"
#include "dicom/part10.h"
#include "dicom/series.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"

#include "tests/support/made_dicom.h"

enum { FOUND = -1 };

/* The frames, or the code of the refusal. */
static int find(struct dicom_fragments *ret_fragments, const struct made *m, int32_t n_frames,
                enum dicom_compression compression)
{
    struct dicom_refusal refusal = {.text = ""};
    struct sctd_error err = {0};
    *ret_fragments = (struct dicom_fragments){.fragment = NULL};
    const struct dicom_encapsulated of = {m->bytes, m->size, n_frames, compression};
    const int r = dicom_fragments_find(ret_fragments, &of, &refusal, &err);
    assert(r == 0 || (r == DICOM_SERIES_REFUSED && refusal.text[0] != '\0'));
    return r == 0 ? FOUND : (int)refusal.code;
}

static void add_fragment(struct made *m, const char *text)
{
    made_item(m, (uint32_t)strlen(text));
    made_bytes(m, text, strlen(text));
}

static void assert_frame(struct dicom_fragments *f, int32_t frame, const char *text)
{
    struct sctd_error err = {0};
    const unsigned char *bytes = NULL;
    size_t size = 0;
    assert(dicom_fragments_get(f, frame, &bytes, &size, &err) == 0);
    assert(size == strlen(text) && memcmp(bytes, text, size) == 0);
}

static void one_frame_has_all_fragments(void)
{
    struct made m = {.size = 0};
    sctd_auto(dicom_fragments_fini) struct dicom_fragments f = {.fragment = NULL};
    made_item(&m, 0);
    add_fragment(&m, "ab");
    add_fragment(&m, "");
    add_fragment(&m, "cdef");
    assert(find(&f, &m, 1, DICOM_COMPRESSION_JPEG) == FOUND);
    assert_frame(&f, 0, "abcdef");
    assert_frame(&f, 0, "abcdef");
}

static void as_many_fragments_as_frames_are_one_each(void)
{
    struct made m = {.size = 0};
    sctd_auto(dicom_fragments_fini) struct dicom_fragments f = {.fragment = NULL};
    made_item(&m, 4);
    made_number(&m, 77, 4); /* no table for two frames */
    add_fragment(&m, "ab");
    add_fragment(&m, "cdef");
    assert(find(&f, &m, 2, DICOM_COMPRESSION_RLE) == FOUND);
    assert_frame(&f, 1, "cdef");
    assert_frame(&f, 0, "ab");
}

static struct made make_with_table(uint32_t second)
{
    struct made m = {.size = 0};
    made_item(&m, 8);
    made_number(&m, 0, 4);
    made_number(&m, second, 4);
    add_fragment(&m, "ab");
    add_fragment(&m, "cd");
    add_fragment(&m, "ef");
    return m;
}

static void the_offset_table_tells(void)
{
    sctd_auto(dicom_fragments_fini) struct dicom_fragments f = {.fragment = NULL};
    const struct made m = make_with_table(20);
    assert(find(&f, &m, 2, DICOM_COMPRESSION_JPEG) == FOUND);
    assert_frame(&f, 0, "abcd");
    assert_frame(&f, 1, "ef");
}

static void a_table_that_points_nowhere_is_not_believed(void)
{
    static const uint32_t offsets[] = {0, 1, 12, 30, 40, 0xFFFFFFFFU};
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++) {
        sctd_auto(dicom_fragments_fini) struct dicom_fragments f = {.fragment = NULL};
        const struct made m = make_with_table(offsets[i]);
        assert(find(&f, &m, 2, DICOM_COMPRESSION_JPEG) == DICOM_REFUSAL_UNDECODABLE_PIXELS);
    }
}

static void starts_of_streams_tell_without_a_table(void)
{
    struct made m = {.size = 0};
    sctd_auto(dicom_fragments_fini) struct dicom_fragments f = {.fragment = NULL};
    made_item(&m, 0);
    add_fragment(&m, "\xFF\xD8"
                     "ab");
    add_fragment(&m, "cd");
    add_fragment(&m, "\xFF\xD8"
                     "ef");
    assert(find(&f, &m, 2, DICOM_COMPRESSION_JPEG_LS) == FOUND);
    assert_frame(&f, 0,
                 "\xFF\xD8"
                 "abcd");
    assert_frame(&f, 1,
                 "\xFF\xD8"
                 "ef");
    dicom_fragments_fini(&f);
    assert(find(&f, &m, 2, DICOM_COMPRESSION_RLE) == DICOM_REFUSAL_UNDECODABLE_PIXELS);
    assert(find(&f, &m, 2, DICOM_COMPRESSION_JPEG_2000) == DICOM_REFUSAL_UNDECODABLE_PIXELS);
    add_fragment(&m, "\xFF\xD8");
    assert(find(&f, &m, 2, DICOM_COMPRESSION_JPEG) == DICOM_REFUSAL_UNDECODABLE_PIXELS);
}

static void too_few_fragments_are_truncated_pixels(void)
{
    struct made m = {.size = 0};
    sctd_auto(dicom_fragments_fini) struct dicom_fragments f = {.fragment = NULL};
    assert(find(&f, &m, 1, DICOM_COMPRESSION_JPEG) == DICOM_REFUSAL_TRUNCATED_PIXELS);
    made_item(&m, 0);
    assert(find(&f, &m, 1, DICOM_COMPRESSION_JPEG) == DICOM_REFUSAL_TRUNCATED_PIXELS);
    add_fragment(&m, "ab");
    add_fragment(&m, "cd");
    assert(find(&f, &m, 3, DICOM_COMPRESSION_JPEG) == DICOM_REFUSAL_TRUNCATED_PIXELS);
    m.size--; /* the second is not whole */
    assert(find(&f, &m, 2, DICOM_COMPRESSION_JPEG) == DICOM_REFUSAL_TRUNCATED_PIXELS);
}

int main(void)
{
    one_frame_has_all_fragments();
    as_many_fragments_as_frames_are_one_each();
    the_offset_table_tells();
    a_table_that_points_nowhere_is_not_believed();
    starts_of_streams_tell_without_a_table();
    too_few_fragments_are_truncated_pixels();
    return 0;
}
