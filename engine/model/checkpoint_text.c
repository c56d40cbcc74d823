/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/model/checkpoint_text.h"

#include <stdint.h>
#include <string.h>

/* The forms of RFC 3629, section 4: a range for the lead byte, one for the second byte, the length. */
static const struct utf8_form {
    uint8_t lead_low, lead_high, second_low, second_high, len;
} utf8_forms[] = {
    {0x00, 0x7F, 0x00, 0x00, 1}, {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3},
    {0xE1, 0xEC, 0x80, 0xBF, 3}, {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3},
    {0xF0, 0xF0, 0x90, 0xBF, 4}, {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
};

static const struct utf8_form *find_form(uint8_t lead)
{
    for (size_t i = 0; i < sizeof utf8_forms / sizeof utf8_forms[0]; i++) {
        if (lead >= utf8_forms[i].lead_low && lead <= utf8_forms[i].lead_high) {
            return &utf8_forms[i];
        }
    }
    return NULL;
}

/* The length of the character that begins at p, at most `left` bytes; 0 if there is none. */
static size_t character_len(const uint8_t *p, size_t left)
{
    const struct utf8_form *form = find_form(p[0]);
    if (form == NULL || form->len > left) {
        return 0;
    }
    if (form->len >= 2 && (p[1] < form->second_low || p[1] > form->second_high)) {
        return 0;
    }
    for (size_t i = 2; i < form->len; i++) {
        if ((p[i] & 0xC0U) != 0x80U) {
            return 0;
        }
    }
    return form->len;
}

bool checkpoint_text_is_utf8(const char *text, size_t len)
{
    const uint8_t *p = (const uint8_t *)text;
    while (len > 0) {
        size_t n = character_len(p, len);
        if (n == 0) {
            return false;
        }
        p += n;
        len -= n;
    }
    return true;
}

static bool is_control(char c)
{
    return (uint8_t)c < 0x20 || c == 0x7F;
}

bool checkpoint_text_has_control(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (is_control(text[i])) {
            return true;
        }
    }
    return false;
}

struct checkpoint_quote checkpoint_quote(const char *text, size_t len)
{
    struct checkpoint_quote quote;
    const size_t room = sizeof quote.text - sizeof "...";
    const size_t n = len < room ? len : room;
    for (size_t i = 0; i < n; i++) {
        const bool plain = !is_control(text[i]) && (uint8_t)text[i] < 0x80;
        quote.text[i] = text[i];
        if (!plain) {
            quote.text[i] = '?';
        }
    }
    memcpy(quote.text + n, len > n ? "..." : "", len > n ? sizeof "..." : 1);
    return quote;
}
