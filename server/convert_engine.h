/*
 * convert_engine.h - an engine as what converts slices.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Thread safety: an object belongs to one thread at a time.
 */
#pragma once

#include "engine/base/error.h"
#include "engine/engine.h"
#include "server/convert.h"

#ifdef __cplusplus
extern "C" {
#endif

struct convert_engine {
    struct convert_network
        network; /* what convert_series takes; its arg is this object, which must not move */
    struct engine *engine; /* owned */
    double clip[2];        /* of the source seen last */
    char arithmetic[64];
};

/* Open the model in `dir`, once for any number of series.  Errors: those of engine_open. */
SCTD_NODISCARD int convert_engine_open(struct convert_engine *ret_engine, const char *dir,
                                       const struct engine_options *options,
                                       struct sctd_error *err);
void convert_engine_close(struct convert_engine *engine); /* leaves it empty */

#ifdef __cplusplus
}
#endif
