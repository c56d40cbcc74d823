/* SPDX-License-Identifier: Apache-2.0 */
/* The store on a disk that is full, fails or may not be written, and damaged in every way: this program
 * has its own system calls for what SQLite writes. */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "db/db.h"
#include "db/instances.h"
#include "db/jobs.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/rng.h"

#include "tests/support/db_kit.h"

enum { SERIES = 12, PER_SERIES = 3, FLIPS = 600, CUTS = 60 };

static int64_t room = -1; /* bytes that may still be written; -1: any */
static int write_errno;   /* when the room is used up */
static int syncs_left = -1;

// NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): the C library's begin with __
/* Visible, so that SQLite's library finds these before the C library's. */
__attribute__((visibility("default"))) ssize_t pwrite64(int fd, const void *bytes, size_t size,
                                                        off64_t offset)
{
    if (room >= 0 && (int64_t)size > room) {
        const size_t part = (size_t)room; /* a full disk takes what fits */
        room = 0;
        if (part == 0 || write_errno != ENOSPC) {
            errno = write_errno;
            return -1;
        }
        return syscall(SYS_pwrite64, fd, bytes, part, offset);
    }
    room -= room >= 0 ? (int64_t)size : 0;
    return syscall(SYS_pwrite64, fd, bytes, size, offset);
}

static int sync_or_fail(long call, int fd)
{
    if (syncs_left == 0) {
        errno = EIO;
        return -1;
    }
    syncs_left -= syncs_left > 0 ? 1 : 0;
    return (int)syscall(call, fd);
}

__attribute__((visibility("default"))) int fsync(int fd)
{
    return sync_or_fail(SYS_fsync, fd);
}

__attribute__((visibility("default"))) int fdatasync(int fd)
{
    return sync_or_fail(SYS_fdatasync, fd);
}
// NOLINTEND(readability-inconsistent-declaration-parameter-name)

static int put(struct db *db, int series, int number)
{
    const struct db_instance i = kit_instance(1, series, number);
    struct db_put_result result;
    const int r = db_instances_put(db, &kit_now, &i, 1, &result, &kit_err);
    HOLDS(r < 0 || result.outcome == DB_PUT_STORED);
    return r;
}

static bool has(struct db *db, int series, int number)
{
    const struct db_instance i = kit_instance(1, series, number);
    struct db_found found;
    HOLDS(db_instances_find(db, &i.sop_uid, 1, &found, &kit_err) == 0);
    return found.found;
}

static void a_full_disk_is_told_and_passes(void)
{
    int refused = 0;
    for (int64_t bytes = 0; bytes <= 40960; bytes += 512) {
        struct db *db = kit_open();
        for (int k = 0; k < 5; k++) {
            HOLDS(put(db, 1, k) == 0);
        }
        room = bytes;
        write_errno = ENOSPC;
        const int r = put(db, 1, 5);
        room = -1;
        if (r < 0) {
            refused++;
            HOLDS(r == SCTD_EIO && strstr(kit_err.text, "the disk is full") != NULL);
        }
        HOLDS(!db_is_failed(db) && has(db, 1, 5) == (r == 0));
        for (int k = 6; k < 9; k++) { /* there is room again */
            HOLDS(put(db, 1, k) == 0);
        }
        db_close(db);
        db = kit_open();
        for (int k = 0; k < 9; k++) {
            HOLDS(has(db, 1, k) == (k != 5 || r == 0));
        }
        HOLDS(db_verify(db, DB_CHECK_FULL, &kit_err) == 0);
        db_close(db);
        kit_remove();
    }
    HOLDS(refused > 10 && refused < 81);
}

/* The file system itself says no here, to the log's shared memory too. */
static void a_full_file_system_is_told_and_passes(void)
{
    struct db *db = NULL;
    int kept = 0;
    int r = 0;
    if (mount("none", kit_folder(), "tmpfs", 0, "size=2m,mode=0700") != 0) {
        (void)fprintf(stderr, "no tmpfs may be mounted here: left out\n");
        return;
    }
    db = kit_open();
    while (kept < 5000 && r == 0) {
        r = put(db, 1, kept);
        kept += r == 0 ? 1 : 0;
    }
    HOLDS(r == SCTD_EIO && kept > 20);
    for (int k = 0; k < 50; k++) {
        HOLDS(put(db, 1, kept) == SCTD_EIO);
    }
    HOLDS(!db_is_failed(db));
    HOLDS(mount("none", kit_folder(), "tmpfs", MS_REMOUNT, "size=8m") == 0);
    HOLDS(put(db, 1, kept) == 0);
    db_close(db);
    db = kit_open();
    for (int k = 0; k <= kept; k++) {
        HOLDS(has(db, 1, k));
    }
    db_close(db);
    HOLDS(umount(kit_folder()) == 0);
    kit_remove();
}

static void a_failed_sync_ends_the_writing_and_loses_nothing(void)
{
    int failures = 0;
    for (int n = 0; n < 6; n++) {
        struct db *db = kit_open();
        HOLDS(put(db, 1, 0) == 0);
        int64_t left = 0;
        syncs_left = n;
        int r = put(db, 1, 1);
        const int first = r;
        r = r < 0 ? r : put(db, 1, 2);
        r = r < 0 ? r : db_checkpoint(db, &left, &kit_err);
        syncs_left = -1; /* the disk says that it is well again */
        if (r < 0) {
            failures++;
            HOLDS(r == SCTD_EIO && db_is_failed(db));
            HOLDS(put(db, 1, 3) == SCTD_EIO && strstr(kit_err.text, "opened again") != NULL);
        }
        db_close(db);
        db = kit_open();
        HOLDS(has(db, 1, 0) && (first < 0 || has(db, 1, 1)));
        HOLDS(put(db, 1, 4) == 0);
        HOLDS(db_verify(db, DB_CHECK_FULL, &kit_err) == 0);
        db_close(db);
        kit_remove();
    }
    HOLDS(failures >= 3);
}

static void a_failed_write_undoes_its_transaction_alone(void)
{
    struct db *db = kit_open();
    HOLDS(put(db, 1, 0) == 0);
    room = 1000;
    write_errno = EIO;
    HOLDS(put(db, 1, 1) == SCTD_EIO);
    room = -1;
    HOLDS(has(db, 1, 0) && !has(db, 1, 1) && put(db, 1, 2) == 0);
    db_close(db);
    db = kit_open();
    HOLDS(has(db, 1, 0) && !has(db, 1, 1) && has(db, 1, 2));
    db_close(db);
    kit_remove();
}

static void a_folder_that_may_not_be_written_is_told(void)
{
    db_close(kit_open());
    HOLDS(chmod(kit_folder(), 0555) == 0);
    const pid_t child = fork();
    if (child == 0) {
        const struct db_options options = {true, DB_CHECK_QUICK};
        struct db *db = NULL;
        const bool ordinary = geteuid() != 0 || setresuid(65534, 65534, 65534) == 0;
        const int r = db_open(&db, kit_path("jobs.db"), &options, &kit_err);
        _exit(ordinary && r == SCTD_EIO && strstr(kit_err.text, "ermission") != NULL ? 0 : 1);
    }
    int status = 1;
    HOLDS(waitpid(child, &status, 0) == child && status == 0);
    HOLDS(chmod(kit_folder(), 0700) == 0);
    db_close(kit_open());
    kit_remove();
}

/* Damage */

struct bytes {
    char *data;
    size_t size;
};

static struct bytes read_file(const char *path)
{
    struct sctd_map map = {0};
    HOLDS(sctd_map_open(&map, path, &kit_err) == 0);
    struct bytes b = {malloc(map.size + 1), map.size};
    HOLDS(b.data != NULL);
    memcpy(b.data, map.data, map.size);
    sctd_map_close(&map);
    return b;
}

static void write_file(const char *path, const struct bytes *b, size_t size)
{
    HOLDS(sctd_file_replace(path, b->data, size, &kit_err) == 0);
}

/* A store of SERIES closed series with jobs; its log is in the database or beside it. */
static void make_store(bool in_log)
{
    struct db *db = kit_open();
    for (int s = 0; s < SERIES; s++) {
        const struct db_job_spec spec = kit_spec(s, 1, true);
        for (int k = 2; k < PER_SERIES; k++) {
            HOLDS(put(db, s, k) == 0);
        }
        const struct db_completion c = {.series_id = kit_put(db, 1, s, 0, 2),
                                        .revision = 1,
                                        .instances = PER_SERIES,
                                        .evidence = DB_EVIDENCE_COUNT,
                                        .reason = "all came",
                                        .job = &spec};
        int64_t id = 0;
        HOLDS(db_series_complete(db, &kit_now, &c, &id, &kit_err) == 0);
    }
    int64_t left = 0;
    if (!in_log) {
        HOLDS(db_checkpoint(db, &left, &kit_err) == 0);
    }
    db_close(db);
}

/* How many instances are there; all reading is tried. */
static int count_and_read(struct db *db)
{
    int n = 0;
    for (int s = 0; s < SERIES; s++) {
        for (int k = 0; k < PER_SERIES; k++) {
            n += has(db, s, k) ? 1 : 0;
        }
    }
    const struct db_job_filter filter = {.state = -1, .limit = 100};
    struct db_job_page page = {0};
    const int r = db_job_list(db, &filter, &page, &kit_err);
    HOLDS(r == 0 || r == SCTD_EDATA);
    db_job_page_fini(&page);
    return n;
}

static void a_damaged_store_is_refused_or_whole_and_never_touched(void)
{
    make_store(false);
    const struct db_options options = {true, DB_CHECK_FULL};
    const struct bytes sound = read_file(kit_path("jobs.db"));
    struct sctd_rng rng = {7};
    int refused = 0;
    for (int i = 0; i < FLIPS + CUTS; i++) {
        struct bytes b = {malloc(sound.size), sound.size};
        HOLDS(b.data != NULL);
        memcpy(b.data, sound.data, sound.size);
        size_t size = sound.size;
        if (i < FLIPS) {
            const uint64_t bit = sctd_rng_next(&rng) % (8 * sound.size);
            b.data[bit / 8] = (char)(b.data[bit / 8] ^ (1 << (bit % 8)));
        } else {
            size = (size_t)(sctd_rng_next(&rng) % sound.size);
        }
        (void)unlink(kit_path("jobs.db-wal"));
        (void)unlink(kit_path("jobs.db-shm"));
        write_file(kit_path("jobs.db"), &b, size);
        struct db *db = NULL;
        const int r = db_open(&db, kit_path("jobs.db"), &options, &kit_err);
        if (r < 0) {
            const struct bytes after = read_file(kit_path("jobs.db"));
            refused++;
            HOLDS(r == SCTD_EDATA && after.size == size);
            HOLDS(memcmp(after.data, b.data, size) == 0);
            HOLDS(strstr(kit_err.text, "restore") != NULL ||
                  strstr(kit_err.text, "another path") != NULL);
            free(after.data);
        } else {
            HOLDS(i < FLIPS && count_and_read(db) == SERIES * PER_SERIES);
            db_close(db);
        }
        free(b.data);
    }
    (void)fprintf(stderr, "%d of %d damaged stores refused, the others had all instances\n",
                  refused, FLIPS + CUTS);
    HOLDS(refused > CUTS);
    free(sound.data);
    kit_remove();
}

/* What is there came before what is not. */
static void check_prefix(struct db *db)
{
    static const int order[] = {2, 0, 1}; /* of make_store */
    bool ended = false;
    for (int i = 0; i < SERIES * PER_SERIES; i++) {
        const bool there = has(db, i / PER_SERIES, order[i % PER_SERIES]);
        HOLDS(!(ended && there));
        ended = ended || !there;
    }
}

static void a_damaged_log_leaves_a_prefix(void)
{
    make_store(true);
    const struct bytes database = read_file(kit_path("jobs.db"));
    const struct bytes log = read_file(kit_path("jobs.db-wal"));
    struct sctd_rng rng = {11};
    HOLDS(log.size > 100000);
    for (int i = 0; i < 2 * CUTS; i++) {
        const size_t at = (size_t)(sctd_rng_next(&rng) % log.size);
        const char flip = i % 2 == 0 ? 0x10 : 0;
        (void)unlink(kit_path("jobs.db-shm"));
        write_file(kit_path("jobs.db"), &database, database.size);
        log.data[at] = (char)(log.data[at] ^ flip);
        write_file(kit_path("jobs.db-wal"), &log, flip != 0 ? log.size : at);
        log.data[at] = (char)(log.data[at] ^ flip);
        struct db *db = kit_open();
        HOLDS(db_verify(db, DB_CHECK_FULL, &kit_err) == 0);
        check_prefix(db);
        db_close(db);
    }
    free(database.data);
    free(log.data);
    kit_remove();
}

static void a_lost_index_of_the_log_is_made_again(void)
{
    make_store(true);
    HOLDS(unlink(kit_path("jobs.db-shm")) == 0);
    struct db *db = kit_open();
    HOLDS(count_and_read(db) == SERIES * PER_SERIES);
    db_close(db);
    kit_remove();
}

int main(void)
{
    a_full_disk_is_told_and_passes();
    a_full_file_system_is_told_and_passes();
    a_failed_sync_ends_the_writing_and_loses_nothing();
    a_failed_write_undoes_its_transaction_alone();
    a_folder_that_may_not_be_written_is_told();
    a_damaged_store_is_refused_or_whole_and_never_touched();
    a_damaged_log_leaves_a_prefix();
    a_lost_index_of_the_log_is_made_again();
    return 0;
}
