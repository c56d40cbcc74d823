/*
 * pickle_machine.h - the stack, the memo and the input of the unpickler in pickle.c.
 *
 * Everything that can go wrong is refused with the opcode that is running and its offset.  A mark on
 * the stack is a floor that only pickle_pop_mark goes through.
 *
 * Thread safety: a machine belongs to one thread.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/model/pickle.h"
#include "engine/model/pickle_value.h"

#ifdef __cplusplus
extern "C" {
#endif

struct pickle_machine {
    const uint8_t *bytes;
    size_t size, pos;
    size_t at;        /* where the opcode that is running begins */
    const char *name; /* of that opcode */
    size_t file_offset;
    struct pickle *pickle;
    struct pickle_value *stack; /* [n], room for [room]; owned */
    size_t n, room;
    struct pickle_value *memo; /* [n_memo], a mark where nothing is kept; owned */
    size_t n_memo;
    size_t persistents_room;
    bool stopped;
};

void pickle_machine_fini(struct pickle_machine *m);

struct pickle_place {
    char text[64];
};

/* "REDUCE at offset 123", for errors; to be used in the full expression that asks for it. */
struct pickle_place pickle_place(const struct pickle_machine *m);

/* The next n bytes of the input. Errors (of all three): SCTD_EDATA if fewer are left. */
SCTD_NODISCARD int pickle_take(struct pickle_machine *m, size_t n, const uint8_t **ret_p,
                               struct sctd_error *err);
SCTD_NODISCARD int pickle_take_u8(struct pickle_machine *m, uint32_t *ret_value,
                                  struct sctd_error *err);
SCTD_NODISCARD int pickle_take_u32(struct pickle_machine *m, uint32_t *ret_value,
                                   struct sctd_error *err);

/* Errors (of all three): SCTD_EDATA (memory limit), SCTD_ENOMEM. */
SCTD_NODISCARD int pickle_push(struct pickle_machine *m, struct pickle_value value,
                               struct sctd_error *err);
SCTD_NODISCARD int pickle_push_number(struct pickle_machine *m, enum pickle_kind kind,
                                      int64_t number, struct sctd_error *err);
SCTD_NODISCARD int pickle_push_node(struct pickle_machine *m, enum pickle_kind kind,
                                    struct pickle_node *node, struct sctd_error *err);

/* The topmost value, left there. Errors (of all four): SCTD_EDATA if there is none such. */
SCTD_NODISCARD int pickle_top(struct pickle_machine *m, struct pickle_value *ret_value,
                              struct sctd_error *err);
/* The same, of the kind that belongs there. */
SCTD_NODISCARD int pickle_top_of(struct pickle_machine *m, enum pickle_kind kind,
                                 struct pickle_value *ret_value, struct sctd_error *err);
/* The topmost value, taken off. */
SCTD_NODISCARD int pickle_pop(struct pickle_machine *m, struct pickle_value *ret_value,
                              struct sctd_error *err);
/* Take off everything above the topmost mark, and the mark; the items are valid until a push. */
SCTD_NODISCARD int pickle_pop_mark(struct pickle_machine *m, const struct pickle_value **ret_items,
                                   uint32_t *ret_n, struct sctd_error *err);

/* Keep the topmost value; push a kept one. Errors: SCTD_EDATA (index, limit), SCTD_ENOMEM. */
SCTD_NODISCARD int pickle_memo_put(struct pickle_machine *m, uint32_t index,
                                   struct sctd_error *err);
SCTD_NODISCARD int pickle_memo_get(struct pickle_machine *m, uint32_t index,
                                   struct sctd_error *err);

#ifdef __cplusplus
}
#endif
