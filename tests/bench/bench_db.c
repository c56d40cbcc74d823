/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long putting and claiming take in a small and in a large store.
 * usage: bench_db FOLDER SERIES: the first time it makes FOLDER/jobs.db with SERIES series of 50 instances
 * and a queued job of each, the second time it measures (and adds to it).  One line of JSON.
 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "db/db.h"
#include "db/instances.h"
#include "db/jobs.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/parse.h"
#include "engine/base/sha256.h"

enum { PER_SERIES = 50, BATCH = 4000, ROUNDS = 400, GROUP = 32, TEXT = 80, SOURCES = 12 };

static struct sctd_error err;
static const struct db_now now = {.wall_ms = 1700000000000, .lease_ms = 1000};

static double seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void check(int r)
{
    if (r != 0) {
        (void)fprintf(stderr, "%d %s\n", r, err.text);
        abort();
    }
}

/* UIDs as long as those of real scanners. */
static struct db_instance instance(char text[5][TEXT], int series, int number)
{
    (void)snprintf(text[0], TEXT, "1.3.12.2.1107.5.2.43.66012.30000022%08d", series / 4);
    (void)snprintf(text[1], TEXT, "1.3.12.2.1107.5.2.43.66012.2022%010d.0.0.0", series);
    (void)snprintf(text[2], TEXT, "1.3.12.2.1107.5.2.43.66012.2022%010d%08d", series, number);
    (void)snprintf(text[3], TEXT, "in/%08d/%06d.dcm", series, number);
    (void)snprintf(text[4], TEXT, "SCANNER%d", series % SOURCES);
    struct db_instance i = {
        .study_uid = text[0],
        .series_uid = text[1],
        .sop_uid = text[2],
        .sop_class_uid = "1.2.840.10008.5.1.4.1.1.4",
        .transfer_syntax_uid = "1.2.840.10008.1.2.1",
        .calling_ae = text[4],
        .called_ae = "SCTD",
        .peer = "192.0.2.7",
        .file = text[3],
        .size = 212000,
        .received_ms = now.wall_ms + series,
        .instance_number = number,
        .frames = 1,
        .slice_mm = number,
        .facts = {.modality = "MR",
                  .series_description = "t1_mprage_sag_p2_iso",
                  .series_number = 4},
    };
    struct sha256 hash;
    sha256_init(&hash);
    sha256_update(&hash, i.sop_uid, strlen(i.sop_uid));
    sha256_final(&hash, i.sha256);
    return i;
}

static void put(struct db *db, int first_series, int n_series, int per_series)
{
    static char text[BATCH][5][TEXT];
    static struct db_instance batch[BATCH];
    static struct db_put_result results[BATCH];
    int n = 0;
    for (int s = 0; s < n_series; s++) {
        for (int k = 0; k < per_series; k++, n++) {
            batch[n] = instance(text[n], first_series + s, k);
        }
    }
    check(db_instances_put(db, &now, batch, (size_t)n, results, &err));
    assert(results[n - 1].outcome == DB_PUT_STORED);
}

static void complete(struct db *db, int series, int instances)
{
    char text[5][TEXT];
    char out[TEXT];
    char uid[TEXT];
    const struct db_instance i = instance(text, series, 0);
    struct db_series s;
    check(db_series_find(db, i.series_uid, &s, &err));
    (void)snprintf(out, sizeof out, "2.25.%d", series);
    (void)snprintf(uid, sizeof uid, "2.25.%d.1", series);
    const char *uids[] = {uid};
    const char *destinations[] = {"pacs", "planning"};
    const struct db_job_spec spec = {.priority = 5,
                                     .rule = "head",
                                     .model = "mr@1",
                                     .model_sha256 = "00",
                                     .parameters = "",
                                     .output_series_uid = out,
                                     .output_uids = uids,
                                     .n_outputs = 1,
                                     .destinations = destinations,
                                     .n_destinations = 2};
    const struct db_completion c = {s.id, 1, instances, DB_EVIDENCE_QUIET, "quiet", &spec};
    int64_t id = 0;
    check(db_series_complete(db, &now, &c, &id, &err));
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print(const char *what, double *took, int n)
{
    qsort(took, (size_t)n, sizeof *took, compare);
    (void)printf(", \"%s_p50_ms\": %.3f, \"%s_p99_ms\": %.3f", what, 1e3 * took[n / 2], what,
                 1e3 * took[n * 99 / 100]);
}

static void measure(struct db *db, int series)
{
    static double took[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        const double from = seconds();
        put(db, series + i, 1, 1);
        took[i] = seconds() - from;
    }
    print("put_one", took, ROUNDS);
    for (int i = 0; i < ROUNDS; i++) {
        const double from = seconds();
        put(db, series + ROUNDS + i, 1, GROUP);
        took[i] = seconds() - from;
    }
    print("put_32", took, ROUNDS);
    for (int i = 0; i < ROUNDS; i++) {
        complete(db, series + i, 1);
    }
    for (int i = 0; i < ROUNDS; i++) {
        struct db_job job;
        const double from = seconds();
        check(db_job_claim(db, &now, "node/w", 60000, &job, &err));
        took[i] = seconds() - from;
    }
    print("claim", took, ROUNDS);
    for (int i = 0; i < ROUNDS; i++) {
        const struct db_job_filter filter = {.state = -1, .limit = 50};
        struct db_job_page page = {0};
        int64_t counts[DB_JOB_STATES];
        const double from = seconds();
        check(db_job_list(db, &filter, &page, &err));
        check(db_job_counts(db, counts, &err));
        took[i] = seconds() - from;
        db_job_page_fini(&page);
    }
    print("first_page", took, ROUNDS);
}

static void fill(struct db *db, int series)
{
    const int step = BATCH / PER_SERIES;
    const double from = seconds();
    for (int s = 0; s < series; s += step) {
        const int n = series - s < step ? series - s : step;
        put(db, s, n, PER_SERIES);
        for (int k = 0; k < n; k++) {
            complete(db, s + k, PER_SERIES);
        }
    }
    (void)fprintf(stderr, "filled in %.1f s: run it again to measure\n", seconds() - from);
}

/* The newest series, whose number is free for those after it. */
static int64_t newest(struct db *db)
{
    const struct db_series_filter filter = {.state = -1, .limit = 1};
    struct db_series_page page = {0};
    check(db_series_list(db, &filter, &page, &err));
    const int64_t id = page.n == 0 ? 0 : page.series[0].id;
    db_series_page_fini(&page);
    return id;
}

static void tell(struct db *db, double opened)
{
    struct db_size size;
    check(db_get_size(db, &size, &err));
    const int64_t series = newest(db);
    (void)printf("{\"series\": %lld, \"database_mib\": %.0f, \"open_s\": %.2f", (long long)series,
                 (double)size.database_bytes / (1 << 20), opened);
    measure(db, (int)series);
    check(db_get_size(db, &size, &err));
    (void)printf(", \"wal_mib\": %.1f}\n", (double)size.wal_bytes / (1 << 20));
}

int main(int argc, char **argv)
{
    const struct db_options options = {true, DB_CHECK_QUICK};
    char path[SCTD_PATH_MAX];
    int64_t series = 0;
    struct db *db = NULL;
    if (argc != 3 || sctd_parse_i64(&series, argv[2], 0, 1000000, &err) < 0) {
        (void)fprintf(stderr, "usage: bench_db FOLDER SERIES\n");
        return 2;
    }
    check(sctd_path_join(path, argv[1], "jobs.db", &err));
    const double from = seconds();
    check(db_open(&db, path, &options, &err));
    const double opened = seconds() - from;
    if (newest(db) < series) {
        fill(db, (int)series);
    } else {
        tell(db, opened);
    }
    db_close(db);
    return 0;
}
