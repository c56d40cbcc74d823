/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/associate.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "dicom/source.h"
#include "dicom/uid.h"

/* Where things lie in the fixed part (PS3.8 table 9-11). */
enum {
    VERSION_AT = 6,
    CALLED_AT = 10,
    CALLING_AT = 26,
    ITEMS_AT = 74,
    AE_WIDTH = 16,
    ITEM_HEADER = 4,
    CONTEXT_HEADER = 4, /* of the value of a presentation context item: its identifier */
};

enum item {
    ITEM_APPLICATION_CONTEXT = 0x10,
    ITEM_PRESENTATION_CONTEXT = 0x20,
    ITEM_ABSTRACT_SYNTAX = 0x30,
    ITEM_TRANSFER_SYNTAX = 0x40,
    ITEM_USER_INFORMATION = 0x50,
    ITEM_MAX_LENGTH = 0x51,
    ITEM_IMPLEMENTATION_CLASS = 0x52,
    ITEM_ASYNCHRONOUS = 0x53,
    ITEM_ROLE = 0x54,
    ITEM_IMPLEMENTATION_VERSION = 0x55,
    ITEM_EXTENDED = 0x56,
    ITEM_COMMON_EXTENDED = 0x57,
    ITEM_USER_IDENTITY = 0x58,
};

enum {
    CONTEXTS_MAX = 128, /* odd numbers up to 255 */
    TRANSFERS_MAX = 128,
    NEGOTIATIONS_MAX = 128, /* roles, and extended negotiations: at most one for each context */
    PDU_SIZE_MIN = 256,     /* what our answers need */
};

#define APPLICATION_CONTEXT "1.2.840.10008.3.1.1.1"

enum { PERMANENT = 1, TRANSIENT = 2 };
enum { BY_USER = 1, BY_ACSE = 2, BY_PRESENTATION = 3 };

#define REJECT(result, source, reason, text)                                                       \
    {DICOM_PDU_ASSOCIATE_RJ, (result), (source), (reason), (text)}
#define MALFORMED(text) REJECT(PERMANENT, BY_ACSE, 1, (text))

const struct dicom_associate_reply dicom_associate_unknown_calling =
    REJECT(PERMANENT, BY_USER, 3, "calling AE title or address not allowed");
const struct dicom_associate_reply dicom_associate_unknown_called =
    REJECT(PERMANENT, BY_USER, 7, "called AE title is not ours");
const struct dicom_associate_reply dicom_associate_over_limit =
    REJECT(TRANSIENT, BY_PRESENTATION, 2, "too many associations");
const struct dicom_associate_reply dicom_associate_congested =
    REJECT(TRANSIENT, BY_PRESENTATION, 1, "no room for what would come");

static const struct dicom_associate_reply unexpected_pdu = {
    DICOM_PDU_ABORT, 0, 2, 2, "the first PDU is no association request"};
static const struct dicom_associate_reply tls = {DICOM_PDU_ABORT, 0, 2, 1,
                                                 "it speaks TLS, and this port plain DICOM"};
static const struct dicom_associate_reply too_long = {
    DICOM_PDU_ABORT, 0, 2, 6, "an association request of impossible length"};
static const struct dicom_associate_reply wrong_version =
    REJECT(PERMANENT, BY_ACSE, 2, "protocol version not supported");
static const struct dicom_associate_reply wrong_context =
    REJECT(PERMANENT, BY_USER, 2, "application context not supported");
static const struct dicom_associate_reply bad_called =
    REJECT(PERMANENT, BY_USER, 7, "called AE title is none");
static const struct dicom_associate_reply bad_calling =
    REJECT(PERMANENT, BY_USER, 3, "calling AE title is none");
static const struct dicom_associate_reply bad_item =
    MALFORMED("an item is longer than what holds it");
static const struct dicom_associate_reply bad_uid = MALFORMED("a UID is none");
static const struct dicom_associate_reply bad_presentation =
    MALFORMED("presentation contexts missing, repeated or malformed");
static const struct dicom_associate_reply bad_user =
    MALFORMED("user information missing, repeated or malformed");
static const struct dicom_associate_reply bad_identity =
    MALFORMED("user identity repeated or malformed");

/* The rest of a run of items. */
struct items {
    const unsigned char *at;
    size_t left;
};

struct item_value {
    unsigned type;
    const unsigned char *value;
    size_t size;
};

struct parse {
    struct dicom_associate request;
    struct dicom_associate_reply reply;
    bool has_application_context, has_user_information;
    unsigned char context_seen[256];
    int seen[256]; /* sub-items of the user information by type */
};

static int refuse(struct parse *p, struct dicom_associate_reply reply)
{
    p->reply = reply;
    return DICOM_ASSOCIATE_REFUSED;
}

static uint32_t get16(const unsigned char *p)
{
    return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t get32(const unsigned char *p)
{
    return get16(p) << 16 | get16(p + 2);
}

/* items->left > 0.  The next item. */
static int next_item(struct parse *p, struct items *items, struct item_value *ret_item)
{
    if (items->left < ITEM_HEADER || get16(items->at + 2) > items->left - ITEM_HEADER) {
        return refuse(p, bad_item);
    }
    *ret_item = (struct item_value){items->at[0], items->at + ITEM_HEADER, get16(items->at + 2)};
    items->at += ITEM_HEADER + ret_item->size;
    items->left -= ITEM_HEADER + ret_item->size;
    return 0;
}

/* A UID in a PDU has no padding (PS3.8 annex F); one NUL of those who pad all the same is let pass. */
static int get_uid(struct parse *p, char ret_uid[DICOM_UID_SIZE], const unsigned char *value,
                   size_t size)
{
    size -= size > 0 && value[size - 1] == '\0' ? 1 : 0;
    char uid[DICOM_UID_SIZE] = "";
    if (size >= sizeof uid || memchr(value, '\0', size) != NULL) {
        return refuse(p, bad_uid);
    }
    memcpy(uid, value, size);
    if (!dicom_uid_is_valid(uid)) {
        return refuse(p, bad_uid);
    }
    memcpy(ret_uid, uid, sizeof uid);
    return 0;
}

static bool is_ae_character(unsigned char c)
{
    return c >= ' ' && c <= '~' && c != '/' && c != '\\';
}

bool dicom_associate_is_ae(const char *text)
{
    const size_t n = strnlen(text, DICOM_AE_SIZE);
    if (n == 0 || n >= DICOM_AE_SIZE || text[0] == ' ' || text[n - 1] == ' ') {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!is_ae_character((unsigned char)text[i])) {
            return false;
        }
    }
    return true;
}

static bool get_ae(char ret_ae[DICOM_AE_SIZE], const unsigned char *field)
{
    size_t begin = 0;
    size_t end = AE_WIDTH;
    while (end > 0 && field[end - 1] == ' ') {
        end--;
    }
    while (begin < end && field[begin] == ' ') {
        begin++;
    }
    char ae[DICOM_AE_SIZE] = "";
    memcpy(ae, field + begin, end - begin);
    if (strlen(ae) != end - begin || !dicom_associate_is_ae(ae)) {
        return false;
    }
    memcpy(ret_ae, ae, sizeof ae);
    return true;
}

static int parse_syntaxes(struct parse *p, struct items items)
{
    int abstracts = 0;
    int transfers = 0;
    while (items.left > 0) {
        struct item_value item = {0};
        char uid[DICOM_UID_SIZE];
        int r = next_item(p, &items, &item);
        if (r == 0 && (item.type == ITEM_ABSTRACT_SYNTAX || item.type == ITEM_TRANSFER_SYNTAX)) {
            r = get_uid(p, uid, item.value, item.size);
        }
        if (r != 0) {
            return r;
        }
        abstracts += item.type == ITEM_ABSTRACT_SYNTAX ? 1 : 0;
        transfers += item.type == ITEM_TRANSFER_SYNTAX ? 1 : 0;
    }
    return abstracts == 1 && transfers >= 1 && transfers <= TRANSFERS_MAX
               ? 0
               : refuse(p, bad_presentation);
}

static int parse_presentation_context(struct parse *p, const struct item_value *item)
{
    if (item->size < CONTEXT_HEADER) {
        return refuse(p, bad_item);
    }
    const unsigned id = item->value[0];
    if (id % 2 == 0 || p->context_seen[id] != 0 || p->request.contexts >= CONTEXTS_MAX) {
        return refuse(p, bad_presentation);
    }
    p->context_seen[id] = 1;
    p->request.contexts++;
    const struct items syntaxes = {item->value + CONTEXT_HEADER, item->size - CONTEXT_HEADER};
    return parse_syntaxes(p, syntaxes);
}

static int parse_application_context(struct parse *p, const struct item_value *item)
{
    char uid[DICOM_UID_SIZE];
    int r = get_uid(p, uid, item->value, item->size);
    if (r != 0) {
        return r;
    }
    if (p->has_application_context || strcmp(uid, APPLICATION_CONTEXT) != 0) {
        return refuse(p, wrong_context);
    }
    p->has_application_context = true;
    return 0;
}

/* Two lengths of 16 bits, each followed by that many bytes, after two bytes (PS3.7 table D.3-14). */
static int parse_identity(struct parse *p, const struct item_value *item)
{
    const size_t fixed = 6;
    if (item->size < fixed) {
        return refuse(p, bad_identity);
    }
    const size_t primary = get16(item->value + 2);
    if (primary > item->size - fixed) {
        return refuse(p, bad_identity);
    }
    const size_t secondary = get16(item->value + 4 + primary);
    if (secondary != item->size - fixed - primary) {
        return refuse(p, bad_identity);
    }
    p->request.has_user_identity = true;
    return 0;
}

/* A UID after its length of 16 bits, then `rest` bytes at least (PS3.7 D.3.3.4, D.3.3.5). */
static int parse_negotiation(struct parse *p, const struct item_value *item, size_t rest)
{
    char uid[DICOM_UID_SIZE];
    if (item->size < 2 + rest || get16(item->value) > item->size - 2 - rest) {
        return refuse(p, bad_user);
    }
    return get_uid(p, uid, item->value + 2, get16(item->value));
}

static int parse_version_name(struct parse *p, const struct item_value *item)
{
    if (item->size >= sizeof p->request.implementation_version) {
        return refuse(p, bad_user);
    }
    for (size_t i = 0; i < item->size; i++) {
        const unsigned char c = item->value[i];
        p->request.implementation_version[i] = (char)(c >= ' ' && c <= '~' ? c : '?');
    }
    return 0;
}

static int parse_max_length(struct parse *p, const struct item_value *item)
{
    if (item->size != 4) {
        return refuse(p, bad_user);
    }
    p->request.max_pdu = get32(item->value);
    return p->request.max_pdu == 0 || p->request.max_pdu >= PDU_SIZE_MIN ? 0 : refuse(p, bad_user);
}

static int parse_user_item(struct parse *p, const struct item_value *item)
{
    const bool many = item->type == ITEM_ROLE || item->type == ITEM_EXTENDED ||
                      item->type == ITEM_COMMON_EXTENDED;
    p->seen[item->type]++;
    if (item->type >= ITEM_MAX_LENGTH && item->type <= ITEM_USER_IDENTITY &&
        p->seen[item->type] > (many ? NEGOTIATIONS_MAX : 1)) {
        return refuse(p, item->type == ITEM_USER_IDENTITY ? bad_identity : bad_user);
    }
    switch (item->type) {
    case ITEM_MAX_LENGTH:
        return parse_max_length(p, item);
    case ITEM_IMPLEMENTATION_CLASS:
        return get_uid(p, p->request.implementation_class_uid, item->value, item->size);
    case ITEM_ASYNCHRONOUS:
        return item->size == 4 ? 0 : refuse(p, bad_user);
    case ITEM_ROLE:
        return parse_negotiation(p, item, 2);
    case ITEM_IMPLEMENTATION_VERSION:
        return parse_version_name(p, item);
    case ITEM_EXTENDED:
    case ITEM_COMMON_EXTENDED:
        return parse_negotiation(p, item, 0);
    case ITEM_USER_IDENTITY:
        return parse_identity(p, item);
    default:
        return 0;
    }
}

static int parse_user_information(struct parse *p, const struct item_value *item)
{
    if (p->has_user_information) {
        return refuse(p, bad_user);
    }
    p->has_user_information = true;
    struct items items = {item->value, item->size};
    while (items.left > 0) {
        struct item_value sub = {0};
        int r = next_item(p, &items, &sub);
        if (r == 0) {
            r = parse_user_item(p, &sub);
        }
        if (r != 0) {
            return r;
        }
    }
    return p->seen[ITEM_MAX_LENGTH] == 1 ? 0 : refuse(p, bad_user);
}

static int parse_items(struct parse *p, struct items items)
{
    while (items.left > 0) {
        struct item_value item = {0};
        int r = next_item(p, &items, &item);
        if (r == 0 && item.type == ITEM_APPLICATION_CONTEXT) {
            r = parse_application_context(p, &item);
        } else if (r == 0 && item.type == ITEM_PRESENTATION_CONTEXT) {
            r = parse_presentation_context(p, &item);
        } else if (r == 0 && item.type == ITEM_USER_INFORMATION) {
            r = parse_user_information(p, &item);
        }
        if (r != 0) {
            return r;
        }
    }
    if (!p->has_application_context) {
        return refuse(p, wrong_context);
    }
    if (p->request.contexts == 0) {
        return refuse(p, bad_presentation);
    }
    return p->has_user_information ? 0 : refuse(p, bad_user);
}

static int parse_request(struct parse *p, const unsigned char *bytes, size_t size)
{
    size_t whole = 0;
    if (size < ITEMS_AT) {
        return refuse(p, too_long);
    }
    int r = dicom_associate_measure(&whole, bytes, &p->reply);
    if (r != 0 || whole != size) {
        return r != 0 ? r : refuse(p, too_long);
    }
    if ((get16(bytes + VERSION_AT) & 1) == 0) {
        return refuse(p, wrong_version);
    }
    if (!get_ae(p->request.called_ae, bytes + CALLED_AT)) {
        return refuse(p, bad_called);
    }
    if (!get_ae(p->request.calling_ae, bytes + CALLING_AT)) {
        return refuse(p, bad_calling);
    }
    const struct items items = {bytes + ITEMS_AT, size - ITEMS_AT};
    return parse_items(p, items);
}

int dicom_associate_measure(size_t *ret_size, const void *header,
                            struct dicom_associate_reply *ret_reply)
{
    enum { TLS_HANDSHAKE = 0x16, TLS_MAJOR = 3 }; /* RFC 8446 5.1 */
    const unsigned char *bytes = header;
    if (bytes[0] != DICOM_PDU_ASSOCIATE_RQ) {
        *ret_reply = bytes[0] == TLS_HANDSHAKE && bytes[1] == TLS_MAJOR ? tls : unexpected_pdu;
        return DICOM_ASSOCIATE_REFUSED;
    }
    const uint32_t length = get32(bytes + 2);
    if (length < ITEMS_AT - DICOM_ASSOCIATE_HEADER_SIZE ||
        length > DICOM_ASSOCIATE_SIZE_MAX - DICOM_ASSOCIATE_HEADER_SIZE) {
        *ret_reply = too_long;
        return DICOM_ASSOCIATE_REFUSED;
    }
    *ret_size = DICOM_ASSOCIATE_HEADER_SIZE + (size_t)length;
    return 0;
}

int dicom_associate_parse(struct dicom_associate *ret_request, const void *bytes, size_t size,
                          struct dicom_associate_reply *ret_reply)
{
    struct parse p = {.has_application_context = false};
    int r = parse_request(&p, bytes, size);
    if (r != 0) {
        *ret_reply = p.reply;
        return r;
    }
    *ret_request = p.request;
    return 0;
}

void dicom_associate_write_reply(unsigned char ret_pdu[DICOM_ASSOCIATE_REPLY_SIZE],
                                 const struct dicom_associate_reply *reply)
{
    const bool abort = reply->type == DICOM_PDU_ABORT;
    const unsigned char pdu[DICOM_ASSOCIATE_REPLY_SIZE] = {(unsigned char)reply->type,
                                                           0,
                                                           0,
                                                           0,
                                                           0,
                                                           4,
                                                           0,
                                                           abort ? 0 : reply->result,
                                                           reply->source,
                                                           reply->reason};
    memcpy(ret_pdu, pdu, sizeof pdu);
}
