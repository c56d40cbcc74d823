/*
 * receivers_answer.h - the parent's answers to what peers say about instances: storage commitment, performed steps.
 *
 * Lists are read from the file that came along, the hooks decide, and what was promised to be reported is
 * remembered until the receiver says that the peer has heard it.
 *
 * Thread safety: the loop's thread.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "engine/base/error.h"
#include "server/receive_messages.h"

#ifdef __cplusplus
extern "C" {
#endif

struct receivers_association;
struct receivers_hooks;

/* Of one association; {.hooks = ...} at first. */
struct receivers_promises {
    const struct receivers_hooks *hooks; /* borrowed */
    struct receivers_promise *first;     /* owned; the oldest one first */
    int n;
};

/* Whether a message is one of these. */
bool receivers_answer_takes(enum receive_type type);

enum { RECEIVERS_ANSWER_NONSENSE = 1 };

/*
 * Answer one; passed_fd: what came along, closed here or kept; -1: nothing.
 * Returns 0, or RECEIVERS_ANSWER_NONSENSE: the receiver is not to be trusted any more.
 * Errors: those of the hooks; *ret_reply is RECEIVE_BROKEN then.
 */
SCTD_NODISCARD int receivers_answer(struct receivers_promises *promises,
                                    const struct receivers_association *association,
                                    const struct receive_message *message, int passed_fd,
                                    struct receive_answered *ret_answered, struct sctd_error *err);

/* The association has ended: what was not heard is `unreported`. */
void receivers_answer_end(struct receivers_promises *promises,
                          const struct receivers_association *association);

#ifdef __cplusplus
}
#endif
