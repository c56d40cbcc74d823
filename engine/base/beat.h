/*
 * beat.h - whom long work tells that it goes on.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Thread safety: on_beat is called on the thread that does the work.
 */
#pragma once

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sctd_beat {
    void (*on_beat)(void *arg); /* or NULL */
    void *arg;                  /* borrowed */
};

/* NULL: nobody is told. */
static inline void sctd_beat_tell(const struct sctd_beat *beat)
{
    if (beat != NULL && beat->on_beat != NULL) {
        beat->on_beat(beat->arg);
    }
}

#ifdef __cplusplus
}
#endif
