/*
 * rules.h - which rule of the configuration a series meets, and why it does not meet the others.
 *
 * The first rule whose conditions all hold wins.
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/config.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a rule may ask about a series; UTF-8, "" where it is not known. */
struct rules_subject {
    const char *modality;
    const char *calling_ae_title;
    const char *station_name;
    const char *manufacturer;
    const char *series_description;
    const char *body_part_examined;
    const char *image_type; /* values by backslash */
    int32_t slices;
};

enum { RULES_WHY_SIZE = 200 };

/* Whether `rule` holds; if not, ret_why names the first condition that does not and what is there instead. */
bool rules_holds(const struct config_rule *rule, const struct rules_subject *subject,
                 char ret_why[RULES_WHY_SIZE]);

/* The first rule that holds, or NULL. */
const struct config_rule *rules_find(const struct config *config,
                                     const struct rules_subject *subject);

/* Of those that do not hold, the one that the fewest conditions speak against, the first of several; NULL: there is no
 * rule.  *ret_misses: how many; ret_why: the first of them. */
const struct config_rule *rules_nearest(const struct config *config,
                                        const struct rules_subject *subject, int *ret_misses,
                                        char ret_why[RULES_WHY_SIZE]);
/* Whether `text` is an extended regular expression (POSIX). */
bool rules_is_pattern(const char *text);

#ifdef __cplusplus
}
#endif
