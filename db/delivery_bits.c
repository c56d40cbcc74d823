/* SPDX-License-Identifier: Apache-2.0 */
#include "db/delivery_bits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "db/core.h"
#include "db/db.h"
#include "db/sql.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"

static size_t size_of(int32_t n)
{
    return ((size_t)n + 7) / 8;
}

static int copy_set(unsigned char **ret_data, const struct sql_statement *s, int column, int32_t n,
                    struct sctd_error *err)
{
    size_t size = 0;
    const void *bytes = sql_get_blob(s, column, &size);
    if (size != size_of(n)) {
        return sctd_error(
            err, SCTD_EDATA,
            "the job store is damaged: a delivery of %d instances has %zu bytes of progress",
            (int)n, size);
    }
    unsigned char *data = malloc(size + 1);
    if (data == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "progress of %d instances", (int)n);
    }
    if (size > 0 && bytes != NULL) {
        memcpy(data, bytes, size);
    }
    *ret_data = data;
    return 0;
}

int delivery_bits_read(struct delivery_bits *ret_bits, struct db *db, int64_t delivery_id,
                       struct sctd_error *err)
{
    sctd_auto(sql_donep) struct sql_statement *s = NULL;
    sctd_auto(delivery_bits_fini) struct delivery_bits bits = {0};
    int r = sql_prepare(&s, db->sql,
                        "SELECT instances, stored_bits, committed_bits FROM delivery WHERE id = ?1",
                        err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, delivery_id);
    r = sql_step(s, err);
    if (r < 0) {
        return r;
    }
    const int64_t n = r == SQL_ROW ? sql_get_int(s, 0) : 0;
    bits.n = n < 0 || n > DB_OUTPUTS_MAX ? 0 : (int32_t)n;
    r = 0;
    for (int i = 0; r == 0 && i < DELIVERY_SETS; i++) {
        r = copy_set(&bits.data[i], s, i + 1, bits.n, err);
    }
    if (r < 0) {
        return r;
    }
    ret_bits->n = bits.n;
    for (int i = 0; i < DELIVERY_SETS; i++) {
        ret_bits->data[i] = sctd_steal(&bits.data[i]);
    }
    return 0;
}

int delivery_bits_write(const struct delivery_bits *bits, struct db *db, int64_t delivery_id,
                        struct sctd_error *err)
{
    struct sql_statement *s = NULL;
    const int r =
        sql_prepare(&s, db->sql,
                    "UPDATE delivery SET stored_bits = ?2, committed_bits = ?3, stored = ?4, "
                    "committed = ?5 WHERE id = ?1",
                    err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, delivery_id);
    sql_bind_blob(s, bits->data[DELIVERY_STORED], size_of(bits->n));
    sql_bind_blob(s, bits->data[DELIVERY_COMMITTED], size_of(bits->n));
    sql_bind_int(s, delivery_bits_count(bits, DELIVERY_STORED));
    sql_bind_int(s, delivery_bits_count(bits, DELIVERY_COMMITTED));
    return sql_finish(s, err);
}

void delivery_bits_fini(struct delivery_bits *bits)
{
    for (int i = 0; i < DELIVERY_SETS; i++) {
        free(bits->data[i]);
    }
    *bits = (struct delivery_bits){0};
}

void delivery_bits_set(struct delivery_bits *bits, enum delivery_set set, int32_t place, bool value)
{
    if (place < 0 || place >= bits->n) {
        return;
    }
    unsigned char *byte = &bits->data[set][place / 8];
    const unsigned bit = 1U << (place % 8);
    *byte = (unsigned char)(value ? *byte | bit : *byte & ~bit);
}

bool delivery_bits_has(const struct delivery_bits *bits, enum delivery_set set, int32_t place)
{
    return place >= 0 && place < bits->n && (bits->data[set][place / 8] >> (place % 8) & 1) != 0;
}

int32_t delivery_bits_count(const struct delivery_bits *bits, enum delivery_set set)
{
    int32_t n = 0;
    for (int32_t i = 0; i < bits->n; i++) {
        n += delivery_bits_has(bits, set, i) ? 1 : 0;
    }
    return n;
}
