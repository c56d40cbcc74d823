/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dicom/associate.h"
#include "engine/base/error.h"
#include "engine/base/file.h"

enum { ROOM = DICOM_ASSOCIATE_SIZE_MAX + 8, ITEMS_AT = 74, CALLED_AT = 10, CALLING_AT = 26 };

#define VERIFICATION "1.2.840.10008.1.1"
#define IMPLICIT     "1.2.840.10008.1.2"
#define CONTEXT_NAME "1.2.840.10008.3.1.1.1"

/* A request that is put together piece by piece. */
struct pdu {
    unsigned char bytes[ROOM];
    size_t size;
};

static void put(struct pdu *p, const void *bytes, size_t size)
{
    assert(size <= ROOM - p->size);
    memcpy(p->bytes + p->size, bytes, size);
    p->size += size;
}

static void set_length(struct pdu *p)
{
    const size_t n = p->size - 6;
    for (size_t i = 0; i < 4; i++) {
        p->bytes[2 + i] = (unsigned char)(n >> (24 - 8 * i));
    }
}

/* Begin an item; its value is what is put until item_end. */
static size_t item_begin(struct pdu *p, unsigned type)
{
    const unsigned char header[4] = {(unsigned char)type, 0, 0, 0};
    put(p, header, sizeof header);
    return p->size;
}

static void item_end(struct pdu *p, size_t begin)
{
    p->bytes[begin - 2] = (unsigned char)((p->size - begin) >> 8);
    p->bytes[begin - 1] = (unsigned char)(p->size - begin);
}

static void put_item(struct pdu *p, unsigned type, const void *value, size_t size)
{
    const size_t begin = item_begin(p, type);
    put(p, value, size);
    item_end(p, begin);
}

static void put_text(struct pdu *p, unsigned type, const char *text)
{
    put_item(p, type, text, strlen(text));
}

static void put_fixed(struct pdu *p)
{
    unsigned char fixed[ITEMS_AT] = {1, 0, 0, 0, 0, 0, 0, 1};
    memset(fixed + CALLED_AT, ' ', 32);
    fixed[CALLED_AT] = 'S';
    fixed[CALLED_AT + 1] = 'C';
    fixed[CALLED_AT + 2] = 'T';
    fixed[CALLED_AT + 3] = 'D';
    fixed[CALLING_AT + 1] = 'M';
    fixed[CALLING_AT + 2] = 'R';
    fixed[CALLING_AT + 4] = '1';
    p->size = 0;
    put(p, fixed, sizeof fixed);
}

static void put_context(struct pdu *p, unsigned id, const char *abstract, int transfers)
{
    const unsigned char head[4] = {(unsigned char)id, 0, 0, 0};
    const size_t begin = item_begin(p, 0x20);
    put(p, head, sizeof head);
    put_text(p, 0x30, abstract);
    for (int i = 0; i < transfers; i++) {
        put_text(p, 0x40, IMPLICIT);
    }
    item_end(p, begin);
}

/* Sub-items of the user information, besides the maximum length. */
struct sub_item {
    unsigned type;
    const void *value;
    size_t size;
    int times;
};

static void put_user(struct pdu *p, uint32_t max_pdu, struct sub_item sub)
{
    const unsigned char length[4] = {(unsigned char)(max_pdu >> 24), (unsigned char)(max_pdu >> 16),
                                     (unsigned char)(max_pdu >> 8), (unsigned char)max_pdu};
    const size_t begin = item_begin(p, 0x50);
    put_item(p, 0x51, length, sizeof length);
    for (int i = 0; i < sub.times; i++) {
        put_item(p, sub.type, sub.value, sub.size);
    }
    item_end(p, begin);
}

static const struct sub_item no_sub_item;

/* The smallest whole request. */
static void make(struct pdu *p)
{
    put_fixed(p);
    put_text(p, 0x10, CONTEXT_NAME);
    put_context(p, 1, VERIFICATION, 1);
    put_user(p, 16384, no_sub_item);
    set_length(p);
}

static void make_with(struct pdu *p, struct sub_item sub)
{
    put_fixed(p);
    put_text(p, 0x10, CONTEXT_NAME);
    put_context(p, 1, VERIFICATION, 1);
    put_user(p, 0, sub);
    set_length(p);
}

/* A copy of exactly this size lets a sanitizer see a read beyond it. */
static int parse(struct dicom_associate *ret_request, const struct pdu *p,
                 struct dicom_associate_reply *ret_reply)
{
    unsigned char *copy = malloc(p->size + 1);
    assert(copy != NULL);
    memcpy(copy + 1, p->bytes, p->size);
    const int r = dicom_associate_parse(ret_request, copy + 1, p->size, ret_reply);
    free(copy);
    return r;
}

static bool passes(const struct pdu *p)
{
    struct dicom_associate request;
    struct dicom_associate_reply reply = {.type = DICOM_PDU_ABORT};
    const int r = parse(&request, p, &reply);
    assert(r == 0 || r == DICOM_ASSOCIATE_REFUSED);
    return r == 0;
}

/* Refused with this A-ASSOCIATE-RJ. */
static bool rejected(const struct pdu *p, int result, int source, int reason)
{
    struct dicom_associate request;
    struct dicom_associate_reply reply = {.type = DICOM_PDU_ABORT};
    unsigned char pdu[DICOM_ASSOCIATE_REPLY_SIZE];
    if (parse(&request, p, &reply) != DICOM_ASSOCIATE_REFUSED || strlen(reply.text) == 0) {
        return false;
    }
    dicom_associate_write_reply(pdu, &reply);
    const unsigned char expected[] = {
        3, 0, 0, 0, 0, 4, 0, (unsigned char)result, (unsigned char)source, (unsigned char)reason};
    return memcmp(pdu, expected, sizeof pdu) == 0;
}

static bool malformed(const struct pdu *p)
{
    return rejected(p, 1, 2, 1);
}

/* What a tool sent, from the seeds of the fuzzer. */
static void load(struct pdu *p, const char *name)
{
    struct sctd_error err = {0};
    struct sctd_map map = {0};
    char path[SCTD_PATH_MAX];
    const char *corpus = getenv("SCTD_FUZZ_CORPUS"); // NOLINT(concurrency-mt-unsafe): one thread
    (void)snprintf(path, sizeof path, "%s/associate/%s",
                   corpus == NULL ? "tests/fuzz/corpus" : corpus, name);
    assert(sctd_map_open(&map, path, &err) == 0 && map.size <= ROOM);
    p->size = 0;
    put(p, map.data, map.size);
    sctd_map_close(&map);
}

static struct pdu pdu;

static void requests_of_other_software_are_read(void)
{
    const struct {
        const char *name, *calling, *version;
        int contexts;
        bool identity;
    } known[] = {
        {"echoscu", "SCANNER 1", "OFFIS_DCMTK_367", 1, false},
        {"storescu", "SCANNER 1", "OFFIS_DCMTK_367", 128, false},
        {"storescu-propose", "SCANNER 1", "OFFIS_DCMTK_367", 1, false},
        {"dcmsend", "SCANNER 1", "OFFIS_DCMTK_367", 1, false},
        {"findscu", "SCANNER 1", "OFFIS_DCMTK_367", 1, false},
        {"pynetdicom-echo", "PYNETDICOM", "PYNETDICOM_304", 1, false},
        {"pynetdicom-storage", "PYNETDICOM", "PYNETDICOM_304", 120, false},
        {"pynetdicom-user", "PYNETDICOM", "PYNETDICOM_304", 1, true},
        {"pynetdicom-password", "PYNETDICOM", "PYNETDICOM_304", 1, true},
        {"pynetdicom-negotiation", "PYNETDICOM", "PYNETDICOM_304", 1, false},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        struct dicom_associate request = {.contexts = -1};
        struct dicom_associate_reply reply = {.type = DICOM_PDU_ABORT};
        size_t size = 0;
        load(&pdu, known[i].name);
        assert(dicom_associate_measure(&size, pdu.bytes, &reply) == 0 && size == pdu.size);
        assert(parse(&request, &pdu, &reply) == 0);
        assert(strcmp(request.called_ae, "SCTD") == 0);
        assert(strcmp(request.calling_ae, known[i].calling) == 0);
        assert(strcmp(request.implementation_version, known[i].version) == 0);
        assert(request.contexts == known[i].contexts);
        assert(request.has_user_identity == known[i].identity);
        assert(request.max_pdu == 16384 || request.max_pdu == 16382);
        assert(strlen(request.implementation_class_uid) > 10);
    }
}

static void a_made_request_passes_and_ae_titles_are_trimmed(void)
{
    struct dicom_associate request;
    struct dicom_associate_reply reply = {.type = DICOM_PDU_ABORT};
    make(&pdu);
    assert(parse(&request, &pdu, &reply) == 0);
    assert(strcmp(request.called_ae, "SCTD") == 0 && strcmp(request.calling_ae, "MR 1") == 0);
    assert(request.max_pdu == 16384 && request.contexts == 1 && !request.has_user_identity);
}

static void what_is_no_request_is_aborted(void)
{
    struct dicom_associate_reply reply = {.type = DICOM_PDU_ABORT};
    unsigned char out[DICOM_ASSOCIATE_REPLY_SIZE];
    size_t size = 0;
    for (unsigned type = 0; type < 256; type++) {
        const unsigned char header[6] = {(unsigned char)type, 0, 0, 0, 1, 0};
        const int r = dicom_associate_measure(&size, header, &reply);
        assert(type == 1 ? r == 0 && size == 262 : r == DICOM_ASSOCIATE_REFUSED);
    }
    dicom_associate_write_reply(out, &reply);
    assert(memcmp(out, "\x07\0\0\0\0\4\0\0\2\2", sizeof out) == 0);
}

static void a_length_beyond_the_limit_is_aborted(void)
{
    struct dicom_associate_reply reply = {.type = DICOM_PDU_ABORT};
    unsigned char out[DICOM_ASSOCIATE_REPLY_SIZE];
    size_t size = 0;
    assert(dicom_associate_measure(&size, "\1\0\0\1\xff\xfa", &reply) == 0);
    assert(size == DICOM_ASSOCIATE_SIZE_MAX);
    assert(dicom_associate_measure(&size, "\1\0\0\1\xff\xfb", &reply) == DICOM_ASSOCIATE_REFUSED);
    assert(dicom_associate_measure(&size, "\1\0\xff\xff\xff\xff", &reply) ==
           DICOM_ASSOCIATE_REFUSED);
    assert(dicom_associate_measure(&size, "\1\0\0\0\0\x43", &reply) == DICOM_ASSOCIATE_REFUSED);
    dicom_associate_write_reply(out, &reply);
    assert(memcmp(out, "\x07\0\0\0\0\4\0\0\2\6", sizeof out) == 0);
}

static void another_protocol_version_or_context_is_rejected(void)
{
    make(&pdu);
    pdu.bytes[7] = 2;
    assert(rejected(&pdu, 1, 2, 2));
    pdu.bytes[7] = 3; /* only bit 0 counts (PS3.8 9.3.2) */
    assert(passes(&pdu));

    put_fixed(&pdu);
    put_text(&pdu, 0x10, "1.2.840.10008.3.1.1.2");
    set_length(&pdu);
    assert(rejected(&pdu, 1, 1, 2));
    put_fixed(&pdu);
    put_context(&pdu, 1, VERIFICATION, 1);
    put_user(&pdu, 0, no_sub_item);
    set_length(&pdu);
    assert(rejected(&pdu, 1, 1, 2)); /* none */
}

static void ae_titles_beyond_the_repertoire_are_rejected(void)
{
    static const char *const bad[] = {"../../etc/passwd", "A\\B", "A\nB", "\x1b[0m",
                                      "M\xc3\xbcller",    "A/B",  "",     "\t"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        make(&pdu);
        memset(pdu.bytes + CALLED_AT, ' ', 16);
        memcpy(pdu.bytes + CALLED_AT, bad[i], strlen(bad[i]));
        assert(rejected(&pdu, 1, 1, 7));
        make(&pdu);
        memset(pdu.bytes + CALLING_AT, ' ', 16);
        memcpy(pdu.bytes + CALLING_AT, bad[i], strlen(bad[i]));
        assert(rejected(&pdu, 1, 1, 3));
    }
    make(&pdu);
    pdu.bytes[CALLED_AT + 2] = '\0';
    assert(rejected(&pdu, 1, 1, 7));
    make(&pdu);
    memcpy(pdu.bytes + CALLED_AT, "0123456789ABCDEF", 16);
    assert(passes(&pdu));
    assert(dicom_associate_is_ae("0123456789ABCDEF"));
    assert(!dicom_associate_is_ae("0123456789ABCDEFG") && !dicom_associate_is_ae(" A"));
}

static void presentation_contexts_are_counted_and_told_apart(void)
{
    for (int n = 127; n <= 129; n++) {
        put_fixed(&pdu);
        put_text(&pdu, 0x10, CONTEXT_NAME);
        for (int i = 0; i < n; i++) {
            put_context(&pdu, (unsigned)(2 * i + 1) & 255U, VERIFICATION, 1);
        }
        put_user(&pdu, 0, no_sub_item);
        set_length(&pdu);
        assert(n <= 128 ? passes(&pdu) : malformed(&pdu));
    }
    put_fixed(&pdu);
    put_text(&pdu, 0x10, CONTEXT_NAME);
    put_context(&pdu, 3, VERIFICATION, 1);
    put_context(&pdu, 3, VERIFICATION, 1);
    put_user(&pdu, 0, no_sub_item);
    set_length(&pdu);
    assert(malformed(&pdu));
    for (unsigned id = 0; id < 256; id++) {
        put_fixed(&pdu);
        put_text(&pdu, 0x10, CONTEXT_NAME);
        put_context(&pdu, id, VERIFICATION, 2);
        put_user(&pdu, 0, no_sub_item);
        set_length(&pdu);
        assert(id % 2 == 1 ? passes(&pdu) : malformed(&pdu));
    }
}

static void contexts_with_bad_syntaxes_are_rejected(void)
{
    static const char *const uid[] = {
        "1..2", "1.2.",
        ".1",   "1.02",
        "",     "a",
        "../x", "1.2.840.10008.1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16.17.18.19.212"};
    for (size_t i = 0; i < sizeof uid / sizeof uid[0]; i++) {
        put_fixed(&pdu);
        put_text(&pdu, 0x10, CONTEXT_NAME);
        put_context(&pdu, 1, uid[i], 1);
        put_user(&pdu, 0, no_sub_item);
        set_length(&pdu);
        assert(malformed(&pdu));
    }
    for (int transfers = 0; transfers <= 129; transfers += 43) {
        put_fixed(&pdu);
        put_text(&pdu, 0x10, CONTEXT_NAME);
        put_context(&pdu, 1, VERIFICATION, transfers);
        put_user(&pdu, 0, no_sub_item);
        set_length(&pdu);
        assert(transfers == 0 || transfers == 129 ? malformed(&pdu) : passes(&pdu));
    }
}

static void one_user_identity_at_most(void)
{
    static const char user[] = "\1\0\0\4user\0\0";
    const struct sub_item once = {0x58, user, 10, 1};
    const struct sub_item twice = {0x58, user, 10, 2};
    const struct sub_item flood = {0x58, user, 10, 4000};
    make_with(&pdu, once);
    assert(passes(&pdu));
    make_with(&pdu, twice);
    assert(malformed(&pdu));
    make_with(&pdu, flood);
    assert(malformed(&pdu));
    for (size_t size = 0; size < 10; size++) {
        const struct sub_item cut = {0x58, user, size, 1};
        make_with(&pdu, cut);
        assert(malformed(&pdu));
    }
    const struct sub_item longer = {0x58, "\1\0\0\4user\0\1", 10, 1};
    make_with(&pdu, longer);
    assert(malformed(&pdu));
    const struct sub_item shorter = {0x58, "\1\0\0\4user\0\1ab", 12, 1};
    make_with(&pdu, shorter);
    assert(malformed(&pdu));
    load(&pdu, "hostile-identities");
    assert(malformed(&pdu));
}

static void sub_items_are_limited_and_strange_ones_skipped(void)
{
    static const char role[] = "\0\x11"
                               "1.2.840.10008.1.1\1\1";
    const struct {
        struct sub_item sub;
        bool ok;
    } cases[] = {
        {{0x54, role, 21, 128}, true},
        {{0x54, role, 21, 129}, false},
        {{0x54, role, 20, 1}, false},
        {{0x56, role, 21, 128}, true},
        {{0x56, role, 18, 1}, false},
        {{0x57, role, 21, 129}, false},
        {{0x53, "\0\1\0\1", 4, 1}, true},
        {{0x53, "\0\1\0\1", 3, 1}, false},
        {{0x53, "\0\1\0\1", 4, 2}, false},
        {{0x51, "\0\0\x40\0", 4, 1}, false}, /* the second of them */
        {{0x55, "0123456789ABCDEF", 16, 1}, true},
        {{0x55, "0123456789ABCDEFG", 17, 1}, false},
        {{0x52, "1.2", 3, 1}, true},
        {{0x52, "1.2\0", 4, 1}, true},
        {{0x52, "1\0.2", 4, 1}, false},
        {{0x99, "anything", 8, 500}, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        make_with(&pdu, cases[i].sub);
        assert(passes(&pdu) == cases[i].ok);
    }
}

static void a_peer_that_takes_no_answer_is_rejected(void)
{
    for (uint32_t max = 0; max < 300; max++) {
        put_fixed(&pdu);
        put_text(&pdu, 0x10, CONTEXT_NAME);
        put_context(&pdu, 1, VERIFICATION, 1);
        put_user(&pdu, max, no_sub_item);
        set_length(&pdu);
        assert(passes(&pdu) == (max == 0 || max >= 256));
    }
}

static void every_cut_of_a_request_is_refused(void)
{
    make(&pdu);
    struct pdu *cut = malloc(sizeof *cut);
    assert(cut != NULL);
    for (size_t n = 6; n < pdu.size; n++) {
        memcpy(cut->bytes, pdu.bytes, n);
        cut->size = n;
        assert(!passes(cut)); /* the length does not agree */
        set_length(cut);
        assert(!passes(cut)); /* or the last item is cut or missing */
    }
    free(cut);
}

static void items_longer_than_what_holds_them_are_rejected(void)
{
    make(&pdu);
    const size_t size = pdu.size;
    for (size_t at = ITEMS_AT; at + 1 < size; at++) {
        make(&pdu);
        pdu.bytes[at] = 0xff;
        pdu.bytes[at + 1] = 0xff;
        (void)passes(&pdu); /* a sanitizer watches */
    }
    make(&pdu);
    pdu.bytes[ITEMS_AT + 2] = 0xff;
    assert(malformed(&pdu));
}

static void nothing_repeats_that_may_not(void)
{
    put_fixed(&pdu);
    put_text(&pdu, 0x10, CONTEXT_NAME);
    put_text(&pdu, 0x10, CONTEXT_NAME);
    put_context(&pdu, 1, VERIFICATION, 1);
    put_user(&pdu, 0, no_sub_item);
    set_length(&pdu);
    assert(rejected(&pdu, 1, 1, 2));

    put_fixed(&pdu);
    put_text(&pdu, 0x10, CONTEXT_NAME);
    put_context(&pdu, 1, VERIFICATION, 1);
    put_user(&pdu, 0, no_sub_item);
    put_user(&pdu, 0, no_sub_item);
    set_length(&pdu);
    assert(malformed(&pdu));

    put_fixed(&pdu);
    put_text(&pdu, 0x10, CONTEXT_NAME);
    put_user(&pdu, 0, no_sub_item);
    set_length(&pdu);
    assert(malformed(&pdu)); /* no context */
    put_fixed(&pdu);
    put_text(&pdu, 0x10, CONTEXT_NAME);
    put_context(&pdu, 1, VERIFICATION, 1);
    set_length(&pdu);
    assert(malformed(&pdu)); /* no user information */
}

static void refusals_of_policy_are_as_the_standard_numbers_them(void)
{
    unsigned char out[DICOM_ASSOCIATE_REPLY_SIZE];
    dicom_associate_write_reply(out, &dicom_associate_over_limit);
    assert(memcmp(out, "\3\0\0\0\0\4\0\2\3\2", sizeof out) == 0);
    dicom_associate_write_reply(out, &dicom_associate_congested);
    assert(memcmp(out, "\3\0\0\0\0\4\0\2\3\1", sizeof out) == 0);
    dicom_associate_write_reply(out, &dicom_associate_unknown_calling);
    assert(memcmp(out, "\3\0\0\0\0\4\0\1\1\3", sizeof out) == 0);
    dicom_associate_write_reply(out, &dicom_associate_unknown_called);
    assert(memcmp(out, "\3\0\0\0\0\4\0\1\1\7", sizeof out) == 0);
}

int main(void)
{
    requests_of_other_software_are_read();
    a_made_request_passes_and_ae_titles_are_trimmed();
    what_is_no_request_is_aborted();
    a_length_beyond_the_limit_is_aborted();
    another_protocol_version_or_context_is_rejected();
    ae_titles_beyond_the_repertoire_are_rejected();
    presentation_contexts_are_counted_and_told_apart();
    contexts_with_bad_syntaxes_are_rejected();
    one_user_identity_at_most();
    sub_items_are_limited_and_strange_ones_skipped();
    a_peer_that_takes_no_answer_is_rejected();
    every_cut_of_a_request_is_refused();
    items_longer_than_what_holds_them_are_rejected();
    nothing_repeats_that_may_not();
    refusals_of_policy_are_as_the_standard_numbers_them();
    return 0;
}
