/*
 * policy.h - a configuration whose models are known to be there, and what it makes of a series.
 *
 * Thread safety: immutable once loaded.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db/instances.h"
#include "engine/base/error.h"
#include "engine/engine.h"
#include "server/config.h"

#ifdef __cplusplus
extern "C" {
#endif

struct policy_model {
    char dir[4096]; /* "": the rule ignores */
    struct manifest manifest;
};

struct policy {
    struct config *config;      /* owned */
    struct policy_model *model; /* [config->rules_count], owned */
};

/*
 * Read the configuration and the manifest of every rule's model.  *ret_policy: the caller frees it.
 * Errors: those of config_load, model_resolve and manifest_read, naming the rule; SCTD_EINVAL (a rule whose jobs the
 * job store could not keep).
 */
SCTD_NODISCARD int policy_load(struct policy **ret_policy, const char *path,
                               struct sctd_error *err);
void policy_free(struct policy *policy); /* NULL is a no-op */
static inline void policy_freep(struct policy **policy)
{
    policy_free(*policy);
}

enum policy_verdict {
    POLICY_CONVERT,
    POLICY_IGNORE, /* a rule says so, none holds, or it is our own */
};

struct policy_decision {
    enum policy_verdict verdict;
    const struct config_rule *rule;   /* CONVERT; IGNORE: the one that says so, or NULL */
    const struct policy_model *model; /* CONVERT */
    const struct config_rule *almost; /* IGNORE: all of its conditions hold but one; NULL: none */
    bool is_ours;                     /* an sCT of ours */
    char reason[DB_REASON_SIZE];
};

/*
 * A model and its manifest, for jobs that the job store can keep.
 * Errors: those of model_resolve and manifest_read; SCTD_EINVAL.
 */
SCTD_NODISCARD int policy_load_model(struct policy_model *ret_model, const struct config *config,
                                     const struct config_rule *rule, struct sctd_error *err);

/* What becomes of a series of so many frames. */
void policy_decide(const struct policy *policy, const struct db_series *series, int32_t frames,
                   struct policy_decision *ret_decision);

/* 0 is the first in the job store; 100 the first in the configuration.  Batches come after the last of them. */
enum { POLICY_PRIORITY_LAST = 8, POLICY_PRIORITY_BATCH = 9 };
int32_t policy_priority(const struct config_rule *rule);

#ifdef __cplusplus
}
#endif
