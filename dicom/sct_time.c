/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/sct_time.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "engine/base/error.h"

enum { DATE_TIME_LENGTH = 21 };

/* `n` digits as a number; -1 if they are none. */
static int read_digits(const char *text, size_t n)
{
    int value = 0;
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return -1;
        }
        value = value * 10 + (text[i] - '0');
    }
    return value;
}

/* Seconds east of Greenwich; false if the text is no offset. */
static bool read_offset(long *ret_seconds, const char *text)
{
    if (text == NULL || strlen(text) < 5 || (text[0] != '+' && text[0] != '-')) {
        return false;
    }
    const int hours = read_digits(text + 1, 2);
    const int minutes = read_digits(text + 3, 2);
    if (hours < 0 || hours > 14 || minutes < 0 || minutes > 59 ||
        strspn(text + 5, " ") != strlen(text + 5)) {
        return false;
    }
    const long seconds = (hours * 60L + minutes) * 60L;
    *ret_seconds = text[0] == '-' ? -seconds : seconds;
    return true;
}

static int read_date_time(time_t *ret_seconds, int *ret_micros, const char *text,
                          struct sctd_error *err)
{
    struct tm tm = {.tm_isdst = -1};
    if (strlen(text) == DATE_TIME_LENGTH && text[14] == '.') {
        tm.tm_year = read_digits(text, 4) - 1900;
        tm.tm_mon = read_digits(text + 4, 2) - 1;
        tm.tm_mday = read_digits(text + 6, 2);
        tm.tm_hour = read_digits(text + 8, 2);
        tm.tm_min = read_digits(text + 10, 2);
        tm.tm_sec = read_digits(text + 12, 2);
    }
    const int micros = tm.tm_mday < 1 ? -1 : read_digits(text + 15, 6);
    const bool good = tm.tm_year >= 0 && tm.tm_mon >= 0 && tm.tm_mon < 12 && tm.tm_mday <= 31 &&
                      tm.tm_hour >= 0 && tm.tm_hour < 24 && tm.tm_min >= 0 && tm.tm_min < 60 &&
                      tm.tm_sec >= 0 && tm.tm_sec < 60 && micros >= 0;
    if (!good) {
        return sctd_error(err, SCTD_EINVAL, "\"%.30s\" is no date and time YYYYMMDDHHMMSS.FFFFFF",
                          text);
    }
    *ret_seconds = mktime(&tm);
    *ret_micros = micros;
    return 0;
}

int sct_time_make(struct sct_time *ret_time, const char *date_time, const char *offset,
                  struct sctd_error *err)
{
    struct timespec now = {0};
    time_t seconds = 0;
    int micros = 0;
    if (date_time != NULL) {
        int r = read_date_time(&seconds, &micros, date_time, err);
        if (r < 0) {
            return r;
        }
    } else {
        (void)clock_gettime(CLOCK_REALTIME, &now);
        seconds = now.tv_sec;
        micros = (int)(now.tv_nsec / 1000);
    }
    struct tm tm = {0};
    (void)localtime_r(&seconds, &tm);
    long east = tm.tm_gmtoff;
    if (read_offset(&east, offset)) {
        seconds += east;
        (void)gmtime_r(&seconds, &tm);
    }
    const unsigned minutes = (unsigned)((east < 0 ? -east : east) / 60);
    struct sct_time made = {0};
    (void)strftime(made.date, sizeof made.date, "%Y%m%d", &tm);
    (void)strftime(made.time, sizeof made.time, "%H%M%S", &tm);
    (void)snprintf(made.time + 6, sizeof made.time - 6, ".%06d", micros);
    (void)snprintf(made.date_time, sizeof made.date_time, "%s%s%c%02u%02u", made.date, made.time,
                   east < 0 ? '-' : '+', minutes / 60 % 100, minutes % 60);
    *ret_time = made;
    return 0;
}
