/*
 * completion.h - whether a series is complete, by the evidence there is, or when to look again.
 *
 * From the strongest to the weakest: all instances that a storage commitment request or an MPPS lists are there;
 * a known count is reached; the association was released and the slices lie evenly without a gap; nothing has
 * come for a while.  Where a list says that instances are missing, silence is no evidence: the series waits.
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db/instances.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What is known of an open series; all times by the lease clock, ms. */
struct completion_view {
    const struct db_series *series;
    const struct db_member_list *members;
    bool is_sending;       /* an association that sent to it is open */
    bool was_broken;       /* one that sent to it ended in another way than by a release */
    int64_t last_ms;       /* when its last instance came */
    int64_t study_last_ms; /* the same of its study */
    int64_t now_ms;
    int64_t quiet_ms, closed_quiet_ms;
};

struct completion {
    bool is_complete;
    enum db_evidence evidence;
    int64_t again_ms; /* look again then; INT64_MAX: when something happens */
    bool is_held;     /* silent, but instances that were listed are missing */
    char reason[DB_REASON_SIZE];
};

void completion_judge(const struct completion_view *view, struct completion *ret_completion);

/* Whether positions of each stack are uniform to 1 % without a gap or a double, each of at least 4 slices; multi-frame
 * instances count as closed. */
bool completion_is_closed(const struct db_member_list *members);

#ifdef __cplusplus
}
#endif
