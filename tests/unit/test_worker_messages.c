/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/frame.h"
#include "server/worker_messages.h"

static struct sctd_error err;

/* Through a socket pair. */
static int pass(const struct worker_message *message, struct worker_message *ret_message)
{
    int fd[2];
    struct frame_reader reader;
    sctd_auto(json_freep) struct json *json = NULL;
    assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
    frame_reader_init(&reader, fd[1]);
    assert(worker_messages_send(fd[0], message, -1, 0, &err) == 0);
    assert(frame_next(&reader, &json, &err) == 0);
    const int r = worker_messages_read(ret_message, json, &err);
    frame_reader_fini(&reader);
    (void)close(fd[0]);
    (void)close(fd[1]);
    return r;
}

static void check_numbers(const struct worker_job *job)
{
    assert(job->job_id == INT64_MAX && job->attempt == 3 && job->threads == 2);
    assert(job->turn == 1 && job->turns == 3);
    assert(job->batch == 4 && job->memory_mib == 8192 && job->gpu_memory_mib == 20000);
}

static void a_job_comes_back_as_it_was(void)
{
    static struct worker_message again;
    static struct worker_message m = {.type = WORKER_JOB,
                                      .job = {.job_id = INT64_MAX,
                                              .attempt = 3,
                                              .model_sha256 = "ab",
                                              .parameters = "{\"grid\":\"source\"}",
                                              .threads = 2,
                                              .batch = 4,
                                              .memory_mib = 8192,
                                              .gpu_memory_mib = 20000,
                                              .backend = "cuda:7",
                                              .turn = 1,
                                              .turns = 3,
                                              .source_series_uid = "1.2",
                                              .series_uid = "2.25.1"}};
    /* the longest paths there are, of any bytes, and the longest parameters: all in one frame */
    memset(m.job.model_dir, 0xff, sizeof m.job.model_dir - 1);
    memset(m.job.spool, 0xfe, sizeof m.job.spool - 1);
    memset(m.job.results, 1, sizeof m.job.results - 1);
    memset(m.job.parameters, '"', sizeof m.job.parameters - 1);
    assert(pass(&m, &again) == 0 && again.type == WORKER_JOB);
    check_numbers(&again.job);
    assert(strcmp(again.job.backend, "cuda:7") == 0);
    assert(strcmp(again.job.model_dir, m.job.model_dir) == 0);
    assert(strcmp(again.job.spool, m.job.spool) == 0);
    assert(strcmp(again.job.results, m.job.results) == 0);
    assert(strcmp(again.job.parameters, m.job.parameters) == 0);
    assert(strcmp(again.job.series_uid, "2.25.1") == 0);
    m.type = WORKER_TRIAL;
    assert(pass(&m, &again) == 0 && again.type == WORKER_TRIAL);
    check_numbers(&again.job);
    assert(strcmp(again.job.source_series_uid, "1.2") == 0);
    assert(strcmp(again.job.model_sha256, "ab") == 0);
}

/* One check, which failed where the verdict is "review". */
#define REPORT(verdict)                                                                            \
    "{\"verdict\":\"" verdict                                                                      \
    "\",\"checks\":[{\"check\":\"outline\",\"what\":\"\",\"verdict\":\"failed\",\"value\":23.5,"   \
    "\"unit\":\"mm\",\"low\":null,\"high\":15,\"hu_low\":null,\"hu_high\":null,\"z_mm\":null,\"text\":\"far\"}]}"

static void an_engine_comes_back_as_it_was(void)
{
    struct worker_message again;
    struct worker_message m = {.type = WORKER_ENGINE,
                               .engine = {.backend = "cuda",
                                          .device_mib = INT32_MAX,
                                          .arithmetic = "fp16 cudnn",
                                          .reason = "a GPU is there",
                                          .is_fallback = true}};
    memset(m.engine.device, 'G', sizeof m.engine.device - 1);
    memset(m.engine.remark, 'r', sizeof m.engine.remark - 1);
    assert(pass(&m, &again) == 0 && again.type == WORKER_ENGINE);
    assert(strcmp(again.engine.backend, "cuda") == 0 && again.engine.device_mib == INT32_MAX);
    assert(strcmp(again.engine.device, m.engine.device) == 0 && again.engine.is_fallback);
    assert(strcmp(again.engine.arithmetic, "fp16 cudnn") == 0);
    assert(strcmp(again.engine.reason, "a GPU is there") == 0);
    assert(strcmp(again.engine.remark, m.engine.remark) == 0);
}

static void what_a_worker_says_comes_back_as_it_was(void)
{
    static struct worker_message again;
    const struct worker_message ready = {.type = WORKER_READY};
    assert(pass(&ready, &again) == 0 && again.type == WORKER_READY);
    const struct worker_message stage = {
        .type = WORKER_STAGE, .stage = {.stage = "network", .done = 3, .total = INT64_MAX}};
    assert(pass(&stage, &again) == 0 && again.type == WORKER_STAGE);
    assert(strcmp(again.stage.stage, "network") == 0 && again.stage.done == 3);
    assert(again.stage.total == INT64_MAX);
    const struct worker_message output = {.type = WORKER_OUTPUT,
                                          .output = {.sop_uid = "2.25.3",
                                                     .sop_class_uid = "1.2.840",
                                                     .file = "2.25.1/0001.dcm",
                                                     .size = INT64_C(1) << 40,
                                                     .sha256 = {9, 8, 7}}};
    assert(pass(&output, &again) == 0 && again.type == WORKER_OUTPUT);
    assert(again.output.size == INT64_C(1) << 40 && again.output.sha256[2] == 7);
    assert(strcmp(again.output.file, "2.25.1/0001.dcm") == 0);
    assert(strcmp(again.output.sop_uid, "2.25.3") == 0);
    for (int32_t outcome = 0; outcome < WORKER_OUTCOMES; outcome++) {
        const struct worker_message end = {
            .type = WORKER_END,
            .end = {.outcome = outcome, .reason = "why", .stage_ms = {1.5, 0, 0, (double)NAN}}};
        assert(pass(&end, &again) == 0 && again.end.outcome == outcome);
        assert(again.end.stage_ms[0] > 1.4 && isnan(again.end.stage_ms[3]));
    }
}

static void what_the_checks_say_comes_back_as_it_was(void)
{
    static struct worker_message again;
    const struct worker_message quality = {
        .type = WORKER_QUALITY, .quality = {.needs_review = true, .report = REPORT("review")}};
    assert(pass(&quality, &again) == 0 && again.type == WORKER_QUALITY);
    assert(again.quality.needs_review && strcmp(again.quality.report, REPORT("review")) == 0);
}

static void what_makes_no_sense_is_refused(void)
{
    static struct worker_message again = {.type = WORKER_READY};
    struct worker_message m = {.type = WORKER_END, .end = {.outcome = WORKER_OUTCOMES}};
    assert(pass(&m, &again) == SCTD_EDATA);
    m.end.outcome = -1;
    assert(pass(&m, &again) == SCTD_EDATA);
    m = (struct worker_message){.type = WORKER_OUTPUT, .output = {.file = "a/b", .size = -1}};
    assert(pass(&m, &again) == SCTD_EDATA);
    m = (struct worker_message){.type = WORKER_OUTPUT, .output = {.file = "../spool/x"}};
    assert(pass(&m, &again) == SCTD_EDATA);
    m = (struct worker_message){.type = WORKER_QUALITY, .quality = {.report = "fine"}};
    assert(pass(&m, &again) == SCTD_EDATA);
    m.quality = (struct worker_quality){.needs_review = false, .report = REPORT("review")};
    assert(pass(&m, &again) == SCTD_EDATA);
    static const char *const texts[] = {"{}", "{\"type\":\"x\"}", "{\"type\":\"job\"}",
                                        "{\"type\":\"stage\",\"stage.stage\":\"a\"}",
                                        "{\"type\":\"end\",\"end.outcome\":4294967296}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        sctd_auto(json_freep) struct json *json = NULL;
        assert(json_parse(&json, texts[i], strlen(texts[i]), &err) == 0);
        assert(worker_messages_read(&again, json, &err) == SCTD_EDATA);
    }
    assert(again.type == WORKER_READY);
}

static void a_result_is_a_file_in_a_folder_below_the_results(void)
{
    static const struct {
        const char *text;
        bool good;
    } rows[] = {{"2.25.1/0001.dcm", true},
                {"a/b", true},
                {"", false},
                {"a", false},
                {"/a", false},
                {"a/", false},
                {"/a/b", false},
                {"a/b/c", false},
                {"../a", false},
                {"a/..", false},
                {"./a", false},
                {"a/.b", false},
                {"a//b", false},
                {"a/b\n", false},
                {"a b/c", false},
                {"a/b\xc3\xa9", false},
                {"..", false},
                {"a/b/../c", false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert(worker_messages_is_file(rows[i].text) == rows[i].good);
    }
    char text[WORKER_FILE_SIZE + 1];
    memset(text, 'a', sizeof text);
    text[1] = '/';
    text[WORKER_FILE_SIZE] = '\0';
    assert(!worker_messages_is_file(text));
    text[WORKER_FILE_SIZE - 1] = '\0';
    assert(worker_messages_is_file(text));
}

int main(void)
{
    a_job_comes_back_as_it_was();
    an_engine_comes_back_as_it_was();
    what_a_worker_says_comes_back_as_it_was();
    what_the_checks_say_comes_back_as_it_was();
    what_makes_no_sense_is_refused();
    a_result_is_a_file_in_a_folder_below_the_results();
    return 0;
}
