/*
 * front_door.h - where peers knock: each is let in, turned away politely, or dropped, before anything
 * else looks at it.
 *
 * A connection is accepted, its association request looked at (and left in the kernel) until it is whole
 * or the deadline is over, checked (dicom/associate.h, allow.h, the limits), and the socket handed to a
 * process of its own (receivers.h).  Nothing here waits for a peer.
 *
 * Thread safety: the loop's thread.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "server/allow.h"
#include "server/receivers.h"

#ifdef __cplusplus
extern "C" {
#endif

struct front_door;

/* Why a peer was not let in. */
enum front_door_reason {
    FRONT_DOOR_MALFORMED,   /* no association request, or an unsound one */
    FRONT_DOOR_TIMEOUT,     /* it did not send it in time */
    FRONT_DOOR_CLOSED,      /* it went away before */
    FRONT_DOOR_CALLED_AE,   /* it wants somebody else */
    FRONT_DOOR_CALLING_AE,  /* its AE title or address is not allowed */
    FRONT_DOOR_LIMIT,       /* too many associations */
    FRONT_DOOR_LIMIT_PEER,  /* too many of its address */
    FRONT_DOOR_NO_ROOM,     /* the disk is too full */
    FRONT_DOOR_DRAINING,    /* the daemon ends */
    FRONT_DOOR_CROWDED_OUT, /* more knock than can wait */
    FRONT_DOOR_NO_PROCESS,  /* no receiver could be started */
    FRONT_DOOR_REASONS
};
const char *front_door_reason_name(enum front_door_reason reason); /* "malformed"; never NULL */

struct front_door_options {
    const char *address;          /* to listen on; NULL: all */
    int port;                     /* 0: any */
    const char *const *called_ae; /* what we are called; n_called_ae 0: anything */
    size_t n_called_ae;
    const struct allow_rule *allow; /* n_allow 0: anybody */
    size_t n_allow;
    int max_associations, max_of_peer;
    int request_ms;          /* for the whole request */
    int64_t room_for_series; /* bytes that must be free above the reserve to let a peer in */
    struct receive_serve
        serve; /* for every association; who it is comes from the request, and whether it
                                   may send compressed syntaxes also from the rule that lets it in */
    const char *program;
    int spares;
};

/* Those of receivers.h, and: */
struct front_door_hooks {
    struct receivers_hooks receivers;
    /* text: a constant; calling_ae: "" if it is not known. */
    void (*rejected)(void *arg, enum front_door_reason reason, const char *peer,
                     const char *calling_ae, const char *text);
};

/* *ret_door: freed by front_door_free.  The arrays of the options must outlive it.
 * Errors: SCTD_EIO (the port, the spool, a process), SCTD_EINVAL (the address), SCTD_ENOMEM. */
SCTD_NODISCARD int front_door_open(struct front_door **ret_door, struct uv_loop_s *loop,
                                   const struct front_door_options *options,
                                   const struct front_door_hooks *hooks, struct sctd_error *err);

/* Other peers from now on; the array must outlive the door.  Associations that are open stay so. */
void front_door_set_allow(struct front_door *door, const struct allow_rule *allow, size_t n);

int front_door_get_port(const struct front_door *door); /* that it listens on */
struct receivers *front_door_get_receivers(const struct front_door *door);
/* Whether a series would be let in by the disk; *ret_why: why not. */
bool front_door_has_room(const struct front_door *door, struct sctd_error *ret_why);
int64_t front_door_get_rejected(const struct front_door *door, enum front_door_reason reason);
int front_door_count_waiting(
    const struct front_door *door); /* peers that have not said what they want */

/* Take no new peers and let the associations end; hooks.receivers.drained is called at last. */
void front_door_drain(struct front_door *door, int grace_ms);

/* After `drained`; its handles close as the loop runs on. */
void front_door_free(struct front_door *door);

#ifdef __cplusplus
}
#endif
