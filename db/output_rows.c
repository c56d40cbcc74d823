/* SPDX-License-Identifier: Apache-2.0 */
#include "db/output_rows.h"

#include <stddef.h>
#include <stdint.h>

#include "db/core.h"
#include "db/db.h"
#include "db/deliveries.h"
#include "db/sql.h"
#include "engine/base/error.h"

int output_rows_read(struct db *db, const char *text, int64_t id, struct db_file_set *files,
                     struct sctd_error *err)
{
    static const struct sql_field fields[] = {
        SQL_FIELD(SQL_TEXT, db_delivery_file, sop_uid),
        SQL_FIELD(SQL_TEXT, db_delivery_file, sop_class_uid),
        SQL_FIELD(SQL_TEXT, db_delivery_file, file),
        SQL_FIELD(SQL_BYTES, db_delivery_file, sha256),
        SQL_FIELD(SQL_I64, db_delivery_file, size),
    };
    static const struct sql_layout layout = {fields, sizeof fields / sizeof *fields,
                                             sizeof(struct db_delivery_file)};
    struct sql_statement *s = NULL;
    int r = sql_prepare(&s, db->sql, text, err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, id);
    void *rows = NULL;
    r = sql_read_all(s, &layout, &rows, &files->n, err);
    files->file = rows;
    return r;
}
