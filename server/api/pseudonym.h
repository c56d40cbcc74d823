/*
 * pseudonym.h - one name for one patient that says nothing of who it is: a keyed hash (RFC 2104) of the Patient ID.
 *
 * The key is made once, is this node's own, and never leaves its state folder.
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "engine/base/error.h"
#include "engine/base/sha256.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { PSEUDONYM_SIZE = 16 };

/* Read state_dir/pseudonym.key, or make it (mode 0600).  Errors: SCTD_EIO, SCTD_EDATA (it is none). */
SCTD_NODISCARD int pseudonym_open(unsigned char ret_key[SHA256_SIZE], const char *state_dir,
                                  struct sctd_error *err);

/* "P-" and 10 hex digits. */
void pseudonym_of(const unsigned char key[SHA256_SIZE], const char *patient_id,
                  char ret_pseudonym[PSEUDONYM_SIZE]);

#ifdef __cplusplus
}
#endif
