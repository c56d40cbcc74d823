/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <string.h>

#include "db/db.h"
#include "db/delivery_bits.h"
#include "db/sql.h"
#include "engine/base/error.h"

#include "tests/support/db_kit.h"

static void bits_are_kept_with_their_counts(void)
{
    struct db *db = kit_open();
    (void)kit_written(db, 1, 1, true);
    struct delivery_bits bits = {0};
    HOLDS(delivery_bits_read(&bits, db, 1, &kit_err) == 0 && bits.n == KIT_OUTPUTS);
    delivery_bits_set(&bits, DELIVERY_STORED, 0, true);
    delivery_bits_set(&bits, DELIVERY_STORED, 2, true);
    delivery_bits_set(&bits, DELIVERY_COMMITTED, 2, true);
    delivery_bits_set(&bits, DELIVERY_STORED, 3, true); /* outside: ignored */
    delivery_bits_set(&bits, DELIVERY_STORED, -1, true);
    HOLDS(delivery_bits_write(&bits, db, 1, &kit_err) == 0);
    delivery_bits_fini(&bits);
    HOLDS(delivery_bits_read(&bits, db, 1, &kit_err) == 0);
    static const struct {
        int32_t place;
        int stored, committed;
    } expected[] = {{-1, 0, 0}, {0, 1, 0}, {1, 0, 0}, {2, 1, 1}, {3, 0, 0}};
    for (int i = 0; i < 5; i++) {
        HOLDS(delivery_bits_has(&bits, DELIVERY_STORED, expected[i].place) == expected[i].stored);
        HOLDS(delivery_bits_has(&bits, DELIVERY_COMMITTED, expected[i].place) ==
              expected[i].committed);
    }
    HOLDS(kit_number(db, "SELECT stored FROM delivery") == 2);
    HOLDS(kit_number(db, "SELECT committed FROM delivery") == 1);
    delivery_bits_set(&bits, DELIVERY_STORED, 0, false);
    HOLDS(delivery_bits_count(&bits, DELIVERY_STORED) == 1);
    delivery_bits_fini(&bits);
    db_close(db);
    kit_remove();
}

static void every_place_up_to_beyond_a_byte_is_one_of_its_own(void)
{
    unsigned char stored[3] = {0};
    unsigned char committed[3] = {0};
    struct delivery_bits bits = {20, {stored, committed}};
    for (int32_t i = 0; i < 20; i++) {
        delivery_bits_set(&bits, DELIVERY_STORED, i, true);
        HOLDS(delivery_bits_count(&bits, DELIVERY_STORED) == 1);
        HOLDS(delivery_bits_has(&bits, DELIVERY_STORED, i));
        delivery_bits_set(&bits, DELIVERY_STORED, i, false);
    }
}

static void bits_of_another_length_are_damage(void)
{
    struct db *db = kit_open();
    (void)kit_written(db, 1, 1, true);
    HOLDS(sql_run(db->sql, "UPDATE delivery SET stored_bits = x'0000'", &kit_err) == 0);
    struct delivery_bits bits = {0};
    HOLDS(delivery_bits_read(&bits, db, 1, &kit_err) == SCTD_EDATA);
    HOLDS(bits.data[0] == NULL);
    db_close(db);
    kit_remove();
}

int main(void)
{
    bits_are_kept_with_their_counts();
    every_place_up_to_beyond_a_byte_is_one_of_its_own();
    bits_of_another_length_are_damage();
    return 0;
}
