/*
 * log.h - what happens, one line for each event with named values, for people and for programs.
 *
 * To the journal with its own fields under systemd, to standard error as text or as JSON otherwise.  Nothing here
 * ever holds a patient's name or ID: values are UIDs, ids, counts, AE titles and reasons.
 *
 * Thread safety: the loop's thread.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "server/config.h"

#ifdef __cplusplus
extern "C" {
#endif

enum log_level {
    LOG_LEVEL_ERROR = 3,
    LOG_LEVEL_WARNING = 4,
    LOG_LEVEL_INFO = 6
}; /* as syslog(3) */

struct log_field {
    const char *key;  /* lower case and '_' */
    const char *text; /* NULL: `number` is the value */
    int64_t number;
};

static inline struct log_field log_text(const char *key, const char *text)
{
    const struct log_field field = {key, text == NULL ? "" : text, 0};
    return field;
}
static inline struct log_field log_number(const char *key, int64_t number)
{
    const struct log_field field = {key, NULL, number};
    return field;
}

void log_open(enum config_log_format format); /* may be called again */

/* event: what happened, "series-complete". */
void log_event(enum log_level level, const char *event, const struct log_field *fields, size_t n);

#define LOG(level, event, ...)                                                                     \
    log_event((level), (event), (const struct log_field[]){__VA_ARGS__},                           \
              sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))
#define LOG_INFO(event, ...)    LOG(LOG_LEVEL_INFO, event, __VA_ARGS__)
#define LOG_WARNING(event, ...) LOG(LOG_LEVEL_WARNING, event, __VA_ARGS__)
#define LOG_ERROR(event, ...)   LOG(LOG_LEVEL_ERROR, event, __VA_ARGS__)

#ifdef __cplusplus
}
#endif
