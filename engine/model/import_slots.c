/* SPDX-License-Identifier: Apache-2.0 */
/* From a checkpoint's tensors to the slots of a layout, and the report of what does not fit. */
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/safetensors.h"
#include "engine/model/checkpoint.h"
#include "engine/model/import.h"
#include "engine/model/layout.h"

enum { LINE_MAX_BYTES = 1024 };

/* A tensor that is there with a wrong shape: neither missing nor of use. */
static const struct tensor_view refused = {.name = ""};

static const char *const part_names[IMPORT_PARTS] = {
    [IMPORT_WHOLE] = "",     [IMPORT_Q] = " (query)",   [IMPORT_K] = " (key)",
    [IMPORT_V] = " (value)", [IMPORT_MASK] = " (mask)",
};

int import_report_add(struct import_report *report, enum import_problem problem,
                      struct sctd_error *err, const char *format, ...)
{
    char line[LINE_MAX_BYTES];
    va_list ap;
    va_start(ap, format);
    const int length = vsnprintf(line, sizeof line - 1, format, ap);
    va_end(ap);
    /* Names come from files that nobody vouches for, and the lines go to terminals and logs. */
    for (char *c = line; length > 0 && *c != '\0'; c++) {
        if ((unsigned char)*c < ' ' || *c == '\x7f') {
            *c = '?';
        }
    }
    int r = sctd_buf_printf(report->lines, err, "%s\n", length < 0 ? "?" : line);
    if (r < 0) {
        return r;
    }
    report->count[problem]++;
    return 0;
}

struct text {
    char text[160];
};

/* "[288, 96]" */
static struct text format_shape(const int64_t *dim, int32_t n_dims)
{
    struct text s = {"["};
    size_t length = 1;
    for (int32_t d = 0; d < n_dims; d++) {
        const int n = snprintf(s.text + length, sizeof s.text - length, "%s%lld",
                               d == 0 ? "" : ", ", (long long)dim[d]);
        length += n > 0 ? (size_t)n : 0;
    }
    (void)snprintf(s.text + length, sizeof s.text - length, "]");
    return s;
}

/* A third of attn.qkv has a third of its rows. */
static void part_shape(const struct layout_entry *entry, enum import_part part, int64_t ret_dim[])
{
    memcpy(ret_dim, entry->dim, sizeof entry->dim);
    if (part == IMPORT_Q || part == IMPORT_K || part == IMPORT_V) {
        ret_dim[0] /= 3;
    }
}

static bool is_float(enum tensor_dtype dtype)
{
    return dtype == TENSOR_F32 || dtype == TENSOR_F64 || dtype == TENSOR_F16 ||
           dtype == TENSOR_BF16;
}

static bool has_shape(const struct tensor_view *t, const int64_t *dim, int32_t n_dims)
{
    if (t->n_dims != n_dims) {
        return false;
    }
    for (int32_t d = 0; d < n_dims; d++) {
        if (t->dim[d] != dim[d]) {
            return false;
        }
    }
    return true;
}

/* Whether this part is there, or the whole that it is part of, or a part of this whole. */
static bool is_filled(const struct import_slot *slot, enum import_part part)
{
    const bool third = part == IMPORT_Q || part == IMPORT_K || part == IMPORT_V;
    const bool thirds = slot->part[IMPORT_Q] != NULL || slot->part[IMPORT_K] != NULL ||
                        slot->part[IMPORT_V] != NULL;
    return slot->part[part] != NULL || (third && slot->part[IMPORT_WHOLE] != NULL) ||
           (part == IMPORT_WHOLE && thirds);
}

static int place(struct import_slot *slot, const struct layout *layout,
                 const struct import_source *source, const struct tensor_view *t,
                 struct import_report *report, struct sctd_error *err)
{
    struct import_name name;
    if (!source->translate(source, t->name, &name)) {
        return 0;
    }
    const size_t i = layout_find(layout, name.text);
    if (i == SIZE_MAX) {
        return import_report_add(report, IMPORT_EXTRA, err, "%s: extra: %s %s %s", source->label,
                                 t->name, tensor_dtype_name(t->dtype),
                                 format_shape(t->dim, t->n_dims).text);
    }
    if (is_filled(&slot[i], name.part)) {
        return import_report_add(report, IMPORT_EXTRA, err, "%s: extra: %s: there is another %s",
                                 source->label, t->name, name.text);
    }

    const struct layout_entry *entry = layout_get(layout, i);
    int64_t dim[LAYOUT_DIMS_MAX];
    part_shape(entry, name.part, dim);
    slot[i].part[name.part] = &refused;
    if (!has_shape(t, dim, entry->n_dims)) {
        return import_report_add(
            report, IMPORT_MISSHAPEN, err, "%s: wrong shape: %s is %s, expected %s", source->label,
            t->name, format_shape(t->dim, t->n_dims).text, format_shape(dim, entry->n_dims).text);
    }
    if (!is_float(t->dtype)) {
        return import_report_add(report, IMPORT_MISSHAPEN, err,
                                 "%s: wrong type: %s is %s, expected F32, F64, F16 or BF16",
                                 source->label, t->name, tensor_dtype_name(t->dtype));
    }
    slot[i].part[name.part] = t;
    return 0;
}

int import_slots_fill(struct import_slot *slot, const struct layout *layout,
                      const struct import_source *source, struct import_report *report,
                      struct sctd_error *err)
{
    for (size_t i = 0; i < checkpoint_get_count(source->checkpoint); i++) {
        const struct tensor_view *t = checkpoint_get(source->checkpoint, i);
        int r = place(slot, layout, source, t, report, err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

/* Behind "backbone.blocks.N."; NULL for every other name. */
static const char *block_suffix(const char *name)
{
    static const char start[] = "backbone.blocks.";
    if (strncmp(name, start, sizeof start - 1) != 0) {
        return NULL;
    }
    const char *dot = strchr(name + sizeof start - 1, '.');
    return dot == NULL ? NULL : dot + 1;
}

/* Whether any block has this part of the tensor with this suffix. */
static bool any_block_has(const struct import_slot *slot, const struct layout *layout,
                          const char *suffix, enum import_part part)
{
    for (size_t i = 0; i < layout_get_count(layout); i++) {
        const char *other = block_suffix(layout_get(layout, i)->name);
        if (other != NULL && strcmp(other, suffix) == 0 && is_filled(&slot[i], part)) {
            return true;
        }
    }
    return false;
}

static bool may_be_missing(const struct import_slot *slot, const struct layout *layout,
                           const struct layout_entry *entry, enum import_part part)
{
    if (entry->role == LAYOUT_PERIODS) {
        return true;
    }
    const char *suffix = block_suffix(entry->name);
    const bool bias = entry->role == LAYOUT_BIAS || entry->role == LAYOUT_QKV_BIAS;
    return bias && suffix != NULL && !any_block_has(slot, layout, suffix, part);
}

/* The parts that must be there: the thirds if there is one, else the whole. */
static size_t needed_parts(const struct layout_entry *entry, const struct import_slot *slot,
                           enum import_part ret_part[3])
{
    if (is_filled(slot, IMPORT_WHOLE) && slot->part[IMPORT_WHOLE] == NULL) {
        size_t n = 0;
        ret_part[n++] = IMPORT_Q;
        if (entry->role != LAYOUT_QKV_BIAS) {
            ret_part[n++] = IMPORT_K;
        }
        ret_part[n++] = IMPORT_V;
        return n;
    }
    ret_part[0] = IMPORT_WHOLE;
    return 1;
}

static int report_missing(const struct layout_entry *entry, enum import_part part,
                          struct import_report *report, struct sctd_error *err)
{
    const char *dot = strchr(entry->name, '.');
    int64_t dim[LAYOUT_DIMS_MAX];
    part_shape(entry, part, dim);
    return import_report_add(report, IMPORT_MISSING, err, "%.*s: missing: %s%s %s",
                             (int)(dot - entry->name), entry->name, dot + 1, part_names[part],
                             format_shape(dim, entry->n_dims).text);
}

/* Report what is missing of entry i. */
static int check_slot(const struct import_slot *slot, const struct layout *layout, size_t i,
                      struct import_report *report, struct sctd_error *err)
{
    const struct layout_entry *entry = layout_get(layout, i);
    enum import_part part[3];
    const size_t n = needed_parts(entry, &slot[i], part);
    int r = 0;
    for (size_t p = 0; r == 0 && p < n; p++) {
        const bool there = slot[i].part[part[p]] != NULL;
        if (!there && !may_be_missing(slot, layout, entry, part[p])) {
            r = report_missing(entry, part[p], report, err);
        }
    }
    return r;
}

int import_slots_check(const struct import_slot *slot, const struct layout *layout,
                       struct import_report *report, struct sctd_error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < layout_get_count(layout); i++) {
        r = check_slot(slot, layout, i, report, err);
    }
    return r;
}
