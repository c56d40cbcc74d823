/*
 * section.h - the objects of a JSON file that must be exactly as documented, and errors that say where in it they are.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors of all: SCTD_EDATA, naming the section ("recipe.clip: ") and the key.  Outputs are set only on success.
 *
 * Thread safety: pure functions.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/base/json.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The object that is being read, and the name under which errors speak of it; "": the file itself. */
struct section {
    const struct json *json;
    const struct json_node *node;
    const char *name; /* borrowed */
};

/* Put a section's name before the text of an error in it; r is returned, as SCTD_EDATA if it is an error. */
int section_place(int r, const char *name, struct sctd_error *err);

/* The member `key` of `parent`, an object, under a name of its own. */
SCTD_NODISCARD int section_open(struct section *ret_section, const struct section *parent,
                                const char *key, const char *name, struct sctd_error *err);

/* Refuse members other than the n known ones. */
SCTD_NODISCARD int section_check_keys(const struct section *s, const char *const *known, size_t n,
                                      struct sctd_error *err);
#define SECTION_CHECK_KEYS(section, known, err)                                                    \
    section_check_keys(section, known, sizeof(known) / sizeof(known)[0], err)

SCTD_NODISCARD int section_get_int64(int64_t *ret_value, const struct section *s, const char *key,
                                     struct sctd_error *err);
SCTD_NODISCARD int section_get_int(int32_t *ret_value, const struct section *s, const char *key,
                                   struct sctd_error *err);
SCTD_NODISCARD int section_get_number(double *ret_value, const struct section *s, const char *key,
                                      struct sctd_error *err);
SCTD_NODISCARD int section_get_bool(bool *ret_value, const struct section *s, const char *key,
                                    struct sctd_error *err);
/* Text of fewer than `size` bytes. */
SCTD_NODISCARD int section_get_text(char *ret_text, size_t size, const struct section *s,
                                    const char *key, struct sctd_error *err);
/* One of n words, by its index. */
SCTD_NODISCARD int section_get_word(int *ret_index, const struct section *s, const char *key,
                                    const char *const *words, int n, struct sctd_error *err);
/* The n elements of an array of exactly as many, all of one type (an integer is a number too). */
SCTD_NODISCARD int section_get_array(const struct json_node *ret_element[], size_t n,
                                     const struct section *s, const char *key, enum json_type type,
                                     struct sctd_error *err);
/* Two numbers. */
SCTD_NODISCARD int section_get_range(double *ret_low, double *ret_high, const struct section *s,
                                     const char *key, struct sctd_error *err);

/* Read a text of at most `max` bytes, which must be an object.  Errors: SCTD_ENOMEM too. */
SCTD_NODISCARD int section_parse_root(struct json **ret_json, const char *text, size_t size,
                                      size_t max, struct sctd_error *err);

typedef int (*section_parse_fn)(void *ret, const char *text, size_t size, struct sctd_error *err);
/* Have `parse` read a whole file; its errors get the file's name before them.  Errors: SCTD_EIO too. */
SCTD_NODISCARD int section_read_file(void *ret, section_parse_fn parse, const char *path,
                                     struct sctd_error *err);

#ifdef __cplusplus
}
#endif
