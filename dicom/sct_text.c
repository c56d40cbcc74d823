/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/sct_text.h"

#include <iconv.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "dicom/attributes.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/utf8.h"

enum { MAX_ENCODED = 65536, ESCAPE = 0x1b };

struct charset {
    const char *term;       /* defined term of PS3.3 C.12.1.1.2 */
    const char *iconv_name; /* NULL: nothing but ASCII is written */
    bool one_byte;          /* a byte a character */
};

/* With code extensions ("ISO 2022 IR n") the first set is active at the start of a value. */
static const struct charset charsets[] = {
    {"ISO_IR 192", "UTF-8", false},
    {"GB18030", "GB18030", false},
    {"GBK", "GBK", false},
    {"ISO_IR 100", "ISO-8859-1", true},
    {"ISO_IR 101", "ISO-8859-2", true},
    {"ISO_IR 109", "ISO-8859-3", true},
    {"ISO_IR 110", "ISO-8859-4", true},
    {"ISO_IR 144", "ISO-8859-5", true},
    {"ISO_IR 127", "ISO-8859-6", true},
    {"ISO_IR 126", "ISO-8859-7", true},
    {"ISO_IR 138", "ISO-8859-8", true},
    {"ISO_IR 148", "ISO-8859-9", true},
    {"ISO_IR 203", "ISO-8859-15", true},
    {"ISO_IR 166", "TIS-620", true},
    {"ISO_IR 13", NULL, true},
    {"ISO_IR 6", NULL, true},
    {"", NULL, true},
    {"ISO 2022 IR 100", "ISO-8859-1", false},
    {"ISO 2022 IR 101", "ISO-8859-2", false},
    {"ISO 2022 IR 109", "ISO-8859-3", false},
    {"ISO 2022 IR 110", "ISO-8859-4", false},
    {"ISO 2022 IR 144", "ISO-8859-5", false},
    {"ISO 2022 IR 127", "ISO-8859-6", false},
    {"ISO 2022 IR 126", "ISO-8859-7", false},
    {"ISO 2022 IR 138", "ISO-8859-8", false},
    {"ISO 2022 IR 148", "ISO-8859-9", false},
    {"ISO 2022 IR 203", "ISO-8859-15", false},
    {"ISO 2022 IR 166", "TIS-620", false},
};

/* Letters without their accents: U+00C0 ... U+017F, '?' where there is none. */
static const char plain_letters[] =
    "AAAAAAACEEEEIIIIDNOOOOOxOUUUUYTsaaaaaaaceeeeiiiidnooooo?ouuuuyty"
    "AaAaAaCcCcCcCcDdDdEeEeEeEeEeGgGgGgGgHhHhIiIiIiIiIiIiJjKkkLlLlLlL"
    "lLlNnNnNnnNnOoOoOoOoRrRrRrSsSsSsSsTtTtTtUuUuUuUuUuUuWwYyYZzZzZzs";

/* The entry of the first value of `charset`; one without a name if it is not known. */
static const struct charset *find_charset(const char *charset)
{
    static const struct charset unknown = {"?", NULL, false};
    while (*charset == ' ') {
        charset++;
    }
    size_t size = strcspn(charset, "\\");
    const bool several = charset[size] != '\0';
    while (size > 0 && charset[size - 1] == ' ') {
        size--;
    }
    for (size_t i = 0; i < sizeof charsets / sizeof *charsets; i++) {
        if (strlen(charsets[i].term) == size && memcmp(charsets[i].term, charset, size) == 0) {
            return size == 0 && several ? &unknown : &charsets[i];
        }
    }
    return &unknown;
}

/* The code point of a well-formed sequence. */
static uint32_t decode(const char *bytes, size_t n)
{
    const unsigned char *u = (const unsigned char *)bytes;
    uint32_t code = n == 1 ? u[0] : u[0] & (0x7fU >> n);
    for (size_t i = 1; i < n; i++) {
        code = code << 6 | (u[i] & 0x3fU);
    }
    return code;
}

static char get_plain(uint32_t code)
{
    if (code >= 0xc0 && code < 0xc0 + sizeof plain_letters - 1) {
        return plain_letters[code - 0xc0];
    }
    switch (code) {
    case 0x2010: /* hyphens and dashes */
    case 0x2011:
    case 0x2012:
    case 0x2013:
    case 0x2014:
    case 0x2212:
        return '-';
    case 0x2018: /* quotation marks */
    case 0x2019:
        return '\'';
    case 0x201c:
    case 0x201d:
    case 0x201e:
        return '"';
    case 0xa0: /* blanks */
    case 0x2009:
    case 0x202f:
        return ' ';
    default:
        return '?';
    }
}

/* One character of n bytes. */
static int encode_one(struct sctd_buf *buf, const char *bytes, size_t n, iconv_t to,
                      struct sctd_error *err)
{
    char in[4] = {0};
    memcpy(in, bytes, n);
    char out[8];
    char *in_at = in;
    char *out_at = out;
    size_t in_left = n;
    size_t out_left = sizeof out;
    // NOLINTNEXTLINE(performance-no-int-to-ptr): iconv's own mark of failure
    if (n == 1 || to == (iconv_t)-1 ||
        iconv(to, &in_at, &in_left, &out_at, &out_left) == (size_t)-1) {
        const char plain = (char)(n == 1 ? *bytes : get_plain(decode(bytes, n)));
        return sctd_buf_append(buf, &plain, 1, err);
    }
    return sctd_buf_append(buf, out, sizeof out - out_left, err);
}

static int check_text(const char *text, struct sctd_error *err)
{
    const size_t size = strlen(text);
    for (size_t i = 0; i < size;) {
        const size_t n = utf8_length(text + i, size - i);
        const unsigned char c = (unsigned char)text[i];
        if (n == 0 || c < 0x20 || c == 0x7f || c == '\\') {
            return sctd_error(err, SCTD_EINVAL,
                              "\"%.60s\" is not text that DICOM can hold: plain UTF-8 without "
                              "backslashes and control characters",
                              text);
        }
        i += n;
    }
    return 0;
}

int sct_text_encode(struct sctd_buf *buf, const char *text, const char *charset,
                    struct sctd_error *err)
{
    int r = check_text(text, err);
    const char *name = find_charset(charset)->iconv_name;
    iconv_t to = (iconv_t)-1; // NOLINT(performance-no-int-to-ptr): as above
    if (r == 0 && name != NULL) {
        to = iconv_open(name, "UTF-8");
    }
    const size_t size = strlen(text);
    for (size_t i = 0; r == 0 && i < size;) {
        const size_t n = utf8_length(text + i, size - i);
        r = encode_one(buf, text + i, n, to, err);
        i += n;
    }
    if (to != (iconv_t)-1) { // NOLINT(performance-no-int-to-ptr): as above
        (void)iconv_close(to);
    }
    return r;
}

/* Characters of text that is known to be UTF-8. */
static size_t count_characters(const char *text)
{
    size_t n = 0;
    for (; *text != '\0'; text++) {
        n += ((unsigned char)*text & 0xc0U) != 0x80U ? 1 : 0;
    }
    return n;
}

int sct_text_set(struct dicom_attributes *to, const struct dicom_text_attribute *text, size_t max,
                 const char *charset, struct sctd_error *err)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf buf = sctd_buf_make(MAX_ENCODED);
    int r = sct_text_encode(&buf, text->text, charset, err);
    if (r < 0) {
        return r;
    }
    if (count_characters(text->text) > max) {
        return sctd_error(err, SCTD_EINVAL, "\"%.60s...\" has more than %zu characters", text->text,
                          max);
    }
    return dicom_attributes_set(to, text->tag, text->vr, buf.data, buf.size, err);
}

/* The bytes of the first `max` characters of text that is known to be UTF-8. */
static size_t span_characters(const char *text, size_t max)
{
    size_t size = 0;
    for (size_t n = 0; n < max && text[size] != '\0'; n++) {
        do {
            size++;
        } while (((unsigned char)text[size] & 0xc0U) == 0x80U);
    }
    return size;
}

int sct_text_set_cut(struct dicom_attributes *to, const struct dicom_text_attribute *text,
                     size_t max, const char *ending, const char *charset, struct sctd_error *err)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf buf = sctd_buf_make(MAX_ENCODED);
    int r = check_text(text->text, err);
    if (r < 0 || count_characters(text->text) <= max) {
        return r < 0 ? r : sct_text_set(to, text, max, charset, err);
    }
    r = sctd_buf_append(&buf, text->text, span_characters(text->text, max - strlen(ending)), err);
    if (r == 0) {
        r = sctd_buf_text(&buf, ending, err);
    }
    const struct dicom_text_attribute cut = {text->tag, text->vr, sctd_buf_get_text(&buf)};
    return r < 0 ? r : sct_text_set(to, &cut, max, charset, err);
}

/* The length of the character that starts there in GB18030, of which GBK is a part; 0: there is none. */
static size_t get_gb_length(const void *bytes, size_t size)
{
    const unsigned char *u = bytes;
    if (u[0] < 0x80) {
        return 1;
    }
    if (size < 2 || u[0] == 0x80 || u[0] == 0xff) {
        return 0;
    }
    if (u[1] < '0' || u[1] > '9') {
        return u[1] >= 0x40 && u[1] != 0x7f && u[1] != 0xff ? 2 : 0;
    }
    return size >= 4 && u[2] >= 0x81 && u[2] != 0xff && u[3] >= '0' && u[3] <= '9' ? 4 : 0;
}

/* What is left of a value whose characters `get_length` measures. */
static size_t cut_characters(const char *bytes, size_t size, size_t max,
                             size_t (*get_length)(const void *bytes, size_t size))
{
    size_t cut = 0;
    for (size_t n = 0; n < max && cut < size; n++) {
        const size_t length = get_length(bytes + cut, size - cut);
        if (length == 0) {
            return 0;
        }
        cut += length;
    }
    return cut;
}

size_t sct_text_cut(const char *bytes, size_t size, size_t max, const char *charset)
{
    if (size <= max) {
        return size;
    }
    const struct charset *set = find_charset(charset);
    const char *name = set->iconv_name == NULL ? "" : set->iconv_name;
    if (strcmp(name, "UTF-8") == 0) {
        return cut_characters(bytes, size, max, utf8_length);
    }
    if (strncmp(name, "GB", 2) == 0) {
        return cut_characters(bytes, size, max, get_gb_length);
    }
    const bool is_known = set->one_byte || set->iconv_name != NULL;
    size_t cut = 0;
    while (cut < max && bytes[cut] != ESCAPE && (is_known || (unsigned char)bytes[cut] < 0x80)) {
        cut++;
    }
    return cut;
}
