/*
 * checkpoint.h - the named tensors of a checkpoint file, whatever its format.
 *
 * Reads safetensors; PyTorch's zip format (torch.save since 1.6) and its legacy pickle stream.  The
 * format is told from the first bytes, never from the name.  Pickles are read by a restricted reader
 * that knows only what a state_dict of tensors needs and executes nothing.
 *
 * Thread safety: an open checkpoint is immutable and may be shared.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "engine/base/error.h"
#include "engine/base/safetensors.h"

#ifdef __cplusplus
extern "C" {
#endif

struct checkpoint;

/*
 * *ret_checkpoint: the caller closes it; tensors and their data live as long as it does.
 * Tensor data is row-major without gaps: a strided view in a pickle is refused unless it is one.
 * Nested dictionaries are flattened with '.' ({"teacher": {"a": t}} gives "teacher.a"); entries that
 * are no tensors (numbers, strings, None) are left out.
 * Errors: SCTD_EIO; SCTD_EDATA (not a format we read, truncated, an opcode or global that is not
 * allowed: with the opcode and the offset in the file); SCTD_ENOMEM.
 */
SCTD_NODISCARD int checkpoint_open(struct checkpoint **ret_checkpoint, const char *path,
                                   struct sctd_error *err);
void checkpoint_close(struct checkpoint *checkpoint); /* NULL is a no-op */
static inline void checkpoint_closep(struct checkpoint **checkpoint)
{
    checkpoint_close(*checkpoint);
}

size_t checkpoint_get_count(const struct checkpoint *checkpoint);
const struct tensor_view *checkpoint_get(const struct checkpoint *checkpoint, size_t i);

/* "safetensors", "pytorch-zip" or "pytorch-legacy"; static. */
const char *checkpoint_get_format(const struct checkpoint *checkpoint);

#ifdef __cplusplus
}
#endif
