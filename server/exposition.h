/*
 * exposition.h - samples in the Prometheus text format, version 0.0.4.
 *
 * The first failure sticks and is given by exposition_finish.
 *
 * Thread safety: as of the buffer.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

#define EXPOSITION_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct exposition {
    struct sctd_buf *buf; /* borrowed */
    struct sctd_error *err;
    int failed;
    const char *name; /* of the family that is open */
};

static inline struct exposition exposition_make(struct sctd_buf *buf, struct sctd_error *err)
{
    const struct exposition e = {buf, err, 0, NULL};
    return e;
}

enum { EXPOSITION_BUCKETS_MAX = 24 };

/* How often something took how long. */
struct exposition_histogram {
    int64_t count[EXPOSITION_BUCKETS_MAX +
                  1]; /* not cumulative; the last is what is above all bounds */
    double sum;
};
/* The bounds of every histogram of seconds here, rising; EXPOSITION_SECONDS of them. */
enum { EXPOSITION_SECONDS = 16 };
extern const double exposition_seconds[EXPOSITION_SECONDS];
void exposition_observe(struct exposition_histogram *histogram, double seconds);

/* Begin a family: type is "counter", "gauge" or "histogram"; the texts must live until the next one. */
void exposition_family(struct exposition *e, const char *name, const char *type, const char *help);

/* A label; name NULL: none. */
struct exposition_label {
    const char *name, *value;
};
/* One sample of the open family with up to two labels. */
void exposition_sample(struct exposition *e, struct exposition_label a, struct exposition_label b,
                       double value);
static inline void exposition_value(struct exposition *e, double value)
{
    const struct exposition_label none = {NULL, NULL};
    exposition_sample(e, none, none, value);
}
static inline void exposition_labelled(struct exposition *e, const char *name, const char *label,
                                       double value)
{
    const struct exposition_label a = {name, label};
    const struct exposition_label none = {NULL, NULL};
    exposition_sample(e, a, none, value);
}
/* A histogram of the open family, with a label or without. */
void exposition_write_histogram(struct exposition *e, struct exposition_label label,
                                const struct exposition_histogram *histogram);

/* Errors: SCTD_EINVAL (the buffer is full), SCTD_ENOMEM. */
SCTD_NODISCARD int exposition_finish(const struct exposition *e);

#ifdef __cplusplus
}
#endif
