/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/db_kit.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "db/core.h"
#include "db/db.h"
#include "db/instances.h"
#include "db/jobs.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/sha256.h"

#include "tests/support/temporary.h"

enum { ROOM = 512, TURNS = 64, TEXT = 80 };

struct sctd_error kit_err;
struct db_now kit_now = {.wall_ms = 1700000000000, .lease_ms = 1000000};

static const char pattern[] = TEMPORARY("sctd-test-db");
static char folder[sizeof pattern];
static bool made;

const char *kit_folder(void)
{
    if (!made) {
        memcpy(folder, pattern, sizeof pattern);
        HOLDS(mkdtemp(folder) != NULL);
        made = true;
    }
    return folder;
}

const char *kit_path(const char *name)
{
    static char path[4][ROOM];
    static int turn;
    turn = (turn + 1) % 4;
    (void)snprintf(path[turn], ROOM, "%s/%s", kit_folder(), name);
    return path[turn];
}

void kit_remove(void)
{
    sctd_dir_remove(kit_folder());
    made = false;
}

static struct db *must(struct db *db, int r)
{
    if (r != 0) {
        (void)fprintf(stderr, "%s\n", kit_err.text);
    }
    HOLDS(r == 0);
    return db;
}

struct db *kit_open(void)
{
    const struct db_options options = {true, DB_CHECK_FULL};
    struct db *db = NULL;
    const int r = db_open(&db, kit_path("jobs.db"), &options, &kit_err);
    return must(db, r);
}

struct db *kit_open_reader(void)
{
    struct db *db = NULL;
    const int r = db_open_reader(&db, kit_path("jobs.db"), &kit_err);
    return must(db, r);
}

void kit_sql(const char *text)
{
    const char *path = kit_path("jobs.db");
    const pid_t child = fork();
    if (child == 0) {
        (void)execlp("sqlite3", "sqlite3", "-bail", path, text, (char *)NULL);
        _exit(127);
    }
    int status = 0;
    HOLDS(waitpid(child, &status, 0) == child && status == 0);
}

int64_t kit_number(struct db *db, const char *text)
{
    int64_t value = 0;
    HOLDS(core_number(db, text, 0, &value, &kit_err) == 0);
    return value;
}

static const char *say(const char *format, int a, int b, int c)
{
    static char text[TURNS * 8][TEXT];
    static int turn;
    turn = (turn + 1) % (TURNS * 8);
    char *to = text[turn];
    const char *from = format;
    size_t n = 0;
    const int value[] = {a, b, c};
    int next = 0;
    for (; *from != '\0' && n < TEXT - 12; from++) {
        if (*from == '#') {
            n += (size_t)snprintf(to + n, TEXT - n, "%d", value[next++]);
        } else {
            to[n++] = *from;
        }
    }
    to[n] = '\0';
    return to;
}

struct db_instance kit_instance(int study, int series, int number)
{
    struct db_instance i = {
        .study_uid = say("1.2.#", study, 0, 0),
        .series_uid = say("1.2.#.#", study, series, 0),
        .sop_uid = say("1.2.#.#.#", study, series, number),
        .sop_class_uid = "1.2.840.10008.5.1.4.1.1.4",
        .transfer_syntax_uid = "1.2.840.10008.1.2.1",
        .calling_ae = say("SCANNER#", series % 3, 0, 0),
        .called_ae = "SCTD",
        .peer = "192.0.2.7",
        .file = say("in/#-#-#.dcm", study, series, number),
        .size = 1000 + number,
        .received_ms = kit_now.wall_ms,
        .instance_number = number,
        .frames = 1,
        .slice_mm = 2.5 * number,
        .facts = {.modality = "MR", .series_description = "t1", .series_number = 4},
        .identity = {.patient_id = "P7", .patient_name = "Doe^Jane", .character_set = "ISO_IR 100"},
    };
    struct sha256 hash;
    sha256_init(&hash);
    sha256_update(&hash, i.sop_uid, strlen(i.sop_uid));
    sha256_final(&hash, i.sha256);
    return i;
}

int64_t kit_put(struct db *db, int study, int series, int first, int n)
{
    int64_t id = 0;
    for (int k = 0; k < n; k++) {
        const struct db_instance i = kit_instance(study, series, first + k);
        struct db_put_result result;
        HOLDS(db_instances_put(db, &kit_now, &i, 1, &result, &kit_err) == 0);
        HOLDS(result.outcome == DB_PUT_STORED);
        id = result.series_id;
    }
    return id;
}

struct db_job_spec kit_spec(int tag, int n_destinations, bool commitment)
{
    static const char *uids[KIT_OUTPUTS];
    static const char *destinations[DB_DESTINATIONS_MAX];
    for (int i = 0; i < KIT_OUTPUTS; i++) {
        uids[i] = say("2.25.#.#", tag, i, 0);
    }
    for (int i = 0; i < n_destinations; i++) {
        destinations[i] = say("pacs#", i + 1, 0, 0);
    }
    const struct db_job_spec spec = {
        .priority = 5,
        .rule = "head",
        .model = "mr-head@1",
        .model_sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        .parameters = "grid=source",
        .output_series_uid = say("2.25.#", tag, 0, 0),
        .output_uids = uids,
        .n_outputs = KIT_OUTPUTS,
        .destinations = destinations,
        .n_destinations = (size_t)n_destinations,
        .commitment = commitment,
    };
    return spec;
}

int64_t kit_job_of(struct db *db, int series, const struct db_job_spec *spec)
{
    const struct db_completion completion = {
        .series_id = kit_put(db, 1, series, 0, 2),
        .revision = 1,
        .instances = 2,
        .evidence = DB_EVIDENCE_QUIET,
        .reason = "no byte for 60 s",
        .job = spec,
    };
    int64_t id = 0;
    HOLDS(db_series_complete(db, &kit_now, &completion, &id, &kit_err) == 0);
    return id;
}

int64_t kit_job(struct db *db, int series, int n_destinations)
{
    const struct db_job_spec spec = kit_spec(series, n_destinations, false);
    return kit_job_of(db, series, &spec);
}

struct db_job kit_claim(struct db *db)
{
    struct db_job job;
    HOLDS(db_job_claim(db, &kit_now, "node/worker", KIT_LEASE_MS, &job, &kit_err) == 0);
    return job;
}

struct db_job kit_get(struct db *db, int64_t job_id)
{
    struct db_job job;
    HOLDS(db_job_get(db, job_id, &job, &kit_err) == 0);
    return job;
}

struct db_retry kit_retry(void)
{
    const struct db_retry retry = {1000, 4000, 3, 3, 3, 1.0};
    return retry;
}

int kit_fail(struct db *db, struct db_token token, enum db_work work)
{
    const struct db_retry retry = kit_retry();
    const struct db_work_result result = {.work = work, .reason = "out of memory"};
    return db_job_finish(db, &kit_now, token, &result, &retry, &kit_err);
}

int kit_done(struct db *db, const struct db_job *job)
{
    return kit_checked(db, job, DB_REVIEW_NONE, NULL);
}

int kit_checked(struct db *db, const struct db_job *job, enum db_review review, const char *quality)
{
    char uids[KIT_OUTPUTS][DB_UID_SIZE];
    char files[KIT_OUTPUTS][DB_FILE_SIZE];
    struct db_output output[KIT_OUTPUTS];
    const struct db_job whole = kit_get(db, job->id);
    HOLDS(db_job_output_uids(db, job->id, uids, KIT_OUTPUTS, &kit_err) == 0);
    for (int i = 0; i < KIT_OUTPUTS; i++) {
        (void)snprintf(files[i], sizeof files[i], "out/%s/%d.dcm",
                       strrchr(whole.output_series_uid, '.') + 1,
                       i); /* as in life: by what it makes */
        output[i] = (struct db_output){.sop_uid = uids[i],
                                       .sop_class_uid = "1.2.840.10008.5.1.4.1.1.2",
                                       .file = files[i],
                                       .size = 2000 + i};
        output[i].sha256[0] = (unsigned char)i;
    }
    const struct db_retry retry = kit_retry();
    const struct db_work_result result = {
        .work = DB_WORK_DONE,
        .reason = review == DB_REVIEW_NEEDED ? "outline 23.1 mm (at most 15)" : NULL,
        .output = output,
        .n_outputs = KIT_OUTPUTS,
        .review = review,
        .quality = quality};
    return db_job_finish(db, &kit_now, db_job_token(job), &result, &retry, &kit_err);
}

int64_t kit_written(struct db *db, int series, int n_destinations, bool commitment)
{
    const struct db_job_spec spec = kit_spec(series, n_destinations, commitment);
    const int64_t id = kit_job_of(db, series, &spec);
    const struct db_job job = kit_claim(db);
    HOLDS(job.id == id);
    HOLDS(kit_done(db, &job) == 0);
    return id;
}
