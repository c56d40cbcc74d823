/*
 * pickle.h - a restricted reader of Python pickles: what a state_dict of tensors needs, no more.
 *
 * It speaks the opcodes that torch.save writes at protocol 2 and turns them into typed values.  It
 * executes nothing: the globals it knows are words to it, "calling" one keeps the arguments beside
 * the word, and any other opcode or global is refused with its name and the offset in the file.
 * There is no recursion; every length is checked against the bytes that are left.
 *
 * Memory: at any moment at most 64 KiB + 32 times the bytes read so far, and at most PICKLE_BYTES_MAX bytes are
 * read.  Text is not copied.
 *
 * Thread safety: a pickle is immutable once parsed and may be shared.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/model/pickle_value.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The pickle of ViT-7B's state_dict is below 200 KiB. */
enum { PICKLE_BYTES_MAX = 16 * 1024 * 1024 };

struct pickle {
    struct pickle_value value;        /* what the pickle holds */
    struct pickle_value *persistents; /* [n_persistents], every persistent id, in file order */
    size_t n_persistents;
    size_t size;             /* bytes read, STOP included */
    struct pickle_heap heap; /* owns the nodes; what the caller adds counts against its limit */
};

/*
 * Read one pickle from the front of bytes[0 ... size), which must outlive *ret_pickle; bytes after
 * it are left alone.
 * file_offset: where `bytes` lies in its file, for errors.
 * *ret_pickle: the caller frees it.
 * Errors: SCTD_EDATA (truncated, or an opcode, global or value that is not allowed), SCTD_ENOMEM.
 */
SCTD_NODISCARD int pickle_parse(struct pickle **ret_pickle, const void *bytes, size_t size,
                                size_t file_offset, struct sctd_error *err);
void pickle_free(struct pickle *pickle); /* NULL is a no-op */
static inline void pickle_freep(struct pickle **pickle)
{
    pickle_free(*pickle);
}

/* "torch.FloatStorage", ...; never NULL. */
const char *pickle_global_name(enum pickle_global global);

#ifdef __cplusplus
}
#endif
