/* SPDX-License-Identifier: Apache-2.0 */
#include "server/batch_request.h"

#include <ctype.h>
#include <math.h>
#include <regex.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dicom/found.h"
#include "dicom/source.h"
#include "dicom/uid.h"
#include "engine/base/attr.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/json.h"

enum { LIMIT_MAX = BATCH_SERIES_MAX, IMAGES_MAX = 65536 };

void batch_request_fini(struct batch_request *request)
{
    free(request->studies.uid);
    free(request->series.uid);
    request->studies = request->series = (struct batch_uids){.n = 0};
}

struct batch_request batch_request_make(void)
{
    const struct batch_request request = {.limit = BATCH_SERIES_DEFAULT, .moves = 1};
    return request;
}

/* Reading */

enum kind { KIND_TEXT, KIND_NUMBER, KIND_BOOL };

struct key {
    const char *name;
    enum kind kind;
    size_t offset, size;
    int32_t min, max; /* KIND_NUMBER */
};

#define MEMBER(member)                                                                             \
    offsetof(struct batch_request, member), sizeof(((struct batch_request *)NULL)->member)

static const struct key top_keys[] = {
    {"name", KIND_TEXT, MEMBER(name), 0, 0},
    {"model", KIND_TEXT, MEMBER(model), 0, 0},
    {"rule", KIND_TEXT, MEMBER(rule), 0, 0},
    {"keep", KIND_BOOL, MEMBER(keep), 0, 0},
    {"moves", KIND_NUMBER, MEMBER(moves), 1, BATCH_MOVES_MAX},
    {"per_hour", KIND_NUMBER, MEMBER(per_hour), 0, BATCH_PER_HOUR_MAX},
    {"hold", KIND_BOOL, MEMBER(hold), 0, 0},
    {"force", KIND_BOOL, MEMBER(force), 0, 0},
};

static const struct key select_keys[] = {
    {"from", KIND_TEXT, MEMBER(from), 0, 0},
    {"to", KIND_TEXT, MEMBER(to), 0, 0},
    {"patient", KIND_TEXT, MEMBER(patient), 0, 0},
    {"accession", KIND_TEXT, MEMBER(accession), 0, 0},
    {"modality", KIND_TEXT, MEMBER(modality), 0, 0},
    {"description", KIND_TEXT, MEMBER(description), 0, 0},
    {"station", KIND_TEXT, MEMBER(station), 0, 0},
    {"protocol", KIND_TEXT, MEMBER(protocol), 0, 0},
    {"min_images", KIND_NUMBER, MEMBER(min_images), 0, IMAGES_MAX},
    {"max_images", KIND_NUMBER, MEMBER(max_images), 0, IMAGES_MAX},
    {"limit", KIND_NUMBER, MEMBER(limit), 1, LIMIT_MAX},
};

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

SCTD_PRINTF(2, 3) static int refuse(struct sctd_error *err, const char *format, ...)
{
    char text[200];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return sctd_error(err, SCTD_EINVAL, "%s", text);
}

static int read_key(struct batch_request *q, const struct key *key, const struct json_node *node,
                    struct sctd_error *err)
{
    char *to = (char *)q + key->offset;
    if (key->kind == KIND_TEXT) {
        if (node->type != JSON_STRING || node->string_size >= key->size ||
            strlen(node->string) != node->string_size) {
            return refuse(err, "%s: a text of at most %zu bytes", key->name, key->size - 1);
        }
        (void)snprintf(to, key->size, "%s", node->string);
        return 0;
    }
    if (key->kind == KIND_BOOL) {
        if (node->type != JSON_BOOL) {
            return refuse(err, "%s: true or false", key->name);
        }
        *(bool *)to = node->integer != 0;
        return 0;
    }
    /* 16.0 is a whole number to JSON. */
    const bool is_number = node->type == JSON_INT || node->type == JSON_DOUBLE;
    if (!is_number || node->number < key->min || node->number > key->max ||
        floor(node->number) < node->number) {
        return refuse(err, "%s: a number from %d to %d", key->name, key->min, key->max);
    }
    const int32_t number = (int32_t)node->number;
    memcpy(to, &number, sizeof number);
    return 0;
}

static int compare_uids(const void *a, const void *b)
{
    return strcmp(a, b);
}

static int read_uids(struct batch_uids *ret_uids, const struct json *json,
                     const struct json_node *node, struct sctd_error *err)
{
    if (node->type != JSON_ARRAY || node->count > BATCH_UIDS_MAX) {
        return refuse(err, "%s: a list of at most %d UIDs", node->key, (int)BATCH_UIDS_MAX);
    }
    free(ret_uids->uid);
    *ret_uids = (struct batch_uids){.uid = calloc((size_t)node->count + 1, sizeof *ret_uids->uid)};
    if (ret_uids->uid == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "a list of UIDs");
    }
    for (const struct json_node *n = json_first(json, node); n != NULL; n = json_next(json, n)) {
        if (n->type != JSON_STRING || !dicom_uid_is_valid(n->string)) {
            return refuse(err, "%s: entry %zu is no UID", node->key, ret_uids->n + 1);
        }
        (void)snprintf(ret_uids->uid[ret_uids->n++], DICOM_UID_SIZE, "%s", n->string);
    }
    qsort(ret_uids->uid, ret_uids->n, sizeof *ret_uids->uid, compare_uids);
    return 0;
}

static int read_select(struct batch_request *q, const struct json *json,
                       const struct json_node *select, struct sctd_error *err)
{
    if (select->type != JSON_OBJECT) {
        return refuse(err, "select: an object");
    }
    for (const struct json_node *n = json_first(json, select); n != NULL; n = json_next(json, n)) {
        int r = 1;
        for (size_t i = 0; r > 0 && i < COUNT(select_keys); i++) {
            r = strcmp(select_keys[i].name, n->key) == 0 ? read_key(q, &select_keys[i], n, err) : 1;
        }
        if (strcmp(n->key, "studies") == 0) {
            r = read_uids(&q->studies, json, n, err);
        } else if (strcmp(n->key, "series") == 0) {
            r = read_uids(&q->series, json, n, err);
        }
        if (r != 0) {
            return r < 0 ? r : refuse(err, "select.%.40s is no key: see docs/reprocess.md", n->key);
        }
    }
    return 0;
}

static int read_source(struct batch_request *q, const struct json *json,
                       const struct json_node *source, struct sctd_error *err)
{
    const struct json_node *first = json_first(json, source);
    if (source->type != JSON_OBJECT || source->count != 1) {
        return refuse(err, "source: {\"pacs\": NAME}, {\"folder\": PATH} or {\"held\": true}");
    }
    if (strcmp(first->key, "held") == 0 && first->type == JSON_BOOL && first->integer != 0) {
        q->source = BATCH_HELD;
        return 0;
    }
    const bool is_pacs = strcmp(first->key, "pacs") == 0;
    if ((!is_pacs && strcmp(first->key, "folder") != 0) || first->type != JSON_STRING ||
        first->string_size == 0 || first->string_size >= sizeof q->place ||
        strlen(first->string) != first->string_size) {
        return refuse(err, "source: {\"pacs\": NAME}, {\"folder\": PATH} or {\"held\": true}");
    }
    q->source = is_pacs ? BATCH_PACS : BATCH_FOLDER;
    (void)snprintf(q->place, sizeof q->place, "%s", first->string);
    return 0;
}

static int read_destinations(struct batch_request *q, const struct json *json,
                             const struct json_node *node, struct sctd_error *err)
{
    if (node->type != JSON_ARRAY || node->count > BATCH_DESTINATIONS_MAX) {
        return refuse(err, "deliver: a list of at most %d names", (int)BATCH_DESTINATIONS_MAX);
    }
    q->n_destinations = 0;
    for (const struct json_node *n = json_first(json, node); n != NULL; n = json_next(json, n)) {
        if (n->type != JSON_STRING || n->string_size == 0 || n->string_size >= BATCH_NAME_SIZE) {
            return refuse(err, "deliver: names of destinations");
        }
        (void)snprintf(q->destination[q->n_destinations++], BATCH_NAME_SIZE, "%s", n->string);
    }
    return 0;
}

static const char *const methods[] = {
    [BATCH_AUTO] = "auto", [BATCH_GET] = "get", [BATCH_MOVE] = "move"};

static int read_method(struct batch_request *q, const struct json_node *node,
                       struct sctd_error *err)
{
    for (int i = BATCH_AUTO; node->type == JSON_STRING && i <= BATCH_MOVE; i++) {
        if (strcmp(methods[i], node->string) == 0) {
            q->method = (enum batch_method)i;
            return 0;
        }
    }
    return refuse(err, "method: auto, get or move");
}

static int read_member(struct batch_request *q, const struct json *json, const struct json_node *n,
                       struct sctd_error *err)
{
    for (size_t i = 0; i < COUNT(top_keys); i++) {
        if (strcmp(top_keys[i].name, n->key) == 0) {
            return read_key(q, &top_keys[i], n, err);
        }
    }
    if (strcmp(n->key, "source") == 0) {
        return read_source(q, json, n, err);
    }
    if (strcmp(n->key, "select") == 0) {
        return read_select(q, json, n, err);
    }
    if (strcmp(n->key, "deliver") == 0) {
        return read_destinations(q, json, n, err);
    }
    if (strcmp(n->key, "method") == 0) {
        return read_method(q, n, err);
    }
    if (strcmp(n->key, "hours") == 0 && n->type == JSON_STRING) {
        return batch_request_hours(&q->from_minute, &q->to_minute, n->string, err);
    }
    return refuse(err, "%.40s is no key: see docs/reprocess.md", n->key);
}

int batch_request_parse(struct batch_request *ret_request, const char *text, size_t size,
                        struct sctd_error *err)
{
    sctd_auto(json_freep) struct json *json = NULL;
    sctd_auto(batch_request_fini) struct batch_request q = batch_request_make();
    struct sctd_error why = {.code = SCTD_OK};
    int r = json_parse(&json, text, size, &why);
    if (r < 0) {
        return sctd_error(err, r == SCTD_EDATA ? SCTD_EINVAL : r, "%.200s", why.text);
    }
    const struct json_node *root = json_get_root(json);
    if (root->type != JSON_OBJECT || json_find(json, root, "source") == NULL) {
        return refuse(err, "a batch is an object with a source: see docs/reprocess.md");
    }
    for (const struct json_node *n = json_first(json, root); r == 0 && n != NULL;
         n = json_next(json, n)) {
        r = read_member(&q, json, n, err);
    }
    if (r == 0) {
        *ret_request = q;
        q.studies = q.series = (struct batch_uids){.n = 0};
    }
    return r;
}

int batch_request_read(struct batch_request *ret_request, const char *text, size_t size,
                       struct sctd_error *err)
{
    sctd_auto(batch_request_fini) struct batch_request q = batch_request_make();
    int r = batch_request_parse(&q, text, size, err);
    r = r < 0 ? r : batch_request_check(&q, err);
    if (r == 0) {
        *ret_request = q;
        q.studies = q.series = (struct batch_uids){.n = 0};
    }
    return r;
}

/* Checks */

static bool is_date(const char *text)
{
    static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int digits = 0;
    while (digits < BATCH_DATE_SIZE && isdigit((unsigned char)text[digits]) != 0) {
        digits++;
    }
    if (digits != BATCH_DATE_SIZE - 1 || text[digits] != '\0') {
        return false;
    }
    const int month = (text[4] - '0') * 10 + text[5] - '0';
    const int day = (text[6] - '0') * 10 + text[7] - '0';
    return month >= 1 && month <= 12 && day >= 1 && day <= days[month - 1];
}

/* What a PACS would take for a list, and what no attribute holds. */
static bool is_plain(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\\' || (unsigned char)*text < ' ' || *text == 0x7f) {
            return false;
        }
    }
    return true;
}

static int check_select(const struct batch_request *q, struct sctd_error *err)
{
    const struct {
        const char *key, *text;
    } texts[] = {{"patient", q->patient},
                 {"accession", q->accession},
                 {"modality", q->modality},
                 {"station", q->station},
                 {"protocol", q->protocol}};
    for (size_t i = 0; i < COUNT(texts); i++) {
        if (!is_plain(texts[i].text)) {
            return refuse(err, "%s: without backslashes and control characters", texts[i].key);
        }
    }
    if ((q->from[0] != '\0' && !is_date(q->from)) || (q->to[0] != '\0' && !is_date(q->to))) {
        return refuse(err, "from, to: dates as YYYYMMDD");
    }
    if (q->from[0] != '\0' && q->to[0] != '\0' && strcmp(q->from, q->to) > 0) {
        return refuse(err, "from %s is later than to %s", q->from, q->to);
    }
    if (q->max_images > 0 && q->max_images < q->min_images) {
        return refuse(err, "min_images and max_images do not fit");
    }
    struct batch_filter filter;
    int r = batch_request_filter_open(&filter, q, err);
    if (r == 0) {
        batch_request_filter_close(&filter);
    }
    return r;
}

int batch_request_check(const struct batch_request *q, struct sctd_error *err)
{
    int r = check_select(q, err);
    if (r < 0) {
        return r;
    }
    if (q->source == BATCH_PACS && q->from[0] == '\0' && q->to[0] == '\0' &&
        q->patient[0] == '\0' && q->accession[0] == '\0' && q->studies.n == 0) {
        return refuse(err, "name dates, a patient, an accession number or studies: a query without "
                           "any would list the whole PACS");
    }
    if (q->source == BATCH_FOLDER && q->place[0] != '/') {
        return refuse(err, "folder: a path from the root, as the daemon sees it");
    }
    if (q->source != BATCH_PACS && q->method != BATCH_AUTO) {
        return refuse(err, "method: of a PACS only");
    }
    if (q->source != BATCH_PACS && (q->accession[0] != '\0' || q->patient[0] != '\0')) {
        return refuse(err, "patient and accession: of a PACS only");
    }
    if (q->source != BATCH_PACS && (q->from[0] != '\0' || q->to[0] != '\0')) {
        return refuse(err, "from and to: of a PACS only");
    }
    if (q->source == BATCH_FOLDER && q->protocol[0] != '\0') {
        return refuse(err, "protocol: not of a folder");
    }
    if (q->keep && q->n_destinations > 0) {
        return refuse(err, "keep or deliver, not both");
    }
    return 0;
}

int batch_request_hours(int32_t *ret_from, int32_t *ret_to, const char *text,
                        struct sctd_error *err)
{
    int part[4] = {0};
    size_t at = 0;
    static const char shape[] = "00:00-00:00";
    for (; at < sizeof shape - 1; at++) {
        const bool digit = shape[at] == '0';
        if (digit ? isdigit((unsigned char)text[at]) == 0 : text[at] != shape[at]) {
            return refuse(err, "hours: \"22:00-06:00\", local time");
        }
        if (digit) {
            part[at / 3] = part[at / 3] * 10 + text[at] - '0';
        }
    }
    const int32_t from = part[0] * 60 + part[1];
    const int32_t to = part[2] * 60 + part[3];
    if (text[at] != '\0' || part[1] > 59 || part[3] > 59 || from >= BATCH_DAY_MINUTES ||
        to > BATCH_DAY_MINUTES) {
        return refuse(err, "hours: \"22:00-06:00\", local time");
    }
    *ret_from = from;
    *ret_to = to;
    return 0;
}

void batch_request_write_hours(struct json_writer *w, int32_t from_minute, int32_t to_minute)
{
    char text[64];
    if (from_minute != to_minute) {
        (void)snprintf(text, sizeof text, "%02d:%02d-%02d:%02d", from_minute / 60, from_minute % 60,
                       to_minute / 60, to_minute % 60);
        json_write_string(w, "hours", text);
    }
}

int32_t batch_request_wait_minutes(int32_t from_minute, int32_t to_minute, int32_t now_minute)
{
    const bool is_in =
        from_minute == to_minute ||
        (from_minute < to_minute ? now_minute >= from_minute && now_minute < to_minute
                                 : now_minute >= from_minute || now_minute < to_minute);
    return is_in ? 0 : (from_minute - now_minute + BATCH_DAY_MINUTES) % BATCH_DAY_MINUTES;
}

/* Writing */

static void write_key(struct json_writer *w, const struct batch_request *q, const struct key *key,
                      const struct batch_request *standard)
{
    const char *from = (const char *)q + key->offset;
    int32_t number = 0;
    int32_t usual = 0;
    if (key->kind == KIND_NUMBER) {
        memcpy(&number, from, sizeof number);
        memcpy(&usual, (const char *)standard + key->offset, sizeof usual);
    }
    if (key->kind == KIND_TEXT && *from != '\0') {
        json_write_string(w, key->name, from);
    } else if (key->kind == KIND_BOOL && *(const bool *)from) {
        json_write_bool(w, key->name, true);
    } else if (key->kind == KIND_NUMBER && number != usual) {
        json_write_int(w, key->name, number);
    }
}

/* How much of it is written. */
enum view { WHOLE, NAMED, UNNAMED };

static void write_uids(struct json_writer *w, const char *key, const struct batch_uids *uids,
                       enum view view)
{
    if (uids->n > 0 && view != WHOLE) {
        json_write_int(w, key, (int64_t)uids->n);
    } else if (uids->n > 0) {
        json_write_array_begin(w, key);
        for (size_t i = 0; i < uids->n; i++) {
            json_write_string(w, NULL, uids->uid[i]);
        }
        json_write_array_end(w);
    }
}

static void write_source(struct json_writer *w, const struct batch_request *q, enum view view)
{
    json_write_object_begin(w, "source");
    if (q->source == BATCH_HELD) {
        json_write_bool(w, "held", true);
    } else if (q->source == BATCH_FOLDER && view == UNNAMED) {
        json_write_null(w, "folder");
    } else {
        json_write_string(w, q->source == BATCH_PACS ? "pacs" : "folder", q->place);
    }
    json_write_object_end(w);
}

static bool may_name_a_patient(const struct key *key)
{
    return key->offset == offsetof(struct batch_request, patient) ||
           key->offset == offsetof(struct batch_request, accession);
}

static void write_select(struct json_writer *w, const struct batch_request *q, enum view view)
{
    const struct batch_request standard = batch_request_make();
    json_write_object_begin(w, "select");
    for (size_t i = 0; i < COUNT(select_keys); i++) {
        const struct key *key = &select_keys[i];
        if (view != UNNAMED || !may_name_a_patient(key)) {
            write_key(w, q, key, &standard);
        } else if (*((const char *)q + key->offset) != '\0') {
            json_write_null(w, key->name);
        }
    }
    write_uids(w, "studies", &q->studies, view);
    write_uids(w, "series", &q->series, view);
    json_write_object_end(w);
}

static void write_members(struct json_writer *w, const struct batch_request *q, enum view view)
{
    const struct batch_request standard = batch_request_make();
    write_source(w, q, view);
    write_select(w, q, view);
    for (size_t i = 0; i < COUNT(top_keys); i++) {
        write_key(w, q, &top_keys[i], &standard);
    }
    if (q->n_destinations > 0) {
        json_write_array_begin(w, "deliver");
        for (size_t i = 0; i < q->n_destinations; i++) {
            json_write_string(w, NULL, q->destination[i]);
        }
        json_write_array_end(w);
    }
    if (q->method != BATCH_AUTO) {
        json_write_string(w, "method", methods[q->method]);
    }
    batch_request_write_hours(w, q->from_minute, q->to_minute);
}

int batch_request_write(struct sctd_buf *text, const struct batch_request *q,
                        struct sctd_error *err)
{
    struct json_writer w = json_writer_make(text, false, err);
    json_write_object_begin(&w, NULL);
    write_members(&w, q, WHOLE);
    json_write_object_end(&w);
    return json_writer_finish(&w);
}

void batch_request_show(struct json_writer *w, const char *key, const struct batch_request *q,
                        bool identity)
{
    json_write_object_begin(w, key);
    write_members(w, q, identity ? NAMED : UNNAMED);
    json_write_object_end(w);
}

SCTD_PRINTF(3, 4) static void add(char *text, size_t size, const char *format, ...)
{
    const size_t n = strlen(text);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text + n, size - n, format, args);
    va_end(args);
}

void batch_request_describe(char *ret_text, size_t size, const struct batch_request *q)
{
    static const char *const sources[] = {"PACS", "folder", "series held here"};
    (void)snprintf(ret_text, size, "%s", sources[q->source]);
    if (q->source == BATCH_PACS) { /* a folder may be named after a patient */
        add(ret_text, size, " %.64s", q->place);
    }
    if (q->from[0] != '\0' || q->to[0] != '\0') {
        add(ret_text, size, ", %s to %s", q->from[0] == '\0' ? "any" : q->from,
            q->to[0] == '\0' ? "now" : q->to);
    }
    if (q->patient[0] != '\0') {
        add(ret_text, size, ", one patient");
    }
    if (q->accession[0] != '\0') {
        add(ret_text, size, ", one accession number");
    }
    if (q->studies.n > 0) {
        add(ret_text, size, ", %zu studies", q->studies.n);
    }
    if (q->series.n > 0) {
        add(ret_text, size, ", %zu series", q->series.n);
    }
    if (q->modality[0] != '\0') {
        add(ret_text, size, ", %s", q->modality);
    }
}

/* Conditions */

int batch_request_filter_open(struct batch_filter *ret_filter, const struct batch_request *request,
                              struct sctd_error *err)
{
    struct batch_filter filter = {.request = request};
    if (request->description[0] != '\0') {
        if (regcomp(&filter.description, request->description,
                    REG_EXTENDED | REG_ICASE | REG_NOSUB) != 0) {
            return refuse(err, "description is no regular expression");
        }
        filter.has_description = true;
    }
    *ret_filter = filter;
    return 0;
}

void batch_request_filter_close(struct batch_filter *filter)
{
    if (filter->has_description) {
        regfree(&filter->description);
        filter->has_description = false;
    }
}

/* '*' and '?' as DICOM has them (PS3.4 C.2.2.2.4), without regard to case. */
static bool matches(const char *pattern, const char *text)
{
    const char *star = NULL;
    const char *again = NULL;
    while (*text != '\0') {
        if (*pattern == '*') {
            star = pattern++;
            again = text;
        } else if (*pattern == '?' ||
                   tolower((unsigned char)*pattern) == tolower((unsigned char)*text)) {
            pattern++;
            text++;
        } else if (star != NULL) {
            pattern = star + 1;
            text = ++again;
        } else {
            return false;
        }
    }
    while (*pattern == '*') {
        pattern++;
    }
    return *pattern == '\0';
}

static bool is_wanted(const char *pattern, const char *text)
{
    return *pattern == '\0' || matches(pattern, text);
}

static bool is_listed(const struct batch_uids *uids, const char *uid)
{
    return uids->n == 0 ||
           bsearch(uid, uids->uid, uids->n, sizeof *uids->uid, compare_uids) != NULL;
}

static bool is_in_time(const struct batch_request *q, const char *date)
{
    return (q->from[0] == '\0' || strcmp(date, q->from) >= 0) &&
           (q->to[0] == '\0' || (*date != '\0' && strcmp(date, q->to) <= 0));
}

bool batch_request_filter_wants(const struct batch_filter *filter, const struct dicom_found *found)
{
    const struct batch_request *q = filter->request;
    const bool is_counted =
        found->images < 0 ||
        (found->images >= q->min_images && (q->max_images == 0 || found->images <= q->max_images));
    return is_counted && is_in_time(q, found->study_date) &&
           is_wanted(q->modality, found->modality) && is_wanted(q->station, found->station) &&
           is_wanted(q->protocol, found->protocol) && is_wanted(q->patient, found->patient_id) &&
           is_wanted(q->accession, found->accession) && is_listed(&q->studies, found->study_uid) &&
           is_listed(&q->series, found->series_uid) &&
           (!filter->has_description ||
            regexec(&filter->description, found->series_description, 0, NULL, 0) == 0);
}
