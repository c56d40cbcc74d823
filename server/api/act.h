/*
 * act.h - what somebody asks over HTTP to be done with a job or a series: operate.h, with its outcome as a status.
 *
 * Private to server/api.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/control.h"
#include "server/http/request.h"

#ifdef __cplusplus
extern "C" {
#endif

struct act {
    const char *action; /* as operate.h has them */
    const char *done;   /* what to say when it is done */
    int32_t value;
    char reason[CONTROL_TEXT_SIZE];
};

/* To the thing with the id of the path. */
void act_do(struct request *request, const struct act *act);

/* The same with an optional body {"reason": text}. */
void act_for_reason(struct request *request, const char *action, const char *done);

/* Read that body.  Returns whether it is well. */
bool act_read_reason(struct request *request, char *ret_reason, size_t size);

#ifdef __cplusplus
}
#endif
