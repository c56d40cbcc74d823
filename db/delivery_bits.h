/*
 * delivery_bits.h - which instances of a delivery are stored and committed: a bit for each.
 *
 * Private to db/.  A row for each would be as many as there are instances sent, times destinations.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "db/core.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

enum delivery_set { DELIVERY_STORED, DELIVERY_COMMITTED, DELIVERY_SETS };

struct delivery_bits {
    int32_t n;                          /* instances */
    unsigned char *data[DELIVERY_SETS]; /* owned; (n + 7) / 8 bytes, least significant bit first */
};

/* Errors: SCTD_ENOMEM, SCTD_EDATA (the counts do not agree: damaged), as sql.h. */
SCTD_NODISCARD int delivery_bits_read(struct delivery_bits *ret_bits, struct db *db,
                                      int64_t delivery_id, struct sctd_error *err);
/* And the counts of them. */
SCTD_NODISCARD int delivery_bits_write(const struct delivery_bits *bits, struct db *db,
                                       int64_t delivery_id, struct sctd_error *err);
void delivery_bits_fini(struct delivery_bits *bits); /* leaves it empty */

void delivery_bits_set(struct delivery_bits *bits, enum delivery_set set, int32_t place,
                       bool value); /* a place outside is ignored */
bool delivery_bits_has(const struct delivery_bits *bits, enum delivery_set set, int32_t place);
int32_t delivery_bits_count(const struct delivery_bits *bits, enum delivery_set set);

#ifdef __cplusplus
}
#endif
