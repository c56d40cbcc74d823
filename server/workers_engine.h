/*
 * workers_engine.h - what becomes of a slot whose engine opens, does not open, or breaks.
 *
 * Thread safety: the loop's thread.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "server/worker_messages.h"

#ifdef __cplusplus
extern "C" {
#endif

struct slot;

/* What the end of a job says of the engine. */
void workers_engine_judge(struct slot *slot, const struct worker_end *end);
/* A trial is over; reason: why it was not opened. */
void workers_engine_end_trial(struct slot *slot, bool is_opened, const char *reason);

/* Its process has opened one. */
void workers_engine_opened(struct slot *slot, const struct worker_engine *engine);
void workers_engine_forget(struct slot *slot); /* its process has none */
/* What it computes with now, in ret_text[DB_ENGINE_SIZE]: "cuda (NVIDIA H200), fp16"; false: nothing is open. */
bool workers_engine_describe(const struct slot *slot, char *ret_text);

/*
 * Opening an engine may take long, the first time with a GPU or a model above all, and its time is not the job's: it has a
 * limit of its own, workers.load_s.  Keep what a worker says in *slot.
 */
void workers_engine_note_stage(struct slot *slot, const struct worker_stage *stage);
bool workers_engine_is_opening(const struct slot *slot);
int64_t workers_engine_rest_ms(const struct slot *slot); /* of the limit that holds now */
/* Its process was killed since opening took too long: the slot is to wait, and *ret_reason (WORKER_REASON_SIZE bytes)
 * says why.  false: something else has ended it. */
bool workers_engine_was_late(struct slot *slot, int status, char *ret_reason);

#ifdef __cplusplus
}
#endif
