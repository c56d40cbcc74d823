/* SPDX-License-Identifier: Apache-2.0 */
/* The values of canonical tensors: converted to f32, put together, made up and checked. */
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/safetensors.h"
#include "engine/model/import.h"
#include "engine/model/layout.h"

static float float_from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float from_f16(uint16_t half)
{
    const uint32_t sign = (uint32_t)(half & 0x8000U) << 16;
    const uint32_t exponent = (half >> 10) & 0x1FU;
    const uint32_t fraction = half & 0x3FFU;
    if (exponent == 0) {
        const float size = ldexpf((float)fraction, -24);
        return sign == 0 ? size : -size;
    }
    if (exponent == 0x1F) {
        return float_from_bits(sign | 0x7F800000U | fraction << 13);
    }
    return float_from_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

/* Value i of a tensor of a floating-point type, whose data may be unaligned. */
static float value_at(const struct tensor_view *t, size_t i)
{
    const unsigned char *at = (const unsigned char *)t->data + i * tensor_dtype_size(t->dtype);
    uint16_t half = 0;
    double wide = 0.0;
    float value = 0.0F;
    switch ((int)t->dtype) {
    case TENSOR_F64:
        memcpy(&wide, at, sizeof wide);
        return (float)wide;
    case TENSOR_F16:
        memcpy(&half, at, sizeof half);
        return from_f16(half);
    case TENSOR_BF16:
        memcpy(&half, at, sizeof half);
        return float_from_bits((uint32_t)half << 16);
    default:
        memcpy(&value, at, sizeof value);
        return value;
    }
}

static void copy_values(float *out, const struct tensor_view *t)
{
    const size_t n = tensor_view_count(t);
    for (size_t i = 0; i < n; i++) {
        out[i] = value_at(t, i);
    }
}

/* 100^(4 i / head width), rounded to bf16 to nearest even, as in Meta's released files. */
static void make_periods(float *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const float period = (float)pow(100.0, (double)i / (double)n);
        uint32_t bits = 0;
        memcpy(&bits, &period, sizeof bits);
        bits += 0x7FFFU + ((bits >> 16) & 1U);
        out[i] = float_from_bits(bits & 0xFFFF0000U);
    }
}

/*
 * The bias that takes effect: the published attention multiplies it with a mask that is zero for
 * the key (DINOv3, LinearKMaskedBias).  Zeros are made positive so that every naming of one checkpoint
 * gives the same bytes.
 */
static void mask_qkv_bias(float *bias, size_t n, const struct tensor_view *mask)
{
    for (size_t i = 0; i < n; i++) {
        const bool key = i >= n / 3 && i < 2 * (n / 3);
        const float factor = mask == NULL ? 1.0F : value_at(mask, i);
        bias[i] = key ? 0.0F : bias[i] * factor + 0.0F;
    }
}

static const char *problem_of(float value, enum layout_role role)
{
    if (!isfinite(value)) {
        return "is not finite";
    }
    if (role == LAYOUT_VARIANCE && value < 0.0F) {
        return "is a negative variance";
    }
    if (role == LAYOUT_PERIODS && value <= 0.0F) {
        return "is no period";
    }
    return NULL;
}

/* Report the first value of t that may not be. */
static int check_values(const struct tensor_view *t, const struct layout_entry *entry,
                        struct import_report *report, struct sctd_error *err)
{
    const size_t n = tensor_view_count(t);
    for (size_t i = 0; i < n; i++) {
        const float value = value_at(t, i);
        const char *problem = problem_of(value, entry->role);
        if (problem != NULL) {
            return import_report_add(report, IMPORT_UNSOUND, err,
                                     "%s: value %zu of %s is %g, which %s", entry->name, i, t->name,
                                     (double)value, problem);
        }
    }
    return 0;
}

static int check_mask(const struct tensor_view *mask, const struct layout_entry *entry,
                      struct import_report *report, struct sctd_error *err)
{
    const size_t n = tensor_view_count(mask);
    for (size_t i = 0; i < n; i++) {
        const float value = value_at(mask, i);
        if (!(value >= 0.0F && value <= 1.0F)) { /* NaN: what the constructor leaves in it */
            return import_report_add(report, IMPORT_UNSOUND, err,
                                     "%s: value %zu of %s is %g: the mask was never set",
                                     entry->name, i, mask->name, (double)value);
        }
    }
    return 0;
}

static int check_slot(const struct layout_entry *entry, const struct import_slot *slot,
                      struct import_report *report, struct sctd_error *err)
{
    for (int part = 0; part < IMPORT_MASK; part++) {
        if (slot->part[part] == NULL) {
            continue;
        }
        int r = check_values(slot->part[part], entry, report, err);
        if (r < 0) {
            return r;
        }
    }
    const struct tensor_view *mask = slot->part[IMPORT_MASK];
    return mask == NULL ? 0 : check_mask(mask, entry, report, err);
}

static void copy_thirds(float *out, size_t third, const struct import_slot *slot)
{
    for (int part = IMPORT_Q; part <= IMPORT_V; part++) {
        if (slot->part[part] != NULL) {
            copy_values(out + (size_t)(part - IMPORT_Q) * third, slot->part[part]);
        }
    }
}

/* out: zeros, which is what stays of a bias that is not in the file. */
static void fill(float *out, const struct layout_entry *entry, const struct import_slot *slot)
{
    const size_t n = layout_entry_count(entry);
    const struct tensor_view *whole = slot->part[IMPORT_WHOLE];
    if (whole != NULL) {
        copy_values(out, whole);
    } else if (entry->role == LAYOUT_PERIODS) {
        make_periods(out, n);
    } else {
        copy_thirds(out, n / 3, slot);
    }
    if (entry->role == LAYOUT_QKV_BIAS) {
        mask_qkv_bias(out, n, slot->part[IMPORT_MASK]);
    }
}

int import_values_make(struct tensor_view *ret_view, void **ret_owned,
                       const struct layout_entry *entry, const struct import_slot *slot,
                       struct import_report *report, struct sctd_error *err)
{
    int r = check_slot(entry, slot, report, err);
    if (r < 0) {
        return r;
    }
    struct tensor_view view = {
        .name = entry->name,
        .dtype = TENSOR_F32,
        .n_dims = entry->n_dims,
        .bytes = layout_entry_count(entry) * sizeof(float),
    };
    memcpy(view.dim, entry->dim, sizeof entry->dim);

    const struct tensor_view *whole = slot->part[IMPORT_WHOLE];
    if (whole != NULL && whole->dtype == TENSOR_F32 && entry->role != LAYOUT_QKV_BIAS) {
        view.data = whole->data;
    } else {
        float *owned = calloc(layout_entry_count(entry), sizeof *owned);
        if (owned == NULL) {
            return sctd_error(err, SCTD_ENOMEM, "%zu bytes for %s", view.bytes, entry->name);
        }
        fill(owned, entry, slot);
        view.data = owned;
        *ret_owned = owned;
    }
    *ret_view = view;
    return 0;
}
