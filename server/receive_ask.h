/*
 * receive_ask.h - a receiver asks the parent about what a peer tells: storage commitment and performed steps.
 *
 * Thread safety: one for a process.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "dicom/receiver.h"
#include "server/frame.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What dicom_receiver_run calls for them; the parent must outlive it. */
struct dicom_receiver_services receive_ask_services(struct frame_reader *parent);

#ifdef __cplusplus
}
#endif
