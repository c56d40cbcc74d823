/*
 * requestor.h - a peer to which this side opens an association, and how long it is waited for.
 *
 * Thread safety: constants.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <signal.h>

#ifdef __cplusplus
extern "C" {
#endif

struct dicom_requestor {
    const char *host;
    int port;
    const char *calling_ae, *called_ae;
    int connect_ms;
    int answer_ms; /* longest wait for an answer, or for the next message of one */
    const volatile sig_atomic_t *stop; /* set by a signal: end at the next wait; or NULL */
};

#ifdef __cplusplus
}
#endif
