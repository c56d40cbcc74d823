/*
 * import.h - what the parts of model_import share: from a checkpoint's tensors to canonical ones.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A checkpoint is read twice: once for what its names and shapes tell (import_backbone_read,
 * import_generator_read), once to put each tensor into the slot of the layout that this gives
 * (import_slots_fill).  Then every slot is turned into f32 and its values are checked
 * (import_values_make).  What is wrong with tensors is collected in a report, line by line, so
 * that one run names all of it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/safetensors.h"
#include "engine/model/checkpoint.h"
#include "engine/model/layout.h"
#include "engine/model/manifest.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { IMPORT_NAME_MAX = TENSOR_NAME_MAX + 16 };

/* Which part of a canonical tensor a checkpoint's tensor is. */
enum import_part {
    IMPORT_WHOLE,
    IMPORT_Q, /* the rows of attn.qkv that a file in Hugging Face naming keeps apart */
    IMPORT_K,
    IMPORT_V,
    IMPORT_MASK, /* what attn.qkv.bias is multiplied with */
    IMPORT_PARTS,
};

struct import_name {
    char text[IMPORT_NAME_MAX]; /* canonical, with "backbone." or "generator." */
    enum import_part part;
};

/* The checkpoint's tensors that become one canonical tensor; NULL where there is none. */
struct import_slot {
    const struct tensor_view *part[IMPORT_PARTS];
};

enum import_problem {
    IMPORT_MISSING,
    IMPORT_EXTRA,
    IMPORT_MISSHAPEN, /* shape or type */
    IMPORT_UNSOUND,   /* a value */
    IMPORT_PROBLEMS,
};

/* Lines about tensors, and how many there are of each kind. */
struct import_report {
    struct sctd_buf *lines; /* borrowed */
    size_t count[IMPORT_PROBLEMS];
};

/* Add one line (without its end).  Errors: SCTD_ENOMEM. */
__attribute__((format(printf, 4, 5))) SCTD_NODISCARD int
import_report_add(struct import_report *report, enum import_problem problem, struct sctd_error *err,
                  const char *format, ...);

/* What of a generator's file its network does not use. */
enum import_drop {
    IMPORT_DROP_NOTHING,
    IMPORT_DROP_PROJECTIONS, /* fuseK.proj_dino and fuseK.proj_img */
    IMPORT_DROP_FUSION,      /* fuseK altogether */
};

/* One checkpoint, with what its names told. */
struct import_source {
    const struct checkpoint *checkpoint;
    const char *label;            /* "backbone" or "generator", as canonical names begin */
    bool swiglu;                  /* backbone: w1, w2, w3 */
    enum import_drop drop_fusion; /* generator */
    /* The canonical name of the tensor called `name`; false if the network has no use for it. */
    bool (*translate)(const struct import_source *source, const char *name,
                      struct import_name *ret_name);
};

/*
 * Tell a backbone's configuration from its names and shapes.
 * heads: 0 unless the caller asks for a number that the file must then not contradict.
 * *ret_source borrows `checkpoint`.
 * Errors: SCTD_EDATA (no DINOv3, or none that is known), SCTD_EINVAL (heads must, or must not, be
 * given).
 */
SCTD_NODISCARD int import_backbone_read(struct import_source *ret_source,
                                        struct vit_config *ret_vit,
                                        const struct checkpoint *checkpoint, int32_t heads,
                                        struct sctd_error *err);

struct import_generator_options {
    int32_t embed_dim;  /* the backbone's width */
    const char *fusion; /* the kind's name, or NULL: told by the names */
};

/* The same for a generator.  Errors: SCTD_EDATA, SCTD_EINVAL (no such fusion). */
SCTD_NODISCARD int import_generator_read(struct import_source *ret_source,
                                         struct generator_config *ret_generator,
                                         const struct checkpoint *checkpoint,
                                         const struct import_generator_options *options,
                                         struct sctd_error *err);

/*
 * Put the tensors of `source` into slot[layout_get_count(layout)], which the caller has zeroed or
 * filled from another source, and report those that fit nowhere or twice and those whose shape or
 * type is wrong (they fill no slot, but are not missing).
 * Errors: SCTD_ENOMEM (of the report).
 */
SCTD_NODISCARD int import_slots_fill(struct import_slot *slot, const struct layout *layout,
                                     const struct import_source *source,
                                     struct import_report *report, struct sctd_error *err);

/*
 * Report the slots that nothing fills.  RoPE periods may be missing, and a bias of the backbone's
 * blocks if no block has it: it is zero then.
 * Errors: SCTD_ENOMEM (of the report).
 */
SCTD_NODISCARD int import_slots_check(const struct import_slot *slot, const struct layout *layout,
                                      struct import_report *report, struct sctd_error *err);

/*
 * Make the canonical tensor of `entry` from its slot: f32, checked for what its role allows.
 * *ret_view borrows the checkpoint's bytes where they can stay as they are; else *ret_owned holds
 * them, which the caller frees.  What is wrong with the values is reported.
 * Errors: SCTD_ENOMEM.
 */
SCTD_NODISCARD int import_values_make(struct tensor_view *ret_view, void **ret_owned,
                                      const struct layout_entry *entry,
                                      const struct import_slot *slot, struct import_report *report,
                                      struct sctd_error *err);

#ifdef __cplusplus
}
#endif
