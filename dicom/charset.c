/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/charset.h"

#include <errno.h>
#include <iconv.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/utf8.h"

/* Defined terms (PS3.3 C.12.1.1.2) and what iconv calls them; those with code extensions likewise. */
static const struct {
    const char *term, *name;
} sets[] = {
    {"ISO_IR 100", "ISO-8859-1"},
    {"ISO 2022 IR 100", "ISO-8859-1"},
    {"ISO_IR 101", "ISO-8859-2"},
    {"ISO 2022 IR 101", "ISO-8859-2"},
    {"ISO_IR 109", "ISO-8859-3"},
    {"ISO 2022 IR 109", "ISO-8859-3"},
    {"ISO_IR 110", "ISO-8859-4"},
    {"ISO 2022 IR 110", "ISO-8859-4"},
    {"ISO_IR 144", "ISO-8859-5"},
    {"ISO 2022 IR 144", "ISO-8859-5"},
    {"ISO_IR 127", "ISO-8859-6"},
    {"ISO 2022 IR 127", "ISO-8859-6"},
    {"ISO_IR 126", "ISO-8859-7"},
    {"ISO 2022 IR 126", "ISO-8859-7"},
    {"ISO_IR 138", "ISO-8859-8"},
    {"ISO 2022 IR 138", "ISO-8859-8"},
    {"ISO_IR 148", "ISO-8859-9"},
    {"ISO 2022 IR 148", "ISO-8859-9"},
    {"ISO_IR 203", "ISO-8859-15"},
    {"ISO 2022 IR 203", "ISO-8859-15"},
    {"ISO_IR 166", "TIS-620"},
    {"ISO 2022 IR 166", "TIS-620"},
    {"ISO_IR 13", "SHIFT_JIS"},
    {"ISO 2022 IR 13", "SHIFT_JIS"},
    {"ISO_IR 192", "UTF-8"},
    {"GB18030", "GB18030"},
    {"GBK", "GBK"},
};

static const char *find_set(const char *character_set)
{
    const char *stop = strchr(character_set, '\\');
    size_t n = stop == NULL ? strlen(character_set) : (size_t)(stop - character_set);
    while (n > 0 && character_set[n - 1] == ' ') {
        n--;
    }
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        if (strlen(sets[i].term) == n && memcmp(sets[i].term, character_set, n) == 0) {
            return sets[i].name;
        }
    }
    return "ASCII";
}

static bool is_control(char c)
{
    return (unsigned char)c < ' ' || c == 0x7F;
}

static size_t span_text(const char *text)
{
    size_t n = 0;
    while (text[n] != '\0' && !is_control(text[n])) {
        n++;
    }
    return n;
}

/* Where a text goes and what is left of it. */
struct conversion {
    iconv_t cd;
    bool has_set;
    char *in, *out;
    size_t space;
};

/* A run of text, or one byte that becomes '?'; false if no more fits. */
static bool convert_some(struct conversion *c)
{
    size_t run = span_text(c->in);
    if (run > 0 && c->has_set) {
        errno = 0;
        (void)iconv(c->cd, &c->in, &run, &c->out, &c->space);
        if (errno == E2BIG || run == 0) {
            return errno != E2BIG;
        }
    }
    if (c->space == 0) {
        return false;
    }
    c->in++; /* a control, or what the set does not have */
    *c->out++ = '?';
    c->space--;
    return true;
}

void dicom_charset_to_utf8(char *ret_utf8, size_t room, const char *text, const char *character_set)
{
    struct conversion c = {
        .cd = iconv_open("UTF-8", find_set(character_set)), .out = ret_utf8, .space = room - 1};
    c.has_set = (intptr_t)c.cd != -1;
    memcpy((void *)&c.in, (const void *)&text,
           sizeof c.in); /* iconv's type; it does not write there */
    while (*c.in != '\0' && c.space > 0 && convert_some(&c)) {
    }
    *c.out = '\0';
    utf8_clean(ret_utf8); /* glibc lets sequences of five bytes pass as UTF-8 */
    if (c.has_set) {
        (void)iconv_close(c.cd);
    }
}
